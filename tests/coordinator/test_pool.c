/* SPDX-License-Identifier: Apache-2.0 */
/* Pool and context: what was asked for or an error, and what memory holds of the rest. */
#include "coordinator/pool.h"

#include "tests/coordinator/paper_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define N_LAYERS 8
/* Of one position in one layer, as paper_sizes says. */
#define POSITION_BYTES 128

static const uint64_t rows[N_LAYERS] = { 100, 100, 100, 100, 100, 100, 100, 100 };
static uint64_t memory[PAPER_MAX_LAYERS];
static struct error err;

static struct plan_input input_of(unsigned n_stages, uint64_t memory_bytes)
{
	for (unsigned i = 0; i < n_stages; i++)
		memory[i] = memory_bytes;
	return (struct plan_input){
		.model = paper_model(N_LAYERS, rows, 300), .n_stages = n_stages, .max_rows = 8,
		.block_length = 16, .sizes = paper_sizes, .memory_bytes = memory,
	};
}

static struct plan *make(struct plan_input *input, const struct pool_wish *wish)
{
	struct plan *plan = NULL;

	if (pool_plan(input, wish, &plan, &err) != SC_OK)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];

		assert_int_equal(stage->kv_bytes, (uint64_t)stage->n_layers * input->n_blocks *
						  input->block_length * POSITION_BYTES);
		assert_true(!memory[i] || stage->weight_bytes + stage->work_bytes +
						  stage->kv_bytes <= memory[i]);
	}
	return plan;
}

static void refuse(struct plan_input *input, const struct pool_wish *wish, const char *words)
{
	struct plan *plan;

	assert_int_equal(pool_plan(input, wish, &plan, &err), SC_E_CAPACITY);
	if (!strstr(err.text, words))
		fail_msg("%s", err.text);
}

/* How many positions the error says would fit. */
static unsigned long long fitting(void)
{
	const char *words = strstr(err.text, "at most ");

	assert_non_null(words);
	return strtoull(words + 8, NULL, 10);
}

/* NULL: the context must be as long as wished. */
static void expect_explained(const struct plan_input *input, const struct pool_wish *wish,
			     const char *words)
{
	char text[POOL_TEXT_BYTES] = "";

	assert_int_equal(pool_explain(input, wish, text), words != NULL);
	if (words && !strstr(text, words))
		fail_msg("%s", text);
}

static void with_plenty_every_sequence_has_a_context(void **state)
{
	const struct pool_wish wish = { .context = 4096, .n_contexts = 32 };
	struct plan_input input = input_of(2, 1024 * MIB);

	(void)state;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks * 16, 32 * 4096);
	assert_int_equal(input.max_context, 4096);
	expect_explained(&input, &wish, NULL);
}

/* Taking a pool that is much larger than the weights would take longer than loading them. */
static void a_pool_is_no_larger_than_weights_or_512_mib(void **state)
{
	struct pool_wish wish = { .context = 16384, .n_contexts = 4096 };
	struct plan_input input = input_of(2, 100000 * MIB);
	const uint64_t block_bytes = (uint64_t)N_LAYERS * 16 * POSITION_BYTES;

	(void)state;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks, 512 * MIB / block_bytes);
	assert_int_equal(input.max_context, 16384);
	expect_explained(&input, &wish, NULL);
	/* One context is had however large it is. */
	wish.context = 1 << 20;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks * 16, 1 << 20);
	assert_int_equal(input.max_context, 1 << 20);
	/* So is what was asked for. */
	wish = (struct pool_wish){ .context = 16384, .n_positions = 2 << 20, .n_contexts = 4 };
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks * 16, 2 << 20);
}

