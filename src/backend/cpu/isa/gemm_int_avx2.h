/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_AVX2_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_AVX2_H
/*
 * gemm_int_avx2 - products with quantised weights by vpmaddubsw and vpmaddwd.
 *
 * vpmaddubsw multiplies unsigned weights by signed activations (four inputs of eight outputs at a
 * time) and adds neighbours in 16 bits. Widening to 32 bits costs another multiplication, so sums
 * stay in 16 bits for as many groups of four inputs as fit without overflow. Such a series of
 * groups is a pass. The sum of n groups with integers up to m is at most 2 n m 127:
 *   m = 15, n = 8: 30480;  m = 31, n = 4: 31496;  m = 63, n = 2: 32004;  all below 32768.
 * Integers of eight bits are split into two planes of four bits. That doubles the products, but
 * costs less than multiplying |w| with the sign of w: then each group would have to be widened, and
 * vpsignb uses the multiplier's ports. vpmaddwd, which widens, also multiplies the upper plane by
 * 16. The offset of unsigned weights is subtracted exactly, by means of the activations' sums.
 *
 * Unpacked weights have their format + UNPACKED: float[panel] scales (and minima) of each part,
 * then a byte per input, [n_planes][8][panel][4].
 */
#include "backend/cpu/isa/prefetch.h"
#include "backend/cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

enum { INT_ROWS = 4, PANEL = 16, UNPACKED = 32 };

#define ALWAYS static inline __attribute__((always_inline))

ALWAYS enum cpu_format packed_format(unsigned kind)
{
	return (enum cpu_format)(kind % UNPACKED);
}

ALWAYS unsigned n_planes(enum cpu_format format)
{
	return format == CPU_Q8_0 || format == CPU_IQ4_NL || format == CPU_IQ4_XS ? 2 : 1;
}

/* Groups in a pass. */
ALWAYS unsigned pass_groups(enum cpu_format format)
{
	switch (format) {
	case CPU_Q6_K:
		return 2;
	case CPU_Q5_0:
	case CPU_Q5_1:
	case CPU_Q5_K:
	case CPU_MXFP4:
	case CPU_Q2_K:		/* parts of these two have four groups */
	case CPU_Q3_K:
		return 4;
	default:
		return 8;
	}
}

/* Word i of outputs 8 v ..+7. */
ALWAYS __m256i load_word(const uint8_t *words, unsigned i, unsigned v)
{
	return _mm256_loadu_si256((const __m256i *)(words + (i * PANEL + v * 8) * 4));
}

ALWAYS __m256i keep_bits(__m256i x, int mask)
{
	return _mm256_and_si256(x, _mm256_set1_epi8((char)mask));
}

/* a | (b & mask) */
ALWAYS __m256i merge_bits(__m256i a, __m256i b, int mask)
{
	return _mm256_or_si256(a, keep_bits(b, mask));
}

/* Bits cross byte borders; the caller masks them. */
ALWAYS __m256i shift_right(__m256i x, int n)
{
	return n > 0 ? _mm256_srli_epi16(x, n) : n < 0 ? _mm256_slli_epi16(x, -n) : x;
}

ALWAYS __m256i four_bits(const uint8_t *words, int g, unsigned v)
{
	return keep_bits(shift_right(load_word(words, (unsigned)g % 4, v), g / 4 * 4), 15);
}

#define LOW_NIBBLE(x) ((x) & 15)
#define HIGH_NIBBLE(x) ((x) >> 4)
#define EACH_OF_16(DO, t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15)	\
	DO(t0), DO(t1), DO(t2), DO(t3), DO(t4), DO(t5), DO(t6), DO(t7), DO(t8), DO(t9),		\
	DO(t10), DO(t11), DO(t12), DO(t13), DO(t14), DO(t15)
#define OF_TABLE(DO, ...) { EACH_OF_16(DO, __VA_ARGS__) }

