/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first promise, for a small model of each shape of each family: every job gives the tokens and
 * the bits of the logits that it gives alone, whatever the stages, chunks, threads and blocks, and
 * when sequences start over in the middle of their windows.
 */
#include "tests/pipeline/wanted.h"
#include "tests/sanitizer.h"
#include "tests/stage/family.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { N_JOBS = 6, N_ARRANGEMENTS = 4 };

static struct wanted wanted[N_JOBS];

/* All jobs at once on few blocks: sequences are stopped and start over. Returns how many were. */
static uint64_t run_with_few_blocks(const struct rig_options *options)
{
	struct coordinator_status status;
	struct job *jobs[N_JOBS];
	struct rig rig;

	rig_start(&rig, options);
	if (rig.phase != COORDINATOR_READY)
		fail_msg("%s", rig.error.text);
	for (unsigned i = 0; i < N_JOBS; i++)
		jobs[i] = wanted_submit(&rig, &wanted[i]);
	for (unsigned i = 0; i < N_JOBS; i++) {
		rig_wait(&rig, job_is_ended(jobs[i]));
		wanted_check(jobs[i], &wanted[i]);
		job_release(jobs[i]);
	}
	engine_status(rig.engine, &status);
	assert_int_equal(status.n_blocks_free, status.n_blocks);
	rig_stop(&rig);
	rig_free_logits(&rig);
	return status.preemptions;
}

static void check_arrangements(const char *name)
{
	unsigned n_layers = rig_model()->model->hparams.n_layers;
	unsigned most_stages = n_layers < 5 ? n_layers : 5;
	struct rig_options options = rig_defaults;
	uint64_t n_preempted;

	wanted_run_alone(wanted, N_JOBS, &options);
	for (unsigned i = 0; i < N_ARRANGEMENTS; i++) {
		options.n_stages = i ? 1 + wanted_draw(most_stages) : most_stages;
		options.n_threads = 1 + i % 2;
		options.window = wanted_draw(7);
		options.prompt_chunk = 1 + wanted_draw(64);
		options.block_length = i ? 1 + wanted_draw(48) : 8;
		wanted_run_together(wanted, N_JOBS, &options);
	}
	options.n_stages = 2;
	options.n_threads = 1;
	options.window = 0;
	options.prompt_chunk = 16;
	options.block_length = 4;
	options.kv_positions = MAX_PROMPT + MAX_NEW;
	n_preempted = run_with_few_blocks(&options);
	print_message("%-20s the same bits; %u sequences started over\n", name,
		      (unsigned)n_preempted);
	assert_true(n_preempted > 0);
}

/* arg: unsigned, how many were seen. */
static void check_shape(const char *name, void *arg)
{
	const char *files = getenv("STAGECOACH_FAMILY_GGUFS");
	unsigned *n_seen = arg;
	char path[FAMILY_PATH];

	/* A part under sanitizers. */
	if ((*n_seen)++ % SANITIZED_EVERY(6))
		return;
	if (files) {
		snprintf(path, sizeof path, "%s/%s.gguf", files, name);
		rig_use_open_model(family_open(path));
	} else {
		family_folder_make(name, path);
		rig_use_open_model(family_open(path));
	}
	check_arrangements(name);
	rig_model_close();
	if (!files)
		family_folder_remove(path);
}

static void every_family_gives_the_same_bits_in_every_arrangement(void **state)
{
	unsigned n_seen = 0;

	(void)state;
	family_each(NULL, check_shape, &n_seen);
}

static int make_requests(void **state)
{
	(void)state;
	wanted_make(wanted, N_JOBS);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_family_gives_the_same_bits_in_every_arrangement),
	};

	return cmocka_run_group_tests(tests, make_requests, rig_model_teardown);
}
