/* SPDX-License-Identifier: Apache-2.0 */
/* An engine that continues one prompt: whatever ends it, the loop stops, with an exit code that
 * tells whether the text is whole. */
#include "cli/prompt_run.h"

#include "event/loop.h"

#include "tests/pipeline/rig.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct config settings;
static struct progress progress;
static struct prompt_run run;
static enum coordinator_phase interrupts_at;	/* SIGTERM comes then; CONNECTING: never */

static bool recovers;			/* a stage is lost and replaced at once */
static uint32_t n_jobs;			/* at the end */

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct coordinator_status status;

	(void)arg;
	prompt_run_phase(&run, phase, err);
	if (recovers && phase == COORDINATOR_READY) {
		prompt_run_phase(&run, COORDINATOR_RECOVERING, NULL);
		prompt_run_phase(&run, COORDINATOR_READY, NULL);
	}
	if (phase == COORDINATOR_STOPPED) {
		engine_status(run.engine, &status);
		n_jobs = status.jobs_queued + status.jobs_running;
		for (int i = 0; i < JOB_N_STATES; i++)
			n_jobs += (uint32_t)status.jobs_by_state[i];
	}
	if (interrupts_at && phase == interrupts_at)
		prompt_run_interrupt(&run, SIGTERM);
}

static int run_with_memory(uint64_t memory)
{
	struct engine_config config = {
		.settings = &settings, .model = rig_model(), .on_phase = on_phase,
	};
	struct error err;

	settings = rig_settings(&rig_defaults);
	settings.is_quiet = true;
	settings.prompt = (char *)"to be";
	settings.n_predict = 4;
	settings.n_sequences = 1;
	settings.top_p = 1.0;
	settings.samplers = settings.sampler_seq = (char *)"";
	if (memory)
		settings.memory = memory;
	progress_init(&progress, true);
	run = (struct prompt_run){ .config = &settings, .progress = &progress };
	assert_int_equal(loop_create(&run.loop), SC_OK);
	assert_int_equal(tokenizer_encode(rig_model()->tokenizer, settings.prompt, 5, 0,
					  &run.prompt, &err), SC_OK);
	config.loop = run.loop;
	if (engine_create(&config, &run.engine, &err) != SC_OK)
		fail_msg("%s", err.text);
	loop_run(run.loop);
	prompt_run_deinit(&run);
	engine_destroy(run.engine);
	loop_destroy(run.loop);
	return run.exit_code;
}

static void a_text_that_is_whole_ends_well(void **state)
{
	(void)state;
	interrupts_at = COORDINATOR_CONNECTING;
	assert_int_equal(run_with_memory(0), 0);
}

static void a_stage_that_is_replaced_begins_no_other_text(void **state)
{
	(void)state;
	interrupts_at = COORDINATOR_CONNECTING;
	recovers = true;
	assert_int_equal(run_with_memory(0), 0);
	assert_int_equal(n_jobs, 1);
	recovers = false;
}

/* While it loads as well as later: the text is missing either way. */
static void a_signal_is_told_by_the_exit_code(void **state)
{
	static const enum coordinator_phase phases[] = {
		COORDINATOR_LOADING, COORDINATOR_PROBING, COORDINATOR_READY,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof phases / sizeof phases[0]; i++) {
		interrupts_at = phases[i];
		assert_int_equal(run_with_memory(0), 128 + SIGTERM);
	}
}

static void a_model_without_room_is_told_by_the_exit_code(void **state)
{
	(void)state;
	interrupts_at = COORDINATOR_CONNECTING;
	assert_int_equal(run_with_memory(4096), sc_status_exit_code(SC_E_CAPACITY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_is_whole_ends_well),
		cmocka_unit_test(a_stage_that_is_replaced_begins_no_other_text),
		cmocka_unit_test(a_signal_is_told_by_the_exit_code),
		cmocka_unit_test(a_model_without_room_is_told_by_the_exit_code),
	};

	return cmocka_run_group_tests(tests, NULL, rig_model_teardown);
}
