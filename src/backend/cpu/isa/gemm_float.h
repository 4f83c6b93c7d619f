/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_FLOAT_H
/*
 * gemm_float - products with F32, F16 and BF16 weights; include after a vec_*.h.
 * A tile of r rows keeps 2 r vectors of sums in registers: each input costs two loads of weights
 * and r broadcasts for 2 r multiply-adds. One function per format and r.
 */
#include "backend/cpu/kernels.h"

/* Vector `half` (0 or 1) of the weights of input k. */
static inline vec load_weights(enum cpu_format format, const void *weights, size_t k, int half)
{
	size_t at = k * 2 * LANES + (size_t)half * LANES;

	if (format == CPU_F16)
		return vec_load_f16((const uint16_t *)weights + at);
	if (format == CPU_BF16)
		return vec_load_bf16((const uint16_t *)weights + at);
	return vec_load((const float *)weights + at);
}

static inline __attribute__((always_inline)) void
gemm_float(enum cpu_format format, unsigned r, const void *weights, const float *x, size_t n_k,
	   const float *init, float *y, size_t ldy)
{
	vec sum[CPU_MAX_TILE_ROWS][2];

#pragma GCC unroll 12
	for (unsigned row = 0; row < r; row++)
		sum[row][0] = sum[row][1] = vec_set1(0);
	for (size_t k = 0; k < n_k; k++) {
		vec w0 = load_weights(format, weights, k, 0);
		vec w1 = load_weights(format, weights, k, 1);

#pragma GCC unroll 12
		for (unsigned row = 0; row < r; row++) {
			vec b = vec_set1(x[k * r + row]);

			sum[row][0] = vec_fma(b, w0, sum[row][0]);
			sum[row][1] = vec_fma(b, w1, sum[row][1]);
		}
	}
#pragma GCC unroll 12
	for (unsigned row = 0; row < r; row++) {
		float *to = y + row * ldy;
		const float *from = init ? init : to;

		vec_store(to, vec_add(vec_load(from), sum[row][0]));
		vec_store(to + LANES, vec_add(vec_load(from + LANES), sum[row][1]));
	}
}

#define GEMM_FLOAT(name, format, r)							\
	static void name##_##r(const void *weights, const void *x, size_t n_k,		\
			       const float *init, float *y, size_t ldy)			\
	{										\
		gemm_float(format, r, weights, x, n_k, init, y, ldy);			\
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

/* The table's entries for them. */
#define GEMM_ROWS_4(name) { name##_1, name##_2, name##_3, name##_4 }
#define GEMM_ROWS_6(name) { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6 }
#define GEMM_ROWS_12(name) { name##_1, name##_2, name##_3, name##_4, name##_5, name##_6,	\
			     name##_7, name##_8, name##_9, name##_10, name##_11, name##_12 }

#endif
