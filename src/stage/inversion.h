/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_INVERSION_H
#define STAGECOACH_STAGE_INVERSION_H
/*
 * inversion - draws a candidate of a row by inverting the cumulative distribution, in order of
 * token.
 * Pure functions over the caller's memory. Thread: any.
 */
#include "stage/logit_row.h"

/* Weights are e^((logit - best) * scale) of the candidates down to `bound`. sums[n_blocks] are
 * their sums in each block. Returns the first token at which the sum of weights exceeds uniform
 * (from 0 to below 1) times the sum of all. If rounding prevents that, returns the last token of
 * the block with a weight. */
uint32_t inversion_draw(const struct logit_row *row, struct candidate bound, double scale,
			const double *sums, double uniform);

#endif
