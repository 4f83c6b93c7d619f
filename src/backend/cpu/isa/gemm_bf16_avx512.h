/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_BF16_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_BF16_AVX512_H
/* gemm_bf16_avx512 - BF16 weights times bfloat16 activations by vpdpbf16ps: two inputs of sixteen
 * outputs at a time. For processors with AVX512_BF16. The instruction treats subnormals as zero. */
#include "backend/cpu/isa/prefetch.h"
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

#define BF16_DOT __attribute__((target("avx512bf16")))

static inline __attribute__((always_inline)) BF16_DOT void
gemm_bf16_dot(unsigned r, const uint8_t *weights, const uint8_t *tile, size_t n_k, float *to)
{
	__m512 sum[CPU_MAX_TILE_ROWS][2];

#pragma GCC unroll 12
	for (unsigned row = 0; row < r; row++)
		sum[row][0] = sum[row][1] = _mm512_setzero_ps();
	for (size_t k = 0; k < n_k; k += 2, weights += 128, tile += r * 4) {
		__m512bh w0 = (__m512bh)_mm512_loadu_si512(weights);
		__m512bh w1 = (__m512bh)_mm512_loadu_si512(weights + 64);

		if (r >= 8)
			prefetch_far(weights, 128);
#pragma GCC unroll 12
		for (unsigned row = 0; row < r; row++) {
			int32_t pair;
			__m512bh x;

			memcpy(&pair, tile + row * 4, sizeof pair);
			x = (__m512bh)_mm512_set1_epi32(pair);
			sum[row][0] = _mm512_dpbf16_ps(sum[row][0], w0, x);
			sum[row][1] = _mm512_dpbf16_ps(sum[row][1], w1, x);
		}
	}
#pragma GCC unroll 12
	for (unsigned row = 0; row < r; row++, to += 32) {
		_mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(to), sum[row][0]));
		_mm512_storeu_ps(to + 16, _mm512_add_ps(_mm512_loadu_ps(to + 16), sum[row][1]));
	}
}

#define GEMM_BF16_DOT(name, r)								\
	static BF16_DOT void name##_##r(const void *weights, const void *tile, size_t n_k,	\
					float *sum)					\
	{										\
		gemm_bf16_dot(r, weights, tile, n_k, sum);				\
	}

#endif