/* Of weights that take more than that, the pool has the size. */
static void large_weights_have_a_pool_of_their_size(void **state)
{
	static const uint64_t many_rows[N_LAYERS] = {
		2000000, 2000000, 2000000, 2000000, 2000000, 2000000, 2000000, 2000000,
	};
	const struct pool_wish wish = { .context = 16384, .n_contexts = 4096 };
	const uint64_t block_bytes = (uint64_t)N_LAYERS * 16 * POSITION_BYTES;
	struct plan_input input = input_of(2, 100000 * MIB);
	uint64_t weight_bytes;
	struct plan *plan;

	(void)state;
	input.model = paper_model(N_LAYERS, many_rows, 300);
	plan = make(&input, &wish);
	weight_bytes = plan->stages[0].weight_bytes + plan->stages[1].weight_bytes;
	assert_true(weight_bytes > 600 * MIB);
	assert_int_equal(input.n_blocks, weight_bytes / block_bytes);
	plan_destroy(plan);
}

static void the_pool_leaves_half_of_what_it_could_take(void **state)
{
	const struct pool_wish wish = { .context = 4096, .n_contexts = 32 };
	struct plan_input input = input_of(2, 20 * MIB);
	struct plan *plan = make(&input, &wish);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		const struct plan_stage *stage = &plan->stages[i];

		assert_true(stage->weight_bytes + stage->work_bytes + 2 * stage->kv_bytes <=
			    20 * MIB);
	}
	/* One block more would be too much for the fuller one. */
	input.n_blocks++;
	input.kv_parts = 2;
	assert_int_equal(plan_room(plan, &input, input.n_blocks, UINT64_MAX), input.n_blocks - 1);
	assert_int_equal(input.max_context, 4096);
	plan_destroy(plan);
}

static void the_worker_with_least_memory_decides(void **state)
{
	const struct pool_wish wish = { .context = 1024, .n_contexts = 1000 };
	struct plan_input input = input_of(2, 0);
	struct plan *plan = make(&input, &wish);
	uint32_t n_first = plan->stages[0].n_layers, n_blocks;

	(void)state;
	plan_destroy(plan);
	input = input_of(2, 100 * MIB);
	memory[0] = 10 * MIB;
	plan = make(&input, &wish);
	n_blocks = input.n_blocks;
	/* A large pool moves no layers to where there is more memory. */
	assert_int_equal(plan->stages[0].n_layers, n_first);
	plan_destroy(plan);
	input = input_of(2, 10 * MIB);
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks, n_blocks);
}

static void a_context_that_fits_whole_is_had_beyond_the_half(void **state)
{
	const struct pool_wish wish = { .context = 16384, .n_contexts = 4 };
	/* 16 MiB for one context, beside some 2 MiB. */
	struct plan_input input = input_of(1, 21 * MIB);

	(void)state;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks * 16, 16384);
	assert_int_equal(input.max_context, 16384);
}

static void a_longer_context_is_cut_to_what_half_the_memory_holds(void **state)
{
	struct pool_wish wish = { .context = 10485760, .n_contexts = 32 };
	struct plan_input input = input_of(2, 100 * MIB);
	struct plan *plan = make(&input, &wish);

	(void)state;
	assert_int_equal(input.max_context, input.n_blocks * 16);
	/* 512 bytes of a position on each of the stages, in a little less than 50 MiB */
	assert_in_range(input.max_context, 90000, 50 * MIB / 512);
	expect_explained(&input, &wish, "positions instead of 10485760, because memory holds no "
			 "more");
	plan_destroy(plan);
	wish.is_context_fixed = true;
	refuse(&input, &wish, "positions fit");
	/* As many as the error says, and not one block more. */
	wish.context = (uint32_t)fitting();
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.max_context, wish.context);
	wish.context += 16;
	refuse(&input, &wish, "positions fit");
}

static void a_context_of_no_use_is_refused(void **state)
{
	const struct pool_wish wish = { .context = 10485760, .n_contexts = 1 };
	struct plan_input input = input_of(1, 3 * MIB);
	struct plan *plan;

	(void)state;
	/* The weights take 274 KiB of tensors, work 1.3 MiB. */
	while (pool_plan(&input, &wish, &plan, &err) == SC_OK) {
		assert_true(input.max_context >= POOL_LEAST_CONTEXT);
		plan_destroy(plan);
		memory[0] -= MIB / 16;
	}
	assert_non_null(strstr(err.text, "stage 1 needs"));
	assert_true(memory[0] > MIB);
	memory[0] = MIB / 8;
	refuse(&input, &wish, "no context fits at all");
}

