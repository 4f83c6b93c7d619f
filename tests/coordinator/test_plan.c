/* SPDX-License-Identifier: Apache-2.0 */
/* The split of a model over workers: nothing is better, everything is covered, memory is kept. */
#include "coordinator/plan.h"

#include "tests/coordinator/paper_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_LAYERS PAPER_MAX_LAYERS
#define MIB (UINT64_C(1) << 20)

static uint64_t random_state = 7;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((random_state >> 33) % below);
}

static struct plan_input input_of(const struct model *model, unsigned n_stages)
{
	return (struct plan_input){
		.model = model, .n_stages = n_stages, .max_rows = 8, .n_blocks = 4,
		.block_length = 16, .max_context = 64, .sizes = paper_sizes,
	};
}

/* Half the cost of a row with the head, and of a full step without it, as parts of `of`. */
static double share_of(const struct plan_input *input, unsigned stage, uint32_t first, uint32_t end,
		       bool has_head, const double of[2], double parts_out[2])
{
	struct plan_speed speed = input->speeds ? input->speeds[stage] : plan_default_speed();
	uint64_t bytes = 0, macs = 0, head_macs = 0;

	for (uint32_t i = first; i < end; i++) {
		bytes += model_layer_bytes(input->model, i);
		macs += model_layer_macs(input->model, i);
	}
	if (has_head) {
		bytes += model_head_bytes(input->model);
		head_macs = model_head_macs(input->model);
	}
	parts_out[0] = (double)bytes / speed.bytes +
		       (double)(macs + head_macs) / speed.macs;
	parts_out[1] = (double)bytes / speed.bytes +
		       (double)macs * input->max_rows / speed.macs;
	return (parts_out[0] / of[0] + parts_out[1] / of[1]) / 2;
}

static void whole_model(const struct plan_input *input, double costs_out[2])
{
	static const double ones[2] = { 1, 1 };

	share_of(input, 0, 0, input->model->hparams.n_layers, true, ones, costs_out);
}

static double cost_of(const struct plan_input *input, unsigned stage, uint32_t first, uint32_t end)
{
	double whole[2], parts[2];

	whole_model(input, whole);
	return share_of(input, stage, first, end, stage == input->n_stages - 1, whole, parts);
}

/* Every split there is: the cheapest of the slowest stages, then the least sum of squares. */
struct best {
	double slowest;
	double squares;
};

static void try_all(const struct plan_input *input, unsigned stage, uint32_t first,
		    struct best so_far, struct best *best)
{
	uint32_t n_layers = input->model->hparams.n_layers;
	uint32_t left = input->n_stages - stage - 1;

	if (stage == input->n_stages) {
		if (so_far.slowest < best->slowest * (1 - 1e-12) ||
		    (so_far.slowest <= best->slowest * (1 + 1e-12) &&
		     so_far.squares < best->squares))
			*best = so_far;
		return;
	}
	for (uint32_t end = left ? first + 1 : n_layers; end + left <= n_layers; end++) {
		double cost = cost_of(input, stage, first, end);
		struct best next = { fmax(so_far.slowest, cost),
				     so_far.squares + cost * cost };

		try_all(input, stage + 1, end, next, best);
		if (!left)
			break;
	}
}

static void check_covered(const struct plan_input *input, const struct plan *plan)
{
	uint32_t next = 0;

	assert_int_equal(plan->n_stages, input->n_stages);
	for (unsigned i = 0; i < plan->n_stages; i++) {
		assert_int_equal(plan->stages[i].first_layer, next);
		assert_true(plan->stages[i].n_layers >= 1);
		assert_int_equal(plan->stages[i].has_embedding, i == 0);
		assert_int_equal(plan->stages[i].has_head, i == plan->n_stages - 1);
		next += plan->stages[i].n_layers;
	}
	assert_int_equal(next, input->model->hparams.n_layers);
}

static void check_best(const struct plan_input *input)
{
	struct best best = { INFINITY, INFINITY };
	double squares = 0, slowest = 0, whole[2];
	struct plan *plan;
	struct error err;

	if (plan_make(input, &plan, &err) != SC_OK)
		fail_msg("%s", err.text);
	check_covered(input, plan);
	whole_model(input, whole);
	for (unsigned i = 0; i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];
		double cost = (stage->decode_cost / whole[0] +
			       stage->prompt_cost / whole[1]) / 2;

		slowest = fmax(slowest, cost);
		squares += cost * cost;
	}
	try_all(input, 0, 0, (struct best){ 0, 0 }, &best);
	assert_true(fabs(slowest - best.slowest) <= 1e-9 * best.slowest);
	assert_true(fabs(squares - best.squares) <= 1e-9 * best.squares);
	plan_destroy(plan);
}

