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
#include "base/error.h"
#include "wire/step.h"

#include <stdint.h>

struct sampler;

must_check enum sc_status sampler_create(uint32_t n_vocab, struct sampler **sampler_out);
void sampler_destroy(struct sampler *sampler);

/* Draw the token for `position` from logits[n_vocab], with parameters that step_decode lets pass.
 * logprob_out is the natural logarithm of its probability before all filters and at temperature 1,
 * summed in float64.
 * SC_E_DEVICE: a logit is NaN or infinite upwards, or none is finite; err says which. */
must_check enum sc_status sampler_draw(struct sampler *sampler, const float *logits,
				       const struct sampling *sampling, uint32_t position,
				       uint32_t *token_out, float *logprob_out, struct error *err);

/* The same number for a token that is given; the lowest finite one when its logit is -infinity. */
must_check enum sc_status sampler_score(const struct sampler *sampler, const float *logits,
					uint32_t token, float *logprob_out, struct error *err);

#endif
