/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_RELAYOUT_H
#define STAGECOACH_BACKEND_CPU_ISA_RELAYOUT_H
/*
 * relayout - converts stored rows into a panel (formats.h).
 * Sixteen bytes of each of LANES outputs are transposed at a time. Then a vector holds the same
 * word of all these outputs, and regrouping is arithmetic. Planes of bits are made by swapping
 * fields between words; that is again a transposition, of nibbles, pairs or bits instead of words.
 * Reads never go beyond an output's block.
 */
#include "backend/cpu/kernels.h"

enum { PACK_PANEL = 2 * LANES };

#define EACH_BYTE(x) ((x) * UINT32_C(0x01010101))

/* Where a vector's part of a block is written. `at` advances with each write. */
struct place {
	uint8_t *at;
	unsigned vector;	/* of the panel's two */
};

/* One vector's outputs of a block, `stride` bytes from one to the next. */
typedef void regroup_fn(const uint8_t *from, size_t stride, struct place to);

static inline void put_halves(struct place *to, vec_words w)
{
	words_store_halves(to->at + to->vector * LANES * 2, w);
	to->at += PACK_PANEL * 2;
}

static inline void put_bytes(struct place *to, vec_words w, unsigned n)
{
	words_store_bytes(to->at + to->vector * LANES, PACK_PANEL, w, n);
	to->at += n * PACK_PANEL;
}

static inline void put_word(struct place *to, vec_words w)
{
	words_store(to->at + to->vector * LANES * 4, w);
	to->at += PACK_PANEL * 4;
}

static inline void put_words(struct place *to, const vec_words *w, unsigned n)
{
#pragma GCC unroll 8
	for (unsigned i = 0; i < n; i++)
		put_word(to, w[i]);
}

static inline void transpose_eight(const uint8_t *from, size_t stride, vec_words *to)
{
	words_transpose(from, stride, to);
	words_transpose(from + 16, stride, to + 4);
}

/* Swaps the fields of a at mask << shift with those of b at mask. */
static inline void swap_fields(vec_words *a, vec_words *b, unsigned shift, uint32_t mask)
{
	vec_words different = (*a >> shift ^ *b) & mask;

	*b ^= different;
	*a ^= different << shift;
}

/* Eight words of low and high nibbles: the low ones' four words, then the high ones'. */
static inline void split_nibbles(vec_words *w)
{
#pragma GCC unroll 4
	for (unsigned g = 0; g < 4; g++)
		swap_fields(&w[g], &w[g + 4], 4, EACH_BYTE(0x0f));
}

/* Eight words of four pairs of bits: the pairs of plane p in words p and p + 4. */
static inline void split_pairs(vec_words *w)
{
#pragma GCC unroll 2
	for (unsigned half = 0; half < 8; half += 4) {
		swap_fields(&w[half], &w[half + 2], 4, EACH_BYTE(0x0f));
		swap_fields(&w[half + 1], &w[half + 3], 4, EACH_BYTE(0x0f));
		swap_fields(&w[half], &w[half + 1], 2, EACH_BYTE(0x33));
		swap_fields(&w[half + 2], &w[half + 3], 2, EACH_BYTE(0x33));
	}
}

/* Eight words of eight bits: plane p in word p. */
static inline void split_bits(vec_words *w)
{
	split_nibbles(w);
#pragma GCC unroll 2
	for (unsigned half = 0; half < 8; half += 4) {
		swap_fields(&w[half], &w[half + 2], 2, EACH_BYTE(0x33));
		swap_fields(&w[half + 1], &w[half + 3], 2, EACH_BYTE(0x33));
	}
#pragma GCC unroll 4
	for (unsigned g = 0; g < 8; g += 2)
		swap_fields(&w[g], &w[g + 1], 1, EACH_BYTE(0x55));
}

static inline vec_words swap_bits(vec_words w, unsigned shift, uint32_t mask)
{
	vec_words different = (w >> shift ^ w) & mask;

	return w ^ different ^ different << shift;
}

/* Q5_0 and Q5_1: bit i belongs to input i. Input 4 g + j must go to bit g of byte j. This rotates
 * the five bits of i by two places, in four exchanges of neighbouring bits. */
static inline vec_words fifth_bits(vec_words w)
{
	w = swap_bits(w, 1, 0x22222222);
	w = swap_bits(w, 3, 0x0a0a0a0a);
	w = swap_bits(w, 6, 0x00cc00cc);
	return swap_bits(w, 12, 0x0000f0f0);
}

static inline void regroup_q8_0(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[8];

	words_transpose(from, stride, w);
	put_halves(&to, w[0]);
	transpose_eight(from + 2, stride, w);
#pragma GCC unroll 8
	for (unsigned g = 0; g < 8; g++)
		w[g] ^= EACH_BYTE(BYTE_FLIP);
	put_words(&to, w, 8);
}

/* Q4_0 and IQ4_NL. */
static inline void regroup_q4_0(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[4];

	words_transpose(from, stride, w);
	put_halves(&to, w[0]);
	words_transpose(from + 2, stride, w);
	put_words(&to, w, 4);
}

