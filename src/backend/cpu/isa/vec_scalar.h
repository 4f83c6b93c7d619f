/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_VEC_SCALAR_H
#define STAGECOACH_BACKEND_CPU_ISA_VEC_SCALAR_H
/*
 * vec_scalar - four floats in the compiler's portable vectors, for any processor.
 * The other vec_*.h have the same functions; the templates beside them are written in these.
 */
#include "model/float16.h"

#include <stdint.h>
#include <string.h>

#define LANES 4

typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_int __attribute__((vector_size(16)));

static inline vec vec_load(const float *p)
{
	vec v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline void vec_store(float *p, vec v)
{
	memcpy(p, &v, sizeof v);
}

/* The first n elements, zeros behind them. */
static inline vec vec_load_part(const float *p, size_t n)
{
	vec v = { 0 };

	memcpy(&v, p, n * sizeof(float));
	return v;
}

static inline void vec_store_part(float *p, vec v, size_t n)
{
	memcpy(p, &v, n * sizeof(float));
}

static inline vec_int vec_load_16_bits(const uint16_t *p)
{
	uint16_t four __attribute__((vector_size(8)));

	memcpy(&four, p, sizeof four);
	return __builtin_convertvector(four, vec_int);
}

/* As f16_to_f32. */
static inline vec vec_load_f16(const uint16_t *p)
{
	vec_int h = vec_load_16_bits(p);
	vec_int special = (vec_int)((h & 0x7c00) == 0x7c00) & 0x7f800000;
	vec rest = (vec)((h & 0x7fff) << 13) * 0x1p112f;

	return (vec)((vec_int)rest | special | (h & 0x8000) << 16);
}

/* As f32_to_f16. */
static inline void vec_store_f16(uint16_t *p, vec v)
{
	for (unsigned i = 0; i < LANES; i++)
		p[i] = f32_to_f16(v[i]);
}

/* The first (low) and second halves of words. */
static inline vec vec_load_bf16_even(const uint32_t *p)
{
	vec_int words;

	memcpy(&words, p, sizeof words);
	return (vec)(words << 16);
}

static inline vec vec_load_bf16_odd(const uint32_t *p)
{
	vec_int words;

	memcpy(&words, p, sizeof words);
	return (vec)(words & (int32_t)0xffff0000);
}

static inline vec vec_load_bf16(const uint16_t *p)
{
	uint16_t four __attribute__((vector_size(8)));

	memcpy(&four, p, sizeof four);
	return (vec)(__builtin_convertvector(four, vec_int) << 16);
}

static inline vec vec_load_s8(const int8_t *p)
{
	int8_t four __attribute__((vector_size(4)));

	memcpy(&four, p, sizeof four);
	return __builtin_convertvector(four, vec);
}

static inline vec vec_set1(float x)
{
	return (vec){ x, x, x, x };
}

static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_sub(vec a, vec b) { return a - b; }
static inline vec vec_mul(vec a, vec b) { return a * b; }
static inline vec vec_div(vec a, vec b) { return a / b; }

/* a * b + c; fused where the processor has it. */
static inline vec vec_fma(vec a, vec b, vec c) { return a * b + c; }

static inline vec vec_select(vec_int mask, vec yes, vec no)
{
	return (vec)((mask & (vec_int)yes) | (~mask & (vec_int)no));
}

/* The larger; b if either is NaN. */
static inline vec vec_max(vec a, vec b) { return vec_select(a > b, a, b); }
static inline vec vec_min(vec a, vec b) { return vec_select(a < b, a, b); }

static inline vec vec_abs(vec a)
{
	return (vec)((vec_int)a & 0x7fffffff);
}

/* To nearest even; |a| < 2^22. */
static inline vec vec_round(vec a)
{
	vec magic = vec_set1(12582912.0f);

	return a + magic - magic;
}

/* v where x >= limit or x is NaN, else 0. */
static inline vec vec_zero_below(vec v, vec x, float limit)
{
	return (vec)(~(vec_int)(x < vec_set1(limit)) & (vec_int)v);
}

/* a * 2^n for whole n in -252 .. 254. */
static inline vec vec_scale(vec a, vec n)
{
	vec_int i = __builtin_convertvector(n, vec_int);
	vec_int half = i >> 1;

	return a * (vec)((half + 127) << 23) * (vec)((i - half + 127) << 23);
}

static inline vec vec_swap_pairs(vec a)
{
	return (vec){ a[1], a[0], a[3], a[2] };
}

/* (a0 a0 a1 a1 ..) of the first half of a vector. */
static inline vec vec_load_doubled(const float *p)
{
	return (vec){ p[0], p[0], p[1], p[1] };
}

/* (-1 1 -1 1 ..) */
static inline vec vec_alternate(void)
{
	return (vec){ -1, 1, -1, 1 };
}

static inline void vec_store_int(int32_t *p, vec a)
{
	vec_int i = __builtin_convertvector(a, vec_int);

	memcpy(p, &i, sizeof i);
}

static inline float vec_sum(vec a)
{
	return (a[0] + a[2]) + (a[1] + a[3]);
}

static inline float vec_max_lane(vec a)
{
	float x = a[0] > a[2] ? a[0] : a[2];
	float y = a[1] > a[3] ? a[1] : a[3];

	return x > y ? x : y;
}

#endif
