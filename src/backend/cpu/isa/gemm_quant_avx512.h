/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_AVX512_H
/*
 * gemm_quant_avx512 - products with Q8_0 and Q4_0 weights by VNNI.
 * vpdpbusd multiplies unsigned weights by signed activations. Q4_0 nibbles are unsigned by eight,
 * Q8_0 bytes are made so by 128 (q8_flip): sums start from the activations' sum times -8 or -128,
 * which takes that back exactly. 32 * 255 * 127 is far from overflow.
 */
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { QUANT_TILE = 6, PANEL = 32 };

struct tile_block {
	const float *scale;
	const int32_t *sum8;
	const int8_t *q;
};

static inline __m512i broadcast_group(const int8_t *q)
{
	int32_t four;

	memcpy(&four, q, sizeof four);
	return _mm512_set1_epi32(four);
}

static inline __attribute__((always_inline)) void
dot_groups(unsigned r, __m512i w0, __m512i w1, const int8_t *q, __m512i dot[QUANT_TILE][2])
{
#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		__m512i x = broadcast_group(q + row * 4);

		dot[row][0] = _mm512_dpbusd_epi32(dot[row][0], w0, x);
		dot[row][1] = _mm512_dpbusd_epi32(dot[row][1], w1, x);
	}
}

static inline __attribute__((always_inline)) void
dot_block(enum cpu_format format, unsigned r, const uint8_t *w, const struct tile_block *x,
	  __m512i dot[QUANT_TILE][2])
{
	const __m512i low = _mm512_set1_epi8(15);
	const unsigned n_groups = format == CPU_Q8_0 ? 8 : 4;

#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		__m512i start = _mm512_set1_epi32(x->sum8[row]);

		if (format == CPU_Q8_0)
			start = _mm512_slli_epi32(start, 4);
		dot[row][0] = dot[row][1] = start;
	}
#pragma GCC unroll 8
	for (unsigned g = 0; g < n_groups; g++) {
		__m512i w0 = _mm512_loadu_si512(w + g * PANEL * 4);
		__m512i w1 = _mm512_loadu_si512(w + g * PANEL * 4 + 64);

		if (format == CPU_Q8_0) {
			dot_groups(r, w0, w1, x->q + g * r * 4, dot);
			continue;
		}
		dot_groups(r, _mm512_and_si512(w0, low), _mm512_and_si512(w1, low),
			   x->q + g * r * 4, dot);
		w0 = _mm512_and_si512(_mm512_srli_epi16(w0, 4), low);
		w1 = _mm512_and_si512(_mm512_srli_epi16(w1, 4), low);
		dot_groups(r, w0, w1, x->q + (g + 4) * r * 4, dot);
	}
}

static inline __attribute__((always_inline)) void
gemm_quant(enum cpu_format format, unsigned r, const uint8_t *weights, const uint8_t *tile,
	   size_t n_k, const float *init, float *y, size_t ldy)
{
	const size_t quants = PANEL * CPU_QUANT_BLOCK / (format == CPU_Q4_0 ? 2 : 1);
	__m512 sum[QUANT_TILE][2];

#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++)
		sum[row][0] = sum[row][1] = _mm512_setzero_ps();
	for (size_t block = 0; block < n_k / CPU_QUANT_BLOCK; block++) {
		struct tile_block x = {
			.scale = (const float *)tile,
			.sum8 = (const int32_t *)tile + r,
			.q = (const int8_t *)tile + 8 * r,
		};
		const __m256i *scales = (const __m256i *)weights;
		__m512 s0 = _mm512_cvtph_ps(_mm256_loadu_si256(scales));
		__m512 s1 = _mm512_cvtph_ps(_mm256_loadu_si256(scales + 1));
		__m512i dot[QUANT_TILE][2];

		dot_block(format, r, weights + PANEL * 2, &x, dot);
#pragma GCC unroll 6
		for (unsigned row = 0; row < r; row++) {
			__m512 s = _mm512_set1_ps(x.scale[row]);

			sum[row][0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[row][0]),
						      _mm512_mul_ps(s0, s), sum[row][0]);
			sum[row][1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[row][1]),
						      _mm512_mul_ps(s1, s), sum[row][1]);
		}
		weights += PANEL * 2 + quants;
		tile += r * CPU_QUANT_BYTES;
	}
#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		float *to = y + row * ldy;
		const float *from = init ? init : to;

		_mm512_storeu_ps(to, _mm512_add_ps(_mm512_loadu_ps(from), sum[row][0]));
		_mm512_storeu_ps(to + 16, _mm512_add_ps(_mm512_loadu_ps(from + 16), sum[row][1]));
	}
}

#endif
