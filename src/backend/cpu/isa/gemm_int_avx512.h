/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_AVX512_H
/*
 * gemm_int_avx512 - products with quantised weights by VNNI.
 *
 * vpdpbusd multiplies unsigned weights by signed activations, four inputs of sixteen outputs at a
 * time. What weights are too large by is taken back exactly: sums start from the activations' sum
 * times that. Per 32 inputs and 16 outputs there are eight vpdpbusd and one multiply-add by the
 * scale on the two ports that can multiply; shifting by the activations' power of two, conversion
 * and corrections go to the other two. That is why activations have powers of two and no scale
 * of their own for each block: it would be one more multiplication.
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

/* Bits cross into other bytes: the caller masks them. */
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

/* What belongs to a whole block: scales of all its inputs. */
struct block_scales {
	__m512 d[2];
	__m512 m[2];		/* by how much minima count, times -1/8 for -8 times the sums */
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

/* 2^(e - 128), by its bits: subnormal for e of 0 and 1. */
ALWAYS __m512 power_of_two(__m512i e)
{
	__m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x200000), e);
	__m512i bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
	__mmask16 is_small = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));

	return _mm512_castsi512_ps(_mm512_mask_mov_epi32(bits, is_small, small));
}

ALWAYS __m512i widen(__m256i bytes, unsigned v, bool is_signed)
{
	__m128i half = v ? _mm256_extracti128_si256(bytes, 1) : _mm256_castsi256_si128(bytes);

	return is_signed ? _mm512_cvtepi8_epi32(half) : _mm512_cvtepu8_epi32(half);
}

ALWAYS __m256i load_bytes(const uint8_t *bytes, unsigned i)
{
	return _mm256_loadu_si256((const __m256i *)(bytes + i * PANEL));
}

ALWAYS struct block_scales load_block_scales(enum cpu_format format, const uint8_t *block)
{
	struct block_scales scales = { .d = { _mm512_setzero_ps() } };

	for (unsigned v = 0; v < 2; v++) {
		if (format == CPU_MXFP4)
			scales.d[v] = power_of_two(widen(load_bytes(block, 0), v, false));
		else if (format < CPU_BYTES_32)
			scales.d[v] = load_halves(block, v);
		if (cpu_has_min(format) && format < CPU_BYTES_32)
			scales.m[v] = _mm512_mul_ps(load_halves(block + PANEL * 2, v),
						    _mm512_set1_ps(cpu_is_super(format) ? 0.125f :
								   -0.125f));
	}
	return scales;
}

/* Low and high nibbles of bytes, completed by two bits of another byte. */
ALWAYS __m256i six_bits(__m256i low, __m256i high)
{
	const __m256i four = _mm256_set1_epi8(15), two = _mm256_set1_epi8(0x30);

	return _mm256_ternarylogic_epi32(_mm256_and_si256(low, four), high, two, 0xf8);
}

ALWAYS __m256i shift_bytes(__m256i x, unsigned n)
{
	return _mm256_srl_epi16(x, _mm_cvtsi32_si128((int)n));
}

/* The integer scales and minima of 32 inputs b of a super-block, part 0 or 1 of them. */
ALWAYS void load_integer_scales(enum cpu_format format, const uint8_t *bytes, unsigned b,
				unsigned part, __m256i *s_out, __m256i *m_out)
{
	const __m256i four = _mm256_set1_epi8(15), bias = _mm256_set1_epi8(32);
	__m256i low, high;

	switch (format) {
	case CPU_Q2_K:
		low = load_bytes(bytes, b * 2 + part);
		*s_out = _mm256_and_si256(low, four);
		*m_out = _mm256_and_si256(_mm256_srli_epi16(low, 4), four);
		break;
	case CPU_Q3_K:
		low = shift_bytes(load_bytes(bytes, b), part * 4);
		high = shift_bytes(load_bytes(bytes, 8 + b / 2), b % 2 * 4 + part * 2);
		*s_out = _mm256_sub_epi8(six_bits(low, _mm256_slli_epi16(high, 4)), bias);
		break;
	case CPU_Q6_K:
		*s_out = load_bytes(bytes, b * 2 + part);
		break;
	case CPU_IQ4_XS:
		low = shift_bytes(load_bytes(bytes, b / 2), b % 2 * 4);
		high = shift_bytes(load_bytes(bytes, 4 + b / 4), b % 4 * 2);
		*s_out = _mm256_sub_epi8(six_bits(low, _mm256_slli_epi16(high, 4)), bias);
		break;
	default:
		low = load_bytes(bytes, b);
		high = shift_bytes(load_bytes(bytes, 8 + b % 4), b / 4 * 4);
		*s_out = six_bits(low, _mm256_slli_epi16(high, 4));
		*m_out = six_bits(_mm256_srli_epi16(low, 4), _mm256_slli_epi16(high, 2));
	}
}

/* Of part `part` of 32 inputs b of the block. */
ALWAYS struct part_scales load_scales(enum cpu_format format, const uint8_t *block,
				      const struct block_scales *whole, unsigned b, unsigned part)
{
	const bool is_signed = !cpu_has_min(format);
	const unsigned n_parts = cpu_n_parts(format);
	struct part_scales scales = { .s = { whole->d[0], whole->d[1] },
				      .m = { whole->m[0], whole->m[1] } };
	__m256i s, m = _mm256_setzero_si256();

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
	load_integer_scales(format, block + cpu_n_halves(format) * PANEL * 2, b, part, &s, &m);
	for (unsigned v = 0; v < 2; v++) {
		scales.s[v] = _mm512_mul_ps(_mm512_cvtepi32_ps(widen(s, v, is_signed)),
					    whole->d[v]);
		if (cpu_has_min(format))
			scales.m[v] = _mm512_mul_ps(_mm512_cvtepi32_ps(widen(m, v, false)),
						    whole->m[v]);
	}
	return scales;
}

ALWAYS __m512i broadcast(const void *four_bytes)
{
	int32_t x;

	memcpy(&x, four_bytes, sizeof x);
	return _mm512_set1_epi32(x);
}

/* offset times the sum of the activations, from -8 times it. */
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
		unsigned g = part * n_groups + i;
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

/* Groups are not read in the order of their addresses, which hardware prefetchers lose track of:
 * lines are asked for in that order, one ahead. Further ahead was slower for one row and two. */
ALWAYS void prefetch_near(const uint8_t *weights, size_t n_bytes)
{
#pragma GCC unroll 16
	for (size_t at = 64; at <= n_bytes; at += 64)
		_mm_prefetch(weights + at, _MM_HINT_T0);
}

/* What was unpacked is in a cache, and whole bytes are in order. */
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
	__m512 acc[INT_ROWS][2];

#pragma GCC unroll 6
	for (unsigned row = 0; row < r; row++) {
		acc[row][0] = _mm512_loadu_ps(sum + row * PANEL);
		acc[row][1] = _mm512_loadu_ps(sum + row * PANEL + 16);
	}
	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const struct block_scales whole = load_block_scales(format, weights);
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

/* Into CPU_BYTES_*: integers of formats without a minimum are made 128 too large. */
ALWAYS void unpack(enum cpu_format format, const uint8_t *weights, size_t n_k, uint8_t *to)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1, n_parts = cpu_n_parts(format);
	const char more = (char)(cpu_has_min(format) ? 0 : 128 - cpu_offset(format));

	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const struct block_scales whole = load_block_scales(format, weights);
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
