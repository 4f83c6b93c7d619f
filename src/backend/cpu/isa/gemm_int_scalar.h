/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_SCALAR_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_SCALAR_H
/*
 * gemm_int_scalar - products with quantised weights in the compiler's portable vectors; include
 * after vec_scalar.h.
 *
 * Weights are always unpacked first: a stripe of a panel for many rows, a block at a time for few
 * rows. The unpacked form of 32 inputs is: float[panel] scales of each part, as many minima, then
 * signed 16-bit integers. For each group of four inputs and each half of the panel there is a
 * vector of the even inputs and one of the odd inputs. Products of two inputs are added in 16 bits,
 * over as many groups as fit: n groups of magnitudes up to m sum to at most 2 n m 127, below 32768
 * for n = 8, m = 16; n = 4, m = 32; n = 1, m = 128.
 *
 * Formats with the same unpacked form share one: that of CPU_Q4_0, CPU_Q8_0, CPU_Q5_1, CPU_Q6_K or
 * CPU_Q2_K.
 */
#include "backend/cpu/kernels.h"

#include <string.h>

enum { INT_ROWS = 4, PANEL = 2 * LANES };

#define ALWAYS static inline __attribute__((always_inline))

typedef uint32_t vec_uint __attribute__((vector_size(16)));
typedef int16_t vec_short __attribute__((vector_size(16)));
typedef uint16_t vec_ushort __attribute__((vector_size(16)));

/* Word i of outputs LANES v ..+3. */
ALWAYS vec_uint load_word(const uint8_t *words, unsigned i, unsigned v)
{
	vec_uint word;

	memcpy(&word, words + (i * PANEL + v * LANES) * 4, sizeof word);
	return word;
}

#define ONES 0x01010101u

/* The bits of group g, one integer to a byte. */
ALWAYS vec_uint load_codes(enum cpu_format format, const uint8_t *words, unsigned g, unsigned v)
{
	unsigned n_words = cpu_n_words(format);
	vec_uint codes;

	if (n_words == 8)
		return load_word(words, g, v);
	if (n_words <= 3) {
		codes = load_word(words, g / 4, v) >> g % 4 * 2 & ONES * 3;
		return n_words == 2 ? codes : codes | (load_word(words, 2, v) >> g & ONES) << 2;
	}
	codes = load_word(words, g % 4, v) >> g / 4 * 4 & ONES * 15;
	if (n_words == 5)
		return codes | (load_word(words, 4, v) >> g & ONES) << 4;
	if (n_words == 6)
		return codes | (load_word(words, 4 + g / 4, v) >> g % 4 * 2 & ONES * 3) << 4;
	return codes;
}

/* The even and odd bytes of pairs, with their signs. */
ALWAYS vec_short even_of(vec_uint bytes) { return (vec_short)((vec_ushort)bytes << 8) >> 8; }
ALWAYS vec_short odd_of(vec_uint bytes) { return (vec_short)bytes >> 8; }

/* Group g of an output, looked up: its even inputs at to[0], its odd ones at to[8]. */
ALWAYS void unpack_table(enum cpu_format format, const uint8_t *words, unsigned g, unsigned out,
			 int16_t *to)
{
	static const int16_t iq4[] = { CPU_IQ4_TABLE(0) }, mxfp4[] = { CPU_MXFP4_TABLE(0) };
	const int16_t *table = format == CPU_MXFP4 ? mxfp4 : iq4;
	uint32_t codes;

	memcpy(&codes, words + (g % 4 * PANEL + out) * 4, sizeof codes);
	codes >>= g / 4 * 4;
	to[0] = table[codes & 15];
	to[8] = table[codes >> 8 & 15];
	to[1] = table[codes >> 16 & 15];
	to[9] = table[codes >> 24 & 15];
}

ALWAYS void unpack_integers(enum cpu_format format, const uint8_t *words, unsigned g, unsigned v,
			    int16_t *to)
{
	const bool is_offset = format != CPU_Q8_0 && !cpu_has_min(format);
	const int16_t offset = is_offset ? (int16_t)cpu_offset(format) : 0;
	vec_uint codes = load_codes(format, words, g, v);
	vec_short even = even_of(codes) - offset, odd = odd_of(codes) - offset;

	memcpy(to, &even, sizeof even);
	memcpy(to + 8, &odd, sizeof odd);
}

