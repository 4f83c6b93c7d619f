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

/* The first n elements, zeros behind them; n is less than LANES. */
static inline vec first_of(vec v, size_t n)
{
	float elements[LANES];

	vec_store(elements, v);
	return vec_load_part(elements, n);
}

static inline void store_up_to(float *p, vec v, size_t n)
{
	if (n >= LANES)
		vec_store(p, v);
	else
		vec_store_part(p, v, n);
}

/* --- norms --- */

/* Short vectors are normalised a few at a time, because each waits for its own sum, square root and
 * division. */
enum { NORM_TOGETHER = 4 };

#define NORM_UNROLL _Pragma("GCC unroll 4")

/* Adds the squares of v, or of its differences from the mean, to sum. */
static inline vec norm_square(vec v, vec mean, const bool has_mean, vec sum)
{
	vec d = has_mean ? vec_sub(v, mean) : v;

	return vec_fma(d, d, sum);
}

/* scales[k] = 1 / sqrt(mean of squares of vector k + eps); if has_mean, of the differences from
 * means[k]. */
static inline void norm_scales(const unsigned n_vectors, const float *x, const bool has_mean,
			       const float *means, float eps, size_t n, float *scales)
{
	vec sums[NORM_TOGETHER];
	size_t i = 0;

	NORM_UNROLL
	for (unsigned k = 0; k < n_vectors; k++)
		sums[k] = vec_set1(0);
	for (; i + LANES <= n; i += LANES)
		NORM_UNROLL
		for (unsigned k = 0; k < n_vectors; k++)
			sums[k] = norm_square(vec_load(x + k * n + i), vec_set1(means[k]), has_mean,
					      sums[k]);
	NORM_UNROLL
	for (unsigned k = 0; k < n_vectors; k++) {
		if (i < n)
			sums[k] = norm_square(vec_load_part(x + k * n + i, n - i),
					      first_of(vec_set1(means[k]), n - i), has_mean,
					      sums[k]);
		scales[k] = 1.0f / sqrtf(vec_sum(sums[k]) / (float)n + eps);
	}
}

static inline void norm_means(const unsigned n_vectors, const float *x, size_t n, float *means)
{
	vec sums[NORM_TOGETHER];
	size_t i = 0;

	NORM_UNROLL
	for (unsigned k = 0; k < n_vectors; k++)
		sums[k] = vec_set1(0);
	for (; i + LANES <= n; i += LANES)
		NORM_UNROLL
		for (unsigned k = 0; k < n_vectors; k++)
			sums[k] = vec_add(sums[k], vec_load(x + k * n + i));
	NORM_UNROLL
	for (unsigned k = 0; k < n_vectors; k++) {
		if (i < n)
			sums[k] = vec_add(sums[k], vec_load_part(x + k * n + i, n - i));
		means[k] = vec_sum(sums[k]) / (float)n;
	}
}

/* Scales n elements, multiplies them by gain and adds bias; either may be NULL. */
static inline void norm_store(const float *x, const bool has_mean, float mean, float scale,
			      const float *gain, const float *bias, size_t n, float *y)
{
	const vec means = vec_set1(mean), scales = vec_set1(scale);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		vec v = vec_load(x + i);

		v = vec_mul(has_mean ? vec_sub(v, means) : v, scales);
		v = gain ? vec_mul(v, vec_load(gain + i)) : v;
		vec_store(y + i, bias ? vec_add(v, vec_load(bias + i)) : v);
	}
	if (i < n) {
		vec v = vec_load_part(x + i, n - i);

		v = vec_mul(has_mean ? vec_sub(v, means) : v, scales);
		v = gain ? vec_mul(v, vec_load_part(gain + i, n - i)) : v;
		v = bias ? vec_add(v, vec_load_part(bias + i, n - i)) : v;
		vec_store_part(y + i, v, n - i);
	}
}

/* Vectors first .. first + n_vectors - 1 of a row. The squares of differences are summed in a pass
 * of their own: a difference of two large sums would lose what is small. */
static inline void norm_vectors(const unsigned n_vectors, const enum norm_kind kind,
				const struct norm *norm, unsigned first, const float *x, size_t n,
				float *y)
{
	const bool has_mean = kind == NORM_LAYER;
	const size_t step = norm->is_per_group ? n : 0;
	float means[NORM_TOGETHER] = { 0 }, scales[NORM_TOGETHER];

	x += first * n;
	y += first * n;
	if (has_mean)
		norm_means(n_vectors, x, n, means);
	norm_scales(n_vectors, x, has_mean, means, norm->eps, n, scales);
	for (unsigned k = 0; k < n_vectors; k++) {
		const float *gain = norm->gain ? norm->gain + (first + k) * step : NULL;
		const float *bias = norm->bias ? norm->bias + (first + k) * step : NULL;

		if (gain && !bias)	/* the usual one, without choices in its loop */
			norm_store(x + k * n, has_mean, means[k], scales[k], gain, NULL, n,
				   y + k * n);
		else
			norm_store(x + k * n, has_mean, means[k], scales[k], gain, bias, n,
				   y + k * n);
	}
}

static inline void norm_row(const enum norm_kind kind, const struct norm *norm, const float *x,
			    size_t n, float *y)
{
	unsigned i = 0;

	for (; i + NORM_TOGETHER <= norm->n_groups; i += NORM_TOGETHER)
		norm_vectors(NORM_TOGETHER, kind, norm, i, x, n, y);
	for (; i < norm->n_groups; i++)
		norm_vectors(1, kind, norm, i, x, n, y);
}

static void rms_norm(const struct norm *norm, const float *x, size_t n, float *y)
{
	norm_row(NORM_RMS, norm, x, n, y);
}

static void layer_norm(const struct norm *norm, const float *x, size_t n, float *y)
{
	norm_row(NORM_LAYER, norm, x, n, y);
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
