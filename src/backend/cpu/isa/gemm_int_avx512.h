/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_AVX512_H
/*
 * gemm_int_avx512 - products with quantised weights by VNNI.
 *
 * vpdpbusd multiplies unsigned weights by signed activations, four inputs of sixteen outputs at a
 * time. The offset of unsigned weights is subtracted exactly: sums start at the activations' sum
 * times that offset. For 32 inputs and 16 outputs there are eight vpdpbusd and one multiply-add by
 * the scale, on the two ports that can multiply. Shifts by the activations' power of two,
 * conversions and corrections use the other two ports. For this reason a block of activations has a
 * power of two instead of its own scale: a scale would be one more multiplication.
 */
#include "backend/cpu/isa/prefetch.h"
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { INT_ROWS = 6, PANEL = 32 };

#define ALWAYS static inline __attribute__((always_inline))

/* Word i of outputs 16 v ..+15. */
ALWAYS __m512i load_word(const uint8_t *words, unsigned i, unsigned v)
{
	return _mm512_loadu_si512(words + (i * PANEL + v * 16) * 4);
}

ALWAYS __m512i keep_bits(__m512i x, int mask)
{
	return _mm512_and_si512(x, _mm512_set1_epi8((char)mask));
}

/* a | (b & mask) */
ALWAYS __m512i merge_bits(__m512i a, __m512i b, int mask)
{
	return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi8((char)mask), 0xf8);
}

/* Bits cross byte borders; the caller masks them. */
ALWAYS __m512i shift_right(__m512i x, int n)
{
	return n > 0 ? _mm512_srli_epi16(x, (unsigned)n) :
	       n < 0 ? _mm512_slli_epi16(x, (unsigned)-n) : x;
}

ALWAYS __m512i four_bits(const uint8_t *words, int g, unsigned v)
{
	return keep_bits(shift_right(load_word(words, (unsigned)g % 4, v), g / 4 * 4), 15);
}

ALWAYS __m512i look_up(enum cpu_format format, __m512i codes)
{
	static const uint8_t iq4[] = { CPU_IQ4_TABLE(128) }, mxfp4[] = { CPU_MXFP4_TABLE(128) };
	const void *table = format == CPU_MXFP4 ? mxfp4 : iq4;

	return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table)), codes);
}

/* The unsigned integers of group g. */
ALWAYS __m512i load_group(enum cpu_format format, const uint8_t *words, int g, unsigned v)
{
	__m512i two;

	switch (format) {
	case CPU_Q4_0:
	case CPU_Q4_1:
	case CPU_Q4_K:
		return four_bits(words, g, v);
	case CPU_Q5_0:
	case CPU_Q5_1:
	case CPU_Q5_K:
		return merge_bits(four_bits(words, g, v),
				  shift_right(load_word(words, 4, v), g - 4), 0x10);
	case CPU_Q6_K:
		two = load_word(words, 4 + (unsigned)g / 4, v);
		return merge_bits(four_bits(words, g, v), shift_right(two, g % 4 * 2 - 4), 0x30);
	case CPU_Q2_K:
	case CPU_Q3_K:
		two = keep_bits(shift_right(load_word(words, (unsigned)g / 4, v), g % 4 * 2), 3);
		if (format == CPU_Q2_K)
			return two;
		return merge_bits(two, shift_right(load_word(words, 2, v), g - 2), 4);
	case CPU_IQ4_NL:
	case CPU_IQ4_XS:
	case CPU_MXFP4:
		return look_up(format, four_bits(words, g, v));
	default:
		return load_word(words, (unsigned)g, v);
	}
}

/* Scales of a whole block. */
struct block_scales {
	__m512 d[2];
	__m512 m[2];		/* factor of the minima, times -1/8,
				 * because sum8 is -8 times the sums */
	const uint8_t *integers;	/* of super-blocks: see spread_scales() */
};

/* Scales of the inputs that share one. */
struct part_scales {
	__m512 s[2];
	__m512 m[2];
};

ALWAYS __m512 load_halves(const uint8_t *halves, unsigned v)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(halves + v * 32)));
}