static void a_pool_that_was_asked_for_is_had_or_refused(void **state)
{
	struct pool_wish wish = { .context = 128, .n_positions = 1000, .n_contexts = 32 };
	struct plan_input input = input_of(2, 20 * MIB);

	(void)state;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks, 63);
	assert_int_equal(input.max_context, 128);
	expect_explained(&input, &wish, NULL);
	/* A context that was left open goes no further than the pool. */
	wish.context = 4096;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.max_context, 1000);
	expect_explained(&input, &wish, "context: 1000 positions instead of 4096, because "
					"--kv-positions is 1000; raise it");
	wish.n_positions = 1000000;
	refuse(&input, &wish, "MiB for KV");
	wish.n_positions = (uint32_t)fitting();
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks * 16, wish.n_positions);
	wish.n_positions++;
	refuse(&input, &wish, "positions fit");
}

static void without_knowledge_of_memory_the_pool_is_small(void **state)
{
	const struct pool_wish wish = { .context = 4096, .n_contexts = 32 };
	struct plan_input input = input_of(2, 1024 * MIB);

	(void)state;
	memory[1] = 0;
	plan_destroy(make(&input, &wish));
	assert_int_equal(input.n_blocks * 16, 4 * 4096);
}

/* With fewer stages than layers there are many splits: the search by halving finds the largest pool
 * of any. */
static void no_split_has_room_for_more(void **state)
{
	uint64_t random_state = 5;

	(void)state;
	for (int round = 0; round < 200; round++) {
		unsigned n_stages = 1 + (unsigned)round % 4;
		struct plan_input input = input_of(n_stages, 0);
		struct plan *plan;
		uint32_t most;

		for (unsigned i = 0; i < n_stages; i++) {
			random_state = random_state * UINT64_C(6364136223846793005) + 1;
			memory[i] = MIB + (random_state >> 33) % (30 * MIB);
		}
		input.max_context = 1 << 20;
		assert_int_equal(plan_most_blocks(&input, 1 << 20, &most), SC_OK);
		input.n_blocks = most + 1;
		input.max_context = 16 * (most + 1);
		assert_int_equal(plan_make(&input, &plan, &err), SC_E_CAPACITY);
		if (!most)
			continue;
		input.n_blocks = most;
		input.max_context = 16 * most;
		if (plan_make(&input, &plan, &err) != SC_OK)
			fail_msg("%s", err.text);
		plan_destroy(plan);
	}
}

/* --- layers with a window --- */

/* Of 8 layers 2 keep whole contexts; a ring of the others has 41 of the 1024 blocks of a context. */
#define WHOLE_BLOCK_BYTES (UINT64_C(2) * 16 * 128)
#define RING_BLOCK_BYTES (UINT64_C(6) * 16 * 64)
enum { RING = 41 };

static struct plan_input windowed_input(uint64_t memory_bytes)
{
	struct plan_input input = input_of(1, memory_bytes);

	paper_model_add_window(632);
	return input;
}

static uint64_t plan_windowed(struct plan_input *input, const struct pool_wish *wish)
{
	struct kv_pools pools;
	struct plan *plan;
	uint64_t n_bytes;

	if (pool_plan(input, wish, &plan, &err) != SC_OK)
		fail_msg("%s", err.text);
	pools = plan_pools(input);
	n_bytes = plan->stages[0].kv_bytes;
	assert_int_equal(pools.table_blocks[1], RING);
	assert_int_equal(n_bytes, pools.n_blocks[0] * WHOLE_BLOCK_BYTES +
				  pools.n_blocks[1] * RING_BLOCK_BYTES);
	assert_true(!memory[0] || plan->stages[0].weight_bytes + plan->stages[0].work_bytes +
					  n_bytes <= memory[0]);
	plan_destroy(plan);
	return n_bytes;
}

