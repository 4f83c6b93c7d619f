/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/relayout.h"

#include "model/float16.h"
#include "base/bytes.h"

#include <string.h>

enum { PIECE_BYTES = 256 };	/* more than any block has */

static const uint32_t ones = 0x01010101;

static const struct cpu_stored_format stored_formats[CPU_N_FORMATS] = {
	[CPU_F32] = { TENSOR_F32, 1, 4 },
	[CPU_F16] = { TENSOR_F16, 1, 2 },
	[CPU_BF16] = { TENSOR_BF16, 1, 2 },
	[CPU_Q8_0] = { TENSOR_Q8_0, 32, 34 },
	[CPU_Q4_0] = { TENSOR_Q4_0, 32, 18 },
	[CPU_Q4_1] = { TENSOR_Q4_1, 32, 20 },
	[CPU_Q5_0] = { TENSOR_Q5_0, 32, 22 },
	[CPU_Q5_1] = { TENSOR_Q5_1, 32, 24 },
	[CPU_IQ4_NL] = { TENSOR_IQ4_NL, 32, 18 },
	[CPU_MXFP4] = { TENSOR_MXFP4, 32, 17 },
	[CPU_Q2_K] = { TENSOR_Q2_K, 256, 84 },
	[CPU_Q3_K] = { TENSOR_Q3_K, 256, 110 },
	[CPU_Q4_K] = { TENSOR_Q4_K, 256, 144 },
	[CPU_Q5_K] = { TENSOR_Q5_K, 256, 176 },
	[CPU_Q6_K] = { TENSOR_Q6_K, 256, 210 },
	[CPU_IQ4_XS] = { TENSOR_IQ4_XS, 256, 136 },
};

const struct cpu_stored_format *cpu_stored_format(enum tensor_type type,
						  enum cpu_format *format_out)
{
	for (unsigned i = 0; i < CPU_N_FORMATS; i++) {
		if (stored_formats[i].type != type)
			continue;
		*format_out = (enum cpu_format)i;
		return &stored_formats[i];
	}
	return NULL;
}

size_t cpu_panel_bytes(enum cpu_format format, size_t n_in, unsigned panel)
{
	const struct cpu_stored_format *f = &stored_formats[format];

	if (format == CPU_BF16)
		n_in += n_in % 2;
	return n_in / f->block_length * f->block_bytes * panel;
}

/* A piece is a block, or a fixed number of inputs for types without blocks. */
static size_t piece_length(enum cpu_format format)
{
	size_t length = stored_formats[format].block_length;

	return length > 1 ? length : 32;
}

/* Packs the edges, where rows are missing or less than a piece is left, through zero-padded
 * copies. */
static void pack_piece(const struct cpu_kernels *kernels, enum cpu_format format, size_t n_in,
		       const uint8_t *rows, size_t stride, size_t n_rows, uint8_t *to)
{
	const struct cpu_stored_format *f = &stored_formats[format];
	uint8_t stored[CPU_MAX_PANEL * PIECE_BYTES] = { 0 }, panel[CPU_MAX_PANEL * PIECE_BYTES];

	for (size_t i = 0; i < n_rows; i++)
		memcpy(stored + i * PIECE_BYTES, rows + i * stride,
		       n_in / f->block_length * f->block_bytes);
	kernels->pack(format, stored, PIECE_BYTES, piece_length(format), panel);
	memcpy(to, panel, cpu_panel_bytes(format, n_in, kernels->panel));
}

/* Reads the rows into the L1 and L2 caches in address order, because rows are more streams than a
 * processor can prefetch. */
static void read_through(const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += 64)
		(void)*(const volatile uint8_t *)(bytes + i);
}

void cpu_pack_panel(const struct cpu_kernels *kernels, enum cpu_format format, size_t n_in,
		    const uint8_t *stored, size_t first, size_t n_outputs, uint8_t *to)
{
	const struct cpu_stored_format *f = &stored_formats[format];
	size_t row_bytes = n_in / f->block_length * f->block_bytes;
	size_t piece = piece_length(format);
	size_t n_whole = n_outputs == kernels->panel ? n_in - n_in % piece : 0;
	const uint8_t *rows = stored + first * row_bytes;

	read_through(rows, n_outputs * row_bytes);
	kernels->pack(format, rows, row_bytes, n_whole, to);
	for (size_t k = n_whole; k < n_in; k += piece)
		pack_piece(kernels, format, n_in - k < piece ? n_in - k : piece,
			   rows + k / f->block_length * f->block_bytes, row_bytes, n_outputs,
			   to + cpu_panel_bytes(format, k, kernels->panel));
}

/*
 * The way back from a panel: the integers of 32 inputs, their scales, the values.
 */

static uint32_t panel_word(const uint8_t *words, unsigned i, unsigned panel, unsigned lane)
{
	return load_le32(words + ((size_t)i * panel + lane) * 4);
}

/* The four integers of a group, one to a byte, as they are stored. */
static uint32_t codes_of_group(enum cpu_format format, const uint8_t *words, unsigned g,
			       unsigned panel, unsigned lane)
{
	unsigned n_words = cpu_n_words(format);
	uint32_t codes, more;

	if (n_words == 8)
		return panel_word(words, g, panel, lane);
	if (n_words <= 3) {
		codes = panel_word(words, g / 4, panel, lane) >> g % 4 * 2 & ones * 3;
		if (n_words == 2)
			return codes;
		return codes | (panel_word(words, 2, panel, lane) >> g & ones) << 2;
	}
	codes = panel_word(words, g % 4, panel, lane) >> g / 4 * 4 & ones * 15;
	if (n_words == 4)
		return codes;
	if (n_words == 5)
		return codes | (panel_word(words, 4, panel, lane) >> g & ones) << 4;
	more = panel_word(words, 4 + g / 4, panel, lane) >> g % 4 * 2 & ones * 3;
	return codes | more << 4;
}

