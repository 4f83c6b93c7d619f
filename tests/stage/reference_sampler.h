/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_STAGE_REFERENCE_SAMPLER_H
#define STAGECOACH_TESTS_STAGE_REFERENCE_SAMPLER_H
/*
 * reference_sampler - for tests: the rules of stage/sampler.h as a full sort in double, with the C
 * library's exp.
 */
#include "wire/step.h"

/* The token that is drawn for `position`; with temperature 0 the greedy one. */
uint32_t reference_draw(const float *logits, uint32_t n, const struct sampling *sampling,
			uint32_t position);

/* The logarithm of the token's probability. */
double reference_logprob(const float *logits, uint32_t n, uint32_t token);

#endif
