/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first promise: a job's tokens, and the bits of the logits behind them, do not depend on the
 * number of stages, the window, the chunks of the prompt, the length of a block, or who else is in
 * the step.
 * Every job is first run alone on one stage; then all together in every arrangement, arriving and
 * leaving at random.
 */
#include "tests/pipeline/wanted.h"
#include "tests/sanitizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct wanted wanted[MAX_JOBS];

enum { EVERY = SANITIZED_EVERY(16) };

static void the_same_bits_for_every_split_window_and_chunk(void **state)
{
	static const unsigned stages[] = { 1, 2, 3, 8 };
	enum { N_STAGES = 4, N_WINDOWS = 9, N_CHUNKS = 16, MAX_CHUNK = 64 };
	struct rig_options options = rig_defaults;
	unsigned n_run = 0;

	(void)state;
	for (unsigned n = 0; n < N_STAGES * N_WINDOWS * N_CHUNKS; n++) {
		unsigned split = n / N_CHUNKS;

		/* A part still has every number of stages with every window. */
		if (n % EVERY != split % EVERY)
			continue;
		/* Each split and window has sixteen of the chunks, each chunk many of those. */
		options.prompt_chunk = 1 + (n % N_CHUNKS * 4 + split) % MAX_CHUNK;
		options.window = 1 + split % N_WINDOWS;
		options.n_stages = stages[split / N_WINDOWS];
		options.n_threads = 1 + n % 2;
		wanted_run_together(wanted, n % 5 ? 1 + wanted_draw(MAX_JOBS) : MAX_JOBS, &options);
		n_run++;
	}
	print_message("%u arrangements, up to %u sequences each\n", n_run, MAX_JOBS);
}

/* The jobs of one client have all slots when those of others come. */
static void the_same_bits_when_clients_take_slots_from_each_other(void **state)
{
	struct coordinator_status status;
	struct rig_options options = rig_defaults;
	struct job *jobs[MAX_JOBS];
	struct rig rig;

	(void)state;
	options.n_stages = 3;
	options.prompt_chunk = 16;
	options.max_sequences = 6;
	rig_start(&rig, &options);
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		struct wanted *w = &wanted[i];

		/* The first ten are of one client, and all the others come after their start. */
		w->request.client = i < 10 ? 1 : 2 + i % 4;
		jobs[i] = wanted_submit(&rig, w);
		if (i == 9)
			rig_wait(&rig, job_output(jobs[5], 0)->n_tokens);
	}
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		rig_wait(&rig, job_is_ended(jobs[i]));
		wanted_check(jobs[i], &wanted[i]);
		job_release(jobs[i]);
	}
	engine_status(rig.engine, &status);
	assert_true(status.preemptions > 0);
	assert_int_equal(status.n_blocks_free, status.n_blocks);
	rig_stop(&rig);
	rig_free_logits(&rig);
}

static void the_same_bits_when_blocks_run_out_and_sequences_start_over(void **state)
{
	struct coordinator_status status;
	struct rig_options options = rig_defaults;
	struct job *jobs[MAX_JOBS], *spoilt[MAX_JOBS / 2];
	uint32_t token;
	struct rig rig;

	(void)state;
	options.n_stages = 3;
	options.prompt_chunk = 16;
	options.block_length = 4;
	options.kv_positions = rig_model()->model->hparams.n_context;
	token = wanted_foreign_token(wanted, MAX_JOBS);
	rig_spoil_token(token);
	rig_start(&rig, &options);
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		jobs[i] = wanted_submit(&rig, &wanted[i]);
		if (i % 2)
			spoilt[i / 2] = wanted_submit_spoilt(&rig, token);
	}
	for (unsigned i = 0; i < MAX_JOBS / 2; i++) {
		rig_wait(&rig, job_is_ended(spoilt[i]));
		wanted_check_spoilt(spoilt[i]);
	}
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		rig_wait(&rig, job_is_ended(jobs[i]));
		wanted_check(jobs[i], &wanted[i]);
		job_release(jobs[i]);
	}
	engine_status(rig.engine, &status);
	assert_true(status.preemptions > 0);
	assert_int_equal(status.n_blocks_free, status.n_blocks);
	rig_stop(&rig);
	rig_free_logits(&rig);
}

/* Rounded keys and values give other tokens, and these hold for every arrangement too. */
static void the_same_bits_for_every_type_of_keys_and_values(void **state)
{
	static const enum tensor_type types[] = { TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0 };
	struct rig_options options = rig_defaults;

	(void)state;
	for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
		options.kv_type = types[i];
		wanted_run_alone(wanted, MAX_JOBS, &options);
		for (unsigned k = 0; k < 4; k++) {
			options.n_stages = 1 + k * 7 / 3;
			options.window = k ? 1 + wanted_draw(8) : 0;
			options.prompt_chunk = 1 + wanted_draw(40);
			options.n_threads = 1 + k % 4;
			wanted_run_together(wanted, MAX_JOBS, &options);
		}
	}
}

/* All are compared with blocks of 32 positions, the default. */
static void the_same_bits_for_every_length_of_blocks(void **state)
{
	static const enum tensor_type types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16,
						  TENSOR_Q8_0 };
	static const unsigned lengths[] = { 1, 8, 16, 24, 33, 64, 128, 1024 };
	struct rig_options options = rig_defaults;

	(void)state;
	for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
		options.kv_type = types[i];
		options.n_stages = 1;
		options.block_length = 32;
		wanted_run_alone(wanted, MAX_JOBS, &options);
		for (unsigned k = 0; k < sizeof lengths / sizeof lengths[0];
		     k += SANITIZED_EVERY(3)) {
			options.block_length = lengths[k];
			options.n_stages = 1 + k % 3;
			options.prompt_chunk = 1 + wanted_draw(40);
			options.n_threads = 1 + k % 2;
			wanted_run_together(wanted, MAX_JOBS, &options);
		}
	}
}

/* Workers with several instruction sets, in any order. */
static void stages_of_different_sets_give_the_bits_of_the_one_common_to_them(void **state)
{
	enum cpu_isa isas[8];

	(void)state;
	for (enum cpu_isa common = CPU_SCALAR; common <= cpu_isa_best(); common++) {
		struct rig_options options = rig_defaults;

		options.isa = common;
		options.kv_type = TENSOR_Q8_0;
		wanted_run_alone(wanted, MAX_JOBS, &options);
		options.isas = isas;
		for (unsigned k = 0; k < 4; k++) {
			options.n_stages = 2 + 2 * (k % 2);
			for (unsigned i = 0; i < options.n_stages; i++)
				isas[i] = (enum cpu_isa)(common + wanted_draw(cpu_isa_best() -
									      common + 1));
			isas[k % options.n_stages] = common;
			wanted_run_together(wanted, MAX_JOBS, &options);
		}
	}
}

static int make_requests(void **state)
{
	(void)state;
	wanted_make(wanted, MAX_JOBS);
	wanted_run_alone(wanted, MAX_JOBS, &rig_defaults);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bits_for_every_split_window_and_chunk),
		cmocka_unit_test(the_same_bits_when_clients_take_slots_from_each_other),
		cmocka_unit_test(the_same_bits_when_blocks_run_out_and_sequences_start_over),
		cmocka_unit_test(the_same_bits_for_every_type_of_keys_and_values),
		cmocka_unit_test(the_same_bits_for_every_length_of_blocks),
		cmocka_unit_test(stages_of_different_sets_give_the_bits_of_the_one_common_to_them),
	};

	return cmocka_run_group_tests(tests, make_requests, rig_model_teardown);
}