/* Integers without their offset; formats with a minimum have none. */
ALWAYS void unpack_group(enum cpu_format format, const uint8_t *words, unsigned g, int16_t *to)
{
	for (unsigned v = 0; v < 2; v++, to += 16) {
		if (format == CPU_IQ4_NL || format == CPU_IQ4_XS || format == CPU_MXFP4)
			for (unsigned i = 0; i < LANES; i++)
				unpack_table(format, words, g, v * LANES + i, to + i * 2);
		else
			unpack_integers(format, words, g, v, to);
	}
}

/* Loads one byte of each of LANES outputs. */
ALWAYS vec_int load_bytes(const uint8_t *bytes)
{
	uint8_t four __attribute__((vector_size(4)));

	memcpy(&four, bytes, sizeof four);
	return __builtin_convertvector(four, vec_int);
}

/* 2^(e - 128), built from bits; subnormal for e = 0 and e = 1. */
ALWAYS vec power_of_two(vec_int e)
{
	vec_int small = 0x200000 + (0x200000 & -(e & 1));

	return vec_select(e < 2, (vec)small, (vec)((e - 1) << 23));
}

/* Integer scale and minimum of part `part` of 32 inputs b of a super-block. */
ALWAYS vec_int integer_scale(enum cpu_format format, const uint8_t *bytes, unsigned b,
			     unsigned part, vec_int *m_out)
{
	const unsigned i = b * cpu_n_parts(format) + part, n = 8 * cpu_n_parts(format);
	vec_int low, high;

	switch (format) {
	case CPU_Q2_K:
		low = load_bytes(bytes + i * PANEL);
		*m_out = low >> 4;
		return low & 15;
	case CPU_Q3_K:
	case CPU_IQ4_XS:
		low = load_bytes(bytes + i % (n / 2) * PANEL) >> (int)(i / (n / 2) * 4);
		high = load_bytes(bytes + (n / 2 + i % (n / 4)) * PANEL) >> (int)(i / (n / 4) * 2);
		return ((low & 15) | (high & 3) << 4) - 32;
	case CPU_Q6_K:
		return (load_bytes(bytes + i * PANEL) ^ 128) - 128;
	default:
		low = load_bytes(bytes + b * PANEL);
		high = load_bytes(bytes + (8 + b % 4) * PANEL) >> (int)(b / 4 * 4);
		*m_out = low >> 4 | (high >> 2 & 3) << 4;
		return (low & 15) | (high & 3) << 4;
	}
}

/* Unpacks the scales, and the minima times -1/8 of their factor, of LANES outputs from `lane`
 * on. */
ALWAYS void unpack_scales(enum cpu_format format, const uint8_t *block, unsigned b, unsigned part,
			  unsigned lane, float *to)
{
	const uint8_t *bytes = block + cpu_n_halves(format) * PANEL * 2 + lane;
	vec_int one = { 1, 1, 1, 1 }, s = one, m = one;
	uint16_t halves[2][LANES] = { { 0 } };

	memcpy(halves[0], block + lane * 2, sizeof *halves);
	if (cpu_has_min(format))
		memcpy(halves[1], block + (PANEL + lane) * 2, sizeof *halves);
	if (cpu_is_super(format))
		s = integer_scale(format, bytes, b, part, &m);
	to += part * PANEL + lane;
	vec_store(to, __builtin_convertvector(s, vec) *
		  (format == CPU_MXFP4 ? power_of_two(load_bytes(block + lane)) :
		   vec_load_f16(halves[0])));
	if (cpu_has_min(format))
		vec_store(to + cpu_n_parts(format) * PANEL, __builtin_convertvector(m, vec) *
			  (vec_load_f16(halves[1]) * (cpu_is_super(format) ? 0.125f : -0.125f)));
}

ALWAYS size_t unpacked_head_bytes(enum cpu_format format)
{
	return cpu_n_parts(format) * (cpu_has_min(format) ? 2 : 1) * PANEL * sizeof(float);
}

ALWAYS void unpack(enum cpu_format format, const uint8_t *weights, size_t n_k, uint8_t *to)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1;

	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const uint8_t *words = weights + cpu_head_bytes(format) * PANEL;

		for (unsigned b = 0; b < n_sub; b++) {
			for (unsigned i = 0; i < 2 * cpu_n_parts(format); i++)
				unpack_scales(format, weights, b, i / 2, i % 2 * LANES,
					      (float *)to);
			to += unpacked_head_bytes(format);
#pragma GCC unroll 8
			for (unsigned g = 0; g < 8; g++, to += PANEL * 8)
				unpack_group(format, words, g, (int16_t *)to);
			words += cpu_n_words(format) * PANEL * 4;
		}
		weights = words;
	}
}

