/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/relayout.h"

#include "backend/cpu/half.h"
#include "base/bytes.h"

#include <string.h>

/* One output's block: its parts as formats.h orders them. */
struct block {
	uint16_t halves[2];
	uint8_t bytes[16];
	uint32_t words[48];
};

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

/*
 * Stored blocks into regrouped ones. Words hold four inputs each; `ones` picks a bit of each.
 */

static const uint32_t ones = 0x01010101;

/* Four bits, one to a byte. */
static uint32_t spread(uint32_t bits)
{
	return ((bits & 15) * 0x00204081) & ones;
}

static void load_words(const uint8_t *from, unsigned n, uint32_t *words)
{
	for (unsigned i = 0; i < n; i++)
		words[i] = load_le32(from + 4 * i);
}

static void load_halves(const uint8_t *from, unsigned n, uint16_t *halves)
{
	for (unsigned i = 0; i < n; i++)
		halves[i] = load_le16(from + 2 * i);
}

/* Eight words of nibbles, those at `shift` of each byte, into four. */
static void join_nibbles(const uint32_t *from, unsigned shift, uint32_t *words)
{
	for (unsigned g = 0; g < 4; g++)
		words[g] = (from[g] >> shift & ones * 15) |
			   (from[g + 4] >> shift & ones * 15) << 4;
}

/* Bit `bit` of the bytes of eight words into one word. */
static uint32_t join_bits(const uint32_t *from, unsigned bit)
{
	uint32_t word = 0;

	for (unsigned g = 0; g < 8; g++)
		word |= (from[g] >> bit & ones) << g;
	return word;
}

/* Two bits at `shift` of the bytes of eight words into two words. */
static void join_pairs(const uint32_t *from, unsigned shift, uint32_t *words)
{
	words[0] = words[1] = 0;
	for (unsigned g = 0; g < 8; g++)
		words[g / 4] |= (from[g] >> shift & ones * 3) << g % 4 * 2;
}

/* Q5_0 and Q5_1: bit i is input i's. */
static uint32_t fifth_bits(uint32_t bits)
{
	uint32_t word = 0;

	for (unsigned g = 0; g < 8; g++)
		word |= spread(bits >> 4 * g) << g;
	return word;
}

/* The 6-bit scale and minimum of 32 inputs, from the twelve bytes of Q4_K and Q5_K. */
static void regroup_scales_k4(const uint8_t *from, uint8_t *bytes)
{
	for (unsigned b = 0; b < 8; b++) {
		unsigned s = from[b] & 63, m = from[b + 4] & 63;

		if (b >= 4) {
			s = (from[b + 4] & 15u) | (unsigned)from[b - 4] >> 6 << 4;
			m = (unsigned)from[b + 4] >> 4 | (unsigned)from[b] >> 6 << 4;
		}
		bytes[b] = (uint8_t)((s & 15) | (m & 15) << 4);
		if (b < 4)
			bytes[8 + b] = (uint8_t)(s >> 4 | m >> 4 << 2);
		else
			bytes[4 + b] |= (uint8_t)((s >> 4 | m >> 4 << 2) << 4);
	}
}

/* The sixteen 6-bit scales of Q3_K. */
static void regroup_scales_k3(const uint8_t *from, uint8_t *bytes)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned low = (i < 8 ? from[i] : (unsigned)from[i - 8] >> 4) & 15;
		unsigned high = from[8 + i % 4] >> i / 4 * 2 & 3;

		bytes[i / 2] |= (uint8_t)(low << i % 2 * 4);
		bytes[8 + i / 4] |= (uint8_t)(high << i % 4 * 2);
	}
}

static void regroup_q2_k(const uint8_t *from, struct block *block)
{
	uint32_t words[8];

	memcpy(block->bytes, from, 16);
	load_halves(from + 80, 2, block->halves);
	for (unsigned b = 0; b < 8; b++) {
		load_words(from + 16 + b / 4 * 32, 8, words);
		join_pairs(words, b % 4 * 2, block->words + b * 2);
	}
}

static void regroup_q3_k(const uint8_t *from, struct block *block)
{
	uint32_t high[8], words[8];

	memset(block->bytes, 0, 12);
	regroup_scales_k3(from + 96, block->bytes);
	load_halves(from + 108, 1, block->halves);
	load_words(from, 8, high);
	for (unsigned b = 0; b < 8; b++) {
		load_words(from + 32 + b / 4 * 32, 8, words);
		join_pairs(words, b % 4 * 2, block->words + b * 3);
		block->words[b * 3 + 2] = join_bits(high, b);
	}
}

