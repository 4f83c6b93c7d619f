/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_WORDS_AVX2_H
#define STAGECOACH_BACKEND_CPU_ISA_WORDS_AVX2_H
/* words_avx2 - four bytes of each of eight outputs; see words_scalar.h for what functions do. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BYTE_FLIP 0x80

typedef uint32_t vec_words __attribute__((vector_size(32)));

/* Each half of a vector holds four rows: rows i and i + 4 are loaded together. */
static inline void words_transpose(const uint8_t *from, size_t stride, vec_words *to)
{
	__m256i row[4], even, odd;

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		__m128i low = _mm_loadu_si128((const __m128i *)(from + i * stride));
		__m128i high = _mm_loadu_si128((const __m128i *)(from + (i + 4) * stride));

		row[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
	}
	even = _mm256_unpacklo_epi32(row[0], row[1]);
	odd = _mm256_unpacklo_epi32(row[2], row[3]);
	to[0] = (vec_words)_mm256_unpacklo_epi64(even, odd);
	to[1] = (vec_words)_mm256_unpackhi_epi64(even, odd);
	even = _mm256_unpackhi_epi32(row[0], row[1]);
	odd = _mm256_unpackhi_epi32(row[2], row[3]);
	to[2] = (vec_words)_mm256_unpacklo_epi64(even, odd);
	to[3] = (vec_words)_mm256_unpackhi_epi64(even, odd);
}

static inline void words_transpose_line(const uint8_t *from, size_t stride, vec_words *to)
{
	for (unsigned i = 0; i < 4; i++)
		words_transpose(from + i * 16, stride, to + i * 4);
}

static inline void words_store(uint8_t *to, vec_words w)
{
	_mm256_storeu_si256((__m256i *)to, (__m256i)w);
}

static inline void words_store_halves(uint8_t *to, vec_words w)
{
	__m256i low = _mm256_and_si256((__m256i)w, _mm256_set1_epi32(0xffff));

	_mm_storeu_si128((__m128i *)to, _mm_packus_epi32(_mm256_castsi256_si128(low),
							 _mm256_extracti128_si256(low, 1)));
}

static inline void words_store_bytes(uint8_t *to, size_t stride, vec_words w, unsigned n)
{
	const __m256i by_byte = _mm256_broadcastsi128_si256(
		_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
	const __m256i fours = _mm256_shuffle_epi8((__m256i)w, by_byte);
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	uint64_t rows[4];

	_mm256_storeu_si256((__m256i *)rows, _mm256_permutevar8x32_epi32(fours, order));
#pragma GCC unroll 4
	for (unsigned i = 0; i < n; i++)
		memcpy(to + i * stride, &rows[i], 8);
}

#endif
