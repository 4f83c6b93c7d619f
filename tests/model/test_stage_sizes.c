/* SPDX-License-Identifier: Apache-2.0 */
/* Every number of the table counts as often as its comment says, and sums do not wrap. */
#include "model/stage_sizes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

/* Powers of ten, so that a sum shows how often each of them is in it. */
static const struct stage_sizes sizes = {
	.fixed_bytes = 1, .head_bytes = 10, .layer_bytes = 100,
	.caches = { { .kv_block_bytes = 7, .shared_thread_bytes = 1000000,
		      .shared_block_bytes = 10000000 } },
	.block_bytes = 1000, .table_block_bytes = 10000, .thread_bytes = 100000,
	.shared_most_bytes = 1000000000,
	.token_block_bytes = UINT64_C(10000000000), .draw_bytes = UINT64_C(100000000000),
	.draw_context_block_bytes = UINT64_C(1000000000000), .max_draw_threads = 2,
};

static uint64_t work(struct stage_shape shape)
{
	return stage_work_bytes_of(&sizes, &shape);
}

static void each_number_counts_as_often_as_it_should(void **state)
{
	struct stage_shape shape = {
		.n_layers = 2, .group_layers = { 2 }, .pools = { 1, { 3 }, { 4 } },
		.n_context_blocks = 4, .n_threads = 1,
	};

	(void)state;
	assert_int_equal(stage_kv_bytes_of(&sizes, &shape), 42);
	assert_int_equal(work(shape), 143201);
	shape.has_head = true;
	assert_int_equal(work(shape), UINT64_C(4130000143211));
}

/* Keys and values, and what caches take, count for the groups that the stage has layers of; tables for
 * all groups; the ids of tokens with the first pool of whole contexts. */
static void groups_count_where_the_stage_has_layers_of_them(void **state)
{
	const struct stage_sizes grouped = {
		.caches = {
			{ .kv_block_bytes = 2, .cache_bytes = 10, .cache_thread_bytes = 100 },
			{ .kv_block_bytes = 3, .cache_bytes = 1000, .cache_thread_bytes = 10000 },
		},
		.block_bytes = 100000, .table_block_bytes = 10000000,
		.token_block_bytes = UINT64_C(1000000000),
	};
	struct stage_shape shape = {
		.n_layers = 5, .group_layers = { 3, 2 }, .pools = { 2, { 4, 6 }, { 1, 3 } },
		.n_context_blocks = 3, .n_threads = 2,
	};

	(void)state;
	assert_int_equal(stage_kv_bytes_of(&grouped, &shape), 2 * 3 * 4 + 3 * 2 * 6);
	assert_int_equal(stage_work_bytes_of(&grouped, &shape), 41021210);
	shape.has_head = true;
	assert_int_equal(stage_work_bytes_of(&grouped, &shape), UINT64_C(6041021210));
	shape.group_layers[1] = 0;
	assert_int_equal(stage_kv_bytes_of(&grouped, &shape), 2 * 3 * 4);
	assert_int_equal(stage_work_bytes_of(&grouped, &shape), UINT64_C(6041000210));
}

static void only_several_threads_share_memory_and_not_without_limit(void **state)
{
	struct stage_shape shape = {
		.group_layers = { 1 }, .pools = { 1, { 3 }, { 0 } }, .n_threads = 2,
	};

	(void)state;
	assert_int_equal(work(shape), 32203001);
	shape.pools.n_blocks[0] = 1000;
	assert_int_equal(work(shape), 1001200001);
	shape.n_threads = 1;
	assert_int_equal(work(shape), 1100001);
}

static void only_so_many_threads_have_memory_to_draw_with(void **state)
{
	struct stage_shape shape = {
		.group_layers = { 1 }, .pools = { 1, { 0 }, { 3 } }, .n_context_blocks = 3,
		.n_threads = 1, .has_head = true,
	};

	(void)state;
	assert_int_equal(work(shape), UINT64_C(3100000130011));
	shape.n_threads = 2;
	assert_int_equal(work(shape), UINT64_C(6200002230011));
	shape.n_threads = 9;
	assert_int_equal(work(shape), UINT64_C(6200009930011));
}

static void what_is_too_large_to_count_is_the_largest_number(void **state)
{
	const struct stage_sizes absurd = {
		.fixed_bytes = UINT64_MAX, .block_bytes = UINT64_MAX / 2,
		.caches = { { .kv_block_bytes = UINT64_C(1) << 32 } },
	};
	struct stage_shape shape = {
		.group_layers = { 1 << 16 }, .pools = { 1, { 1 << 16 }, { 0 } }, .n_threads = 1,
	};

	(void)state;
	assert_true(stage_kv_bytes_of(&absurd, &shape) == UINT64_MAX);
	shape.group_layers[0] = 1 << 15;
	assert_true(stage_kv_bytes_of(&absurd, &shape) == UINT64_C(1) << 63);
	for (shape.pools.n_blocks[0] = 1; shape.pools.n_blocks[0] < 4; shape.pools.n_blocks[0]++)
		assert_true(stage_work_bytes_of(&absurd, &shape) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_counts_as_often_as_it_should),
		cmocka_unit_test(groups_count_where_the_stage_has_layers_of_them),
		cmocka_unit_test(only_several_threads_share_memory_and_not_without_limit),
		cmocka_unit_test(only_so_many_threads_have_memory_to_draw_with),
		cmocka_unit_test(what_is_too_large_to_count_is_the_largest_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