static void no_split_is_better(void **state)
{
	struct plan_speed speeds[MAX_LAYERS];
	uint64_t rows[MAX_LAYERS];

	(void)state;
	for (int round = 0; round < 400; round++) {
		uint32_t n_layers = 1 + draw(MAX_LAYERS);
		const struct model *model;
		struct plan_input input;

		for (uint32_t i = 0; i < MAX_LAYERS; i++) {
			/* Small numbers, so that there are ties. */
			rows[i] = 100 * (1 + draw(round % 2 ? 4 : 1000));
			speeds[i] = (struct plan_speed){ 1 + draw(3), 4 * (1 + draw(3)) };
		}
		model = paper_model(n_layers, rows, 1 + draw(400));
		input = input_of(model, 1 + draw(n_layers));
		check_best(&input);
		input.speeds = speeds;
		check_best(&input);
	}
}

static const uint64_t even[MAX_LAYERS] = { 100, 100, 100, 100, 100, 100, 100, 100, 100 };

static void every_number_of_stages_covers_every_layer_once(void **state)
{
	const struct model *model = paper_model(8, even, 300);
	struct plan *plan;

	(void)state;
	for (unsigned n = 1; n <= 8; n++) {
		struct plan_input input = input_of(model, n);

		assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
		check_covered(&input, plan);
		plan_destroy(plan);
	}
}

static void no_stages_or_more_than_layers_are_refused(void **state)
{
	const struct model *model = paper_model(8, even, 300);
	struct plan_input input = input_of(model, 9);
	struct plan *plan;
	struct error err;

	(void)state;
	assert_int_equal(plan_make(&input, &plan, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "9 stages for a model with 8 layers: use 1 to 8"));
	input.n_stages = 0;
	assert_int_equal(plan_make(&input, &plan, &err), SC_E_INVALID);
}

static void a_given_split_is_kept_and_named_after_its_workers(void **state)
{
	static const uint64_t rows[] = { 50, 900, 50, 50, 50, 50, 50, 50 };
	static const char *const workers[] = { "node-a", "node-b.2" };
	static const uint32_t ends[] = { 1, 8 };
	uint64_t memory[2] = { 0, 0 };
	struct plan_input input = input_of(paper_model(8, rows, 10), 2);
	struct plan *chosen, *given;
	struct error err;
	uint32_t most;

	(void)state;
	assert_int_equal(plan_make(&input, &chosen, &err), SC_OK);
	assert_string_equal(chosen->stages[0].worker, "");
	input.workers = workers;
	input.ends = ends;
	assert_int_equal(plan_make(&input, &given, &err), SC_OK);
	assert_int_not_equal(chosen->stages[0].n_layers, 1);
	assert_int_equal(given->stages[0].n_layers, 1);
	assert_int_equal(given->stages[1].first_layer, 1);
	assert_int_equal(given->stages[1].n_layers, 7);
	assert_true(given->stages[1].has_head);
	assert_string_equal(given->stages[0].worker, "node-a");
	assert_string_equal(given->stages[1].worker, "node-b.2");
	/* Where it does not fit, no other split is looked for. */
	memory[1] = given->stages[1].weight_bytes + given->stages[1].work_bytes +
		    given->stages[1].kv_bytes;
	input.memory_bytes = memory;
	assert_int_equal(plan_most_blocks(&input, 100, &most), SC_OK);
	assert_int_equal(most, input.n_blocks);
	plan_destroy(chosen);
	plan_destroy(given);
	memory[1]--;
	assert_int_equal(plan_make(&input, &given, &err), SC_E_CAPACITY);
	assert_non_null(strstr(err.text, "stage 2 needs"));
	input.ends = NULL;
	assert_int_equal(plan_make(&input, &given, &err), SC_OK);
	plan_destroy(given);
}

