/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_STAGE_ORACLE_H
#define STAGECOACH_TESTS_STAGE_ORACLE_H
/*
 * oracle - for tests: a model's logits by plain loops in double, with no code of the backends.
 * Only what the format of a quantised product lays down is done in float: its inputs are rounded to
 * 8 bits in blocks of 32, as backend/cpu/kernels.h says. So what is left between these logits and a
 * stage's is the rounding of float sums, whatever the weights' type.
 */
#include "model/model.h"

/* logits[n_tokens][n_vocab] of one sequence. Any failure fails the test. */
void oracle_run(const struct model *model, const uint32_t *tokens, uint32_t n_tokens,
		double *logits);

#endif
