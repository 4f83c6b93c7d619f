/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_SCHEDULER_PRIVATE_H
#define STAGECOACH_COORDINATOR_SCHEDULER_PRIVATE_H
/* The scheduler's insides, shared by scheduler.c (states and tokens), next_step.c (steps), room.c
 * (the rows of a step) and claims.c (slots and blocks). */
#include "coordinator/blocks.h"
#include "coordinator/pace.h"
#include "coordinator/prompt_queue.h"
#include "coordinator/scheduler.h"

/* The records that a segment will give. */
struct awaited {
	struct sequence *sequence;	/* NULL: no longer wanted */
	uint32_t slot;
	uint32_t position;		/* of the first record */
	uint32_t n_records;		/* 0: rows of a prompt that give none */
	uint32_t n_score_tops;		/* likeliest tokens of each score */
	uint32_t n_draw_tops;		/* likeliest tokens of the drawn token */
	uint32_t n_done;		/* tokens that are computed once the answer comes */
	bool is_drawn;			/* the last record; all others are scores */
};

/* A step on its way, and whose rows it holds. */
struct flight {
	uint64_t step_id;
	struct pace_load load;
	uint64_t sent_ns;
	uint32_t n_at_once;		/* steps in flight when it was sent, itself among them,
					 * but no more than there are stages */
	bool has_decodes, has_prompts;
	uint32_t n_awaited;
	struct awaited *awaited;	/* [n_awaited] in segment order */
};

struct scheduler {
	struct scheduler_config config;
	struct shares shares;		/* holds the waiting ones */
	struct prompt_queue prompts;
	struct list decodes;		/* in the order in which their tokens came */
	struct list in_flight;
	uint32_t n_by_state[SEQUENCE_N_STATES];	/* IDLE's means nothing */
	uint64_t next_ticket;
	uint64_t n_steps;
	uint64_t n_rows_done;		/* of the steps that were answered */
	uint64_t n_preemptions;
	uint32_t chunk;			/* prompt rows of a step, while there are prompts */
	struct pace pace;
	uint64_t answered_ns;		/* when the last answer came */
	struct blocks blocks[STEP_MAX_GROUPS];

	uint32_t *free_slots;		/* [n_free_slots], a stack */
	uint32_t n_free_slots;

	struct flight *flights;		/* [window], a ring from first_flight */
	uint32_t first_flight;
	uint32_t n_flights;

	/* The step being built; arrays have room for any step within the limits. */
	struct segment *segments;
	uint64_t *sampling;
	uint32_t *step_tokens;
	uint32_t *step_blocks;
	uint32_t *frees;
	uint32_t n_segments;
	uint32_t n_sampling;
	uint32_t n_extra;		/* words of biases and bans in sampling */
	uint32_t n_tops;		/* likeliest tokens that the answer will have */
	struct pace_load load;
	uint32_t n_step_blocks;
	uint32_t n_frees;		/* also between steps: slots to be freed by the next */
};

static inline uint32_t n_groups(const struct scheduler *s)
{
	return s->config.limits.n_groups;
}

/* Blocks of the group that a sequence of so many positions holds. */
static inline uint32_t blocks_for(const struct scheduler *s, uint32_t group, uint32_t n_positions)
{
	return step_held_blocks(&s->config.limits, group, n_positions);
}

/* Change the state, and with it the list. */
void scheduler_move_to(struct scheduler *s, struct sequence *sequence, enum sequence_state state);

/* Take slot and blocks away; the sequence starts over from its tokens later. If its next token is
 * in flight, that is dropped and will be drawn again, the same. */
void scheduler_preempt(struct scheduler *s, struct sequence *sequence);

/* The next sequence that can be started on free slots and blocks; NULL: none. */
struct sequence *scheduler_find_startable(const struct scheduler *s);

/* Start what can be started on free slots and blocks. */
void scheduler_admit(struct scheduler *s);

/* Start sequences of clients with less than their share on what others have beyond theirs. */
void scheduler_claim_shares(struct scheduler *s);

/* Blocks of all groups for a decoding sequence's new token. False: not in this step; it may have
 * been preempted itself, when nothing else can make room. */
bool scheduler_grow(struct scheduler *s, struct sequence *sequence);

/* How many decoding sequences the next step takes. */
uint32_t room_decode_rows(const struct scheduler *s);

/* How many likeliest tokens of these its answer may have. */
uint32_t room_decode_tops(const struct scheduler *s);

/* What is left for prompts in a step that has its decode rows. The caller counts what it takes. */
struct room {
	uint32_t n_rows;
	uint32_t n_taken;
	bool is_paced;
	double gap_ns;		/* with is_paced: the time that the step may take */
};
struct room room_prompts(struct scheduler *s);

/* The rows that the step takes of the first prompt; 0: no more of any. */
uint32_t room_prompt_rows(const struct scheduler *s, const struct sequence *sequence,
			  const struct room *room);

#endif
