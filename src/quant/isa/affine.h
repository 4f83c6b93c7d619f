/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_AFFINE_H
#define STAGECOACH_QUANT_ISA_AFFINE_H
/*
 * affine - blocks of x = scale * q + least, with integers q from 0 to top. For fixed q, the best
 * scale and least are a linear regression; for fixed scale and least, the best q is the nearest.
 * The search starts from several guesses of the scale and alternates between the two.
 */
#include "quant/isa/group.h"

#include <stdbool.h>

struct affine_range {
	unsigned length;	/* elements per block */
	float top;
	bool is_signed;		/* least may be above 0 */
	float tightest;		/* first guess: the range of x is this many steps more than top */
	float step;		/* further guesses: this many more each */
	unsigned n_guesses;
};

struct affine_fit {
	vec scale, least, error;
};

static inline vec affine_code(vec x, vec inverse, vec least, float top)
{
	return vec_round(vec_max(vec_min((x - least) * inverse, vec_all(top)), (vec){ 0 }));
}

/* Sums for the regression that depend only on x. */
struct affine_sums {
	vec w, x, xx;
};

static inline struct affine_sums affine_sum(const struct group *g, unsigned length)
{
	struct affine_sums s = { 0 };

	for (unsigned i = 0; i < length; i++) {
		const vec wx = g->w[i] * g->x[i];

		s.w += g->w[i];
		s.x += wx;
		s.xx += wx * g->x[i];
	}
	return s;
}

/* The best scale and least for the q that follow from (inverse, least). */
static inline struct affine_fit affine_regress(const struct group *g,
					       const struct affine_range *range,
					       const struct affine_sums *s, vec inverse, vec least)
{
	vec sq = { 0 }, sqq = { 0 }, sxq = { 0 }, flat, det, scale, shift, error;
	vec_int is_above;

	for (unsigned i = 0; i < range->length; i++) {
		const vec q = affine_code(g->x[i], inverse, least, range->top);
		const vec wq = g->w[i] * q;

		sq += wq;
		sqq += wq * q;
		sxq += wq * g->x[i];
	}
	det = vec_inverse(s->w * sqq - sq * sq);
	flat = sxq * vec_inverse(sqq);
	scale = (s->w * sxq - s->x * sq) * det;
	shift = (sqq * s->x - sq * sxq) * det;
	if (!range->is_signed) {
		is_above = shift > 0.0f;
		scale = vec_select(is_above, flat, scale);
		shift = vec_select(is_above, (vec){ 0 }, shift);
	}
	error = s->xx - 2.0f * (scale * sxq + shift * s->x) + scale * scale * sqq +
		2.0f * scale * shift * sq + shift * shift * s->w;
	/* If all q of a block are equal, the regression is undefined. */
	error = vec_select(scale > 0.0f, error, vec_all(INFINITY));
	return (struct affine_fit){ scale, shift, error };
}

static inline void affine_keep(struct affine_fit *best, const struct affine_fit *other)
{
	const vec_int is_better = other->error < best->error;

	best->scale = vec_select(is_better, other->scale, best->scale);
	best->least = vec_select(is_better, other->least, best->least);
	best->error = vec_select(is_better, other->error, best->error);
}

static inline struct affine_fit affine_search(const struct group *g,
					      const struct affine_range *range)
{
	const struct affine_sums sums = affine_sum(g, range->length);
	vec low = g->x[0], high = g->x[0], inverse;
	struct affine_fit best, next;

	for (unsigned i = 1; i < range->length; i++) {
		low = vec_min(low, g->x[i]);
		high = vec_max(high, g->x[i]);
	}
	if (!range->is_signed)
		low = vec_min(low, (vec){ 0 });
	best = (struct affine_fit){ (high - low) * (1.0f / range->top), low, vec_all(INFINITY) };
	inverse = vec_inverse(high - low);
	for (unsigned i = 0; i < range->n_guesses; i++) {
		next = affine_regress(g, range, &sums, inverse * (range->top + range->tightest +
				      range->step * (float)i), low);
		affine_keep(&best, &next);
	}
	for (unsigned i = 0; i < 3; i++) {
		next = affine_regress(g, range, &sums, vec_inverse(best.scale), best.least);
		affine_keep(&best, &next);
	}
	return best;
}

/* Chooses scale and minimum of each lane's block from whole multiples of the units next to a first
 * guess, with the least error. The minimum is subtracted. */
static inline void affine_settle(const struct group *g, const struct affine_range *range,
				 float limit, vec unit, vec below, vec *scale, vec *least)
{
	const vec first_scale = *scale, first_least = *least;
	vec best = vec_all(INFINITY);

	for (int change = 0; change < 9; change++) {
		const vec try_scale = vec_max(vec_min(first_scale + (float)(change / 3 - 1),
						      vec_all(limit)), (vec){ 0 });
		const vec try_least = vec_max(vec_min(first_least + (float)(change % 3 - 1),
						      vec_all(limit)), (vec){ 0 });
		const vec a = unit * try_scale, b = below * try_least, inverse = vec_inverse(a);
		vec error = { 0 };
		vec_int is_better;

		for (unsigned i = 0; i < range->length; i++) {
			const vec q = affine_code(g->x[i], inverse, -b, range->top);
			const vec off = a * q - b - g->x[i];

			error += g->w[i] * off * off;
		}
		is_better = error < best;
		best = vec_select(is_better, error, best);
		*scale = vec_select(is_better, try_scale, *scale);
		*least = vec_select(is_better, try_least, *least);
	}
}

#endif
