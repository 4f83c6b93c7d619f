/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_TILES_X86_H
#define STAGECOACH_BACKEND_CPU_ISA_TILES_X86_H
/*
 * tiles_x86 - makes integer and bfloat16 tiles with AVX2 instructions, also for AVX-512. Include
 * after tiles.h.
 *
 * Four rows are processed at a time: their words of a group are adjacent, so a transposition
 * replaces most stores, and per-block values are computed for four blocks at once. With more than
 * four rows, groups of four may overlap. Fewer than four rows are processed one by one; a single
 * row uses full vectors. Magnitudes are compared as integers, where infinity and NaN are the
 * largest.
 */
#include "backend/cpu/kernels.h"

#include <immintrin.h>

/* Stores word i at to[i * stride]. */
static inline void store_words(uint8_t *to, size_t stride, __m256i words)
{
	__m128i half = _mm256_castsi256_si128(words);

	if (stride == 4) {
		_mm256_storeu_si256((__m256i *)to, words);
		return;
	}
	for (unsigned i = 0; i < 2; i++) {
		int32_t word[4] = { _mm_cvtsi128_si32(half), _mm_extract_epi32(half, 1),
				    _mm_extract_epi32(half, 2), _mm_extract_epi32(half, 3) };

		for (unsigned j = 0; j < 4; j++, to += stride)
			memcpy(to, &word[j], 4);
		half = _mm256_extracti128_si256(words, 1);
	}
}

static inline void store_four(int32_t *to, __m128i words)
{
	_mm_storeu_si128((__m128i *)to, words);
}

/* Words i of four rows go to to[i * stride ..+3]. */
static inline void store_words_of_four(int32_t *to, size_t stride, const __m256i row[4])
{
	__m256i a = _mm256_unpacklo_epi32(row[0], row[1]);
	__m256i b = _mm256_unpacklo_epi32(row[2], row[3]);
	__m256i c = _mm256_unpackhi_epi32(row[0], row[1]);
	__m256i d = _mm256_unpackhi_epi32(row[2], row[3]);
	__m256i words[4] = { _mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b),
			     _mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d) };

#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		store_four(to + i * stride, _mm256_castsi256_si128(words[i]));
		store_four(to + (i + 4) * stride, _mm256_extracti128_si256(words[i], 1));
	}
}

static inline __m256i magnitude_bits(const float *x)
{
	return _mm256_and_si256(_mm256_loadu_si256((const __m256i *)x),
				_mm256_set1_epi32(0x7fffffff));
}

/* The largest of 32 in each lane. */
static inline __m256i most_of_32(const float *x)
{
	return _mm256_max_epi32(_mm256_max_epi32(magnitude_bits(x), magnitude_bits(x + 8)),
				_mm256_max_epi32(magnitude_bits(x + 16), magnitude_bits(x + 24)));
}

/* The largest lane, in each of four. */
static inline __m128i most_of_lanes(__m256i most)
{
	__m128i half = _mm_max_epi32(_mm256_castsi256_si128(most),
				     _mm256_extracti128_si256(most, 1));

	half = _mm_max_epi32(half, _mm_shuffle_epi32(half, 0x4e));
	return _mm_max_epi32(half, _mm_shuffle_epi32(half, 0xb1));
}

static inline struct row_steps steps_of_row(const float *x, size_t n)
{
	__m256i most = _mm256_setzero_si256();
	__m128i bits;

	for (size_t i = 0; i < n; i += CPU_QUANT_BLOCK)
		most = _mm256_max_epi32(most, most_of_32(x + i));
	bits = most_of_lanes(most);
	if (_mm_cvtsi128_si32(bits) >= 0x7f800000)
		return (struct row_steps){ .scale = NAN };
	return steps_for(_mm_cvtss_f32(_mm_castsi128_ps(bits)));
}

/* The largest lane of each of four vectors. */
static inline __m128i most_of_four(__m256i a, __m256i b, __m256i c, __m256i d)
{
	__m256i ab = _mm256_max_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
	__m256i cd = _mm256_max_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
	__m256i most = _mm256_max_epi32(_mm256_unpacklo_epi64(ab, cd),
					_mm256_unpackhi_epi64(ab, cd));

	return _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
}

