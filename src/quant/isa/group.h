/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_GROUP_H
#define STAGECOACH_QUANT_ISA_GROUP_H
/*
 * group - LANES blocks of up to 32 elements side by side, a block per lane, and how much the error
 * of each element counts.
 */
#include "quant/isa/lanes.h"

#include <math.h>
#include <stddef.h>

enum { MAX_LENGTH = 32 };

struct group {
	vec x[MAX_LENGTH];
	vec w[MAX_LENGTH];
};

/* Rounding errors of large weights are multiplied by large activations more often than not. */
static inline void group_weigh(struct group *g, unsigned length)
{
	vec sum = { 0 };

	for (unsigned i = 0; i < length; i++)
		sum += g->x[i] * g->x[i];
	sum *= 1.0f / (float)length;
	for (int lane = 0; lane < LANES; lane++)
		sum[lane] = sqrtf(sum[lane]);
	for (unsigned i = 0; i < length; i++)
		g->w[i] = sum + vec_abs(g->x[i]);
}

/* Blocks of x, of which there are n left; lanes beyond them are zero. */
static inline void group_load(struct group *g, const float *x, size_t n, unsigned length)
{
	if (n < LANES)
		memset(g->x, 0, sizeof g->x);
	for (size_t lane = 0; lane < LANES && lane < n; lane++)
		for (unsigned i = 0; i < length; i++)
			g->x[i][lane] = x[lane * length + i];
	group_weigh(g, length);
}

#endif