ALWAYS __m256i look_up(enum cpu_format format, unsigned plane, __m256i codes)
{
	static const uint8_t mxfp4[] = { CPU_MXFP4_TABLE(12) };
	static const uint8_t iq4[2][16] = { OF_TABLE(LOW_NIBBLE, CPU_IQ4_TABLE(128)),
					    OF_TABLE(HIGH_NIBBLE, CPU_IQ4_TABLE(128)) };
	const void *table = format == CPU_MXFP4 ? mxfp4 : iq4[plane];

	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table)), codes);
}

/* The unsigned integers of group g, one plane. */
ALWAYS __m256i load_group(unsigned kind, const uint8_t *words, unsigned plane, int g, unsigned v)
{
	__m256i two;

	if (kind >= UNPACKED)
		return load_word(words, plane * 8 + (unsigned)g, v);
	switch (packed_format(kind)) {
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
		if (kind == CPU_Q2_K)
			return two;
		return merge_bits(two, shift_right(load_word(words, 2, v), g - 2), 4);
	case CPU_IQ4_NL:
	case CPU_IQ4_XS:
	case CPU_MXFP4:
		return look_up(packed_format(kind), plane, four_bits(words, g, v));
	case CPU_Q8_0:
		return keep_bits(shift_right(load_word(words, (unsigned)g, v), (int)plane * 4), 15);
	default:
		return four_bits(words, g, v);
	}
}

/* Scales of a whole block. */
struct block_scales {
	__m256 d[2];
	__m256 m[2];		/* factor of the minima, times -1/8,
				 * because sum8 is -8 times the sums */
};

/* Scales of the inputs that share one. */
struct part_scales {
	__m256 s[2];
	__m256 m[2];
};

/* 2^(e - 128), built from bits; subnormal for e = 0 and e = 1. */
ALWAYS __m256 power_of_two(__m256i e)
{
	__m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x200000), e);
	__m256i bits = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
	__m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);

	return _mm256_castsi256_ps(_mm256_blendv_epi8(bits, small, is_small));
}

ALWAYS __m128i load_bytes(const uint8_t *bytes, unsigned i)
{
	return _mm_loadu_si128((const __m128i *)(bytes + i * PANEL));
}

ALWAYS __m256i widen(__m128i bytes, unsigned v, bool is_signed)
{
	__m128i half = v ? _mm_srli_si128(bytes, 8) : bytes;

	return is_signed ? _mm256_cvtepi8_epi32(half) : _mm256_cvtepu8_epi32(half);
}

ALWAYS struct block_scales load_block_scales(enum cpu_format format, const uint8_t *block)
{
	const __m256 minus_eighth = _mm256_set1_ps(cpu_is_super(format) ? 0.125f : -0.125f);
	struct block_scales scales = { .d = { _mm256_setzero_ps() } };

	for (unsigned v = 0; v < 2; v++) {
		if (format == CPU_MXFP4)
			scales.d[v] = power_of_two(widen(load_bytes(block, 0), v, false));
		else
			scales.d[v] = _mm256_cvtph_ps(load_bytes(block, v));
		if (cpu_has_min(format))
			scales.m[v] = _mm256_mul_ps(_mm256_cvtph_ps(load_bytes(block, 2 + v)),
						    minus_eighth);
	}
	return scales;
}

/* Joins low nibbles of bytes with two bits of other bytes. */
ALWAYS __m128i six_bits(__m128i low, __m128i high)
{
	return _mm_or_si128(_mm_and_si128(low, _mm_set1_epi8(15)),
			    _mm_and_si128(high, _mm_set1_epi8(0x30)));
}

ALWAYS __m128i shift_bytes(__m128i x, unsigned n)
{
	return _mm_srl_epi16(x, _mm_cvtsi32_si128((int)n));
}

