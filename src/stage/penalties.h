/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_PENALTIES_H
#define STAGECOACH_STAGE_PENALTIES_H
/*
 * penalties - lowers the logits of tokens that a sequence has had, or that would continue a
 * repetition.
 * The state is the sequence's tokens and nothing else, so a sequence that is computed again gets
 * the same logits. The work is linear in the number of tokens. Arithmetic on logits is float, in
 * llama.cpp's order of operations. Results are at most the largest finite number.
 * Pure functions over the caller's memory. Thread: any.
 */
#include "stage/candidates.h"
#include "wire/step.h"

/* The last tokens of a sequence in front of the one to be drawn, with STEP_TOKEN_BREAKER. */
struct past_tokens {
	const uint32_t *tokens;		/* [n] */
	uint32_t n;
	uint32_t n_output;		/* the last so many of them are output, the others prompt */
};

static inline bool penalties_are_on(const struct sampling *s)
{
	return s->repetition_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0;
}

static inline bool dry_is_on(const struct sampling *s)
{
	return s->dry_multiplier != 0 && s->dry_base >= 1;
}

/* Repetition, presence and frequency penalties, over the last penalty_last_n tokens:
 * - repetition, for tokens of prompt and output: a positive logit is divided by the penalty, others
 *   are multiplied by it;
 * - presence and frequency, for tokens of the output: the frequency penalty times the token's
 *   number of occurrences, plus the presence penalty, is subtracted.
 * marks[n_vocab]: zeros, before and after. */
void penalties_apply(struct candidates *c, const struct sampling *sampling,
		     const struct past_tokens *past, uint32_t *marks);

/* DRY ("don't repeat yourself"), over the last dry_last_n tokens. If the last L tokens also stand
 * earlier, and token t follows them there, then drawing t would repeat L + 1 tokens. From L =
 * dry_allowed_length on, multiplier * base^(L - dry_allowed_length) is subtracted from t's logit,
 * for the largest such L. No repetition reaches back over a token with STEP_TOKEN_BREAKER, and such
 * a token's logit is not changed.
 * marks: as above. lengths[past->n]: scratch. */
void dry_apply(struct candidates *c, const struct sampling *sampling,
	       const struct past_tokens *past, uint32_t *marks, uint32_t *lengths);

#endif
