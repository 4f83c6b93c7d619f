/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers with a sliding window keep a window's blocks, and no bit depends on it. Every job is first
 * run alone with tables of whole contexts, which never overwrite a position: steps of as many rows
 * as a context has make every ring that long. Then all together with short rings, in blocks of
 * several lengths, in chunks, on several stages, some of which have no layer of some group, and
 * where blocks run out.
 */
#include "tests/pipeline/wanted.h"
#include "tests/model/windows.h"
#include "tests/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define CONTEXT 128

static struct wanted wanted[MAX_JOBS];
static struct buf file = BUF_INIT;

/* Windows of layers. The last model keeps whole contexts nowhere. */
static const struct model_case {
	uint32_t windows[4], n;
} cases[] = {
	{ { 5, 0, 64, 5 }, 4 },
	{ { 0, 5, 5 }, 3 },
	{ { 1, 64 }, 2 },
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static void use_model(const struct model_case *it)
{
	struct tiny_model tiny = tiny_llama;
	struct model *model;

	tiny.n_layers = 8;
	tiny.n_context = CONTEXT;
	rig_model_close();
	file.length = 0;
	model = tiny_model_open(&tiny, &file);
	windows_set(model, it->windows, it->n);
	rig_use_open_model(model);
}

/* Rings are as long as the context. */
static void run_alone(enum tensor_type kv_type)
{
	struct rig_options options = rig_defaults;

	options.max_rows = options.prompt_chunk = CONTEXT;
	options.kv_type = kv_type;
	wanted_run_alone(wanted, MAX_JOBS, &options);
}

/* Layers see less than all positions, or all this shows nothing: the tokens differ between the
 * models, and from those without windows. */
static uint64_t hash_of_all(void)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < MAX_JOBS; i++)
		for (uint32_t k = 0; k < wanted[i].n_tokens; k++)
			hash = hash * UINT64_C(0x9E3779B97F4A7C15) + wanted[i].hashes[k];
	return hash;
}

static void windows_change_the_logits(void **state)
{
	static const struct model_case whole = { { 0 }, 1 }, wide = { { CONTEXT, 4096 }, 2 };
	uint64_t hashes[N_CASES + 1];

	(void)state;
	use_model(&whole);
	run_alone(TENSOR_F32);
	hashes[N_CASES] = hash_of_all();
	for (unsigned i = 0; i < N_CASES; i++) {
		use_model(&cases[i]);
		run_alone(TENSOR_F32);
		hashes[i] = hash_of_all();
		for (unsigned k = i + 1; k <= N_CASES; k++)
			assert_true(hashes[i] != hashes[k] || k < N_CASES);
		assert_true(hashes[i] != hashes[N_CASES]);
	}
	/* Except those that are as long as the context. */
	use_model(&wide);
	run_alone(TENSOR_F32);
	assert_true(hash_of_all() == hashes[N_CASES]);
}

static void the_same_bits_for_every_ring_chunk_and_split(void **state)
{
	static const unsigned stages[] = { 1, 2, 3, 8 }, lengths[] = { 8, 16, 33, 1 };
	unsigned n_run = 0;

	(void)state;
	for (unsigned m = 0; m < N_CASES; m++) {
		use_model(&cases[m]);
		run_alone(TENSOR_F32);
		for (unsigned n = 0; n < 32; n += SANITIZED_EVERY(8)) {
			struct rig_options options = rig_defaults;

			options.n_stages = stages[n % 4];
			options.block_length = lengths[(n / 4 + n) % 4];
			options.max_rows = 1 + wanted_draw(n % 3 ? 12 : 64);
			options.prompt_chunk = 1 + wanted_draw(options.max_rows);
			options.window = n % 5;
			options.n_threads = 1 + n % 2;
			wanted_run_together(wanted, n % 4 ? 12 : MAX_JOBS, &options);
			n_run++;
		}
	}
	print_message("%u arrangements\n", n_run);
}

static void the_same_bits_for_every_type_of_keys_and_values(void **state)
{
	static const enum tensor_type types[] = { TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0 };

	(void)state;
	for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct rig_options options = rig_defaults;

		use_model(&cases[i]);
		run_alone(types[i]);
		options.kv_type = types[i];
		for (unsigned k = 0; k < 3; k++) {
			options.block_length = k ? 16 : 33;
			options.max_rows = 8 << k;
			options.prompt_chunk = 5 << k;
			options.n_stages = 1 + k;
			wanted_run_together(wanted, MAX_JOBS, &options);
		}
	}
}

static void check_all_free(struct rig *rig)
{
	struct coordinator_status status;

	engine_status(rig->engine, &status);
	assert_true(status.preemptions > 0);
	assert_int_equal(status.n_groups, rig_model()->model->n_groups +
					  !status.groups[status.n_groups - 1].n_layers);
	for (uint32_t g = 0; g < status.n_groups; g++)
		assert_int_equal(status.groups[g].n_blocks_free, status.groups[g].n_blocks);
}

/* Sequences start over in the middle of windows. */
static void the_same_bits_when_blocks_run_out(void **state)
{
	struct rig_options options = rig_defaults;
	struct job *jobs[MAX_JOBS];
	struct rig rig;

	(void)state;
	options.n_stages = 3;
	options.max_rows = options.prompt_chunk = 8;
	options.block_length = 4;
	options.kv_positions = CONTEXT;
	for (unsigned m = 0; m < N_CASES; m++) {
		use_model(&cases[m]);
		run_alone(TENSOR_F32);
		rig_start(&rig, &options);
		for (unsigned i = 0; i < MAX_JOBS; i++)
			jobs[i] = wanted_submit(&rig, &wanted[i]);
		for (unsigned i = 0; i < MAX_JOBS; i++) {
			rig_wait(&rig, job_is_ended(jobs[i]));
			wanted_check(jobs[i], &wanted[i]);
			job_release(jobs[i]);
		}
		check_all_free(&rig);
		rig_stop(&rig);
		rig_free_logits(&rig);
	}
}

static int make_requests(void **state)
{
	(void)state;
	wanted_make(wanted, MAX_JOBS);
	return 0;
}

static int close_model(void **state)
{
	(void)state;
	rig_model_close();
	buf_deinit(&file);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_change_the_logits),
		cmocka_unit_test(the_same_bits_for_every_ring_chunk_and_split),
		cmocka_unit_test(the_same_bits_for_every_type_of_keys_and_values),
		cmocka_unit_test(the_same_bits_when_blocks_run_out),
	};

	return cmocka_run_group_tests(tests, make_requests, close_model);
}
