/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_CANDIDATES_H
#define STAGECOACH_STAGE_CANDIDATES_H
/*
 * candidates - the tokens that a chain of samplers has left, with their logits.
 * The set begins as a copy of a row of logits. Samplers change values and drop candidates; what
 * remains stays in ascending order of token. Candidate i of the set has the value values[i] and the
 * token candidates_token(i). A value may be -infinity: the candidate is in the set but is not
 * drawn.
 * Owns its memory, of fixed size. Thread: one at a time.
 */
#include "base/status.h"
#include "stage/logit_row.h"

struct candidates {
	uint32_t n;
	uint32_t n_masked;	/* candidates of value -infinity that are not in the list. They
				 * count for top-k and for the largest possible entropy */
	bool is_whole;		/* candidate i is token i; tokens is not set */
	float *values;		/* [n] of [n_vocab] */
	uint32_t *tokens;	/* likewise */
	float *maxima;		/* of blocks of values */
};

/* Bytes that candidates_init takes. */
uint64_t candidates_bytes(uint32_t n_vocab);
/* SC_E_NOMEM. The caller calls candidates_deinit, also after a failure. */
must_check enum sc_status candidates_init(struct candidates *c, uint32_t n_vocab);
/* Accepts a struct of zeros. */
void candidates_deinit(struct candidates *c);

/* Starts with all tokens of a row without NaN and +infinity. */
void candidates_fill(struct candidates *c, const struct logit_row *row);

/* Changes a candidate's value. */
void candidates_set(struct candidates *c, uint32_t i, float value);
/* Brings the maxima up to date after values were changed without candidates_set. */
void candidates_survey(struct candidates *c);

/* Views the set as a row, in which candidate i counts as token i. Valid until the set changes.
 * Returns false if no value is finite. */
bool candidates_row(const struct candidates *c, struct logit_row *row_out);

/* Gives candidates below `least` the value -infinity, and takes them off the list. */
void candidates_mask(struct candidates *c, double least);
/* Keeps at most n masked candidates. */
static inline void candidates_keep_masked(struct candidates *c, uint32_t n)
{
	c->n_masked = (uint32_t)min_of(c->n_masked, n);
}

/* Drops the candidates that are worse than `bound` by the logits of `by`, which is a row over the
 * same candidates. */
void candidates_keep(struct candidates *c, const struct logit_row *by, struct candidate bound);
/* Drops the candidates that are better than `bound`. */
void candidates_drop_better(struct candidates *c, struct candidate bound);

static inline uint32_t candidates_token(const struct candidates *c, uint32_t i)
{
	return c->is_whole ? i : c->tokens[i];
}

#endif
