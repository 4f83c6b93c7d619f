/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_SEQUENCE_H
#define STAGECOACH_COORDINATOR_SEQUENCE_H
/*
 * sequence - one stream of tokens of a job, as the scheduler sees it.
 * Holds all its tokens, so that its KV can be thrown away and computed again at any time.
 * Thread: the loop's. The job owns it; the scheduler links it into its lists.
 */
#include "base/list.h"
#include "base/status.h"
#include "coordinator/shares.h"
#include "wire/step.h"

#define SLOT_NONE UINT32_MAX

/* The state says which list of the scheduler it is on. */
enum sequence_state {
	SEQUENCE_IDLE,		/* on none: not yet submitted, or ended */
	SEQUENCE_WAITING,	/* waiting: has no slot and no blocks */
	SEQUENCE_PROMPT,	/* prompt_queue: has tokens that no step has taken, beyond a new
				 * one */
	SEQUENCE_DECODE,	/* decodes: exactly one new token to run */
	SEQUENCE_IN_FLIGHT,	/* in_flight: its next token is being drawn */
	SEQUENCE_N_STATES,
};

struct sequence {
	struct list node;
	struct list share_node;		/* share_client.sequences, while it runs */
	struct share_job *share;	/* borrowed; the owner sets it before scheduler_add */
	enum sequence_state state;
	struct job *job;		/* borrowed; for the owner, the scheduler never looks */
	uint32_t index;			/* which output of the job */
	struct sampling sampling;
	uint64_t ticket;		/* order of arrival: within a client the older is never
					 * preempted for the younger */
	uint32_t *tokens;		/* [n_tokens], prompt and what was drawn; owned */
	uint32_t n_tokens;
	uint32_t max_tokens;		/* room at tokens */
	uint32_t score_from;		/* index of the first prompt token to be scored; 0: none */
	uint32_t n_prompt;
	float *scores;			/* [n_prompt - score_from] log-probabilities; borrowed,
					 * filled by the time that the first token is drawn */
	uint32_t n_issued;		/* tokens that steps have taken, from the front */
	uint64_t last_step;		/* the newest step that took some; 0: none */
	uint32_t slot;			/* or SLOT_NONE */
	uint32_t *blocks;		/* [n_blocks] its block table; owned */
	uint32_t n_blocks;
	uint32_t n_blocks_told;		/* that the stages know of */
	bool is_known;			/* the stages have its slot */
	bool is_preempted;		/* waits to be started over */
	bool is_restarted;		/* was started over, at least once */
	uint32_t n_started;		/* n_tokens when it was last started */
};

/* Copies the prompt; room for max_tokens in all and their blocks. */
must_check enum sc_status sequence_init(struct sequence *sequence, const uint32_t *prompt,
					uint32_t n_prompt, uint32_t max_tokens,
					uint32_t block_length);
void sequence_deinit(struct sequence *sequence);

/* Into a list of sequences, linked by node: behind all older ones. A sequence that starts over gets
 * its place back. */
void sequence_insert_by_ticket(struct list *list, struct sequence *sequence);

/* False after the sequence was started over, until it has drawn one token for every eight that were
 * computed again. Until then it is not preempted for the sake of another client: so the rows
 * computed twice stay below eight for each new token, however often other clients come and go. */
bool sequence_is_settled(const struct sequence *sequence);

/* True once a running sequence has drawn so many tokens since it was started that it may wait for a
 * sequence of a client that runs none: at least SEQUENCE_TURN, and a quarter of those that it was
 * started with. */
#define SEQUENCE_TURN 256
bool sequence_has_had_turn(const struct sequence *sequence);

#endif
