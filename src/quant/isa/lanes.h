/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_ISA_LANES_H
#define STAGECOACH_QUANT_ISA_LANES_H
/*
 * lanes - operations on LANES floats in the compiler's vectors. The including file defines LANES
 * for its instruction set. Each lane works on its own block, and nothing is summed across lanes, so
 * all widths give the same bits.
 */
#include <stdint.h>
#include <string.h>

#ifndef LANES
#error "LANES: 4, 8 or 16"
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t vec_int __attribute__((vector_size(4 * LANES)));	/* a mask: 0 or -1 */
typedef uint16_t vec_short __attribute__((vector_size(2 * LANES)));
typedef int8_t vec_byte __attribute__((vector_size(LANES)));

static inline vec vec_all(float x) { return x - (vec){ 0 }; }
static inline vec_int vec_bits(vec v) { return (vec_int)v; }
static inline vec vec_load(const float *p) { vec v; memcpy(&v, p, sizeof v); return v; }
static inline void vec_store(float *p, vec v) { memcpy(p, &v, sizeof v); }

static inline vec vec_select(vec_int mask, vec yes, vec no)
{
	return (vec)((mask & (vec_int)yes) | (~mask & (vec_int)no));
}

static inline vec vec_min(vec a, vec b) { return vec_select(a < b, a, b); }
static inline vec vec_max(vec a, vec b) { return vec_select(a > b, a, b); }
static inline vec vec_abs(vec a) { return (vec)((vec_int)a & 0x7fffffff); }

/* To the nearest integer, ties to even; |a| <= 2^22. */
static inline vec vec_round(vec a)
{
	return a + 0x1.8p23f - 0x1.8p23f;
}

/* 1 / a; 0 where a is too small. */
static inline vec vec_inverse(vec a)
{
	return vec_select(vec_abs(a) > 0x1p-60f, 1.0f / vec_select(a == 0.0f, vec_all(1.0f), a),
			  (vec){ 0 });
}

#endif