/* As shift_for. */
static inline __m128i shift_of(__m128i most_bits, __m128 per_most)
{
	__m128i ratio = _mm_castps_si128(_mm_mul_ps(_mm_castsi128_ps(most_bits), per_most));
	__m128i k = _mm_srai_epi32(_mm_add_epi32(ratio, _mm_set1_epi32(0x7fffff)), 23);

	k = _mm_sub_epi32(k, _mm_set1_epi32(127));
	return _mm_min_epi32(_mm_max_epi32(k, _mm_setzero_si128()),
			     _mm_set1_epi32(CPU_MAX_SHIFT));
}

static inline __m128 two_to_minus_each(__m128i k)
{
	return _mm_castsi128_ps(_mm_slli_epi32(_mm_sub_epi32(_mm_set1_epi32(127), k), 23));
}

static inline __m256i round_eight(const float *x, __m256 inverse)
{
	return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
}

/* 32 numbers as bytes. Packing works on halves of vectors, so a permutation restores the order. */
static inline __m256i round_32(const float *x, __m256 inverse)
{
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i a = _mm256_packs_epi32(round_eight(x, inverse), round_eight(x + 8, inverse));
	__m256i b = _mm256_packs_epi32(round_eight(x + 16, inverse), round_eight(x + 24, inverse));

	return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b), order);
}

/* -8 times the sums of each four. */
static inline __m256i sums_of_fours(__m256i q)
{
	return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q),
				 _mm256_set1_epi16(-8));
}

static inline void quantise_block(const float *x, const struct row_steps *steps, unsigned r,
				  unsigned row, uint8_t *block)
{
	int32_t *head = (int32_t *)block + row;
	__m128i shift = shift_of(most_of_lanes(most_of_32(x)), _mm_set1_ps(steps->per_most));
	__m128 inverse = _mm_mul_ps(two_to_minus_each(shift), _mm_set1_ps(steps->inverse));
	__m256i q = round_32(x, _mm256_set_m128(inverse, inverse)), sums = sums_of_fours(q);
	__m256i sum = _mm256_hadd_epi32(sums, sums);
	int32_t low, high;

	sum = _mm256_hadd_epi32(sum, sum);
	low = _mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
	high = _mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1));
	head[0] = _mm_cvtsi128_si32(shift);
	head[r] = low + high;
	head[2 * r] = low;
	head[3 * r] = high;
	store_words(block + (4 * r + row) * 4, 4 * r, q);
}

/* Blocks of four rows. */
static inline void quantise_four(const float *const x[4], const __m128 inverse, __m128 per_most,
				 unsigned r, int32_t *head)
{
	__m128i shift = shift_of(most_of_four(most_of_32(x[0]), most_of_32(x[1]),
					      most_of_32(x[2]), most_of_32(x[3])), per_most);
	__m128 by = _mm_mul_ps(two_to_minus_each(shift), inverse);
	__m256i q[4], sums;
	float each[4];

	_mm_storeu_ps(each, by);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++)
		q[i] = round_32(x[i], _mm256_set1_ps(each[i]));
	sums = _mm256_hadd_epi32(_mm256_hadd_epi32(sums_of_fours(q[0]), sums_of_fours(q[1])),
				 _mm256_hadd_epi32(sums_of_fours(q[2]), sums_of_fours(q[3])));
	store_four(head, shift);
	store_four(head + r, _mm_add_epi32(_mm256_castsi256_si128(sums),
					   _mm256_extracti128_si256(sums, 1)));
	store_four(head + 2 * r, _mm256_castsi256_si128(sums));
	store_four(head + 3 * r, _mm256_extracti128_si256(sums, 1));
	store_words_of_four(head + 4 * r, r, q);
}

/* Where the rows' blocks are read from, and the distance to the next ones. Rows without a scale are
 * read from zeros. */
struct row_source {
	const float *x;
	size_t step;
	struct row_steps steps;
};

