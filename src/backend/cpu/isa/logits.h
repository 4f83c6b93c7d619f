/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_LOGITS_H
#define STAGECOACH_BACKEND_CPU_ISA_LOGITS_H
/*
 * logits - block maxima, and sums of weights, of logits; include after a vec_*.h.
 * Written in the compiler's vectors of LANES floats and LANES / 2 doubles. All instruction sets
 * give the same bits: maxima are exact, and the order of a sum does not depend on LANES. Element i
 * is added to partial sum i % 16; the sixteen partial sums are then joined pairwise by halves.
 */
#include "backend/cpu/kernels.h"

#include "base/portable_math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
	DOUBLES = LANES / 2,		/* in a vector */
	PARTIAL_SUMS = 16,
	SUM_VECTORS = PARTIAL_SUMS / DOUBLES,
};

typedef int32_t vec_mask_bits __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float half_vec __attribute__((vector_size(DOUBLES * sizeof(float))));
typedef double doubles __attribute__((vector_size(DOUBLES * sizeof(double))));
typedef uint64_t double_bits __attribute__((vector_size(DOUBLES * sizeof(uint64_t))));

/* Returns a whole block: x itself, or a copy padded with -infinity after n elements. */
static inline const float *whole_block(const float *x, size_t n, float *copy)
{
	if (n >= CPU_LOGIT_BLOCK)
		return x;
	memcpy(copy, x, n * sizeof *x);
	for (size_t i = n; i < CPU_LOGIT_BLOCK; i++)
		copy[i] = -INFINITY;
	return copy;
}

/* The largest element; NaN if an element is NaN or +infinity. */
static inline float block_maximum(const float *x)
{
	vec max[2] = { vec_set1(-INFINITY), vec_set1(-INFINITY) };
	vec_mask_bits is_nan[2] = { { 0 } };
	float largest;

	for (unsigned i = 0; i < CPU_LOGIT_BLOCK; i += 2 * LANES)
		for (unsigned k = 0; k < 2; k++) {
			vec v = vec_load(x + i + k * LANES);

			is_nan[k] |= (vec_mask_bits)(v != v);
			max[k] = vec_max(v, max[k]);
		}
	is_nan[0] |= is_nan[1];
	for (unsigned i = 0; i < LANES; i++)
		if (is_nan[0][i])
			return NAN;
	largest = vec_max_lane(vec_max(max[0], max[1]));
	return largest < INFINITY ? largest : NAN;
}

static void logit_maxima(const float *x, size_t n, float *maxima)
{
	float copy[CPU_LOGIT_BLOCK];

	for (size_t i = 0; i < n; i += CPU_LOGIT_BLOCK)
		*maxima++ = block_maximum(whole_block(x + i, n - i, copy));
}

/* As portable_exp, but 0 where is_kept is 0. */
static inline doubles doubles_exp(doubles x, double_bits is_kept)
{
	doubles shifted = x * PORTABLE_EXP_LOG2_E + PORTABLE_EXP_ROUND;
	doubles n = shifted - PORTABLE_EXP_ROUND;
	doubles r = x - n * PORTABLE_EXP_LN2_HIGH - n * PORTABLE_EXP_LN2_LOW;
	doubles q = PORTABLE_EXP_SERIES(r);

	is_kept &= (double_bits)(x >= PORTABLE_EXP_LOWEST);
	return (doubles)(((double_bits)q + ((double_bits)shifted << 52)) & is_kept);
}

static inline double join_sums(const doubles *vectors)
{
	double sums[PARTIAL_SUMS];

	memcpy(sums, vectors, sizeof sums);
	for (unsigned half = PARTIAL_SUMS / 2; half; half /= 2)
		for (unsigned i = 0; i < half; i++)
			sums[i] += sums[i + half];
	return sums[0];
}

static double logit_sum(const float *x, size_t n, const struct cpu_logit_weights *w)
{
	float copy[CPU_LOGIT_BLOCK];
	doubles sums[SUM_VECTORS] = { { 0 } };

	x = whole_block(x, n, copy);
	for (unsigned i = 0; i < CPU_LOGIT_BLOCK; i += PARTIAL_SUMS)
		for (unsigned k = 0; k < SUM_VECTORS; k++) {
			half_vec v;
			doubles wide;

			memcpy(&v, x + i + k * DOUBLES, sizeof v);
			wide = __builtin_convertvector(v, doubles);
			sums[k] += doubles_exp((wide - w->largest) * w->scale,
					       (double_bits)(wide >= w->least));
		}
	return join_sums(sums);
}

#endif