static void embedding_and_head_count(void **state)
{
	/* The head weighs as much as four layers: even would be 6 + 2 for a token, 4 + 4 for a
	 * prompt. */
	const struct model *model = paper_model(8, even, 428);
	struct plan_input input = input_of(model, 2);
	struct plan *plan;

	(void)state;
	input.max_rows = 512;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].n_layers, 5);
	assert_int_equal(plan->stages[0].weight_bytes,
			 5 * model_layer_bytes(model, 0) + model_embedding_bytes(model));
	assert_int_equal(plan->stages[1].weight_bytes,
			 3 * model_layer_bytes(model, 0) + model_head_bytes(model));
	assert_int_equal(plan->stages[1].macs,
			 3 * model_layer_macs(model, 0) + model_head_macs(model));
	plan_destroy(plan);
}

static void the_faster_worker_gets_more(void **state)
{
	const struct plan_speed speeds[] = { { 1, 1 }, { 3, 3 } };
	const struct model *model = paper_model(8, even, 1);
	struct plan_input input = input_of(model, 2);
	struct plan *plan;

	(void)state;
	input.speeds = speeds;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].n_layers, 2);
	plan_destroy(plan);
}

static uint64_t needed(const struct plan_stage *stage)
{
	return stage->weight_bytes + stage->kv_bytes + stage->work_bytes;
}

static void layers_move_to_where_there_is_memory_for_them(void **state)
{
	const struct model *model = paper_model(8, even, 1);
	struct plan_input input = input_of(model, 2);
	uint64_t memory[2] = { 0, 0 };
	struct plan *plan;
	uint64_t all;

	(void)state;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].n_layers, 4);
	all = needed(&plan->stages[0]);
	plan_destroy(plan);
	/* One byte less than four layers need. */
	memory[0] = all - 1;
	input.memory_bytes = memory;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].n_layers, 3);
	assert_true(needed(&plan->stages[0]) <= memory[0]);
	plan_destroy(plan);
	memory[0] = all;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].n_layers, 4);
	plan_destroy(plan);
}

static void what_fits_nowhere_is_an_error_that_says_what_is_missing(void **state)
{
	const struct model *model = paper_model(8, even, 1);
	struct plan_input input = input_of(model, 2);
	const uint64_t memory[2] = { MIB * 100, MIB / 10 };
	struct plan *plan = NULL;
	struct error err;

	(void)state;
	input.n_blocks = 1000;
	input.memory_bytes = memory;
	assert_int_equal(plan_make(&input, &plan, &err), SC_E_CAPACITY);
	assert_null(plan);
	if (!strstr(err.text, "stage 2 needs 0.1 MiB for weights, ") ||
	    !strstr(err.text, " MiB for KV and ") || !strstr(err.text, "its worker has 0.1 MiB"))
		fail_msg("%s", err.text);
}

/* Of each worker's own table: a block of KV takes more on the second. */
static void memory_of_a_stage_is_that_of_its_workers_table(void **state)
{
	const struct model *model = paper_model(8, even, 300);
	const uint32_t n_threads[] = { 1, 3 };
	struct stage_sizes sizes[2] = { paper_sizes[0], paper_sizes[1] };
	struct plan_input input = input_of(model, 2);
	struct plan *plan;

	(void)state;
	sizes[1].caches[0].kv_block_bytes += 1000;
	sizes[1].fixed_bytes += 5000;
	input.sizes = sizes;
	input.n_threads = n_threads;
	input.frame_bytes = 7;
	input.n_blocks = 9;
	input.max_context = 100;	/* 7 blocks */
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	for (unsigned i = 0; i < 2; i++) {
		const struct stage_shape shape = {
			.n_layers = plan->stages[i].n_layers,
			.group_layers = { plan->stages[i].n_layers },
			.pools = { 1, { 9 }, { 7 } }, .n_context_blocks = 7,
			.n_threads = n_threads[i], .has_head = i == 1,
		};

		assert_int_equal(plan->stages[i].kv_bytes,
				 stage_kv_bytes_of(&sizes[i], &shape));
		assert_int_equal(plan->stages[i].work_bytes,
				 stage_work_bytes_of(&sizes[i], &shape) + 7);
	}
	plan_destroy(plan);
	/* Without knowledge of threads there is one. */
	input.n_threads = NULL;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].work_bytes,
			 stage_work_bytes_of(&sizes[0], &(struct stage_shape){
				.n_layers = plan->stages[0].n_layers,
				.group_layers = { plan->stages[0].n_layers },
				.pools = { 1, { 9 }, { 7 } }, .n_context_blocks = 7, .n_threads = 1,
			 }) + 7);
	plan_destroy(plan);
}