static void regroup_q4_k(const uint8_t *from, struct block *block)
{
	uint32_t words[8];

	load_halves(from, 2, block->halves);
	regroup_scales_k4(from + 4, block->bytes);
	for (unsigned b = 0; b < 8; b++) {
		load_words(from + 16 + b / 2 * 32, 8, words);
		join_nibbles(words, b % 2 * 4, block->words + b * 4);
	}
}

static void regroup_q5_k(const uint8_t *from, struct block *block)
{
	uint32_t high[8], words[8];

	load_halves(from, 2, block->halves);
	regroup_scales_k4(from + 4, block->bytes);
	load_words(from + 16, 8, high);
	for (unsigned b = 0; b < 8; b++) {
		load_words(from + 48 + b / 2 * 32, 8, words);
		join_nibbles(words, b % 2 * 4, block->words + b * 5);
		block->words[b * 5 + 4] = join_bits(high, b);
	}
}

static void regroup_q6_k(const uint8_t *from, struct block *block)
{
	uint32_t high[8], words[8];

	memcpy(block->bytes, from + 192, 16);
	load_halves(from + 208, 1, block->halves);
	for (unsigned b = 0; b < 8; b++) {
		load_words(from + b / 4 * 64 + b % 2 * 32, 8, words);
		join_nibbles(words, b % 4 / 2 * 4, block->words + b * 6);
		load_words(from + 128 + b / 4 * 32, 8, high);
		join_pairs(high, b % 4 * 2, block->words + b * 6 + 4);
	}
}

static void regroup(enum cpu_format format, const uint8_t *from, uint8_t byte_flip,
		    struct block *block)
{
	switch (format) {
	case CPU_F32:
		block->words[0] = load_le32(from);
		break;
	case CPU_F16:
		block->halves[0] = load_le16(from);
		break;
	case CPU_Q8_0:
		load_halves(from, 1, block->halves);
		load_words(from + 2, 8, block->words);
		for (unsigned g = 0; g < 8; g++)
			block->words[g] ^= byte_flip * ones;
		break;
	case CPU_Q4_0:
	case CPU_IQ4_NL:
		load_halves(from, 1, block->halves);
		load_words(from + 2, 4, block->words);
		break;
	case CPU_Q4_1:
		load_halves(from, 2, block->halves);
		load_words(from + 4, 4, block->words);
		break;
	case CPU_Q5_0:
		load_halves(from, 1, block->halves);
		load_words(from + 6, 4, block->words);
		block->words[4] = fifth_bits(load_le32(from + 2));
		break;
	case CPU_Q5_1:
		load_halves(from, 2, block->halves);
		load_words(from + 8, 4, block->words);
		block->words[4] = fifth_bits(load_le32(from + 4));
		break;
	case CPU_MXFP4:
		block->bytes[0] = from[0];
		load_words(from + 1, 4, block->words);
		break;
	case CPU_Q2_K:
		regroup_q2_k(from, block);
		break;
	case CPU_Q3_K:
		regroup_q3_k(from, block);
		break;
	case CPU_Q4_K:
		regroup_q4_k(from, block);
		break;
	case CPU_Q5_K:
		regroup_q5_k(from, block);
		break;
	case CPU_Q6_K:
		regroup_q6_k(from, block);
		break;
	default:
		load_halves(from, 1, block->halves);
		memcpy(block->bytes, from + 4, 4);
		memcpy(block->bytes + 4, from + 2, 2);
		load_words(from + 8, 32, block->words);
	}
}

/* Words of a whole block. */
static unsigned block_words(enum cpu_format format)
{
	if (format == CPU_F32)
		return 1;
	if (format == CPU_F16)
		return 0;
	return cpu_n_words(format) * (cpu_is_super(format) ? 8 : 1);
}

static void place_block(const struct block *block, enum cpu_format format, unsigned panel,
			size_t lane, uint8_t *to)
{
	for (unsigned i = 0; i < cpu_n_halves(format); i++, to += panel * 2)
		store_le16(to + lane * 2, block->halves[i]);
	for (unsigned i = 0; i < cpu_n_bytes(format); i++, to += panel)
		to[lane] = block->bytes[i];
	for (unsigned i = 0; i < block_words(format); i++, to += panel * 4)
		store_le32(to + lane * 4, block->words[i]);
}