/* 2^(e - 128), built from bits; subnormal for e = 0 and e = 1. */
ALWAYS __m512 power_of_two(__m512i e)
{
	__m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x200000), e);
	__m512i bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
	__mmask16 is_small = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));

	return _mm512_castsi512_ps(_mm512_mask_mov_epi32(bits, is_small, small));
}

enum { MAX_SCALES = 16 };	/* of a super-block and an output */

/* Joins the low four bits of each byte with bits 4 and 5 of another. */
ALWAYS __m512i six_bits(__m512i low, __m512i high)
{
	return merge_bits(keep_bits(low, 15), high, 0x30);
}

/* Returns the integer scales of a super-block, one per byte, [inputs that share one][output],
 * followed by its minima in the same order. Points to `bytes` if they are already stored like that,
 * else to `room`. */
ALWAYS const uint8_t *spread_scales(enum cpu_format format, const uint8_t *bytes, uint8_t *room)
{
	const int n = 4 * (int)cpu_n_parts(format);	/* vectors, each two scales of a panel */
	const __m512i *from = (const __m512i *)bytes;
	__m512i *s = (__m512i *)room, *m = s + n;

	if (format == CPU_Q6_K)
		return bytes;
#pragma GCC unroll 8
	for (int i = 0; i < n; i++) {
		__m512i low, high;

		switch (format) {
		case CPU_Q2_K:
			low = _mm512_loadu_si512(from + i);
			s[i] = keep_bits(low, 15);
			m[i] = keep_bits(shift_right(low, 4), 15);
			break;
		case CPU_Q3_K:
		case CPU_IQ4_XS:
			low = shift_right(_mm512_loadu_si512(from + i % (n / 2)), i / (n / 2) * 4);
			high = shift_right(_mm512_loadu_si512(from + n / 2 + i % (n / 4)),
					   i / (n / 4) * 2 - 4);
			s[i] = _mm512_sub_epi8(six_bits(low, high), _mm512_set1_epi8(32));
			break;
		default:
			low = _mm512_loadu_si512(from + i);
			high = _mm512_loadu_si512(from + 4 + i % 2);
			s[i] = six_bits(low, shift_right(high, i / 2 * 4 - 4));
			m[i] = six_bits(shift_right(low, 4), shift_right(high, i / 2 * 4 - 2));
		}
	}
	return room;
}

/* room [2 * MAX_SCALES][PANEL] must live as long as the result. */
ALWAYS struct block_scales load_block_scales(enum cpu_format format, const uint8_t *block,
					     uint8_t *room)
{
	struct block_scales scales = { .d = { _mm512_setzero_ps() } };

	for (unsigned v = 0; v < 2; v++) {
		if (format == CPU_MXFP4)
			scales.d[v] = power_of_two(_mm512_cvtepu8_epi32(
				_mm_loadu_si128((const __m128i *)(block + v * 16))));
		else if (format < CPU_BYTES_32)
			scales.d[v] = load_halves(block, v);
		if (cpu_has_min(format) && format < CPU_BYTES_32)
			scales.m[v] = _mm512_mul_ps(load_halves(block + PANEL * 2, v),
						    _mm512_set1_ps(cpu_is_super(format) ? 0.125f :
								   -0.125f));
	}
	if (cpu_is_super(format))
		scales.integers = spread_scales(format, block + cpu_n_halves(format) * PANEL * 2,
						room);
	return scales;
}

/* Integer scale i of outputs 16 v ..+15. */
ALWAYS __m512 load_scale(const uint8_t *integers, unsigned i, unsigned v, bool is_signed)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)(integers + i * PANEL + v * 16));

	return _mm512_cvtepi32_ps(is_signed ? _mm512_cvtepi8_epi32(bytes) :
					      _mm512_cvtepu8_epi32(bytes));
}

