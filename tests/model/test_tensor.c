/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor.h"

#include "tests/model/gguf_writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void known_types_have_names_and_sixteen_are_supported(void **state)
{
	unsigned n_supported = 0;

	(void)state;
	for (uint32_t type = 0; type < 1000; type++) {
		const struct tensor_type_info *info = tensor_type_info(type);

		if (!info)
			continue;
		assert_true(strlen(info->name) > 0);
		assert_int_equal(info->is_supported, info->block_length > 0);
		assert_int_equal(info->is_supported, info->block_bytes > 0);
		n_supported += info->is_supported;
	}
	assert_int_equal(n_supported, 16);
	assert_string_equal(tensor_type_info(12)->name, "Q4_K");
	assert_string_equal(tensor_type_info(39)->name, "MXFP4");
	assert_string_equal(tensor_type_info(399)->name, "Q8_K_R8");
	assert_null(tensor_type_info(UINT32_MAX));
}

static void expect_row(enum tensor_type type, const void *bytes, size_t n_bytes,
		       const float *expected, uint64_t n)
{
	const struct tensor tensor = { .type = type, .n_dims = 1, .dims = { n, 1, 1, 1 },
				       .data = bytes, .n_bytes = n_bytes };
	float found[64];

	assert_int_equal(tensor_row_bytes(&tensor), n_bytes);
	tensor_row_f32(&tensor, 0, found);
	for (uint64_t i = 0; i < n; i++)
		if (memcmp(&found[i], &expected[i], sizeof found[i]))
			fail_msg("element %d: expected %a, found %a", (int)i, (double)expected[i],
				 (double)found[i]);
}

static void f16_converts_zeros_subnormals_normals_and_infinities(void **state)
{
	static const uint16_t halves[] = { 0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x3c00, 0xc248,
					   0x7bff, 0x7c00, 0xfc00 };
	static const float expected[] = { 0.0f, -0.0f, 0x1p-24f, -0x1.ff8p-15f, 0x1p-14f, 1.0f,
					  -3.140625f, 65504.0f, INFINITY, -INFINITY };

	(void)state;
	expect_row(TENSOR_F16, halves, sizeof halves, expected, 10);
}

static void bf16_is_the_upper_half_of_a_float(void **state)
{
	static const uint16_t brains[] = { 0x3f80, 0xc049, 0x0000, 0x0001 };
	static const float expected[] = { 1.0f, -3.140625f, 0.0f, 0x1p-133f };

	(void)state;
	expect_row(TENSOR_BF16, brains, sizeof brains, expected, 4);
}

static void q8_0_is_a_scale_and_32_bytes(void **state)
{
	uint8_t block[34] = { 0x00, 0x38 };	/* 0.5 */
	float expected[32];

	(void)state;
	for (int i = 0; i < 32; i++) {
		const int q = i == 0 ? -128 : 8 * i - 128;

		block[2 + i] = (uint8_t)(int8_t)q;
		expected[i] = 0.5f * (float)q;
	}
	expect_row(TENSOR_Q8_0, block, sizeof block, expected, 32);
}

static void q4_0_keeps_the_first_half_in_the_low_nibbles(void **state)
{
	uint8_t block[18] = { 0x00, 0x40 };	/* 2.0 */
	float expected[32];

	(void)state;
	for (int i = 0; i < 16; i++) {
		block[2 + i] = (uint8_t)(i | (15 - i) << 4);
		expected[i] = 2.0f * (float)(i - 8);
		expected[16 + i] = 2.0f * (float)(15 - i - 8);
	}
	expect_row(TENSOR_Q4_0, block, sizeof block, expected, 32);
}