/* The values of 32 integers before scaling. */
static void values_of_codes(enum cpu_format format, uint8_t byte_flip, const uint8_t *codes,
			    float *values)
{
	static const int8_t iq4[] = { CPU_IQ4_TABLE(0) }, mxfp4[] = { CPU_MXFP4_TABLE(0) };
	const int8_t *table = format == CPU_MXFP4 ? mxfp4 : iq4;
	int offset = (int)cpu_offset(format);

	switch (format) {
	case CPU_Q8_0:
		for (unsigned i = 0; i < CPU_QUANT_BLOCK; i++)
			values[i] = (int8_t)(codes[i] ^ byte_flip);
		break;
	case CPU_IQ4_NL:
	case CPU_IQ4_XS:
	case CPU_MXFP4:
		for (unsigned i = 0; i < CPU_QUANT_BLOCK; i++)
			values[i] = table[codes[i]];
		break;
	default:
		for (unsigned i = 0; i < CPU_QUANT_BLOCK; i++)
			values[i] = (float)(codes[i] - offset);
	}
}

/* Integer scale and minimum of part `part` of 32 inputs b. */
static void integer_scales(enum cpu_format format, const uint8_t *bytes, unsigned panel, unsigned b,
			   unsigned part, int *s_out, int *m_out)
{
	const unsigned i = b * cpu_n_parts(format) + part, n = 8 * cpu_n_parts(format);
	unsigned low, high;

	switch (format) {
	case CPU_Q2_K:
		low = bytes[i * panel];
		*s_out = (int)(low & 15);
		*m_out = (int)(low >> 4);
		return;
	case CPU_Q3_K:
	case CPU_IQ4_XS:
		low = bytes[i % (n / 2) * panel] >> i / (n / 2) * 4 & 15;
		high = bytes[(n / 2 + i % (n / 4)) * panel] >> i / (n / 4) * 2 & 3;
		*s_out = (int)(low | high << 4) - 32;
		return;
	case CPU_Q6_K:
		*s_out = (int8_t)bytes[i * panel];
		return;
	default:
		low = bytes[b * panel];
		high = bytes[(8 + b % 4) * panel] >> b / 4 * 4;
		*s_out = (int)((low & 15) | (high & 3) << 4);
		*m_out = (int)(low >> 4 | (high >> 2 & 3) << 4);
	}
}

static float power_of_two(unsigned e)
{
	uint32_t bits = e < 2 ? 0x200000u << e : (e - 1) << 23;
	float power;

	memcpy(&power, &bits, sizeof power);
	return power;
}

/* Unpacks 32 inputs b of a block. head and words point to the panel's first lane. */
static void unpack_32(const struct cpu_kernels *kernels, enum cpu_format format,
		      const uint8_t *head, const uint8_t *words, unsigned lane, unsigned b,
		      float *out)
{
	unsigned panel = kernels->panel, n_parts = cpu_n_parts(format);
	const uint8_t *bytes = head + cpu_n_halves(format) * panel * 2 + lane;
	float d = format == CPU_MXFP4 ? power_of_two(*bytes) :
		  f16_to_f32(load_le16(head + lane * 2));
	uint8_t codes[CPU_QUANT_BLOCK];
	float values[CPU_QUANT_BLOCK];

	for (unsigned g = 0; g < CPU_QUANT_BLOCK / 4; g++)
		store_le32(codes + 4 * g, codes_of_group(format, words, g, panel, lane));
	values_of_codes(format, kernels->byte_flip, codes, values);
	for (unsigned part = 0; part < n_parts; part++) {
		unsigned n = CPU_QUANT_BLOCK / n_parts;
		float least = 0, scale;
		int s = 1, m = 1;

		if (cpu_is_super(format))
			integer_scales(format, bytes, panel, b, part, &s, &m);
		if (cpu_has_min(format))
			least = f16_to_f32(load_le16(head + (panel + lane) * 2)) *
				(float)(cpu_is_super(format) ? -m : m);
		scale = d * (float)s;
		for (unsigned i = part * n; i < (part + 1) * n; i++)
			out[i] = scale * values[i] + least;
	}
}

static void plain_row(enum cpu_format format, size_t n_in, const uint8_t *panel, unsigned width,
		      unsigned lane, float *out)
{
	for (size_t k = 0; k < n_in; k++) {
		size_t at = k * width + lane;

		if (format == CPU_F32)
			out[k] = load_lef32(panel + at * 4);
		else if (format == CPU_F16)
			out[k] = f16_to_f32(load_le16(panel + at * 2));
		else
			out[k] = bf16_to_f32(load_le16(panel + (k / 2 * width + lane) * 4 +
							   k % 2 * 2));
	}
}

void cpu_panel_row(const struct cpu_kernels *kernels, enum cpu_format format, size_t n_in,
		   const uint8_t *panel, unsigned lane, float *out)
{
	unsigned n_sub = cpu_is_super(format) ? 8 : 1, width = kernels->panel;

	if (cpu_tile_kind(format) != CPU_TILE_INT) {
		plain_row(format, n_in, panel, width, lane, out);
		return;
	}
	for (size_t k = 0; k < n_in; k += n_sub * CPU_QUANT_BLOCK) {
		const uint8_t *words = panel + cpu_head_bytes(format) * width;

		for (unsigned b = 0; b < n_sub; b++, words += cpu_n_words(format) * width * 4)
			unpack_32(kernels, format, panel, words, lane, b,
				  out + k + b * CPU_QUANT_BLOCK);
		panel = words;
	}
}