/* Loads the scales of part `part` of 32 inputs b of the block. */
ALWAYS struct part_scales load_scales(enum cpu_format format, const uint8_t *block,
				      const struct block_scales *whole, unsigned b, unsigned part)
{
	const bool is_signed = !cpu_has_min(format);
	const unsigned n_parts = cpu_n_parts(format), i = b * n_parts + part;
	struct part_scales scales = { .s = { whole->d[0], whole->d[1] },
				      .m = { whole->m[0], whole->m[1] } };

	if (format >= CPU_BYTES_32) {
		for (unsigned v = 0; v < 2; v++) {
			scales.s[v] = _mm512_loadu_ps(block + (part * PANEL + v * 16) * 4);
			if (cpu_has_min(format))
				scales.m[v] = _mm512_loadu_ps(block + ((n_parts + part) * PANEL +
								       v * 16) * 4);
		}
		return scales;
	}
	if (!cpu_is_super(format))
		return scales;
	for (unsigned v = 0; v < 2; v++) {
		scales.s[v] = _mm512_mul_ps(load_scale(whole->integers, i, v, is_signed),
					    whole->d[v]);
		if (cpu_has_min(format))
			scales.m[v] = _mm512_mul_ps(load_scale(whole->integers, i + 8 * n_parts, v,
							       false), whole->m[v]);
	}
	return scales;
}

ALWAYS __m512i broadcast(const void *four_bytes)
{
	int32_t x;

	memcpy(&x, four_bytes, sizeof x);
	return _mm512_set1_epi32(x);
}

/* offset times the sum of the activations, computed from -8 times that sum. */
ALWAYS __m512i start_of(enum cpu_format format, const int32_t *sum8)
{
	switch (cpu_offset(format)) {
	case 0:
		return _mm512_setzero_si512();
	case 4:
		return _mm512_srai_epi32(broadcast(sum8), 1);
	case 8:
		return broadcast(sum8);
	case 16:
		return _mm512_slli_epi32(broadcast(sum8), 1);
	case 32:
		return _mm512_slli_epi32(broadcast(sum8), 2);
	default:
		return _mm512_slli_epi32(broadcast(sum8), 4);
	}
}

/* The i-th group of a part. In formats of four bits, groups that share a word come one after the
 * other. */
ALWAYS unsigned group_at(enum cpu_format format, unsigned part, unsigned i)
{
	if (cpu_n_parts(format) > 1 || cpu_n_words(format) == 8)
		return part * 8 / cpu_n_parts(format) + i;
	return i % 2 * 4 + i / 2;
}

/* One part of 32 inputs; acc gains dot * 2^shift * s + sum * 2^shift * m. */
ALWAYS void multiply_part(enum cpu_format format, unsigned r, const uint8_t *words, unsigned part,
			  const struct part_scales *scales, const int32_t *tile,
			  __m512 acc[INT_ROWS][2])
{
	const unsigned n_groups = 8 / cpu_n_parts(format);
	const int32_t *sum8 = tile + (cpu_n_parts(format) == 1 ? 1 : 2 + part) * r;
	const int8_t *q = (const int8_t *)(tile + 4 * r);
	__m512i dot[INT_ROWS][2];

#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++)
		dot[row][0] = dot[row][1] = start_of(format, sum8 + row);
#pragma GCC unroll 8
	for (unsigned i = 0; i < n_groups; i++) {
		unsigned g = group_at(format, part, i);
		__m512i w0 = load_group(format, words, (int)g, 0);
		__m512i w1 = load_group(format, words, (int)g, 1);

#pragma GCC unroll 6
		for (unsigned row = 0; row < r; row++) {
			__m512i x = broadcast(q + (g * r + row) * 4);

			dot[row][0] = _mm512_dpbusd_epi32(dot[row][0], w0, x);
			dot[row][1] = _mm512_dpbusd_epi32(dot[row][1], w1, x);
		}
	}
#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		__m512i shift = broadcast(tile + row);
		__m512 d0 = _mm512_cvtepi32_ps(_mm512_sllv_epi32(dot[row][0], shift));
		__m512 d1 = _mm512_cvtepi32_ps(_mm512_sllv_epi32(dot[row][1], shift));

		acc[row][0] = _mm512_fmadd_ps(d0, scales->s[0], acc[row][0]);
		acc[row][1] = _mm512_fmadd_ps(d1, scales->s[1], acc[row][1]);
		if (cpu_has_min(format)) {
			__m512i total = _mm512_sllv_epi32(broadcast(sum8 + row), shift);
			__m512 x = _mm512_cvtepi32_ps(total);

			acc[row][0] = _mm512_fmadd_ps(x, scales->m[0], acc[row][0]);
			acc[row][1] = _mm512_fmadd_ps(x, scales->m[1], acc[row][1]);
		}
	}
}

