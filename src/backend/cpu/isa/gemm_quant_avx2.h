/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_AVX2_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_QUANT_AVX2_H
/*
 * gemm_quant_avx2 - products with Q8_0 and Q4_0 weights by vpmaddubsw, whose 16-bit sums of two
 * products must not saturate.
 * Q4_0: nibbles as they are, 2 * 15 * 127 = 3810; the eight groups of a block stay below 2^15 even
 * together, and -8 times the activations' sum is added at the end.
 * Q8_0: |w| times x with w's sign, 2 * 128 * 127 = 32512; widened group by group.
 * Sixteen registers hold one vector of outputs times four rows: a panel is done in two halves.
 */
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { QUANT_TILE = 4, PANEL = 16 };

static inline __m256i broadcast_group(const int8_t *q)
{
	int32_t four;

	memcpy(&four, q, sizeof four);
	return _mm256_set1_epi32(four);
}

static inline __attribute__((always_inline)) void
dot_q4(unsigned r, const uint8_t *w, const uint8_t *tile, __m256i dot[QUANT_TILE])
{
	const int32_t *sum8 = (const int32_t *)tile + r;
	const int8_t *q = (const int8_t *)tile + 8 * r;
	const __m256i low = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);

#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++)
		dot[row] = _mm256_setzero_si256();
#pragma GCC unroll 1
	for (unsigned g = 0; g < 4; g++) {
		__m256i both = _mm256_loadu_si256((const __m256i *)(w + g * PANEL * 4));
		__m256i w0 = _mm256_and_si256(both, low);
		__m256i w1 = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);

#pragma GCC unroll 4
		for (unsigned row = 0; row < r; row++) {
			__m256i x0 = broadcast_group(q + (g * r + row) * 4);
			__m256i x1 = broadcast_group(q + ((g + 4) * r + row) * 4);

			dot[row] = _mm256_add_epi16(dot[row], _mm256_maddubs_epi16(w0, x0));
			dot[row] = _mm256_add_epi16(dot[row], _mm256_maddubs_epi16(w1, x1));
		}
	}
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++)
		dot[row] = _mm256_add_epi32(_mm256_madd_epi16(dot[row], ones),
					    _mm256_set1_epi32(sum8[row]));
}

static inline __attribute__((always_inline)) void
dot_q8(unsigned r, const uint8_t *w, const uint8_t *tile, __m256i dot[QUANT_TILE])
{
	const int8_t *q = (const int8_t *)tile + 8 * r;
	const __m256i ones = _mm256_set1_epi16(1);

#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++)
		dot[row] = _mm256_setzero_si256();
#pragma GCC unroll 1
	for (unsigned g = 0; g < 8; g++) {
		__m256i weight = _mm256_loadu_si256((const __m256i *)(w + g * PANEL * 4));
		__m256i size = _mm256_abs_epi8(weight);

#pragma GCC unroll 4
		for (unsigned row = 0; row < r; row++) {
			__m256i x = broadcast_group(q + (g * r + row) * 4);

			x = _mm256_maddubs_epi16(size, _mm256_sign_epi8(x, weight));
			dot[row] = _mm256_add_epi32(dot[row], _mm256_madd_epi16(x, ones));
		}
	}
}

/* Outputs half * 8 .. +7 of the panel. */
static inline __attribute__((always_inline)) void
gemm_half(enum cpu_format format, unsigned r, unsigned half, const uint8_t *weights,
	  const uint8_t *tile, size_t n_k, const float *init, float *y, size_t ldy)
{
	const size_t quants = PANEL * CPU_QUANT_BLOCK / (format == CPU_Q4_0 ? 2 : 1);
	__m256 sum[QUANT_TILE];

#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++)
		sum[row] = _mm256_setzero_ps();
	for (size_t block = 0; block < n_k / CPU_QUANT_BLOCK; block++) {
		const float *scale = (const float *)tile;
		const __m128i *scales = (const __m128i *)weights;
		__m256 weight_scale = _mm256_cvtph_ps(_mm_loadu_si128(scales + half));
		const uint8_t *w = weights + PANEL * 2 + half * 32;
		__m256i dot[QUANT_TILE];

		if (format == CPU_Q4_0)
			dot_q4(r, w, tile, dot);
		else
			dot_q8(r, w, tile, dot);
#pragma GCC unroll 4
		for (unsigned row = 0; row < r; row++)
			sum[row] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[row]),
						   _mm256_mul_ps(weight_scale,
								 _mm256_set1_ps(scale[row])),
						   sum[row]);
		weights += PANEL * 2 + quants;
		tile += r * CPU_QUANT_BYTES;
	}
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		float *to = y + row * ldy + half * 8;
		const float *from = init ? init + half * 8 : to;

		_mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(from), sum[row]));
	}
}

static inline __attribute__((always_inline)) void
gemm_quant(enum cpu_format format, unsigned r, const uint8_t *weights, const uint8_t *tile,
	   size_t n_k, const float *init, float *y, size_t ldy)
{
	gemm_half(format, r, 0, weights, tile, n_k, init, y, ldy);
	gemm_half(format, r, 1, weights, tile, n_k, init, y, ldy);
}

#endif