static void windows_have_room_for_all_sequences_where_memory_is_plenty(void **state)
{
	struct pool_wish wish = { .context = 16384, .n_contexts = 2, .n_sequences = 32 };
	struct plan_input input = windowed_input(1024 * MIB);

	(void)state;
	plan_windowed(&input, &wish);
	assert_int_equal(input.n_blocks, 2 * 1024);
	assert_int_equal(input.n_sequences, 32);
	assert_int_equal(plan_pools(&input).n_blocks[1], 32 * RING);
	/* A pool that was asked for is no other. */
	wish.n_positions = 2 * 16384;
	plan_windowed(&input, &wish);
	assert_int_equal(input.n_blocks, 2 * 1024);
	assert_int_equal(input.n_sequences, 32);
}

/* One context of all layers would take 10 MiB: 4 MiB of whole blocks and 6 of windows. */
static void short_memory_has_room_for_windows_of_fewer_sequences(void **state)
{
	struct pool_wish wish = { .context = 16384, .n_contexts = 4, .n_sequences = 32 };
	uint32_t n_before = 32;
	unsigned n_kinds = 0;

	(void)state;
	for (uint64_t mib = 24; mib >= 7; mib--) {
		struct plan_input input = windowed_input(mib * MIB);

		plan_windowed(&input, &wish);
		assert_int_equal(input.max_context, 16384);
		assert_true(input.n_sequences <= n_before && input.n_sequences >= 1);
		n_kinds += input.n_sequences != n_before;
		n_before = input.n_sequences;
	}
	assert_int_equal(n_before, 1);
	assert_true(n_kinds > 2);
}

static void an_asked_for_pool_has_windows_as_memory_allows(void **state)
{
	const struct pool_wish wish = {
		.context = 16384, .n_positions = 16384, .n_contexts = 1, .n_sequences = 8,
	};
	struct plan_input input = windowed_input(100 * MIB);

	(void)state;
	plan_windowed(&input, &wish);
	assert_int_equal(input.n_sequences, 8);
	input = windowed_input(7 * MIB);
	plan_windowed(&input, &wish);
	assert_int_equal(input.n_sequences, 1);
	assert_int_equal(input.n_blocks, 1024);
	input = windowed_input(4 * MIB);
	refuse(&input, &wish, "MiB for KV");
}

/* The least pool of windows is a ring; a context of the whole memory is found all the same. */
static void a_longer_context_is_had_with_windows_than_without(void **state)
{
	const struct pool_wish wish = { .context = 1 << 20, .n_contexts = 4, .n_sequences = 8 };
	struct plan_input input = input_of(1, 30 * MIB);
	uint32_t without;

	(void)state;
	plan_destroy(make(&input, &wish));
	without = input.max_context;
	input = windowed_input(30 * MIB);
	plan_windowed(&input, &wish);
	assert_true(input.max_context > 3 * without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_plenty_every_sequence_has_a_context),
		cmocka_unit_test(a_pool_is_no_larger_than_weights_or_512_mib),
		cmocka_unit_test(large_weights_have_a_pool_of_their_size),
		cmocka_unit_test(the_pool_leaves_half_of_what_it_could_take),
		cmocka_unit_test(the_worker_with_least_memory_decides),
		cmocka_unit_test(a_context_that_fits_whole_is_had_beyond_the_half),
		cmocka_unit_test(a_longer_context_is_cut_to_what_half_the_memory_holds),
		cmocka_unit_test(a_context_of_no_use_is_refused),
		cmocka_unit_test(a_pool_that_was_asked_for_is_had_or_refused),
		cmocka_unit_test(without_knowledge_of_memory_the_pool_is_small),
		cmocka_unit_test(no_split_has_room_for_more),
		cmocka_unit_test(windows_have_room_for_all_sequences_where_memory_is_plenty),
		cmocka_unit_test(short_memory_has_room_for_windows_of_fewer_sequences),
		cmocka_unit_test(an_asked_for_pool_has_windows_as_memory_allows),
		cmocka_unit_test(a_longer_context_is_had_with_windows_than_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
