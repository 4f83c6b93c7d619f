/* SPDX-License-Identifier: Apache-2.0 */
/* Rings hold what rows see, and pools what sequences need. */
#include "model/kv_pools.h"

#include "base/integers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* Returns true if all positions that a step of `rows` rows sees or writes have places of their own,
 * wherever the step starts. */
static bool holds(uint32_t n_blocks, uint32_t block_length, uint32_t window, uint32_t rows)
{
	for (uint32_t first = 0; first < 3 * n_blocks * block_length; first++) {
		uint32_t seen = first + 1 > window ? first + 1 - window : 0;

		/* Two positions share a place if their blocks are a whole ring apart. */
		if ((first + rows - 1) / block_length - seen / block_length >= n_blocks)
			return false;
	}
	return true;
}

static void a_ring_holds_the_window_and_the_rows_of_a_step(void **state)
{
	(void)state;
	for (uint32_t length = 1; length <= 9; length++)
		for (uint32_t window = 1; window <= 20; window++)
			for (uint32_t rows = 1; rows <= 20; rows++) {
				uint32_t n = kv_table_blocks(window, rows, length, 1 << 20);

				assert_true(holds(n, length, window, rows));
				/* Not much more than that. */
				assert_false(n > 2 && holds(n - 2, length, window, rows));
			}
}

static void a_ring_is_no_longer_than_a_context(void **state)
{
	(void)state;
	assert_int_equal(kv_table_blocks(512, 256, 32, 32768), 25);
	assert_int_equal(kv_table_blocks(512, 256, 32, 100), 4);
	assert_int_equal(kv_table_blocks(UINT32_MAX, 65536, 32, 100), 4);
	assert_int_equal(kv_table_blocks(0, 256, 32, 32768), 1024);
	assert_int_equal(kv_table_blocks(1, 1, 32, 32768), 2);
}

static const struct model mixed = {
	.groups = { { .window = 512 }, { .window = 0 }, { .window = 1024 } }, .n_groups = 3,
};

static void pools_of_windows_grow_with_contexts_and_sequences(void **state)
{
	struct kv_pools_wish wish = {
		.max_rows = 256, .block_length = 32, .max_context = 32768, .n_blocks = 1024,
	};
	struct kv_pools pools = kv_pools_of(&mixed, &wish);

	(void)state;
	assert_int_equal(pools.n, 3);
	assert_memory_equal(pools.table_blocks, ((uint32_t[]){ 25, 1024, 41 }), 12);
	assert_memory_equal(pools.n_blocks, ((uint32_t[]){ 25, 1024, 41 }), 12);
	/* Two and a half contexts: a sequence of half a context may have a whole ring. */
	wish.n_blocks = 2560;
	pools = kv_pools_of(&mixed, &wish);
	assert_memory_equal(pools.n_blocks, ((uint32_t[]){ 63, 2560, 103 }), 12);
	wish.n_sequences = 8;
	pools = kv_pools_of(&mixed, &wish);
	assert_memory_equal(pools.n_blocks, ((uint32_t[]){ 200, 2560, 328 }), 12);
	/* No more than all positions. */
	wish.n_sequences = 10000;
	pools = kv_pools_of(&mixed, &wish);
	assert_memory_equal(pools.n_blocks, ((uint32_t[]){ 2560, 2560, 2560 }), 12);
}

static void windows_as_long_as_a_context_are_none(void **state)
{
	const struct kv_pools_wish wish = {
		.max_rows = 8, .block_length = 16, .max_context = 500, .n_blocks = 100,
		.n_sequences = 1,
	};
	struct kv_pools pools = kv_pools_of(&mixed, &wish);

	(void)state;
	assert_memory_equal(pools.table_blocks, ((uint32_t[]){ 32, 32, 32 }), 12);
	assert_memory_equal(pools.n_blocks, ((uint32_t[]){ 100, 100, 100 }), 12);
}

/* Also where the windows happen to be as long as the context: the number of pools is the model's. */
static void a_model_of_windows_alone_has_a_pool_for_tokens(void **state)
{
	static const struct model all_windows = { .groups = { { .window = 512 } }, .n_groups = 1 };
	struct kv_pools_wish wish = {
		.max_rows = 256, .block_length = 32, .max_context = 32768, .n_blocks = 2048,
	};
	struct kv_pools pools = kv_pools_of(&all_windows, &wish);

	(void)state;
	assert_int_equal(pools.n, 2);
	assert_memory_equal(pools.table_blocks, ((uint32_t[]){ 25, 1024 }), 8);
	assert_memory_equal(pools.n_blocks, ((uint32_t[]){ 50, 2048 }), 8);
	wish.max_context = 64;
	pools = kv_pools_of(&all_windows, &wish);
	assert_int_equal(pools.n, 2);
	assert_memory_equal(pools.table_blocks, ((uint32_t[]){ 2, 2 }), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_holds_the_window_and_the_rows_of_a_step),
		cmocka_unit_test(a_ring_is_no_longer_than_a_context),
		cmocka_unit_test(pools_of_windows_grow_with_contexts_and_sequences),
		cmocka_unit_test(windows_as_long_as_a_context_are_none),
		cmocka_unit_test(a_model_of_windows_alone_has_a_pool_for_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