static inline void regroup_q4_1(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[4];

	words_transpose(from, stride, w);
	put_halves(&to, w[0]);
	put_halves(&to, w[0] >> 16);
	words_transpose(from + 4, stride, w);
	put_words(&to, w, 4);
}

static inline void regroup_q5_0(const uint8_t *from, size_t stride, struct place to)
{
	vec_words head[4], w[4];

	words_transpose(from, stride, head);
	put_halves(&to, head[0]);
	words_transpose(from + 6, stride, w);
	put_words(&to, w, 4);
	put_word(&to, fifth_bits(head[0] >> 16 | head[1] << 16));
}

static inline void regroup_q5_1(const uint8_t *from, size_t stride, struct place to)
{
	vec_words head[4], w[4];

	words_transpose(from, stride, head);
	put_halves(&to, head[0]);
	put_halves(&to, head[0] >> 16);
	words_transpose(from + 8, stride, w);
	put_words(&to, w, 4);
	put_word(&to, fifth_bits(head[1]));
}

static inline void regroup_mxfp4(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[4];

	words_transpose(from, stride, w);
	put_bytes(&to, w[0], 1);
	words_transpose(from + 1, stride, w);
	put_words(&to, w, 4);
}

static inline void regroup_q2_k(const uint8_t *from, size_t stride, struct place to)
{
	vec_words scales[4], w[8];

	words_transpose(from + 68, stride, w);
	put_halves(&to, w[3]);
	put_halves(&to, w[3] >> 16);
	words_transpose(from, stride, scales);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++)
		put_bytes(&to, scales[i], 4);
	for (unsigned half = 0; half < 2; half++) {
		transpose_eight(from + 16 + half * 32, stride, w);
		split_pairs(w);
#pragma GCC unroll 4
		for (unsigned p = 0; p < 4; p++) {
			put_word(&to, w[p]);
			put_word(&to, w[4 + p]);
		}
	}
}

static inline void regroup_q3_k(const uint8_t *from, size_t stride, struct place to)
{
	vec_words tail[4], high[8], w[8];

	/* Includes two bytes of the integers before the scales, so that the load ends with the
	 * block. */
	words_transpose(from + 94, stride, tail);
	put_halves(&to, tail[3] >> 16);
#pragma GCC unroll 3
	for (unsigned i = 0; i < 3; i++)
		put_bytes(&to, tail[i] >> 16 | tail[i + 1] << 16, 4);
	transpose_eight(from, stride, high);
	split_bits(high);
	for (unsigned half = 0; half < 2; half++) {
		transpose_eight(from + 32 + half * 32, stride, w);
		split_pairs(w);
#pragma GCC unroll 4
		for (unsigned p = 0; p < 4; p++) {
			put_word(&to, w[p]);
			put_word(&to, w[4 + p]);
			put_word(&to, high[half * 4 + p]);
		}
	}
}

/* The first sixteen bytes of Q4_K and Q5_K: 6-bit scales s and minima m per 32 inputs. The first
 * four of each are whole in the first two words. The low bits of the others are in the third word,
 * and their high bits in the unused bits of the first two. */
static inline void put_head_k4(const uint8_t *from, size_t stride, struct place *to)
{
	vec_words w[4];

	words_transpose(from, stride, w);
	put_halves(to, w[0]);
	put_halves(to, w[0] >> 16);
	put_bytes(to, (w[1] & EACH_BYTE(0x0f)) | (w[2] & EACH_BYTE(0x0f)) << 4, 4);
	put_bytes(to, w[3], 4);
	put_bytes(to, (w[1] >> 4 & EACH_BYTE(0x03)) | (w[2] >> 2 & EACH_BYTE(0x0c)) |
		      (w[1] >> 2 & EACH_BYTE(0x30)) | (w[2] & EACH_BYTE(0xc0)), 4);
}

static inline void regroup_q4_k(const uint8_t *from, size_t stride, struct place to)
{
	put_head_k4(from, stride, &to);
	for (unsigned i = 0; i < 4; i++) {
		vec_words w[8];

		transpose_eight(from + 16 + i * 32, stride, w);
		split_nibbles(w);
		put_words(&to, w, 8);
	}
}

static inline void regroup_q5_k(const uint8_t *from, size_t stride, struct place to)
{
	vec_words high[8];

	put_head_k4(from, stride, &to);
	transpose_eight(from + 16, stride, high);
	split_bits(high);
	for (unsigned i = 0; i < 4; i++) {
		vec_words w[8];

		transpose_eight(from + 48 + i * 32, stride, w);
		split_nibbles(w);
		put_words(&to, w, 4);
		put_word(&to, high[i * 2]);
		put_words(&to, w + 4, 4);
		put_word(&to, high[i * 2 + 1]);
	}
}

/* 128 inputs of Q6_K: 32 + 32 bytes hold their low nibbles, 32 inputs apart, and also the high
 * ones. */
static inline void put_half_q6_k(const uint8_t *from, const uint8_t *from_high, size_t stride,
				 struct place *to)
{
	vec_words high[8], w[2][8];