/* The integer scales and minima of 32 inputs b of a super-block, part 0 or 1 of them. */
ALWAYS void load_integer_scales(enum cpu_format format, const uint8_t *bytes, unsigned b,
				unsigned part, __m128i *s_out, __m128i *m_out)
{
	const unsigned i = b * cpu_n_parts(format) + part, n = 8 * cpu_n_parts(format);
	const __m128i four = _mm_set1_epi8(15), bias = _mm_set1_epi8(32);
	__m128i low, high;

	switch (format) {
	case CPU_Q2_K:
		low = load_bytes(bytes, i);
		*s_out = _mm_and_si128(low, four);
		*m_out = _mm_and_si128(_mm_srli_epi16(low, 4), four);
		break;
	case CPU_Q3_K:
	case CPU_IQ4_XS:
		low = shift_bytes(load_bytes(bytes, i % (n / 2)), i / (n / 2) * 4);
		high = shift_bytes(load_bytes(bytes, n / 2 + i % (n / 4)), i / (n / 4) * 2);
		*s_out = _mm_sub_epi8(six_bits(low, _mm_slli_epi16(high, 4)), bias);
		break;
	case CPU_Q6_K:
		*s_out = load_bytes(bytes, i);
		break;
	default:
		low = load_bytes(bytes, b);
		high = shift_bytes(load_bytes(bytes, 8 + b % 4), b / 4 * 4);
		*s_out = six_bits(low, _mm_slli_epi16(high, 4));
		*m_out = six_bits(_mm_srli_epi16(low, 4), _mm_slli_epi16(high, 2));
	}
}

/* Computes the scales of part `part` of 32 inputs b of the block. */
ALWAYS struct part_scales compute_scales(enum cpu_format format, const uint8_t *block,
					 const struct block_scales *whole, unsigned b,
					 unsigned part)
{
	const bool is_signed = !cpu_has_min(format);
	struct part_scales scales = { .s = { whole->d[0], whole->d[1] },
				      .m = { whole->m[0], whole->m[1] } };
	__m128i s, m = _mm_setzero_si128();

	if (!cpu_is_super(format))
		return scales;
	load_integer_scales(format, block + cpu_n_halves(format) * PANEL * 2, b, part, &s, &m);
	for (unsigned v = 0; v < 2; v++) {
		scales.s[v] = _mm256_mul_ps(_mm256_cvtepi32_ps(widen(s, v, is_signed)),
					    whole->d[v]);
		if (cpu_has_min(format))
			scales.m[v] = _mm256_mul_ps(_mm256_cvtepi32_ps(widen(m, v, false)),
						    whole->m[v]);
	}
	return scales;
}

ALWAYS struct part_scales load_scales(enum cpu_format format, const uint8_t *head, unsigned part)
{
	const float *s = (const float *)head + part * PANEL;
	const float *m = s + cpu_n_parts(format) * PANEL;
	struct part_scales scales = { .s = { _mm256_loadu_ps(s), _mm256_loadu_ps(s + 8) } };

	if (cpu_has_min(format)) {
		scales.m[0] = _mm256_loadu_ps(m);
		scales.m[1] = _mm256_loadu_ps(m + 8);
	}
	return scales;
}

ALWAYS unsigned unpacked_head_bytes(enum cpu_format format)
{
	return cpu_n_parts(format) * (cpu_has_min(format) ? 2 : 1) * PANEL * 4;
}

ALWAYS __m256i broadcast(const void *four_bytes)
{
	int32_t x;

	memcpy(&x, four_bytes, sizeof x);
	return _mm256_set1_epi32(x);
}

/* The offset of the integers times the sum of the activations, computed from -8 times that sum. */
ALWAYS __m256i start_of(enum cpu_format format, const int32_t *sum8)
{
	const __m256i eight = broadcast(sum8);

	if (format == CPU_MXFP4)
		return _mm256_add_epi32(eight, _mm256_srai_epi32(eight, 1));
	switch (cpu_offset(format)) {
	case 0:
		return _mm256_setzero_si256();
	case 4:
		return _mm256_srai_epi32(eight, 1);
	case 8:
		return eight;
	case 16:
		return _mm256_slli_epi32(eight, 1);
	case 32:
		return _mm256_slli_epi32(eight, 2);
	default:
		return _mm256_slli_epi32(eight, 4);
	}
}

/* sum + products in 16 bits. Written as an instruction, because compilers turn known sums into
 * trees that need more registers than there are. */
ALWAYS __m256i add_pairs(__m256i sum, __m256i products)
{
	__asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(products));
	return sum;
}