static inline struct row_source find_row(const float *x, size_t n, float *scale_out)
{
	static const float zeros[CPU_QUANT_BLOCK];
	struct row_source row = { .x = x, .step = CPU_QUANT_BLOCK, .steps = steps_of_row(x, n) };

	if (!(row.steps.scale > 0))
		row = (struct row_source){ .x = zeros, .steps = { .scale = row.steps.scale } };
	*scale_out = row.steps.scale;
	return row;
}

static inline void quantise_rows(struct row_source *rows, unsigned first, unsigned r, size_t n,
				 uint8_t *block)
{
	__m128 inverse = _mm_setr_ps(rows[0].steps.inverse, rows[1].steps.inverse,
				     rows[2].steps.inverse, rows[3].steps.inverse);
	__m128 per_most = _mm_setr_ps(rows[0].steps.per_most, rows[1].steps.per_most,
				      rows[2].steps.per_most, rows[3].steps.per_most);

	for (size_t i = 0; i < n / CPU_QUANT_BLOCK; i++) {
		const float *x[4];

#pragma GCC unroll 4
		for (unsigned row = 0; row < 4; row++)
			x[row] = rows[row].x + i * rows[row].step;
		quantise_four(x, inverse, per_most, r, (int32_t *)block + first);
		block += r * CPU_TILE_INT_BYTES;
	}
}

static void quantise(const float *x, size_t ldx, unsigned r, size_t n, void *tile,
		     float *scale_out)
{
	struct row_source rows[CPU_MAX_TILE_ROWS];

	for (unsigned row = 0; row < r; row++)
		rows[row] = find_row(x + row * ldx, n, scale_out + row);
	for (unsigned row = 0; r >= 4 && row < r; row += 4) {
		unsigned first = row + 4 <= r ? row : r - 4;

		quantise_rows(rows + first, first, r, n, tile);
	}
	for (unsigned row = 0; r < 4 && row < r; row++)
		for (size_t i = 0; i < n / CPU_QUANT_BLOCK; i++)
			quantise_block(rows[row].x + i * rows[row].step, &rows[row].steps, r, row,
				       (uint8_t *)tile + i * r * CPU_TILE_INT_BYTES);
}

/* Eight as f32_to_bf16, in the low halves of words. */
static inline __m256i round_bits(const float *x)
{
	__m256i bits = _mm256_loadu_si256((const __m256i *)x);
	__m256i is_nan = _mm256_cmpgt_epi32(magnitude_bits(x), _mm256_set1_epi32(0x7f800000));
	__m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
	__m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
	__m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));

	return _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, is_nan), 16);
}

/* Sixteen numbers, as pairs. */
static inline __m256i round_pairs(const float *x)
{
	__m256i pairs = _mm256_packus_epi32(round_bits(x), round_bits(x + 8));

	return _mm256_permute4x64_epi64(pairs, 0xd8);
}

/* Inputs from k on, one by one. */
static inline void round_rest(const float *x, size_t k, size_t n, unsigned r, uint16_t *tile)
{
	for (; k < n; k += 2) {
		tile[k * r] = f32_to_bf16(x[k]);
		tile[k * r + 1] = k + 1 < n ? f32_to_bf16(x[k + 1]) : 0;
	}
}

static void round_bf16(const float *x, size_t ldx, unsigned r, size_t n, void *tile)
{
	const size_t n_whole = n / 16 * 16;
	int32_t *to = tile;

	for (unsigned row = 0; r >= 4 && row < r; row += 4) {
		unsigned first = row + 4 <= r ? row : r - 4;
		const float *from = x + first * ldx;

		for (size_t k = 0; k < n_whole; k += 16) {
			__m256i pairs[4] = { round_pairs(from + k), round_pairs(from + ldx + k),
					     round_pairs(from + 2 * ldx + k),
					     round_pairs(from + 3 * ldx + k) };

			store_words_of_four(to + k / 2 * r + first, r, pairs);
		}
	}
	for (unsigned row = 0; row < r; row++) {
		for (size_t k = 0; r < 4 && k < n_whole; k += 16)
			store_words((uint8_t *)(to + k / 2 * r + row), 4 * r,
				    round_pairs(x + row * ldx + k));
		round_rest(x + row * ldx, n_whole, n, r, (uint16_t *)(to + row));
	}
}

#endif
