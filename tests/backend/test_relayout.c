/* SPDX-License-Identifier: Apache-2.0 */
/* Panels of every instruction set against blocks that are regrouped one output at a time. */
#include "oracle.h"

#include "backend/cpu/relayout.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* One output's block: its parts as formats.h orders them. */
struct block {
	uint16_t halves[2];
	uint8_t bytes[16];
	uint32_t words[48];
};

/* Words hold four inputs each; `ones` picks a bit of each. */
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

/* The 6-bit scales of IQ4_XS: nibbles of four bytes, then two bits each of a number of two. */
static void regroup_scales_iq4_xs(const uint8_t *low, const uint8_t *high, uint8_t *bytes)
{
	memset(bytes, 0, 6);
	for (unsigned b = 0; b < 8; b++) {
		unsigned s_low = low[b / 2] >> b % 2 * 4 & 15;
		unsigned s_high = (unsigned)load_le16(high) >> b * 2 & 3;

		bytes[b % 4] |= (uint8_t)(s_low << b / 4 * 4);
		bytes[4 + b % 2] |= (uint8_t)(s_high << b / 2 * 2);
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

	memcpy(block->bytes, from + 96, 12);
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
		regroup_scales_iq4_xs(from + 4, from + 2, block->bytes);
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

/* What cpu_pack_panel must give: rows are followed by zeros up to the panel's. */
static void pack_plainly(const struct cpu_kernels *kernels, enum cpu_format format,
			 const struct cpu_stored_format *f, size_t n_in, const uint8_t *rows,
			 uint8_t *to)
{
	size_t n_blocks = n_in / f->block_length;
	size_t block_stride = (size_t)f->block_bytes * kernels->panel;

	for (size_t lane = 0; lane < kernels->panel; lane++) {
		const uint8_t *from = rows + lane * n_blocks * f->block_bytes;
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

static void *filled(size_t n_bytes, struct random *random)
{
	uint8_t *bytes = calloc(1, n_bytes + !n_bytes);

	assert_non_null(bytes);
	for (size_t i = 0; random && i < n_bytes; i++)
		bytes[i] = (uint8_t)random_bits(random);
	return bytes;
}

static void check_panel(const struct cpu_kernels *kernels, enum tensor_type type, size_t n_in,
			size_t first, size_t n_outputs)
{
	struct random random = { n_in + first };
	enum cpu_format format;
	const struct cpu_stored_format *f = cpu_stored_format(type, &format);
	size_t row_bytes = n_in / f->block_length * f->block_bytes;
	size_t n_bytes = cpu_panel_bytes(format, n_in, kernels->panel);
	uint8_t *stored = filled((first + n_outputs) * row_bytes, &random);
	uint8_t *padded = filled(kernels->panel * row_bytes, NULL);
	uint8_t *expected = filled(n_bytes, NULL);
	uint8_t *found = filled(n_bytes, &random);

	memcpy(padded, stored + first * row_bytes, n_outputs * row_bytes);
	pack_plainly(kernels, format, f, n_in, padded, expected);
	cpu_pack_panel(kernels, format, n_in, stored, first, n_outputs, found);
	for (size_t i = 0; i < n_bytes; i++)
		if (found[i] != expected[i])
			fail_msg("%s, %s, %zu inputs of %zu outputs: byte %zu is %02x, not %02x",
				 kernels->name, type_name(type), n_in, n_outputs, i, found[i],
				 expected[i]);
	free(stored);
	free(padded);
	free(expected);
	free(found);
}

static void check_type(const struct cpu_kernels *kernels, enum tensor_type type)
{
	static const size_t odd_lengths[] = { 1, 7, 16, 33, 70 };
	size_t length = type_block_length(type);

	for (size_t i = 0; i < sizeof odd_lengths / sizeof *odd_lengths; i++) {
		size_t n_in = length > 1 ? length * (i + 1) : odd_lengths[i];

		check_panel(kernels, type, n_in, 0, kernels->panel);
		check_panel(kernels, type, n_in, kernels->panel, kernels->panel);
		check_panel(kernels, type, n_in, kernels->panel, kernels->panel - 1);
		check_panel(kernels, type, n_in, 0, 1);
	}
}

static void panels_of_every_type_hold_regrouped_blocks(void **state)
{
	(void)state;
	for (unsigned i = 0; oracle_isas[i]; i++) {
		struct backend *backend = open_cpu(oracle_isas[i], 1, 1, 64);

		for (unsigned t = 0; backend && t < oracle_n_types; t++)
			check_type(cpu_of(backend)->kernels, oracle_types[t]);
		if (backend)
			backend->ops->close(backend);
	}
}

/* The backend knows the sizes by heart, so that they are constants where panels are packed. */
static void blocks_are_as_large_as_in_files(void **state)
{
	unsigned n_types = 0;

	(void)state;
	for (uint32_t type = 0; type < 1000; type++) {
		const struct tensor_type_info *info = tensor_type_info(type);
		const struct cpu_stored_format *stored;
		enum cpu_format format;

		if (!info || !info->is_supported)
			continue;
		stored = cpu_stored_format((enum tensor_type)type, &format);
		assert_non_null(stored);
		assert_int_equal(stored->block_length, info->block_length);
		assert_int_equal(stored->block_bytes, info->block_bytes);
		n_types++;
		if (cpu_tile_kind(format) != CPU_TILE_INT)
			continue;
		assert_int_equal(cpu_head_bytes(format) + cpu_n_words(format) * 4 *
				 (info->block_length / CPU_QUANT_BLOCK), info->block_bytes);
	}
	assert_int_equal(n_types, CPU_N_FORMATS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(panels_of_every_type_hold_regrouped_blocks),
		cmocka_unit_test(blocks_are_as_large_as_in_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
