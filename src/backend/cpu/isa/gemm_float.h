/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
/*
 * gemm_float - products with F32, F16 and BF16 weights; include after a vec_*.h.
 * A tile of r rows keeps sums of one or both halves of a panel, a vector each, in registers: each
 * input costs a load of weights for each half, and r broadcasts for as many or twice as many
 * multiply-adds. One function per format and r.
 */
#include "backend/cpu/isa/prefetch.h"
#include "backend/cpu/kernels.h"

#include <stdbool.h>

/* Weights of input k: half 0 or 1. */
static inline vec load_weights(enum cpu_format format, const void *weights, size_t k, int half)
{
	size_t at = k * 2 * LANES + (size_t)half * LANES;

	if (format == CPU_F16)
		return vec_load_f16((const uint16_t *)weights + at);
	if (format == CPU_F32)
		return vec_load((const float *)weights + at);
	at = k / 2 * 2 * LANES + (size_t)half * LANES;
	return k % 2 ? vec_load_bf16_odd((const uint32_t *)weights + at) :
		       vec_load_bf16_even((const uint32_t *)weights + at);
}

static inline float load_activation(enum cpu_format format, unsigned r, const void *tile, size_t k,
				    unsigned row)
{
	uint32_t bits;
	float x;

	if (format != CPU_BF16)
		return ((const float *)tile)[k * r + row];
	bits = (uint32_t)((const uint16_t *)tile)[(k / 2 * r + row) * 2 + k % 2] << 16;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* Both, while registers hold the sums, since that saves broadcasts. But only one conversion of F16
 * at a time goes beside the multiply-adds, on a processor that does one of sixteen lanes a cycle:
 * six rows and more were 3 to 16 % faster so, fewer slower. */
static inline int halves_at_once(enum cpu_format format, unsigned r)
{
	return r > 12 || (format == CPU_F16 && LANES == 16 && r >= 6) ? 1 : 2;
}

static inline __attribute__((always_inline)) void
gemm_float_halves(enum cpu_format format, unsigned r, int first, int end, const void *weights,
		  const void *tile, size_t n_k, float *to)
{
	const unsigned n_each = format == CPU_BF16 ? 2 : 1;
	const size_t input_bytes = 2 * LANES * (format == CPU_F32 ? 4 : 2);
	vec sum[CPU_MAX_TILE_ROWS][2];

#pragma GCC unroll 24
	for (unsigned row = 0; row < r; row++)
		sum[row][0] = sum[row][1] = vec_set1(0);
	for (size_t k = 0; k < n_k; k += n_each) {
		if (first == 0 && r >= LANES / 2 && k * input_bytes % 64 == 0)
			prefetch_far((const uint8_t *)weights + k * input_bytes,
				     n_each * input_bytes);
#pragma GCC unroll 2
		for (unsigned i = 0; i < n_each; i++) {
			vec w[2];

#pragma GCC unroll 2
			for (int half = first; half < end; half++)
				w[half] = load_weights(format, weights, k + i, half);
#pragma GCC unroll 24
			for (unsigned row = 0; row < r; row++) {
				vec x = vec_set1(load_activation(format, r, tile, k + i, row));

#pragma GCC unroll 2
				for (int half = first; half < end; half++)
					sum[row][half] = vec_fma(x, w[half], sum[row][half]);
			}
		}
	}
#pragma GCC unroll 24
	for (unsigned row = 0; row < r; row++, to += 2 * LANES)
#pragma GCC unroll 2
		for (int half = first; half < end; half++)
			vec_store(to + half * LANES,
				  vec_add(vec_load(to + half * LANES), sum[row][half]));
}

static inline __attribute__((always_inline)) void
gemm_float(enum cpu_format format, unsigned r, const void *weights, const void *tile, size_t n_k,
	   float *to)
{
	if (halves_at_once(format, r) == 2) {
		gemm_float_halves(format, r, 0, 2, weights, tile, n_k, to);
	} else {
		gemm_float_halves(format, r, 0, 1, weights, tile, n_k, to);
		gemm_float_halves(format, r, 1, 2, weights, tile, n_k, to);
	}
}

static inline void unpack_f16(const void *weights, size_t n_k, void *unpacked)
{
	for (size_t i = 0; i < n_k * 2; i++)
		vec_store((float *)unpacked + i * LANES,
			  vec_load_f16((const uint16_t *)weights + i * LANES));
}

#define GEMM_FLOAT(name, format, r)							\
	static void name##_##r(const void *weights, const void *tile, size_t n_k, float *sum)	\
	{										\
		gemm_float(format, r, weights, tile, n_k, sum);				\
	}

#define GEMM_FLOAT_4(name, format)							\
	GEMM_FLOAT(name, format, 1)							\
	GEMM_FLOAT(name, format, 2)							\
	GEMM_FLOAT(name, format, 3)							\
	GEMM_FLOAT(name, format, 4)
#define GEMM_FLOAT_6(name, format)							\
	GEMM_FLOAT_4(name, format)							\
	GEMM_FLOAT(name, format, 5)							\
	GEMM_FLOAT(name, format, 6)
#define GEMM_FLOAT_12(name, format)							\
	GEMM_FLOAT_6(name, format)							\
	GEMM_FLOAT(name, format, 7)							\
	GEMM_FLOAT(name, format, 8)							\
	GEMM_FLOAT(name, format, 9)							\
	GEMM_FLOAT(name, format, 10)							\
	GEMM_FLOAT(name, format, 11)							\
	GEMM_FLOAT(name, format, 12)
#define GEMM_FLOAT_24(name, format)							\
	GEMM_FLOAT_12(name, format)							\
	GEMM_FLOAT(name, format, 13)							\
	GEMM_FLOAT(name, format, 14)							\
	GEMM_FLOAT(name, format, 15)							\
	GEMM_FLOAT(name, format, 16)							\
	GEMM_FLOAT(name, format, 17)							\
	GEMM_FLOAT(name, format, 18)							\
	GEMM_FLOAT(name, format, 19)							\
	GEMM_FLOAT(name, format, 20)							\
	GEMM_FLOAT(name, format, 21)							\
	GEMM_FLOAT(name, format, 22)							\
	GEMM_FLOAT(name, format, 23)							\
	GEMM_FLOAT(name, format, 24)

/* The table's entries for them. */
#define GEMM_ENTRIES_4(name) name##_1, name##_2, name##_3, name##_4
#define GEMM_ENTRIES_6(name) GEMM_ENTRIES_4(name), name##_5, name##_6
#define GEMM_ENTRIES_12(name) GEMM_ENTRIES_6(name), name##_7, name##_8, name##_9, name##_10,	\
	name##_11, name##_12
#define GEMM_ENTRIES_24(name) GEMM_ENTRIES_12(name), name##_13, name##_14, name##_15,	\
	name##_16, name##_17, name##_18, name##_19, name##_20, name##_21, name##_22,	\
	name##_23, name##_24
#define GEMM_ROWS_4(name) { GEMM_ENTRIES_4(name) }
#define GEMM_ROWS_6(name) { GEMM_ENTRIES_6(name) }
#define GEMM_ROWS_12(name) { GEMM_ENTRIES_12(name) }
#define GEMM_ROWS_24(name) { GEMM_ENTRIES_24(name) }

#endif