/* A file of vectors, whole; its size goes to *n_bytes_out. The caller frees. */
static uint8_t *read_vectors(const char *name, size_t *n_bytes_out)
{
	const char *root = getenv("SRCDIR"), *other = getenv("TENSOR_VECTORS");
	char path[4096];
	uint8_t *bytes;
	FILE *file;
	long size;

	snprintf(path, sizeof path, "%s%s/%s.bin", other ? other : root ? root : ".",
		 other ? "" : "/tests/data/tensors", name);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("%s: cannot open", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	assert_true(size > 0);
	rewind(file);
	bytes = malloc((size_t)size);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
	fclose(file);
	*n_bytes_out = (size_t)size;
	return bytes;
}

static void expect_vectors(uint32_t type, const struct tensor_type_info *info)
{
	size_t n_bytes, n_blocks;
	uint8_t *bytes = read_vectors(info->name, &n_bytes);
	float found[256], expected;

	assert_int_equal(n_bytes % (info->block_bytes + 4 * info->block_length), 0);
	n_blocks = n_bytes / (info->block_bytes + 4 * info->block_length);
	for (size_t b = 0; b < n_blocks; b++) {
		const uint8_t *floats = bytes + n_blocks * info->block_bytes +
					b * info->block_length * 4;
		const struct tensor tensor = {
			.type = (enum tensor_type)type, .n_dims = 2,
			.dims = { info->block_length, n_blocks, 1, 1 },
			.data = bytes, .n_bytes = n_blocks * info->block_bytes,
		};

		tensor_row_f32(&tensor, b, found);
		for (size_t i = 0; i < info->block_length; i++) {
			memcpy(&expected, floats + 4 * i, sizeof expected);
			if (found[i] != expected)
				fail_msg("%s, block %zu, element %zu: expected %a, found %a",
					 info->name, b, i, (double)expected, (double)found[i]);
		}
	}
	free(bytes);
}

static void blocks_of_every_type_stand_for_the_floats_of_the_vectors(void **state)
{
	unsigned n = 0;

	(void)state;
	for (uint32_t type = 0; type < 1000; type++) {
		const struct tensor_type_info *info = tensor_type_info(type);

		if (!info || !info->is_supported || info->block_length == 1)
			continue;
		expect_vectors(type, info);
		n++;
	}
	assert_int_equal(n, 13);
}

static void rows_follow_each_other(void **state)
{
	static const float values[] = { 1, 2, 3, 4, 5, 6 };
	const struct tensor tensor = { .type = TENSOR_F32, .n_dims = 2, .dims = { 3, 2, 1, 1 },
				       .data = values, .n_bytes = sizeof values };
	float row[3];

	(void)state;
	tensor_row_f32(&tensor, 1, row);
	assert_memory_equal(row, values + 3, sizeof row);
}

/* The writer of the tests against the reader: each type within half a step. */
static void what_the_test_writer_quantizes_reads_back(void **state)
{
	static const struct {
		enum tensor_type type;
		float tolerance;	/* relative to the largest */
	} rows[] = {
		{ TENSOR_F32, 0.0f }, { TENSOR_F16, 0x1p-11f }, { TENSOR_BF16, 0x1p-8f },
		{ TENSOR_Q8_0, 0.51f / 127 }, { TENSOR_Q4_0, 0.51f / 7 },
	};
	float values[64], found[64];

	(void)state;
	for (int i = 0; i < 64; i++)
		values[i] = sinf((float)i) * (i < 32 ? 1.0f : 1e-3f);
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
		struct buf row = BUF_INIT;
		struct tensor tensor = { .type = rows[r].type, .n_dims = 1,
					 .dims = { 64, 1, 1, 1 } };

		quantize_row(rows[r].type, values, 64, &row);
		tensor.data = row.data;
		tensor.n_bytes = row.length;
		tensor_row_f32(&tensor, 0, found);
		for (int i = 0; i < 64; i++)
			assert_true(fabsf(found[i] - values[i]) <=
				    rows[r].tolerance * (i < 32 ? 1.0f : 1e-3f));
		buf_deinit(&row);
	}
}

static const enum tensor_type all_types[] = {
	TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1, TENSOR_Q5_0,
	TENSOR_Q5_1, TENSOR_IQ4_NL, TENSOR_MXFP4, TENSOR_Q2_K, TENSOR_Q3_K, TENSOR_Q4_K,
	TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_IQ4_XS,
};

/* Every byte of a row is changed to every one of some values: the quick look at the blocks says
 * what a look at all values says. */
static void blocks_are_finite_if_their_values_are(void **state)
{
	static const uint8_t values[] = { 0x00, 0x7c, 0x7f, 0x80, 0xfc, 0xfd, 0xff };
	enum { N = 512 };
	unsigned n_odd = 0;

	(void)state;
	for (size_t t = 0; t < sizeof all_types / sizeof all_types[0]; t++) {
		uint8_t bytes[4 * N];
		size_t n_bytes = tensor_type_bytes(all_types[t], N);
		const struct tensor tensor = { .type = all_types[t], .n_dims = 1,
					       .dims = { N, 1, 1, 1 }, .data = bytes,
					       .n_bytes = n_bytes };

		for (size_t i = 0; i < n_bytes * sizeof values; i++) {
			bool is_finite = true;
			float floats[N];

			/* Codes are such that an infinite scale shows. */
			memset(bytes, 0x31, sizeof bytes);
			bytes[i / sizeof values] = values[i % sizeof values];
			tensor_row_f32(&tensor, 0, floats);
			for (unsigned k = 0; k < N; k++)
				is_finite &= isfinite(floats[k]) != 0;
			n_odd += !is_finite;
			if (tensor_blocks_are_finite(all_types[t], bytes, n_bytes) == is_finite)
				continue;
			/* A scale may be nearly infinite with codes that are small. */
			if (all_types[t] == TENSOR_MXFP4 && is_finite &&
			    bytes[i / sizeof values] >= 0xfd)
				continue;
			fail_msg("%s: byte %zu is 0x%02x: values are %s",
				 tensor_type_info(all_types[t])->name, i / sizeof values,
				 bytes[i / sizeof values], is_finite ? "finite" : "not finite");
		}
	}
	assert_true(n_odd > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_finite_if_their_values_are),
		cmocka_unit_test(known_types_have_names_and_sixteen_are_supported),
		cmocka_unit_test(f16_converts_zeros_subnormals_normals_and_infinities),
		cmocka_unit_test(bf16_is_the_upper_half_of_a_float),
		cmocka_unit_test(q8_0_is_a_scale_and_32_bytes),
		cmocka_unit_test(q4_0_keeps_the_first_half_in_the_low_nibbles),
		cmocka_unit_test(blocks_of_every_type_stand_for_the_floats_of_the_vectors),
		cmocka_unit_test(rows_follow_each_other),
		cmocka_unit_test(what_the_test_writer_quantizes_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
