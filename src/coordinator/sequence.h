/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_SEQUENCE_H
#define STAGECOACH_COORDINATOR_SEQUENCE_H
/*
 * sequence - one stream of tokens of a job, as the scheduler sees it.
 * Keeps all its tokens, so that its KV can be dropped and computed again at any time.
 * Ownership: the job owns it; the scheduler links it into its lists. Thread: the loop's.
 */
#include "base/list.h"
#include "base/status.h"
#include "coordinator/shares.h"
#include "wire/step.h"

#define SLOT_NONE UINT32_MAX

/* The state determines the scheduler's list that contains the sequence. */
enum sequence_state {
	SEQUENCE_IDLE,		/* on no list: not submitted yet, ended, or between two epochs */
	SEQUENCE_WAITING,	/* on waiting: has no slot and no blocks */
	SEQUENCE_PROMPT,	/* on prompt_queue: has tokens beyond
				 * a new one that no step has taken */
	SEQUENCE_DECODE,	/* on decodes: has exactly one new token to run */
	SEQUENCE_IN_FLIGHT,	/* on in_flight: its next token is being drawn */
	SEQUENCE_N_STATES,
};

struct sequence {
	struct list node;
	struct list share_node;		/* on share_client.sequences while it runs */
	struct share_job *share;	/* borrowed; the owner sets it before scheduler_add */
	enum sequence_state state;
	struct job *job;		/* borrowed; only for the owner */
	uint32_t index;			/* index of the job's output */
	struct sampling sampling;
	const struct sampling_bias *biases;	/* [sampling.n_biases], borrowed */
	const uint32_t *bans;		/* [sampling.n_bans], borrowed */
	const struct breakers *breakers;	/* of DRY, borrowed; NULL: none */
	uint64_t ticket;		/* order of arrival, from 1: within a client an older
					 * sequence is never preempted for a younger one;
					 * 0: it has not arrived, or has ended */
	uint32_t *tokens;		/* [n_tokens] prompt and drawn tokens; owned */
	uint32_t n_tokens;
	uint32_t max_tokens;		/* capacity of tokens */
	uint32_t score_from;		/* index of the first prompt token to be scored; 0: none */
	uint32_t n_prompt;
	float *scores;			/* [n_prompt - score_from] log-probabilities; borrowed,
					 * filled by the time that the first token is drawn */
	struct token_top *score_tops;	/* [n_prompt - score_from][sampling.n_tops] the likeliest
					 * tokens in their places; likewise */
	uint32_t n_done;		/* number of tokens, from the front, whose step was
					 * answered */
	uint32_t n_issued;		/* number of tokens, from the
					 * front, that steps have taken */
	uint64_t last_step;		/* the newest step with rows of it; 0: none */
	uint32_t slot;			/* or SLOT_NONE */
	uint32_t *tables[STEP_MAX_GROUPS];	/* its blocks in each group, [n_blocks[group]];
						 * owned */
	uint32_t n_blocks[STEP_MAX_GROUPS];
	bool is_long;			/* may grow beyond the model's long_from (LongRoPE) */
	bool is_known;			/* the stages know its slot */
	bool is_preempted;		/* was preempted or suspended, and waits to start over */
	bool is_restarted;		/* has started over at least once */
	uint32_t n_started;		/* n_tokens at its last start */
	uint32_t n_losses;		/* epochs in a row that were lost with a step of it in
					 * flight, since its last token; only for the owner */
};

/* Copies the prompt and makes room for max_tokens in total, at most limits->max_context, and for
 * their blocks. The limits of later epochs may have other pools and another context, but the same
 * groups, and tables of the same length but for that context. SC_E_NOMEM. */
must_check enum sc_status sequence_init(struct sequence *sequence, const uint32_t *prompt,
					uint32_t n_prompt, uint32_t max_tokens,
					const struct step_limits *limits);
/* Bytes of the tables of a sequence of max_tokens. */
uint64_t sequence_table_bytes(const struct step_limits *limits, uint32_t max_tokens);
void sequence_deinit(struct sequence *sequence);

/* Into a list of sequences, linked by node: behind all older ones. A sequence that starts over gets
 * its place back. */
void sequence_insert_by_ticket(struct list *list, struct sequence *sequence);

/* Returns false after the sequence was started over, until it has drawn one token per eight rows
 * that were computed again. Until then it is not preempted for another client. So fewer than eight
 * rows are computed twice per new token, however often other clients come and go. */
bool sequence_is_settled(const struct sequence *sequence);

/* Returns true if a running sequence has had its turn: since its start it has drawn at least
 * SEQUENCE_TURN tokens, and a quarter of the tokens that it started with. It may then wait for a
 * sequence of a client that runs none. */
#define SEQUENCE_TURN 256
bool sequence_has_had_turn(const struct sequence *sequence);

#endif