/* Layers 3 and 7 keep whole contexts, the others a window of 40: 4 blocks with steps of 8 rows. */
static void layers_with_a_window_have_blocks_for_it_alone(void **state)
{
	const struct model *model = paper_model(8, even, 300);
	struct plan_input input = input_of(model, 3);
	uint32_t ends[] = { 3, 4, 8 };
	struct kv_pools pools;
	struct plan *plan;

	(void)state;
	paper_model_add_window(40);
	input.ends = ends;
	input.max_context = 1024;	/* 64 blocks */
	input.n_blocks = 256;
	input.n_sequences = 1;
	pools = plan_pools(&input);
	assert_int_equal(pools.n, 2);
	assert_int_equal(pools.n_blocks[0], 256);
	assert_int_equal(pools.n_blocks[1], 16);
	assert_int_equal(pools.table_blocks[1], 4);
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].kv_bytes, 3 * 16 * 16 * 64);
	assert_int_equal(plan->stages[1].kv_bytes, 256 * 16 * 128);
	assert_int_equal(plan->stages[2].kv_bytes, 256 * 16 * 128 + 3 * 16 * 16 * 64);
	/* Stages that have no layer of a group have no cache for it, but its tables. */
	assert_int_equal(plan->stages[0].work_bytes, (1 << 20) + 3 * 700 + 300000 + 1200 + 140 +
						     272 * 17 + 68 * 19);
	plan_destroy(plan);
	input.n_sequences = 20;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan->stages[0].kv_bytes, 3 * 80 * 16 * 64);
	plan_destroy(plan);
}

/* A worker may say anything. */
static void absurd_sizes_fit_nowhere(void **state)
{
	const struct model *model = paper_model(8, even, 300);
	const uint64_t memory[] = { UINT64_C(1) << 60, UINT64_C(1) << 60 };
	struct plan_input input = input_of(model, 2);
	struct stage_sizes sizes[2];
	struct plan *plan;
	uint32_t most;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		memcpy(sizes, paper_sizes, sizeof sizes);
		*(i == 0 ? &sizes[1].fixed_bytes : i == 1 ? &sizes[1].caches[0].kv_block_bytes
							  : &sizes[1].block_bytes) = UINT64_MAX;
		input.sizes = sizes;
		input.memory_bytes = memory;
		input.kv_parts = 2;
		assert_int_equal(plan_make(&input, &plan, NULL), SC_E_CAPACITY);
		assert_int_equal(plan_most_blocks(&input, 1000, &most), SC_OK);
		assert_int_equal(most, 0);
	}
}

static void the_table_has_a_line_for_each_stage_and_predicts_nothing(void **state)
{
	static const char *const where[] = { "node-a:1", "node-b:22" };
	const struct model *model = paper_model(8, even, 300);
	struct plan_input input = input_of(model, 2);
	struct buf text = BUF_INIT;
	struct plan *plan;

	(void)state;
	assert_int_equal(plan_make(&input, &plan, NULL), SC_OK);
	assert_int_equal(plan_format(plan, where, &text), SC_OK);
	assert_memory_equal(text.data, "stage  worker ", 14);
	assert_non_null(strstr(text.data, "\n1      node-a:1                 e+0-"));
	assert_non_null(strstr(text.data, "\n2      node-b:22                "));
	assert_non_null(strstr(text.data, "-7+h "));
	assert_null(strstr(text.data, "predicted"));
	assert_null(strstr(text.data, "ms/"));
	assert_null(strstr(text.data, "tokens/s"));
	buf_truncate(&text, 0);
	assert_int_equal(plan_format(plan, NULL, &text), SC_OK);
	assert_non_null(strstr(text.data, "\n1      -                        e+0-"));
	buf_deinit(&text);
	plan_destroy(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_split_is_better),
		cmocka_unit_test(every_number_of_stages_covers_every_layer_once),
		cmocka_unit_test(no_stages_or_more_than_layers_are_refused),
		cmocka_unit_test(a_given_split_is_kept_and_named_after_its_workers),
		cmocka_unit_test(embedding_and_head_count),
		cmocka_unit_test(the_faster_worker_gets_more),
		cmocka_unit_test(layers_move_to_where_there_is_memory_for_them),
		cmocka_unit_test(what_fits_nowhere_is_an_error_that_says_what_is_missing),
		cmocka_unit_test(memory_of_a_stage_is_that_of_its_workers_table),
		cmocka_unit_test(layers_with_a_window_have_blocks_for_it_alone),
		cmocka_unit_test(absurd_sizes_fit_nowhere),
		cmocka_unit_test(the_table_has_a_line_for_each_stage_and_predicts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