	transpose_eight(from_high, stride, high);
	split_pairs(high);
#pragma GCC unroll 2
	for (unsigned i = 0; i < 2; i++) {
		transpose_eight(from + i * 32, stride, w[i]);
		split_nibbles(w[i]);
	}
#pragma GCC unroll 4
	for (unsigned b = 0; b < 4; b++) {
		put_words(to, &w[b % 2][b / 2 * 4], 4);
		put_word(to, high[b]);
		put_word(to, high[4 + b]);
	}
}

static inline void regroup_q6_k(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[4];

	words_transpose(from + 194, stride, w);
	put_halves(&to, w[3] >> 16);
	words_transpose(from + 192, stride, w);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++)
		put_bytes(&to, w[i], 4);
	put_half_q6_k(from, from + 128, stride, &to);
	put_half_q6_k(from + 64, from + 160, stride, &to);
}

/* Eight nibbles: i and i + 4 come together in byte i. */
static inline vec_words pair_nibbles(vec_words low)
{
	return swap_bits(swap_bits(low, 4, 0x00f000f0), 12, 0x0000f0f0);
}

/* Eight times two bits: i, i + 2, i + 4 and i + 6 come together in byte i. */
static inline vec_words pair_twos(vec_words high)
{
	return swap_bits(swap_bits(high, 6, 0x00cc), 2, 0x0c0c);
}

static inline void regroup_iq4_xs(const uint8_t *from, size_t stride, struct place to)
{
	vec_words head[4];

	words_transpose(from, stride, head);
	put_halves(&to, head[0]);
	put_bytes(&to, pair_nibbles(head[1]), 4);
	put_bytes(&to, pair_twos(head[0] >> 16), 2);
	for (unsigned i = 0; i < 4; i++) {
		vec_words w[8];

		transpose_eight(from + 8 + i * 32, stride, w);
		put_words(&to, w, 8);
	}
}

/* F32, and BF16, whose words are two inputs each. */
static inline void regroup_words(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[16];

	words_transpose_line(from, stride, w);
#pragma GCC unroll 16
	for (unsigned i = 0; i < 16; i++)
		put_word(&to, w[i]);
}

static inline void regroup_halves(const uint8_t *from, size_t stride, struct place to)
{
	vec_words w[16];

	words_transpose_line(from, stride, w);
#pragma GCC unroll 16
	for (unsigned i = 0; i < 16; i++) {
		put_halves(&to, w[i]);
		put_halves(&to, w[i] >> 16);
	}
}

static inline __attribute__((always_inline)) void pack_blocks(const uint8_t *rows, size_t stride,
		size_t n_blocks, size_t n_bytes, regroup_fn *regroup, uint8_t *to)
{
	for (size_t i = 0; i < n_blocks; i++)
		for (unsigned v = 0; v < 2; v++)
			regroup(rows + v * LANES * stride + i * n_bytes, stride,
				(struct place){ to + i * n_bytes * PACK_PANEL, v });
}

static void pack(enum cpu_format format, const uint8_t *rows, size_t stride, size_t n_in,
		 uint8_t *to)
{
	switch (format) {
	case CPU_F32:
		return pack_blocks(rows, stride, n_in / 16, 64, regroup_words, to);
	case CPU_F16:
		return pack_blocks(rows, stride, n_in / 32, 64, regroup_halves, to);
	case CPU_BF16:
		return pack_blocks(rows, stride, n_in / 32, 64, regroup_words, to);
	case CPU_Q8_0:
		return pack_blocks(rows, stride, n_in / 32, 34, regroup_q8_0, to);
	case CPU_Q4_0:
	case CPU_IQ4_NL:
		return pack_blocks(rows, stride, n_in / 32, 18, regroup_q4_0, to);
	case CPU_Q4_1:
		return pack_blocks(rows, stride, n_in / 32, 20, regroup_q4_1, to);
	case CPU_Q5_0:
		return pack_blocks(rows, stride, n_in / 32, 22, regroup_q5_0, to);
	case CPU_Q5_1:
		return pack_blocks(rows, stride, n_in / 32, 24, regroup_q5_1, to);
	case CPU_MXFP4:
		return pack_blocks(rows, stride, n_in / 32, 17, regroup_mxfp4, to);
	case CPU_Q2_K:
		return pack_blocks(rows, stride, n_in / 256, 84, regroup_q2_k, to);
	case CPU_Q3_K:
		return pack_blocks(rows, stride, n_in / 256, 110, regroup_q3_k, to);
	case CPU_Q4_K:
		return pack_blocks(rows, stride, n_in / 256, 144, regroup_q4_k, to);
	case CPU_Q5_K:
		return pack_blocks(rows, stride, n_in / 256, 176, regroup_q5_k, to);
	case CPU_Q6_K:
		return pack_blocks(rows, stride, n_in / 256, 210, regroup_q6_k, to);
	default:
		return pack_blocks(rows, stride, n_in / 256, 136, regroup_iq4_xs, to);
	}
}

#undef EACH_BYTE

#endif
