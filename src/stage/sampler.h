/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SAMPLER_H
#define STAGECOACH_STAGE_SAMPLER_H
/*
 * sampler - draws a token from a row of logits, or scores one that is given.
 *
 * Filters run in the order of llama.cpp's default chain (its --samplers option), those of it that
 * we have: top-k, top-p, min-p, temperature. So the first three see probabilities at temperature 1:
 *	top-k	keeps the k largest logits;
 *	top-p	keeps the fewest of the largest whose probabilities sum to p of what top-k left;
 *	min-p	keeps what is at least min_p times as probable as the most probable token;
 *	temperature divides the remaining logits before the draw; 0 takes the largest.
 * The most probable token always stays. Among equal logits the lower token id counts as larger.
 *
 * The draw inverts the cumulative distribution of what is left, in order of token id, at
 * philox_uniform(seed, stream, position). It depends on nothing else.
 *
 * Owns scratch memory for one row. Thread: one at a time. Allocates only in create.
 */
#include "base/status.h"
#include "wire/step.h"

#include <stdint.h>

struct sampler;

must_check enum sc_status sampler_create(uint32_t n_vocab, struct sampler **sampler_out);
void sampler_destroy(struct sampler *sampler);

/* Draw the token for record->position from logits[n_vocab], with parameters that step_decode lets
 * pass. Sets the record's token and logprob: the natural logarithm of the token's probability
 * before all filters and at temperature 1, summed in float64.
 * Logits of which one is NaN or +infinity, or none is finite, give no token: the record gets the
 * fault and the first token whose logit has it. */
void sampler_draw(struct sampler *sampler, const float *logits, const struct sampling *sampling,
		  struct token_record *record);

/* Sets logprob for the token that the record has; the lowest finite number when that token's logit
 * is -infinity. Faults are as in sampler_draw. */
void sampler_score(const struct sampler *sampler, const float *logits,
		   struct token_record *record);

#endif
