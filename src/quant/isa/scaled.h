/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_SCALED_H
#define STAGECOACH_QUANT_ISA_SCALED_H
/*
 * scaled - blocks of x = scale * v, with v from a fixed set: integers from low to high, or the
 * values of a table. For fixed v the best scale is a projection. The search tries scales that map
 * the largest element to several values near the ends of the set, and improves the best one.
 */
#include "quant/isa/group.h"
#include "model/tensor.h"

#include <stdbool.h>

enum value_set { SET_INTEGERS, SET_IQ4 };

struct scaled_range {
	unsigned length;	/* elements per block */
	enum value_set set;
	float low, high;
	float from, to;		/* range of values for the largest element,
				 * as a fraction of low and of high */
	unsigned n_guesses;	/* of each sign */
};

/* The value of the set that is nearest to x. */
static inline vec scaled_value(vec x, const struct scaled_range *range)
{
	vec value;

	if (range->set == SET_INTEGERS)
		return vec_round(vec_max(vec_min(x, vec_all(range->high)), vec_all(range->low)));
	value = vec_all(tensor_iq4_values[0]);
	for (int i = 1; i < 16; i++) {
		const float below = tensor_iq4_values[i - 1], above = tensor_iq4_values[i];

		value = vec_select(x > 0.5f * (below + above), vec_all(above), value);
	}
	return value;
}

struct scaled_fit {
	vec scale, score;	/* score: how much of the block's energy is explained */
};

static inline void scaled_try(const struct group *g, const struct scaled_range *range, vec inverse,
			      struct scaled_fit *best)
{
	vec sxv = { 0 }, svv = { 0 }, scale, score;
	vec_int is_better;

	for (unsigned i = 0; i < range->length; i++) {
		const vec v = scaled_value(g->x[i] * inverse, range);
		const vec wv = g->w[i] * v;

		sxv += wv * g->x[i];
		svv += wv * v;
	}
	scale = sxv * vec_inverse(svv);
	score = scale * sxv;
	is_better = score > best->score;
	best->scale = vec_select(is_better, scale, best->scale);
	best->score = vec_select(is_better, score, best->score);
}

static inline vec scaled_peak(const struct group *g, unsigned length)
{
	vec peak = g->x[0];

	for (unsigned i = 1; i < length; i++)
		peak = vec_select(vec_abs(g->x[i]) > vec_abs(peak), g->x[i], peak);
	return peak;
}

static inline vec scaled_search(const struct group *g, const struct scaled_range *range)
{
	const vec inverse = vec_inverse(scaled_peak(g, range->length));
	const float step = (range->to - range->from) / (float)(range->n_guesses - 1);
	struct scaled_fit best = { 0 };

	for (unsigned i = 0; i < range->n_guesses; i++) {
		const float part = range->from + step * (float)i;

		scaled_try(g, range, inverse * (part * range->low), &best);
		scaled_try(g, range, inverse * (part * range->high), &best);
	}
	for (unsigned i = 0; i < 2; i++)
		scaled_try(g, range, vec_inverse(best.scale), &best);
	return best.scale;
}

/* Chooses the scale of each lane's block from whole multiples of a unit next to a first guess, with
 * the least error. */
static inline void scaled_settle(const struct group *g, const struct scaled_range *range,
				 float lowest, float highest, vec unit, vec *scale)
{
	const vec first = *scale;
	vec best = vec_all(INFINITY);

	for (int change = -1; change <= 1; change++) {
		const vec guess = vec_max(vec_min(first + (float)change, vec_all(highest)),
					  vec_all(lowest));
		const vec a = unit * guess, inverse = vec_inverse(a);
		vec error = { 0 };
		vec_int is_better;

		for (unsigned i = 0; i < range->length; i++) {
			const vec off = a * scaled_value(g->x[i] * inverse, range) - g->x[i];

			error += g->w[i] * off * off;
		}
		is_better = error < best;
		best = vec_select(is_better, error, best);
		*scale = vec_select(is_better, guess, *scale);
	}
}

#endif