/* Adds the products of group g. The first group of a pass starts the sums. q[8][r][4] */
ALWAYS void multiply_group(unsigned kind, unsigned r, const uint8_t *words, unsigned plane,
			   unsigned g, bool is_first, const int8_t *q, __m256i pairs[INT_ROWS][2])
{
	__m256i w0 = load_group(kind, words, plane, (int)g, 0);
	__m256i w1 = load_group(kind, words, plane, (int)g, 1);

#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		__m256i x = broadcast(q + (g * r + row) * 4);
		__m256i p0 = _mm256_maddubs_epi16(w0, x);
		__m256i p1 = _mm256_maddubs_epi16(w1, x);

		pairs[row][0] = is_first ? p0 : add_pairs(pairs[row][0], p0);
		pairs[row][1] = is_first ? p1 : add_pairs(pairs[row][1], p1);
	}
}

/* Multiplies one pass of groups from g on. The widened sums are added to dot, or start it. */
ALWAYS void multiply_pass(unsigned kind, unsigned r, const uint8_t *words, unsigned plane,
			  unsigned g, bool is_first, const int8_t *q, __m256i dot[INT_ROWS][2])
{
	const unsigned end = g + pass_groups(packed_format(kind));
	const __m256i unit = _mm256_set1_epi16(plane ? 16 : 1);
	__m256i pairs[INT_ROWS][2];

	multiply_group(kind, r, words, plane, g++, true, q, pairs);
	if (kind >= UNPACKED) {
#pragma GCC unroll 1
		for (; g < end; g++)
			multiply_group(kind, r, words, plane, g, false, q, pairs);
	} else {
#pragma GCC unroll 8
		for (; g < end; g++)
			multiply_group(kind, r, words, plane, g, false, q, pairs);
	}
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++)
#pragma GCC unroll 2
		for (unsigned v = 0; v < 2; v++) {
			__m256i sum = _mm256_madd_epi16(pairs[row][v], unit);

			dot[row][v] = is_first ? sum : _mm256_add_epi32(dot[row][v], sum);
		}
}

/* acc gains dot * 2^shift * s + sum * 2^shift * m. */
ALWAYS void add_products(enum cpu_format format, unsigned r, const int32_t *shifts,
			 const int32_t *sum8, const struct part_scales *scales,
			 __m256i dot[INT_ROWS][2], __m256 acc[INT_ROWS][2])
{
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		__m256i shift = broadcast(shifts + row), start = start_of(format, sum8 + row);
		__m256 total = _mm256_cvtepi32_ps(_mm256_sllv_epi32(broadcast(sum8 + row), shift));

#pragma GCC unroll 2
		for (unsigned v = 0; v < 2; v++) {
			__m256i d = cpu_has_min(format) ? dot[row][v] :
				    _mm256_add_epi32(dot[row][v], start);
			__m256 x = _mm256_cvtepi32_ps(_mm256_sllv_epi32(d, shift));

			acc[row][v] = _mm256_fmadd_ps(x, scales->s[v], acc[row][v]);
			if (cpu_has_min(format))
				acc[row][v] = _mm256_fmadd_ps(total, scales->m[v], acc[row][v]);
		}
	}
}

/* Returns p, but hides it from the compiler until now. Otherwise compilers load data early that is
 * needed only at the end, and occupy registers that the sums need. */
ALWAYS const void *only_now(const void *p)
{
	__asm__ volatile("" : "+r"(p));
	return p;
}

/* A part of 32 inputs b of a block. */
ALWAYS void multiply_part(unsigned kind, unsigned r, const uint8_t *block,
			  const struct block_scales *whole, unsigned b, unsigned part,
			  const uint8_t *words, const int32_t *tile, __m256 acc[INT_ROWS][2])
{
	const enum cpu_format format = packed_format(kind);
	const unsigned n_groups = 8 / cpu_n_parts(format);
	struct part_scales scales;
	__m256i dot[INT_ROWS][2];

#pragma GCC unroll 2
	for (unsigned plane = 0; plane < n_planes(format); plane++)
#pragma GCC unroll 2
		for (unsigned i = 0; i < n_groups; i += pass_groups(format))
			multiply_pass(kind, r, words, plane, part * n_groups + i, !plane && !i,
				      only_now(tile + 4 * r), dot);
	tile = only_now(tile);
	block = only_now(block);
	scales = kind >= UNPACKED ? load_scales(format, block, part) :
		 compute_scales(format, block, whole, b, part);
	add_products(format, r, tile, tile + (cpu_n_parts(format) == 1 ? 1 : 2 + part) * r,
		     &scales, dot, acc);
}

