/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_PORTION_H
#define STAGECOACH_QUANT_ISA_PORTION_H
/*
 * portion - a run of blocks on its way from floats to bytes: scales are searched, rounded, and then
 * packed.
 */
#include "model/float16.h"
#include "quant/isa/affine.h"
#include "quant/isa/scaled.h"

enum {
	PORTION = 2048,			/* elements: 8 super-blocks */
	SUPER_BLOCK = 256,
	MAX_BLOCKS = PORTION / 16,	/* a multiple of LANES */
};

struct portion {
	uint8_t codes[PORTION];
	/* per block; for sub-blocks, scale and least are multiples of the super-block's units */
	float scale[MAX_BLOCKS], least[MAX_BLOCKS];
	float unit[MAX_BLOCKS], below[MAX_BLOCKS];
};

/* The regression may exceed f16's range if x contains the largest floats that fit. */
static inline float rounded_f16(float x)
{
	const float limit = 65504.0f;

	return f16_to_f32(f32_to_f16(x > limit ? limit : x < -limit ? -limit : x));
}

static inline void store_codes(uint8_t *codes, vec code, size_t i, size_t n, unsigned length)
{
	const vec_int whole = __builtin_convertvector(code, vec_int);

	for (size_t lane = 0; lane < LANES && lane < n; lane++)
		codes[lane * length + i] = (uint8_t)whole[lane];
}

/* Computes the codes for the rounded scale and, for affine formats, the rounded least value, one of
 * each per lane. */
static inline void affine_store(const struct group *g, const struct affine_range *range, vec scale,
				vec least, size_t n, uint8_t *codes)
{
	const vec inverse = vec_inverse(scale);

	for (unsigned i = 0; i < range->length; i++)
		store_codes(codes, affine_code(g->x[i], inverse, least, range->top), i, n,
			    range->length);
}

static inline void scaled_store(const struct group *g, const struct scaled_range *range, vec scale,
				size_t n, uint8_t *codes)
{
	const vec inverse = vec_inverse(scale);

	for (unsigned i = 0; i < range->length; i++) {
		const vec value = scaled_value(g->x[i] * inverse, range);
		vec code = { 0 };

		if (range->set == SET_INTEGERS)
			code = value - range->low;
		else
			for (int k = 1; k < 16; k++)
				code += vec_select(value >= (float)tensor_iq4_values[k],
						   vec_all(1.0f), (vec){ 0 });
		store_codes(codes, code, i, n, range->length);
	}
}

/* Encodes n blocks that have their own scale (and least value), stored as f16. */
static inline void affine_blocks(struct portion *s, const struct affine_range *range,
				 const float *x, size_t n)
{
	struct group g;

	for (size_t b = 0; b < n; b += LANES) {
		struct affine_fit fit;

		group_load(&g, x + b * range->length, n - b, range->length);
		fit = affine_search(&g, range);
		for (int lane = 0; lane < LANES; lane++) {
			fit.scale[lane] = rounded_f16(fit.scale[lane]);
			fit.least[lane] = rounded_f16(fit.least[lane]);
		}
		vec_store(s->scale + b, fit.scale);
		vec_store(s->least + b, fit.least);
		affine_store(&g, range, fit.scale, fit.least, n - b, s->codes + b * range->length);
	}
}

static inline void scaled_blocks(struct portion *s, const struct scaled_range *range,
				 const float *x, size_t n)
{
	struct group g;

	for (size_t b = 0; b < n; b += LANES) {
		vec scale;

		group_load(&g, x + b * range->length, n - b, range->length);
		scale = scaled_search(&g, range);
		for (int lane = 0; lane < LANES; lane++)
			scale[lane] = rounded_f16(scale[lane]);
		vec_store(s->scale + b, scale);
		scaled_store(&g, range, scale, n - b, s->codes + b * range->length);
	}
}