static void pack_pairs(const uint8_t *from, size_t n_in, unsigned panel, uint8_t *to)
{
	for (size_t k = 0; k < n_in; k++)
		memcpy(to + k / 2 * panel * 4 + k % 2 * 2, from + k * 2, 2);
}

void cpu_pack_panel(const struct cpu_kernels *kernels, enum cpu_format format, size_t n_in,
		    const uint8_t *stored, size_t first, size_t n_outputs, uint8_t *to)
{
	const struct cpu_stored_format *f = &stored_formats[format];
	size_t n_blocks = n_in / f->block_length;
	size_t block_stride = (size_t)f->block_bytes * kernels->panel;

	for (size_t lane = 0; lane < n_outputs; lane++) {
		const uint8_t *from = stored + (first + lane) * n_blocks * f->block_bytes;
		struct block block;

		if (format == CPU_BF16) {
			pack_pairs(from, n_in, kernels->panel, to + lane * 4);
			continue;
		}
		for (size_t i = 0; i < n_blocks; i++) {
			regroup(format, from + i * f->block_bytes, kernels->byte_flip, &block);
			place_block(&block, format, kernels->panel, lane, to + i * block_stride);
		}
	}
}

/*
 * Back: the integers of 32 inputs, their scales, the values.
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

static int value_of_code(enum cpu_format format, uint8_t byte_flip, uint8_t code)
{
	static const int8_t iq4[] = { CPU_IQ4_TABLE(0) }, mxfp4[] = { CPU_MXFP4_TABLE(0) };

	switch (format) {
	case CPU_Q8_0:
		return (int8_t)(code ^ byte_flip);
	case CPU_IQ4_NL:
	case CPU_IQ4_XS:
		return iq4[code];
	case CPU_MXFP4:
		return mxfp4[code];
	default:
		return code - (int)cpu_offset(format);
	}
}

/* Integer scale and minimum of part `part` of 32 inputs b. */
static void integer_scales(enum cpu_format format, const uint8_t *bytes, unsigned panel, unsigned b,
			   unsigned part, int *s_out, int *m_out)
{
	unsigned low = bytes[b * panel], high;

	switch (format) {
	case CPU_Q2_K:
		*s_out = bytes[(b * 2 + part) * panel] & 15;
		*m_out = bytes[(b * 2 + part) * panel] >> 4;
		return;
	case CPU_Q3_K:
		high = bytes[(8 + b / 2) * panel];
		*s_out = (int)((low >> part * 4 & 15) | (high >> (b % 2 * 4 + part * 2) & 3) << 4) -
			 32;
		return;
	case CPU_Q6_K:
		*s_out = (int8_t)bytes[(b * 2 + part) * panel];
		return;
	case CPU_IQ4_XS:
		low = bytes[b / 2 * panel] >> b % 2 * 4 & 15;
		high = bytes[(4 + b / 4) * panel] >> b % 4 * 2 & 3;
		*s_out = (int)(low | high << 4) - 32;
		return;
	default:
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

/* 32 inputs b of a block; head and words point to the lane's first. */
static void unpack_32(const struct cpu_kernels *kernels, enum cpu_format format,
		      const uint8_t *head, const uint8_t *words, unsigned lane, unsigned b,
		      float *out)
{
	unsigned panel = kernels->panel, n_parts = cpu_n_parts(format);
	const uint8_t *bytes = head + cpu_n_halves(format) * panel * 2 + lane;

	for (unsigned i = 0; i < CPU_QUANT_BLOCK; i++) {
		uint32_t codes = codes_of_group(format, words, i / 4, panel, lane);
		int q = value_of_code(format, kernels->byte_flip, (uint8_t)(codes >> i % 4 * 8));
		float d = format == CPU_MXFP4 ? power_of_two(*bytes) :
			  half_to_float(load_le16(head + lane * 2));
		int s = 1, m = 1;
		float least = 0;

		if (cpu_is_super(format))
			integer_scales(format, bytes, panel, b, i * n_parts / CPU_QUANT_BLOCK, &s,
				       &m);
		if (cpu_has_min(format))
			least = half_to_float(load_le16(head + (panel + lane) * 2)) *
				(float)(cpu_is_super(format) ? -m : m);
		out[i] = d * (float)s * (float)q + least;
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
			out[k] = half_to_float(load_le16(panel + at * 2));
		else
			out[k] = bfloat_to_float(load_le16(panel + (k / 2 * width + lane) * 4 +
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