/* Planes of bits are not read in address order, so hardware prefetchers lose track. Lines are
 * therefore prefetched in address order, one line ahead, and also after the head of a block.
 * Measured slower with one and two rows: prefetching further ahead and, for Q4_K and Q5_K,
 * prefetching a head before its scales are loaded. */
ALWAYS void prefetch_near(const uint8_t *weights, size_t n_bytes)
{
#pragma GCC unroll 16
	for (size_t at = 64; at <= n_bytes; at += 64)
		_mm_prefetch(weights + at, _MM_HINT_T0);
}

/* No prefetch for unpacked weights, which are in a cache, nor for whole bytes, which are read in
 * order. */
ALWAYS void prefetch(enum cpu_format format, unsigned r, const uint8_t *weights, size_t n_bytes)
{
	const bool is_bytes = cpu_n_words(format) == 8;

	if (format >= CPU_BYTES_32)
		return;
	if (r >= (is_bytes ? 6 : 3))
		prefetch_far(weights, n_bytes);
	else if (!is_bytes)
		prefetch_near(weights, n_bytes);
}

ALWAYS void gemm_int(enum cpu_format format, unsigned r, const uint8_t *weights,
		     const uint8_t *tile, size_t n_k, float *sum)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1;
	uint8_t room[2 * MAX_SCALES * PANEL] __attribute__((aligned(64)));
	__m512 acc[INT_ROWS][2];

#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		acc[row][0] = _mm512_loadu_ps(sum + row * PANEL);
		acc[row][1] = _mm512_loadu_ps(sum + row * PANEL + 16);
	}
	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const struct block_scales whole = load_block_scales(format, weights, room);
		const uint8_t *words = weights + cpu_head_bytes(format) * PANEL;

		prefetch(format, r, weights, cpu_head_bytes(format) * PANEL);
#pragma GCC unroll 1
		for (unsigned b = 0; b < n_sub; b++) {
			prefetch(format, r, words, cpu_n_words(format) * PANEL * 4);
#pragma GCC unroll 2
			for (unsigned part = 0; part < cpu_n_parts(format); part++) {
				struct part_scales scales = load_scales(format, weights, &whole, b,
									part);

				multiply_part(format, r, words, part, &scales,
					      (const int32_t *)tile, acc);
			}
			words += cpu_n_words(format) * PANEL * 4;
			tile += r * CPU_TILE_INT_BYTES;
		}
		weights = words;
	}
#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		_mm512_storeu_ps(sum + row * PANEL, acc[row][0]);
		_mm512_storeu_ps(sum + row * PANEL + 16, acc[row][1]);
	}
}

/* Unpacks into CPU_BYTES_*. Integers of formats without a minimum get an offset of 128. */
ALWAYS void unpack(enum cpu_format format, const uint8_t *weights, size_t n_k, uint8_t *to)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1, n_parts = cpu_n_parts(format);
	uint8_t room[2 * MAX_SCALES * PANEL] __attribute__((aligned(64)));
	const char more = (char)(cpu_has_min(format) ? 0 : 128 - cpu_offset(format));

	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const struct block_scales whole = load_block_scales(format, weights, room);
		const uint8_t *words = weights + cpu_head_bytes(format) * PANEL;

#pragma GCC unroll 1
		for (unsigned b = 0; b < n_sub; b++) {
			float *head = (float *)to;

			for (unsigned part = 0; part < n_parts; part++) {
				struct part_scales scales = load_scales(format, weights, &whole, b,
									part);

				for (unsigned v = 0; v < 2; v++) {
					float *at = head + part * PANEL + v * 16;

					_mm512_storeu_ps(at, scales.s[v]);
					if (cpu_has_min(format))
						_mm512_storeu_ps(at + n_parts * PANEL, scales.m[v]);
				}
			}
			to += n_parts * (cpu_has_min(format) ? 2 : 1) * PANEL * 4;
#pragma GCC unroll 8
			for (unsigned i = 0; i < 16; i++) {
				__m512i codes = load_group(format, words, (int)i / 2, i % 2);

				_mm512_storeu_si512(to + i * 64,
						    _mm512_add_epi8(codes, _mm512_set1_epi8(more)));
			}
			to += 16 * 64;
			words += cpu_n_words(format) * PANEL * 4;
		}
		weights = words;
	}
}

#endif
