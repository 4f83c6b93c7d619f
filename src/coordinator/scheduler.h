/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_SCHEDULER_H
#define STAGECOACH_COORDINATOR_SCHEDULER_H
/*
 * scheduler - turns running sequences into steps, and returned tokens into progress.
 *
 * Continuous batching: each step takes decode rows first, then prompt chunks up to a budget.
 * - Decoding sequences form one group per stage, so that every stage has a step to work on. With
 *   several stages and five sequences for each group there are more groups, up to the window: a
 *   fast stage then need not wait for a slow one.
 * - Without prompts each group has at most one step in flight, because a decode-only step reads all
 *   weights however few rows it has.
 * - A decoding sequence is in one step at a time. A prompt may have chunks in several.
 * - While sequences decode, the rows in flight over all stages, prompt chunks and decodes together,
 *   take at most max_gap_ns, by the times that pace.h has learnt.
 * - A step carries the biases and bans of new sequences up to STEP_MAX_EXTRA, and its answer the
 *   likeliest tokens up to STEP_MAX_TOPS. What goes beyond waits for the next step.
 * - With several stages, prompt chunks start small so that every stage gets work early. The chunk
 *   size grows with the number of waiting prompt rows and is reset when no prompt is left.
 *
 * Slots and KV blocks are shared between clients, see shares.h. A client alone may have them all. A
 * sequence needs blocks of every group of layers, and what follows holds for the blocks of each.
 * When a client has less than its share of both, and its next sequence finds no slot or too few
 * blocks, the youngest sequences of the clients with the most are preempted. The same happens when
 * a decoding sequence finds no free block; within a client the older sequence keeps its blocks. A
 * preempted sequence starts over from its tokens later. Its output does not change, because stages
 * compute every row alike. To keep such work rare there are spare slots, for clients with less than
 * their share.
 *
 * Pure bookkeeping: no links, no allocation after creation; the time is the caller's.
 * Thread: the loop's.
 */
#include "base/error.h"
#include "coordinator/sequence.h"
#include "wire/step.h"

struct scheduler;

/* The gap chosen by itself, in decode steps: just below 3, because some steps take longer than
 * predicted. */
#define SCHEDULER_GAP_STEPS 2.9

struct scheduler_config {
	struct step_limits limits;
	uint32_t window;		/* steps in flight at most, at least 1 */
	uint32_t n_stages;		/* at least 1 */
	uint32_t prompt_chunk;		/* prompt rows of a step at most */
	uint64_t max_gap_ns;		/* between two tokens of a sequence, beside prompts;
					 * 0: SCHEDULER_GAP_STEPS times as long as without, 10
					 * ms at least, and with n prompts sqrt(n) times that,
					 * 4 times at most */
	uint32_t n_spare;		/* of limits.max_sequences slots, those that only clients
					 * with less than their share may use */
	/* The step being made has the first rows of a sequence, also of one that starts over. Must
	 * not call the scheduler. May be NULL. */
	void (*on_started)(void *arg, struct sequence *sequence);
	void *arg;
};

/* SC_E_INVALID: the pool of some group cannot hold one sequence of max_context positions. */
must_check enum sc_status scheduler_create(const struct scheduler_config *config,
					   struct scheduler **scheduler_out, struct error *err);
/* Sequences still known are the caller's. Accepts NULL. */
void scheduler_destroy(struct scheduler *scheduler);

/* Queue an idle sequence, whose share must be set; it and its share_job and share_client stay
 * linked until it ended or was removed. A suspended sequence keeps its ticket, so add all suspended
 * ones, in the order in which they shall start, before new ones. */
void scheduler_add(struct scheduler *scheduler, struct sequence *sequence);

/* Ends a sequence, wherever it is: tokens of it that are still in flight are dropped when they
 * come, and the stages free it with the next step. No effect on an idle one. */
void scheduler_remove(struct scheduler *scheduler, struct sequence *sequence);

/* Takes a sequence out, so that it can be added to another scheduler, where it starts over from its
 * tokens. Tokens in flight are lost; the other scheduler draws the same ones again. is_preempted
 * tells then whether it had started. Returns true if a step with rows of it was in flight. No
 * effect on an idle one. */
bool scheduler_suspend(struct scheduler *scheduler, struct sequence *sequence);

/* The next step, borrowed until the next call; false: the window is full, there is nothing to run,
 * or what there is waits for a step in flight. now_ns: any monotonic time.
 * A sequence's state leaves WAITING when its first step is made. */
bool scheduler_next(struct scheduler *scheduler, uint64_t now_ns, struct step *step_out);

/* A drawn token of a sequence that is still wanted, with the likeliest tokens in its place:
 * tops[record->n_tops]. Return false to end the sequence. Or a record with a fault, of a drawn or a
 * scored token: the sequence ends whatever is returned. */
typedef bool scheduler_token_fn(void *arg, struct sequence *sequence,
				const struct token_record *record, const struct token_top *tops);

/* What the last stage answered to the oldest step in flight.
 * SC_E_PROTOCOL: it is not the answer to that step. */
must_check enum sc_status scheduler_take(struct scheduler *scheduler, uint64_t now_ns,
					 const struct tokens *tokens, scheduler_token_fn *fn,
					 void *arg, struct error *err);

/* The oldest step in flight. */
struct scheduler_oldest {
	uint64_t step_id;	/* 0: no step is in flight */
	double expected_ns;	/* time that all stages take for it; 0: unknown */
};
struct scheduler_oldest scheduler_oldest(const struct scheduler *scheduler);

struct scheduler_counts {
	uint32_t waiting;
	uint32_t running;
	uint32_t in_flight;		/* steps */
	uint32_t blocks_free[STEP_MAX_GROUPS];	/* of each group */
	uint64_t steps;			/* made */
	uint64_t rows;			/* of the steps that were answered */
	uint64_t preemptions;
};
struct scheduler_counts scheduler_counts(const struct scheduler *scheduler);

#endif
