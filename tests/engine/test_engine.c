/* SPDX-License-Identifier: Apache-2.0 */
/* The whole life of an engine through its one header: load, submit, watch, status, stop. */
#include "engine/engine.h"

#include "config/config.h"
#include "event/loop.h"

#include "tests/pipeline/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct loop *loop;
static struct engine *engine;
static struct error failure;	/* of FAILED */
static unsigned seen;		/* phases, by bit */
static enum coordinator_phase last;
static uint64_t loaded_bytes, total_bytes;
static unsigned n_changes;

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	(void)arg;
	assert_true(phase > last);
	last = phase;
	seen |= 1u << phase;
	assert_true((phase == COORDINATOR_FAILED) == (err != NULL));
	if (err)
		failure = *err;
}

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	loaded_bytes = done;
	total_bytes = total;
}

static void on_change(void *arg, struct job *job)
{
	(void)arg;
	(void)job;
	n_changes++;
}

static enum sc_status create(const struct config *settings, struct error *err)
{
	const struct engine_config config = {
		.loop = loop, .settings = settings, .model = rig_model(),
		.on_phase = on_phase, .on_progress = on_progress,
	};

	seen = n_changes = 0;
	last = COORDINATOR_CONNECTING;
	loaded_bytes = total_bytes = 0;
	failure = (struct error){ .status = SC_OK };
	engine = NULL;
	return engine_create(&config, &engine, err);
}

static void create_well(const struct config *settings)
{
	struct error err;

	if (create(settings, &err) != SC_OK)
		fail_msg("%s", err.text);
}

#define wait_until(condition)                \
	do {                                 \
		while (!(condition))         \
			loop_turn(loop, true); \
	} while (0)

static struct job *submit(uint32_t max_tokens)
{
	const struct job_request request = {
		.prompt = "an engine", .prompt_bytes = 9, .max_tokens = max_tokens,
		.ignore_end = true, .top_p = 1.0f,
	};
	struct error err;
	struct job *job;

	if (engine_submit(engine, &request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

static void an_engine_loads_answers_and_stops(void **state)
{
	const struct config settings = rig_settings(&rig_defaults);
	struct job_watcher watcher = { .on_change = on_change };
	struct coordinator_status status;
	struct stage_status stage;
	struct job *job, *found;
	struct error err;

	(void)state;
	create_well(&settings);
	assert_int_equal(engine_phase(engine), COORDINATOR_CONNECTING);
	assert_ptr_equal(engine_model(engine), rig_model()->model);
	assert_ptr_equal(engine_tokenizer(engine), rig_model()->tokenizer);
	wait_until(last >= COORDINATOR_READY);
	assert_int_equal(last, COORDINATOR_READY);
	assert_true(loaded_bytes <= total_bytes);
	assert_int_equal(engine_plan(engine)->n_stages, settings.stages);
	assert_int_equal(engine_kv_type(engine), rig_defaults.kv_type);

	job = submit(12);
	job_watch(job, &watcher);
	assert_int_equal(engine_find(engine, job_id(job), &found, &err), SC_OK);
	assert_ptr_equal(found, job);
	job_release(found);
	assert_int_equal(engine_list(engine, ~0u, &found, 1), 1);
	wait_until(job_is_ended(job));
	wait_until(n_changes);
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, 12);

	engine_status(engine, &status);
	assert_int_equal(status.generated_tokens, 12);
	assert_int_equal(status.max_context, engine_max_context(engine));
	engine_stage_status(engine, 1, &stage);
	assert_int_equal(stage.first_layer, engine_plan(engine)->stages[1].first_layer);

	engine_drain(engine, 0);
	assert_int_equal(engine_check_room(engine, 0, &err), SC_E_UNAVAILABLE);
	wait_until(last >= COORDINATOR_STOPPED);
	assert_int_equal(seen, 1u << COORDINATOR_LOADING | 1u << COORDINATOR_PROBING |
			       1u << COORDINATOR_READY | 1u << COORDINATOR_DRAINING |
			       1u << COORDINATOR_STOPPED);
	job_unwatch(job, &watcher);
	job_release(job);
	engine_destroy(engine);
}

static void settings_that_contradict_each_other_are_refused(void **state)
{
	struct config settings = rig_settings(&rig_defaults);
	struct error err;

	(void)state;
	settings.heartbeat_ms = 500;
	settings.deadline_ms = 999;
	assert_int_equal(create(&settings, &err), SC_E_CONFIG);
	assert_non_null(strstr(err.text, "deadline-ms: 999"));
	assert_null(engine);
}

static void a_backend_that_is_not_there_is_refused(void **state)
{
	struct config settings = rig_settings(&rig_defaults);
	struct error err;

	(void)state;
	settings.backend = (char *)"abacus";
	assert_int_equal(create(&settings, &err), SC_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "abacus"));
	assert_null(engine);
}

static void stages_without_room_fail_the_engine(void **state)
{
	struct config settings = rig_settings(&rig_defaults);
	struct job_request request = { .prompt = "x", .prompt_bytes = 1, .top_p = 1.0f };
	struct job *job;
	struct error err;

	(void)state;
	settings.memory = 4096;
	create_well(&settings);
	wait_until(last >= COORDINATOR_READY);
	assert_int_equal(last, COORDINATOR_FAILED);
	assert_int_equal(failure.status, SC_E_CAPACITY);
	assert_int_equal(engine_submit(engine, &request, &job, &err), SC_E_UNAVAILABLE);
	engine_destroy(engine);
}

static void an_engine_that_is_aborted_fails_its_jobs(void **state)
{
	const struct config settings = rig_settings(&rig_defaults);
	struct job *job;
	struct error err;

	(void)state;
	create_well(&settings);
	wait_until(last >= COORDINATOR_READY);
	job = submit(JOB_UNLIMITED);
	wait_until(job_output(job, 0)->n_tokens > 2);
	error_set(&err, SC_E_UNAVAILABLE, "the launcher has ended");
	engine_abort(engine, &err);
	wait_until(last >= COORDINATOR_STOPPED);
	assert_int_equal(last, COORDINATOR_FAILED);
	assert_string_equal(failure.text, err.text);
	assert_int_equal(job_state(job), JOB_FAILED);
	assert_string_equal(job_error(job)->text, err.text);
	job_release(job);
	engine_destroy(engine);
}

/* Whatever it is doing after so many turns of the loop. */
static void an_engine_may_be_destroyed_at_any_moment(void **state)
{
	const struct config settings = rig_settings(&rig_defaults);

	(void)state;
	for (unsigned n_turns = 0; n_turns < 40; n_turns++) {
		bool is_asked = false;

		create_well(&settings);
		for (unsigned turn = 0; turn < n_turns; turn++) {
			if (!is_asked && last == COORDINATOR_READY) {
				job_release(submit(JOB_UNLIMITED));
				is_asked = true;
			}
			loop_turn(loop, true);
		}
		engine_destroy(engine);
	}
}

static int open_loop(void **state)
{
	(void)state;
	return loop_create(&loop) != SC_OK;
}

static int close_loop(void **state)
{
	loop_destroy(loop);
	return rig_model_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_engine_loads_answers_and_stops),
		cmocka_unit_test(settings_that_contradict_each_other_are_refused),
		cmocka_unit_test(a_backend_that_is_not_there_is_refused),
		cmocka_unit_test(stages_without_room_fail_the_engine),
		cmocka_unit_test(an_engine_that_is_aborted_fails_its_jobs),
		cmocka_unit_test(an_engine_may_be_destroyed_at_any_moment),
	};

	return cmocka_run_group_tests(tests, open_loop, close_loop);
}