ALWAYS void gemm_int(unsigned kind, unsigned r, const uint8_t *weights, const uint8_t *tile,
		     size_t n_k, float *sum)
{
	const enum cpu_format format = packed_format(kind);
	const bool is_unpacked = kind >= UNPACKED;
	const unsigned n_sub = cpu_is_super(format) && !is_unpacked ? 8 : 1;
	struct block_scales whole = { .d = { _mm256_setzero_ps() } };
	__m256 acc[INT_ROWS][2];

#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		acc[row][0] = _mm256_loadu_ps(sum + row * PANEL);
		acc[row][1] = _mm256_loadu_ps(sum + row * PANEL + 8);
	}
	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const uint8_t *words = weights + (is_unpacked ? unpacked_head_bytes(format) :
						  cpu_head_bytes(format) * PANEL);

		if (!is_unpacked) {
			whole = load_block_scales(format, weights);
			/* Even with one row, computing takes longer than reading. */
			prefetch_far(weights, cpu_head_bytes(format) * PANEL);
		}
#pragma GCC unroll 1
		for (unsigned b = 0; b < n_sub; b++) {
			if (!is_unpacked)
				prefetch_far(words, cpu_n_words(format) * PANEL * 4);
#pragma GCC unroll 2
			for (unsigned part = 0; part < cpu_n_parts(format); part++)
				multiply_part(kind, r, weights, &whole, b, part, words,
					      (const int32_t *)tile, acc);
			words += (is_unpacked ? 8 * n_planes(format) : cpu_n_words(format)) *
				 PANEL * 4;
			tile += r * CPU_TILE_INT_BYTES;
		}
		weights = words;
	}
#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		_mm256_storeu_ps(sum + row * PANEL, acc[row][0]);
		_mm256_storeu_ps(sum + row * PANEL + 8, acc[row][1]);
	}
}

/* 32 inputs of a block. */
ALWAYS void unpack_words(enum cpu_format format, const uint8_t *block,
			 const struct block_scales *whole, unsigned b, const uint8_t *words,
			 uint8_t *to)
{
	const unsigned n_parts = cpu_n_parts(format);
	float *head = (float *)to;

	for (unsigned part = 0; part < n_parts; part++) {
		struct part_scales scales = compute_scales(format, block, whole, b, part);

		for (unsigned v = 0; v < 2; v++) {
			float *at = head + part * PANEL + v * 8;

			_mm256_storeu_ps(at, scales.s[v]);
			if (cpu_has_min(format))
				_mm256_storeu_ps(at + n_parts * PANEL, scales.m[v]);
		}
	}
	to += unpacked_head_bytes(format);
#pragma GCC unroll 2
	for (unsigned plane = 0; plane < n_planes(format); plane++)
#pragma GCC unroll 8
		for (unsigned i = 0; i < 16; i++, to += 32)
			_mm256_storeu_si256((__m256i *)to, load_group(format, words, plane,
								      (int)i / 2, i % 2));
}

ALWAYS void unpack(enum cpu_format format, const uint8_t *weights, size_t n_k, uint8_t *to)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1;

	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const struct block_scales whole = load_block_scales(format, weights);
		const uint8_t *words = weights + cpu_head_bytes(format) * PANEL;

#pragma GCC unroll 1
		for (unsigned b = 0; b < n_sub; b++) {
			unpack_words(format, weights, &whole, b, words, to);
			words += cpu_n_words(format) * PANEL * 4;
			to += unpacked_head_bytes(format) + 8 * n_planes(format) * PANEL * 4;
		}
		weights = words;
	}
}

#endif
