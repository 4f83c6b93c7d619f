/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_SCALAR_H
#define STAGECOACH_BACKEND_CPU_ISA_GEMM_INT_SCALAR_H
/*
 * gemm_int_scalar - products with quantised weights in plain C; include after a vec_*.h.
 */
#include "backend/cpu/kernels.h"

#include <string.h>

enum { INT_ROWS = 4, PANEL = 2 * LANES };

#define ALWAYS static inline __attribute__((always_inline))

static inline uint32_t word_of(const uint8_t *words, unsigned i, unsigned lane)
{
	uint32_t word;

	memcpy(&word, words + (i * PANEL + lane) * 4, sizeof word);
	return word;
}

#define ONES 0x01010101u

/* The integers of group g, one to a byte; of formats with tables, looked up. */
ALWAYS uint32_t load_group(enum cpu_format format, const uint8_t *words, unsigned g, unsigned lane)
{
	static const int8_t iq4[] = { CPU_IQ4_TABLE(0) }, mxfp4[] = { CPU_MXFP4_TABLE(0) };
	const int8_t *table = format == CPU_MXFP4 ? mxfp4 : iq4;
	unsigned n_words = cpu_n_words(format);
	uint32_t codes, found = 0;

	if (n_words == 8)
		return word_of(words, g, lane);
	if (n_words <= 3) {
		codes = word_of(words, g / 4, lane) >> g % 4 * 2 & ONES * 3;
		return n_words == 2 ? codes : codes | (word_of(words, 2, lane) >> g & ONES) << 2;
	}
	codes = word_of(words, g % 4, lane) >> g / 4 * 4 & ONES * 15;
	if (n_words == 5)
		return codes | (word_of(words, 4, lane) >> g & ONES) << 4;
	if (n_words == 6)
		return codes | (word_of(words, 4 + g / 4, lane) >> g % 4 * 2 & ONES * 3) << 4;
	if (format != CPU_IQ4_NL && format != CPU_IQ4_XS && format != CPU_MXFP4)
		return codes;
	for (unsigned i = 0; i < 32; i += 8)
		found |= (uint32_t)(uint8_t)table[codes >> i & 15] << i;
	return found;
}

/* Integers are signed bytes here where others make them unsigned. */
ALWAYS unsigned offset_of(enum cpu_format format)
{
	return cpu_offset(format) == 128 ? 0 : cpu_offset(format);
}

ALWAYS float half_at(const uint8_t *halves, unsigned lane)
{
	uint16_t some[LANES] = { 0 };

	memcpy(some, halves + lane * 2, 2);
	return vec_load_f16(some)[0];
}

ALWAYS float power_of_two(unsigned e)
{
	uint32_t bits = e < 2 ? 0x200000u << e : (e - 1) << 23;
	float power;

	memcpy(&power, &bits, sizeof power);
	return power;
}

/* Integer scale and minimum of part `part` of 32 inputs b of a super-block. */
ALWAYS void integer_scales(enum cpu_format format, const uint8_t *bytes, unsigned b, unsigned part,
			   int *s_out, int *m_out)
{
	unsigned low = bytes[b * PANEL], high;

	switch (format) {
	case CPU_Q2_K:
		*s_out = bytes[(b * 2 + part) * PANEL] & 15;
		*m_out = bytes[(b * 2 + part) * PANEL] >> 4;
		return;
	case CPU_Q3_K:
		high = bytes[(8 + b / 2) * PANEL];
		*s_out = (int)((low >> part * 4 & 15) | (high >> (b % 2 * 4 + part * 2) & 3) << 4) -
			 32;
		return;
	case CPU_Q6_K:
		*s_out = (int8_t)bytes[(b * 2 + part) * PANEL];
		return;
	case CPU_IQ4_XS:
		low = bytes[b / 2 * PANEL] >> b % 2 * 4 & 15;
		high = bytes[(4 + b / 4) * PANEL] >> b % 4 * 2 & 3;
		*s_out = (int)(low | high << 4) - 32;
		return;
	default:
		high = bytes[(8 + b % 4) * PANEL] >> b / 4 * 4;
		*s_out = (int)((low & 15) | (high & 3) << 4);
		*m_out = (int)(low >> 4 | (high >> 2 & 3) << 4);
	}
}

/* Scale, and minimum times -1/8 of how it counts, of one output. */
ALWAYS void load_scales(enum cpu_format format, const uint8_t *block, unsigned b, unsigned part,
			unsigned lane, float *s_out, float *m_out)
{
	int s = 1, m = 1;

	*m_out = 0;
	if (cpu_is_super(format))
		integer_scales(format, block + cpu_n_halves(format) * PANEL * 2 + lane, b, part, &s,
			       &m);
	*s_out = (float)s * (format == CPU_MXFP4 ? power_of_two(block[lane]) :
			     half_at(block, lane));
	if (cpu_has_min(format))
		*m_out = (float)m * (half_at(block + PANEL * 2, lane) *
				     (cpu_is_super(format) ? 0.125f : -0.125f));
}

ALWAYS int32_t dot_group(uint32_t codes, const int8_t *q, bool is_signed)
{
	int32_t dot = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint8_t code = (uint8_t)(codes >> i * 8);

		dot += (is_signed ? (int)(int8_t)code : (int)code) * q[i];
	}
	return dot;
}

ALWAYS void multiply_part(enum cpu_format format, unsigned r, const uint8_t *block,
			  const uint8_t *words, unsigned b, unsigned part, const int32_t *tile,
			  float *sum)
{
	const unsigned n_groups = 8 / cpu_n_parts(format);
	const int32_t *sum8 = tile + (cpu_n_parts(format) == 1 ? 1 : 2 + part) * r;
	const int8_t *q = (const int8_t *)(tile + 4 * r);

	for (unsigned lane = 0; lane < PANEL; lane++) {
		int32_t dot[INT_ROWS] = { 0 };
		float s, m;

		load_scales(format, block, b, part, lane, &s, &m);
		for (unsigned g = part * n_groups; g < (part + 1) * n_groups; g++) {
			uint32_t codes = load_group(format, words, g, lane);

			for (unsigned row = 0; row < r; row++)
				dot[row] += dot_group(codes, q + (g * r + row) * 4,
						      cpu_offset(format) == 128);
		}
		for (unsigned row = 0; row < r; row++) {
			int32_t total = sum8[row] / 8 * (int32_t)offset_of(format) + dot[row];
			float *to = sum + row * PANEL + lane;

			*to += (float)(total * (1 << tile[row])) * s;
			if (cpu_has_min(format))
				*to += (float)(sum8[row] * (1 << tile[row])) * m;
		}
	}
}

ALWAYS void gemm_int(enum cpu_format format, unsigned r, const uint8_t *weights,
		     const uint8_t *tile, size_t n_k, float *sum)
{
	const unsigned n_sub = cpu_is_super(format) ? 8 : 1;

	for (size_t k = 0; k < n_k; k += n_sub * CPU_QUANT_BLOCK) {
		const uint8_t *words = weights + cpu_head_bytes(format) * PANEL;

		for (unsigned b = 0; b < n_sub; b++) {
			for (unsigned part = 0; part < cpu_n_parts(format); part++)
				multiply_part(format, r, weights, words, b, part,
					      (const int32_t *)tile, sum);
			words += cpu_n_words(format) * PANEL * 4;
			tile += r * CPU_TILE_INT_BYTES;
		}
		weights = words;
	}
}

#endif
