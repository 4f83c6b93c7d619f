/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_ROWS_H
#define STAGECOACH_BACKEND_CPU_ISA_ROWS_H
/*
 * rows - norms, activations and rotations of rows; include after vec_*.h, exp.h and
 * activations.h.
 * Elements after the last whole vector go through the same vector operations as all others, so a
 * result does not depend on its element's place in a vector.
 */
#include "backend/cpu/kernels.h"

#include <math.h>
#include <string.h>

/* Loads the vector at p, of which only n elements exist. */
static inline vec load_up_to(const float *p, size_t n)
{
	return n >= LANES ? vec_load(p) : vec_load_part(p, n);
}

static inline void store_up_to(float *p, vec v, size_t n)
{
	if (n >= LANES)
		vec_store(p, v);
	else
		vec_store_part(p, v, n);
}

/* --- norms --- */

/* Multiplies n elements by scale, then by gain; adds bias. Either may be NULL. */
static inline vec amplified(vec x, vec scale, const float *gain, const float *bias, size_t n)
{
	vec y = vec_mul(x, scale);

	if (gain)
		y = vec_mul(y, load_up_to(gain, n));
	if (bias)
		y = vec_add(y, load_up_to(bias, n));
	return y;
}

static void rms_norm(const float *x, const float *gain, const float *bias, float eps, size_t n,
		     float *y)
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
	for (i = 0; i < n; i += LANES)
		store_up_to(y + i, amplified(load_up_to(x + i, n - i), scale,
					     gain ? gain + i : NULL, bias ? bias + i : NULL,
					     n - i), n - i);
}

/* The squares of differences are summed in a pass of their own: a difference of two large sums
 * would lose what is small. */
static void layer_norm(const float *x, const float *gain, const float *bias, float eps, size_t n,
		       float *y)
{
	vec sum = vec_set1(0), squares = vec_set1(0), mean, scale;
	float means[LANES];

	for (size_t i = 0; i < n; i += LANES)
		sum = vec_add(sum, load_up_to(x + i, n - i));
	mean = vec_set1(vec_sum(sum) / (float)n);
	vec_store(means, mean);
	for (size_t i = 0; i < n; i += LANES) {
		vec d = vec_sub(load_up_to(x + i, n - i), load_up_to(means, n - i));

		squares = vec_fma(d, d, squares);
	}
	scale = vec_set1(1.0f / sqrtf(vec_sum(squares) / (float)n + eps));
	for (size_t i = 0; i < n; i += LANES)
		store_up_to(y + i, amplified(vec_sub(load_up_to(x + i, n - i), mean), scale,
					     gain ? gain + i : NULL, bias ? bias + i : NULL,
					     n - i), n - i);
}

/* --- activations and sums --- */

#define ACTIVATE(kind)									\
	for (size_t i = 0; i < n; i += LANES) {						\
		vec v = activated(kind, a, load_up_to(gate + i, n - i));			\
											\
		if (up)									\
			v = vec_mul(v, load_up_to(up + i, n - i));			\
		store_up_to(out + i, v, n - i);						\
	}

static void activate(const struct activation *a, const float *gate, const float *up, size_t n,
		     float *out)
{
	FOR_ACTIVATION(a->kind, ACTIVATE)
}

static void add(float *x, const float *y, float scale, size_t n)
{
	for (size_t i = 0; i < n; i += LANES)
		store_up_to(x + i, vec_fma(vec_set1(scale), load_up_to(y + i, n - i),
					   load_up_to(x + i, n - i)), n - i);
}

static inline vec capped(vec x, vec cap)
{
	return vec_mul(cap, vec_tanh(vec_div(x, cap)));
}

static void cap_row(float *x, float scale, float cap, size_t n)
{
	for (size_t i = 0; i < n; i += LANES) {
		vec v = vec_mul(load_up_to(x + i, n - i), vec_set1(scale));

		store_up_to(x + i, cap > 0 ? capped(v, vec_set1(cap)) : v, n - i);
	}
}

/* --- rotations --- */

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
