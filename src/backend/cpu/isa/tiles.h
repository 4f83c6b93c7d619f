/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_TILES_H
#define STAGECOACH_BACKEND_CPU_ISA_TILES_H
/*
 * tiles - activations as products read them, and what comes out of products; after vec_*.h.
 *
 * The scale of a row is its largest magnitude / 127 / 2^CPU_MAX_SHIFT. A block of 32 takes the least
 * shift with which its own largest magnitude fits into +-127: it is rounded to steps at most twice
 * as large as a scale of its own would give, unless it is 2^CPU_MAX_SHIFT times smaller than the
 * largest one.
 */
#include "backend/cpu/kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

static inline float largest_magnitude(const float *x, size_t n)
{
	vec most = vec_set1(0);

	for (size_t i = 0; i < n; i += LANES)
		most = vec_max(vec_abs(vec_load(x + i)), most);
	return vec_max_lane(most);
}

static inline bool is_finite_row(const float *x, size_t n)
{
	vec product = vec_set1(0);

	for (size_t i = 0; i < n; i += LANES)
		product = vec_fma(vec_load(x + i), vec_set1(0), product);
	return vec_sum(product) == 0;
}

/* The least k with most * per_most <= 2^k, 0 .. CPU_MAX_SHIFT. */
static inline int32_t shift_for(float most, float per_most)
{
	float ratio = most * per_most;
	int32_t bits, k;

	memcpy(&bits, &ratio, sizeof bits);
	k = ((bits + 0x7fffff) >> 23) - 127;
	return k < 0 ? 0 : k > CPU_MAX_SHIFT ? CPU_MAX_SHIFT : k;
}

static inline float two_to_minus(int32_t k)
{
	int32_t bits = (127 - k) << 23;
	float power;

	memcpy(&power, &bits, sizeof power);
	return power;
}

/* What a row is quantised by. Rows of nothing but tiny numbers become zeros, rows with a number that
 * is not finite get a scale that is none. */
struct row_steps {
	float scale;
	float inverse;		/* of scale */
	float per_most;		/* 2^CPU_MAX_SHIFT / the largest magnitude */
};

static inline struct row_steps steps_of(const float *x, size_t n)
{
	float most = largest_magnitude(x, n);

	if (!is_finite_row(x, n))
		return (struct row_steps){ .scale = NAN };
	if (most < 1e-30f)
		return (struct row_steps){ .scale = 0 };
	return (struct row_steps){
		.scale = most * (1.0f / 127 / (1 << CPU_MAX_SHIFT)),
		.inverse = 127 * (1 << CPU_MAX_SHIFT) / most,
		.per_most = (1 << CPU_MAX_SHIFT) / most,
	};
}

#endif
