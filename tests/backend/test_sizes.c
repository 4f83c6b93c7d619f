/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of backend_ops.sizes. tests/worker/test_memory.c compares all of them with what a
 * stage takes; here are those that can be said without the backend's own functions.
 */
#include "backend/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct backend_config some_config = {
	.isa = CPU_SCALAR, .n_threads = 1, .max_rows = 8, .max_width = 256,
};
static const struct kv_cache_config some_cache = {
	.block_length = 16, .n_kv_heads = 2, .head_dim = 32, .value_dim = 64, .type = TENSOR_F32,
};

static struct backend_sizes sizes_of(const struct backend_config *config,
				     const struct kv_cache_config *cache)
{
	struct backend_sizes sizes;
	struct error err;

	if (backend_cpu.sizes(config, cache, &sizes, &err))
		fail_msg("%s", err.text);
	return sizes;
}

/* Blocks of 16 positions and these heads are whole vectors with every instruction set. Q8_0 has a
 * scale of two bytes per position and 32 elements. */
static void keys_and_values_have_the_size_of_their_type(void **state)
{
	static const struct {
		enum tensor_type type;
		unsigned position_bytes;	/* of a head */
	} types[] = {
		{ TENSOR_F32, (32 + 64) * 4 }, { TENSOR_F16, (32 + 64) * 2 },
		{ TENSOR_BF16, (32 + 64) * 2 }, { TENSOR_Q8_0, 34 + 68 },
	};
	struct backend_config config = some_config;
	struct kv_cache_config cache = some_cache;

	(void)state;
	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		for (unsigned t = 0; t < sizeof types / sizeof types[0]; t++) {
			config.isa = isa;
			cache.type = types[t].type;
			assert_int_equal(sizes_of(&config, &cache).kv_block_bytes,
					 2 * ((16 * types[t].position_bytes + 63) / 64 * 64));
		}
	}
}

/* 17 lines of 64 bytes, which are no even number. */
static void records_are_padded_to_lines_and_no_further(void **state)
{
	struct backend_config config = some_config;
	struct kv_cache_config cache = some_cache;

	(void)state;
	cache.value_dim = 32;
	cache.type = TENSOR_Q8_0;
	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		config.isa = isa;
		assert_int_equal(sizes_of(&config, &cache).kv_block_bytes, 2 * 17 * 64);
	}
}

/* A block of one position has a vector for each element of a key. */
static void short_blocks_are_padded_to_vectors(void **state)
{
	struct kv_cache_config cache = some_cache;
	struct backend_config config = some_config;

	(void)state;
	cache.block_length = 1;
	config.isa = cpu_isa_best();
	if (config.isa < CPU_AVX512)
		skip();
	assert_int_equal(sizes_of(&config, &cache).kv_block_bytes, 2 * (32 * 16 + 64) * 4);
}

static void what_open_and_kv_create_refuse_has_no_sizes(void **state)
{
	struct backend_config config = some_config;
	struct kv_cache_config cache = some_cache;
	struct backend_sizes sizes;
	struct error err;

	(void)state;
	config.max_rows = 0;
	assert_int_equal(backend_cpu.sizes(&config, &cache, &sizes, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "out of range: 0 rows"));
	config = some_config;
	cache.block_length = 0;
	assert_int_equal(backend_cpu.sizes(&config, &cache, &sizes, &err), SC_E_INVALID);
	cache = some_cache;
	cache.type = TENSOR_Q4_K;
	assert_int_equal(backend_cpu.sizes(&config, &cache, &sizes, &err), SC_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "cannot hold Q4_K"));
}

/* A plan chooses them. */
static void threads_layers_and_blocks_are_not_looked_at(void **state)
{
	struct backend_sizes sizes = sizes_of(&some_config, &some_cache), others;
	struct backend_config config = some_config;
	struct kv_cache_config cache = some_cache;

	(void)state;
	config.n_threads = 0;
	cache.n_layers = 7;
	cache.n_blocks = 8;
	others = sizes_of(&config, &cache);
	assert_memory_equal(&sizes, &others, sizeof sizes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_values_have_the_size_of_their_type),
		cmocka_unit_test(records_are_padded_to_lines_and_no_further),
		cmocka_unit_test(short_blocks_are_padded_to_vectors),
		cmocka_unit_test(what_open_and_kv_create_refuse_has_no_sizes),
		cmocka_unit_test(threads_layers_and_blocks_are_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
