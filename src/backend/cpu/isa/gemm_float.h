/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
/*
 * gemm_float - products with F32, F16 and BF16 weights; include after a vec_*.h.
 * A tile of r rows keeps the sums of one or both halves of a panel (one vector each) in registers.
 * Each input costs one load of weights per half and r broadcasts, for r or 2 r multiply-adds. There
 * is one function per format and r.
 */
#include "backend/cpu/isa/prefetch.h"
#include "backend/cpu/kernels.h"

/* Loads the weights of input k; half is 0 or 1. */
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

/* Both halves at once save broadcasts, as long as the sums fit into registers. Exception: F16 with
 * six rows or more uses one half at a time, because a processor that converts sixteen lanes per
 * cycle can hide only one conversion behind the multiply-adds. Measured: 3 to 16 % faster with six
 * rows and more, slower with fewer. */
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

#define GEMM_FLOAT(name, format, r)							\
	static void name##_##r(const void *weights, const void *tile, size_t n_k, float *sum)	\
	{										\
		gemm_float(format, r, weights, tile, n_k, sum);				\
	}

#endif
