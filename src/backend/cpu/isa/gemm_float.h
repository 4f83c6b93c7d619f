/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
/*
 * gemm_float - products with F32, F16 and BF16 weights; include after a vec_*.h.
 * A tile of r rows keeps 2 r vectors of sums in registers: each input costs two loads of weights
 * and r broadcasts for 2 r multiply-adds. One function per format and r; unpacked weights are in a
 * cache already.
 */
#include "backend/cpu/isa/prefetch.h"
#include "backend/cpu/kernels.h"

#include <stdbool.h>

/* Vector `half` (0 or 1) of the weights of input k. */
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

static inline __attribute__((always_inline)) void
gemm_float(enum cpu_format format, bool is_unpacked, unsigned r, const void *weights,
	   const void *tile, size_t n_k, float *to)
{
	const unsigned n_each = format == CPU_BF16 ? 2 : 1;
	const size_t input_bytes = 2 * LANES * (format == CPU_F32 ? 4 : 2);
	vec sum[CPU_MAX_TILE_ROWS][2];

#pragma GCC unroll 12
	for (unsigned row = 0; row < r; row++)
		sum[row][0] = sum[row][1] = vec_set1(0);
	for (size_t k = 0; k < n_k; k += n_each) {
		if (!is_unpacked && r >= LANES / 2 && k * input_bytes % 64 == 0)
			prefetch_far((const uint8_t *)weights + k * input_bytes,
				     n_each * input_bytes);
#pragma GCC unroll 2
		for (unsigned i = 0; i < n_each; i++) {
			vec w0 = load_weights(format, weights, k + i, 0);
			vec w1 = load_weights(format, weights, k + i, 1);

#pragma GCC unroll 12
			for (unsigned row = 0; row < r; row++) {
				vec x = vec_set1(load_activation(format, r, tile, k + i, row));

				sum[row][0] = vec_fma(x, w0, sum[row][0]);
				sum[row][1] = vec_fma(x, w1, sum[row][1]);
			}
		}
	}
#pragma GCC unroll 12
	for (unsigned row = 0; row < r; row++, to += 2 * LANES) {
		vec_store(to, vec_add(vec_load(to), sum[row][0]));
		vec_store(to + LANES, vec_add(vec_load(to + LANES), sum[row][1]));
	}
}

static inline void unpack_f16(const void *weights, size_t n_k, void *unpacked)
{
	for (size_t i = 0; i < n_k * 2; i++)
		vec_store((float *)unpacked + i * LANES,
			  vec_load_f16((const uint16_t *)weights + i * LANES));
}

#define GEMM_FLOAT(name, format, is_unpacked, r)					\
	static void name##_##r(const void *weights, const void *tile, size_t n_k, float *sum)	\
	{										\
		gemm_float(format, is_unpacked, r, weights, tile, n_k, sum);		\
	}

#define GEMM_FLOAT_4(name, format, is_unpacked)						\
	GEMM_FLOAT(name, format, is_unpacked, 1)						\
	GEMM_FLOAT(name, format, is_unpacked, 2)						\
	GEMM_FLOAT(name, format, is_unpacked, 3)						\
	GEMM_FLOAT(name, format, is_unpacked, 4)
#define GEMM_FLOAT_6(name, format, is_unpacked)						\
	GEMM_FLOAT_4(name, format, is_unpacked)					\
	GEMM_FLOAT(name, format, is_unpacked, 5)						\
	GEMM_FLOAT(name, format, is_unpacked, 6)
#define GEMM_FLOAT_12(name, format, is_unpacked)						\
	GEMM_FLOAT_6(name, format, is_unpacked)					\
	GEMM_FLOAT(name, format, is_unpacked, 7)						\
	GEMM_FLOAT(name, format, is_unpacked, 8)						\
	GEMM_FLOAT(name, format, is_unpacked, 9)						\
	GEMM_FLOAT(name, format, is_unpacked, 10)						\
	GEMM_FLOAT(name, format, is_unpacked, 11)						\
	GEMM_FLOAT(name, format, is_unpacked, 12)

/* The table's entries for them. */
#define GEMM_ROWS_4(name) { name##_1, name##_2, name##_3, name##_4 }
#define GEMM_ROWS_6(name) { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6 }
#define GEMM_ROWS_12(name) { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6,	\
			     name##_7, name##_8, name##_9, name##_10, name##_11, name##_12 }

#endif
