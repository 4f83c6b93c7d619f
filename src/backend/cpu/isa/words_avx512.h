/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_WORDS_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_WORDS_AVX512_H
/* words_avx512 - four bytes of each of sixteen outputs; words_scalar.h says what functions do. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define BYTE_FLIP 0x80

typedef uint32_t vec_words __attribute__((vector_size(64)));

/* Rows i, i + 4, i + 8 and i + 12 side by side. */
static inline __m512i words_four_rows(const uint8_t *from, size_t stride, unsigned i)
{
	const __m128i *row[4];
	__m256i low, high;

#pragma GCC unroll 4
	for (unsigned q = 0; q < 4; q++)
		row[q] = (const __m128i *)(from + (i + q * 4) * stride);
	low = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(row[0])),
				      _mm_loadu_si128(row[1]), 1);
	high = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(row[2])),
				       _mm_loadu_si128(row[3]), 1);
	return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

static inline void words_transpose(const uint8_t *from, size_t stride, vec_words *to)
{
	__m512i row[4], even, odd;

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++)
		row[i] = words_four_rows(from, stride, i);
	even = _mm512_unpacklo_epi32(row[0], row[1]);
	odd = _mm512_unpacklo_epi32(row[2], row[3]);
	to[0] = (vec_words)_mm512_unpacklo_epi64(even, odd);
	to[1] = (vec_words)_mm512_unpackhi_epi64(even, odd);
	even = _mm512_unpackhi_epi32(row[0], row[1]);
	odd = _mm512_unpackhi_epi32(row[2], row[3]);
	to[2] = (vec_words)_mm512_unpacklo_epi64(even, odd);
	to[3] = (vec_words)_mm512_unpackhi_epi64(even, odd);
}

/* Transposes sixty-four bytes of each row: word i of all lanes goes to to[i]. Loads each cache line
 * only once, because rows may be placed so that their lines evict each other. First the first four
 * words of four rows are swapped within each quarter of the vectors, then the quarters are. */
static inline void words_transpose_line(const uint8_t *from, size_t stride, vec_words *to)
{
	__m512i part[16];

#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		__m512i row[4], even, odd;

#pragma GCC unroll 4
		for (unsigned j = 0; j < 4; j++)
			row[j] = _mm512_loadu_si512(from + (i + j) * stride);
		even = _mm512_unpacklo_epi32(row[0], row[1]);
		odd = _mm512_unpacklo_epi32(row[2], row[3]);
		part[i] = _mm512_unpacklo_epi64(even, odd);
		part[i + 1] = _mm512_unpackhi_epi64(even, odd);
		even = _mm512_unpackhi_epi32(row[0], row[1]);
		odd = _mm512_unpackhi_epi32(row[2], row[3]);
		part[i + 2] = _mm512_unpacklo_epi64(even, odd);
		part[i + 3] = _mm512_unpackhi_epi64(even, odd);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		__m512i even01 = _mm512_shuffle_i32x4(part[i], part[4 + i], 0x88);
		__m512i odd01 = _mm512_shuffle_i32x4(part[i], part[4 + i], 0xdd);
		__m512i even23 = _mm512_shuffle_i32x4(part[8 + i], part[12 + i], 0x88);
		__m512i odd23 = _mm512_shuffle_i32x4(part[8 + i], part[12 + i], 0xdd);

		to[i] = (vec_words)_mm512_shuffle_i32x4(even01, even23, 0x88);
		to[4 + i] = (vec_words)_mm512_shuffle_i32x4(odd01, odd23, 0x88);
		to[8 + i] = (vec_words)_mm512_shuffle_i32x4(even01, even23, 0xdd);
		to[12 + i] = (vec_words)_mm512_shuffle_i32x4(odd01, odd23, 0xdd);
	}
}

static inline void words_store(uint8_t *to, vec_words w)
{
	_mm512_storeu_si512(to, (__m512i)w);
}

static inline void words_store_halves(uint8_t *to, vec_words w)
{
	_mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16((__m512i)w));
}

static inline void words_store_bytes(uint8_t *to, size_t stride, vec_words w, unsigned n)
{
#pragma GCC unroll 4
	for (unsigned i = 0; i < n; i++)
		_mm_storeu_si128((__m128i *)(to + i * stride),
				 _mm512_cvtepi32_epi8((__m512i)(w >> i * 8)));
}

#endif