/* The largest scale of a super-block becomes `limit` units. Every block's scale is a whole number
 * of units, initially the nearest. */
static inline void affine_units(struct portion *s, size_t first, unsigned n_sub, float limit)
{
	float scale = 0.0f, least = 0.0f, per_unit, per_below;

	for (size_t b = first; b < first + n_sub; b++) {
		scale = s->scale[b] > scale ? s->scale[b] : scale;
		least = -s->least[b] > least ? -s->least[b] : least;
	}
	scale = rounded_f16(scale / limit);
	least = rounded_f16(least / limit);
	per_unit = scale > 0.0f ? 1.0f / scale : 0.0f;
	per_below = least > 0.0f ? 1.0f / least : 0.0f;
	for (size_t b = first; b < first + n_sub; b++) {
		s->unit[b] = scale;
		s->below[b] = least;
		s->scale[b] = nearbyintf(s->scale[b] * per_unit);
		s->least[b] = nearbyintf(-s->least[b] * per_below);
	}
}

static inline void affine_super_blocks(struct portion *s, const struct affine_range *range,
				       float limit, const float *x, size_t n_super)
{
	const unsigned n_sub = SUPER_BLOCK / range->length;
	const size_t n = n_super * n_sub;
	struct group g;

	for (size_t b = 0; b < n; b += LANES) {
		struct affine_fit fit;

		group_load(&g, x + b * range->length, n - b, range->length);
		fit = affine_search(&g, range);
		vec_store(s->scale + b, fit.scale);
		vec_store(s->least + b, fit.least);
	}
	for (size_t b = 0; b < n; b += n_sub)
		affine_units(s, b, n_sub, limit);
	for (size_t b = 0; b < n; b += LANES) {
		const vec unit = vec_load(s->unit + b), below = vec_load(s->below + b);
		vec scale = vec_load(s->scale + b), least = vec_load(s->least + b);

		group_load(&g, x + b * range->length, n - b, range->length);
		affine_settle(&g, range, limit, unit, below, &scale, &least);
		vec_store(s->scale + b, scale);
		vec_store(s->least + b, least);
		affine_store(&g, range, unit * scale, -below * least, n - b,
			     s->codes + b * range->length);
	}
}

/* The scale with the largest magnitude becomes `lowest` units, a negative number. */
static inline void scaled_units(struct portion *s, size_t first, unsigned n_sub, float lowest)
{
	float peak = 0.0f, per_unit;

	for (size_t b = first; b < first + n_sub; b++)
		peak = fabsf(s->scale[b]) > fabsf(peak) ? s->scale[b] : peak;
	peak = rounded_f16(peak / lowest);
	per_unit = peak != 0.0f ? 1.0f / peak : 0.0f;
	for (size_t b = first; b < first + n_sub; b++) {
		s->unit[b] = peak;
		s->scale[b] = nearbyintf(s->scale[b] * per_unit);
	}
}

static inline void scaled_super_blocks(struct portion *s, const struct scaled_range *range,
				       float lowest, float highest, const float *x, size_t n_super)
{
	const unsigned n_sub = SUPER_BLOCK / range->length;
	const size_t n = n_super * n_sub;
	struct group g;

	for (size_t b = 0; b < n; b += LANES) {
		group_load(&g, x + b * range->length, n - b, range->length);
		vec_store(s->scale + b, scaled_search(&g, range));
	}
	for (size_t b = 0; b < n; b += n_sub)
		scaled_units(s, b, n_sub, lowest);
	for (size_t b = 0; b < n; b += LANES) {
		const vec unit = vec_load(s->unit + b);
		vec scale = vec_load(s->scale + b);

		group_load(&g, x + b * range->length, n - b, range->length);
		scaled_settle(&g, range, lowest, highest, unit, &scale);
		vec_store(s->scale + b, scale);
		scaled_store(&g, range, unit * scale, n - b, s->codes + b * range->length);
	}
}

#endif