/* Adds neighbours in 32 bits: one sum per output. */
ALWAYS vec_int widen(vec_short pairs)
{
	vec_int both = (vec_int)pairs;

	return (both >> 16) + ((vec_int)((vec_uint)both << 16) >> 16);
}

ALWAYS unsigned pass_groups(enum cpu_format form)
{
	return form == CPU_Q4_0 ? 8 : form == CPU_Q8_0 ? 1 : 4;
}

ALWAYS vec_short load_shorts(const uint8_t *words, unsigned i)
{
	vec_short w;

	memcpy(&w, words + i * sizeof w, sizeof w);
	return w;
}

/* One group's products. */
ALWAYS void multiply_group(unsigned r, const uint8_t *words, const int8_t *q,
			   vec_short pairs[INT_ROWS][2])
{
	const vec_short w0 = load_shorts(words, 0), w1 = load_shorts(words, 1);
	const vec_short w2 = load_shorts(words, 2), w3 = load_shorts(words, 3);

#pragma GCC unroll 4
	for (unsigned row = 0; row < r; row++) {
		uint32_t four;
		vec_uint x;

		memcpy(&four, q + row * 4, sizeof four);
		x = (vec_uint){ four, four, four, four };
		pairs[row][0] += w0 * even_of(x) + w1 * odd_of(x);
		pairs[row][1] += w2 * even_of(x) + w3 * odd_of(x);
	}
}

/* sum[r][panel] gains dot * 2^shift * s + sum * 2^shift * m. */
ALWAYS void add_products(enum cpu_format form, unsigned r, const int32_t *shifts,
			 const int32_t *sum8, const float *scales, vec_int dot[INT_ROWS][2],
			 float *sum)
{
	for (unsigned row = 0; row < r; row++)
		for (unsigned v = 0; v < 2; v++) {
			float *to = sum + row * PANEL + v * LANES;
			const float *s = scales + v * LANES;
			vec x = __builtin_convertvector(dot[row][v] * (1 << shifts[row]), vec);
			vec y = vec_load(to) + x * vec_load(s);

			if (cpu_has_min(form))
				y += vec_set1((float)(sum8[row] * (1 << shifts[row]))) *
				     vec_load(s + cpu_n_parts(form) * PANEL);
			vec_store(to, y);
		}
}

/* Multiplies unpacked weights. */
ALWAYS void multiply(enum cpu_format form, unsigned r, const uint8_t *weights, const uint8_t *tile,
		     size_t n_k, float *sum)
{
	const unsigned n_parts = cpu_n_parts(form), n_passes = 8 / n_parts / pass_groups(form);

	for (size_t k = 0; k < n_k; k += CPU_QUANT_BLOCK, tile += r * CPU_TILE_INT_BYTES) {
		const int32_t *head = (const int32_t *)tile;
		const int8_t *q = (const int8_t *)(head + 4 * r);
		const float *scales = (const float *)weights;

		weights += unpacked_head_bytes(form);
#pragma GCC unroll 1
		for (unsigned part = 0; part < n_parts; part++) {
			vec_int dot[INT_ROWS][2] = { { { 0 } } };

#pragma GCC unroll 1
			for (unsigned pass = 0; pass < n_passes; pass++) {
				vec_short pairs[INT_ROWS][2] = { { { 0 } } };

#pragma GCC unroll 1
				for (unsigned i = 0; i < pass_groups(form); i++) {
					multiply_group(r, weights, q, pairs);
					weights += PANEL * 8;
					q += 4 * r;
				}
#pragma GCC unroll 4
				for (unsigned row = 0; row < r; row++) {
					dot[row][0] += widen(pairs[row][0]);
					dot[row][1] += widen(pairs[row][1]);
				}
			}
			add_products(form, r, head, head + (n_parts == 1 ? 1 : 2 + part) * r,
				     scales + part * PANEL, dot, sum);
		}
	}
}

/* Multiplies packed weights. */
static inline void multiply_packed(enum cpu_format format, cpu_unpack_fn *unpack_block,
				   cpu_gemm_fn *gemm, unsigned r, const uint8_t *weights,
				   const uint8_t *tile, size_t n_k, float *sum)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1;
	_Alignas(16) uint8_t unpacked[8 * (4 * sizeof(float) + 2 * CPU_QUANT_BLOCK) * PANEL];

	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		unpack_block(weights, n_sub * CPU_QUANT_BLOCK, unpacked);
		gemm(unpacked, tile, n_sub * CPU_QUANT_BLOCK, sum);
		weights += (cpu_head_bytes(format) + n_sub * cpu_n_words(format) * 4) * PANEL;
		tile += n_sub * r * CPU_TILE_INT_BYTES;
	}
}

#endif
