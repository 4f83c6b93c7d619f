/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_STAGE_REFERENCE_SAMPLER_H
#define STAGECOACH_TESTS_STAGE_REFERENCE_SAMPLER_H
/*
 * reference_sampler - for tests: the rules of stage/sampler.h as full sorts in double, with the C
 * library's functions. Nothing is fast: penalties look through all tokens for each candidate, and
 * DRY compares every suffix with every place.
 */
#include "wire/step.h"

/* The token that is drawn for `position`, with none before it that count; with temperature 0 the
 * greedy one. */
uint32_t reference_draw(const float *logits, uint32_t n, const struct sampling *sampling,
			uint32_t position);

/* The same after past[position] tokens, with STEP_TOKEN_BREAKER, and with the sampling's biases and
 * bans. Returns false if they leave no token. */
bool reference_draw_after(const float *logits, uint32_t n, const struct sampling *sampling,
			  const struct sampling_bias *biases, const uint32_t *bans,
			  const uint32_t *past, uint32_t position, uint32_t *token_out);

/* The logarithm of the token's probability. */
double reference_logprob(const float *logits, uint32_t n, uint32_t token);

#endif
