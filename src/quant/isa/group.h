/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_GROUP_H
#define STAGECOACH_QUANT_ISA_GROUP_H
/*
 * group - LANES blocks of up to 32 elements, one block per lane, with the weight of each element's
 * error.
 */
#include "quant/isa/lanes.h"

#include <math.h>
#include <stddef.h>

enum { MAX_LENGTH = 32 };

struct group {
	vec x[MAX_LENGTH];
	vec w[MAX_LENGTH];
};

/* Weights errors by magnitude, because large weights are more often multiplied by large
 * activations. */
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

/* Loads up to LANES blocks of x; n are left, and unused lanes become zero. */
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
