/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_ROWS_H
#define STAGECOACH_BACKEND_CPU_ISA_ROWS_H
/*
 * rows - norms, activations and rotations of rows; include after vec_*.h and exp.h.
 * Elements after the last whole vector go through the same vector operations as all others, so a
 * result does not depend on its element's place in a vector.
 */
#include "backend/cpu/kernels.h"

#include <math.h>
#include <string.h>

static void rms_norm(const float *x, const float *gain, float eps, size_t n, float *y)
{
	vec sum = vec_set1(0), scale;
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		sum = vec_fma(vec_load(x + i), vec_load(x + i), sum);
	if (i < n) {
		vec rest = vec_load_part(x + i, n - i);

		sum = vec_fma(rest, rest, sum);
	}
	scale = vec_set1(1.0f / sqrtf(vec_sum(sum) / (float)n + eps));
	for (i = 0; i + LANES <= n; i += LANES)
		vec_store(y + i, vec_mul(vec_mul(vec_load(x + i), scale), vec_load(gain + i)));
	if (i < n)
		vec_store_part(y + i, vec_mul(vec_mul(vec_load_part(x + i, n - i), scale),
					      vec_load_part(gain + i, n - i)), n - i);
}

/* silu(g) = g / (1 + e^-g) */
static inline vec gated(vec gate, vec up)
{
	vec e = vec_exp(vec_sub(vec_set1(0), gate));

	return vec_mul(vec_div(gate, vec_add(vec_set1(1), e)), up);
}

static void swiglu(const float *gate, const float *up, size_t n, float *out)
{
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		vec_store(out + i, gated(vec_load(gate + i), vec_load(up + i)));
	if (i < n)
		vec_store_part(out + i, gated(vec_load_part(gate + i, n - i),
					      vec_load_part(up + i, n - i)), n - i);
}

static void add(float *x, const float *y, size_t n)
{
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		vec_store(x + i, vec_add(vec_load(x + i), vec_load(y + i)));
	for (; i < n; i++)
		x[i] += y[i];
}

static inline void rotate(float *x, float *y, vec a, vec b, vec c, vec s, size_t n)
{
	vec_store_part(x, vec_sub(vec_mul(a, c), vec_mul(b, s)), n);
	vec_store_part(y, vec_add(vec_mul(b, c), vec_mul(a, s)), n);
}

static void rope_halves(float *x, const float *cosine, const float *sine, unsigned dim)
{
	size_t half = dim / 2;
	float *y = x + half;
	size_t i;

	for (i = 0; i + LANES <= half; i += LANES)
		rotate(x + i, y + i, vec_load(x + i), vec_load(y + i), vec_load(cosine + i),
		       vec_load(sine + i), LANES);
	if (i < half)
		rotate(x + i, y + i, vec_load_part(x + i, half - i),
		       vec_load_part(y + i, half - i), vec_load_part(cosine + i, half - i),
		       vec_load_part(sine + i, half - i), half - i);
}

static void rope_interleaved(float *x, const float *cosine, const float *sine, unsigned dim)
{
	size_t i;

	for (i = 0; i + LANES <= dim; i += LANES) {
		vec a = vec_load(x + i);
		vec c = vec_load_doubled(cosine + i / 2);
		vec s = vec_mul(vec_load_doubled(sine + i / 2), vec_alternate());

		vec_store(x + i, vec_add(vec_mul(a, c), vec_mul(vec_swap_pairs(a), s)));
	}
	for (; i < dim; i += 2) {
		float a = x[i], b = x[i + 1], c = cosine[i / 2], s = sine[i / 2];

		x[i] = a * c - b * s;
		x[i + 1] = b * c + a * s;
	}
}

#endif
