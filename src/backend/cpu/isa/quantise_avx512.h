/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_QUANTISE_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_QUANTISE_AVX512_H
/* quantise_avx512 - integer tiles; include after tiles.h. */
#include <immintrin.h>

static inline int32_t sum_of_bytes(__m128i q)
{
	__m128i sums = _mm_sad_epu8(_mm_xor_si128(q, _mm_set1_epi8((char)0x80)),
				    _mm_setzero_si128());

	return _mm_cvtsi128_si32(sums) + _mm_extract_epi32(sums, 2) - 16 * 128;
}

static inline void store_groups(int8_t *bytes, size_t stride, __m128i q)
{
	int32_t groups[4];

	_mm_storeu_si128((__m128i *)groups, q);
	for (unsigned g = 0; g < 4; g++)
		memcpy(bytes + g * stride, &groups[g], 4);
}

static inline void quantise_block(__m512 a, __m512 b, const struct row_steps *steps, unsigned r,
				  unsigned row, uint8_t *block)
{
	int32_t *head = (int32_t *)block + row;
	int8_t *bytes = (int8_t *)(block + 16 * r) + row * 4;
	float most = vec_max_lane(vec_max(vec_abs(a), vec_abs(b)));
	int32_t shift = shift_for(most, steps->per_most), low, high;
	__m512 inverse = _mm512_set1_ps(steps->inverse * two_to_minus(shift));
	__m128i qa = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)));
	__m128i qb = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(b, inverse)));

	store_groups(bytes, 4 * r, qa);
	store_groups(bytes + 16 * r, 4 * r, qb);
	low = sum_of_bytes(qa);
	high = sum_of_bytes(qb);
	head[0] = shift;
	head[r] = -8 * (low + high);
	head[2 * r] = -8 * low;
	head[3 * r] = -8 * high;
}

static void quantise(const float *x, size_t ldx, unsigned r, size_t n, void *tile,
		     float *scale_out)
{
	for (unsigned row = 0; row < r; row++) {
		const float *from = x + row * ldx;
		const struct row_steps steps = steps_of(from, n);
		const bool is_zero = !(steps.scale > 0);
		uint8_t *block = tile;

		scale_out[row] = steps.scale;
		for (size_t i = 0; i < n; i += CPU_QUANT_BLOCK) {
			__m512 a = _mm512_loadu_ps(from + i), b = _mm512_loadu_ps(from + i + 16);

			if (is_zero)
				a = b = _mm512_setzero_ps();
			quantise_block(a, b, &steps, r, row, block);
			block += r * CPU_TILE_INT_BYTES;
		}
	}
}

#endif
