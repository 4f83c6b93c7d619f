/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a pipeline that die, hang or go in the middle of something: clients get an error that
 * says what happened, nothing waits for ever, nothing is left behind. */
#include "coordinator/job.h"
#include "engine/wiring.h"
#include "transport/fabrics.h"

#include "base/clock.h"
#include "event/manual_clock.h"

#include "tests/pipeline/rig.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define N 3
#define STOP_MS 3000	/* how long workers may take to leave */
#define PATIENCE_NS (60 * NS_PER_SECOND)

struct stage {
	struct worker *worker;
	struct error error;
	bool is_ended;
};

static struct pipeline {
	struct manual_clock *clock;	/* moved only where a test waits for time to pass */
	struct loop *loop;
	struct loopback_hub *hub;
	struct loopback_port port;
	struct coordinator *coordinator;
	struct stage stages[N];
	enum coordinator_phase phase;
	struct error error;
	atomic_bool hangs;	/* the last stage's thread is to hang, until `go` */
	atomic_bool is_hanging;
	sem_t go;
} p;

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	(void)arg;
	p.phase = phase;
	if (err)
		p.error = *err;
}

static void on_end(void *arg, const struct error *err)
{
	struct stage *stage = arg;

	stage->is_ended = true;
	stage->error = *err;
}

static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	(void)why;
	on_end(arg, err);
}

static void on_logits(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		      uint32_t n_vocab)
{
	(void)arg;
	(void)sequence;
	(void)logits;
	(void)n_vocab;
	if (p.hangs && position > 8) {
		p.is_hanging = true;
		while (sem_wait(&p.go))
			;
	}
}

static void create_workers(void)
{
	struct worker_config config = {
		.loop = p.loop, .model = rig_model()->model, .backend = backend_find("cpu"),
		.fabrics = loopback_source(&p.port), .n_threads = 1,
		.on_end = on_end, .on_detached = on_detached, .on_logits = on_logits,
	};
	struct channel *ends[2];
	struct error err;
	char id[16];

	config.id = id;
	for (unsigned i = 0; i < N; i++) {
		snprintf(id, sizeof id, "w%u", i + 1);
		config.arg = &p.stages[i];
		if (worker_create(&config, &p.stages[i].worker, &err) != SC_OK)
			fail_msg("%s", err.text);
		assert_int_equal(channel_pair(p.loop, ends), SC_OK);
		coordinator_accept(p.coordinator, ends[0]);
		worker_attach(p.stages[i].worker, ends[1]);
	}
}

static void create(bool hangs)
{
	const struct opened_model *model = rig_model();
	struct coordinator_config config = {
		.model = model->model, .tokenizer = model->tokenizer, .n_stages = N,
		.max_rows = 32, .max_sequences = 4, .max_queue = 8, .kv_positions = 1024,
		.block_length = 8, .heartbeat_ms = 50, .deadline_ms = 60000, .start_ms = 60000,
		.keep_jobs = 10, .has_fixed_workers = true, .on_phase = on_phase,
	};
	struct error err;

	p = (struct pipeline){ .loop = NULL };
	p.hangs = hangs;
	assert_int_equal(sem_init(&p.go, 0, 0), 0);
	assert_int_equal(manual_clock_create(&p.clock), SC_OK);
	assert_int_equal(loop_create_on(p.clock, &p.loop), SC_OK);
	assert_int_equal(loopback_hub_create(&p.hub), SC_OK);
	p.port = (struct loopback_port){ p.loop, p.hub };
	config.loop = p.loop;
	config.fabrics = loopback_source(&p.port);
	if (coordinator_create(&config, &p.coordinator, &err) != SC_OK)
		fail_msg("%s", err.text);
	create_workers();
}

/* As a process that dies: its stage and its end of all links are gone. */
static void kill_stage(unsigned i)
{
	assert_int_equal(worker_destroy(p.stages[i].worker), SC_OK);
	p.stages[i].worker = NULL;
}

static void destroy(void)
{
	coordinator_destroy(p.coordinator);
	for (unsigned i = 0; i < N; i++)
		kill_stage(i);
	manual_clock_settle(p.clock);
	loopback_hub_destroy(p.hub);
	loop_destroy(p.loop);
	manual_clock_destroy(p.clock);
	sem_destroy(&p.go);
}

#define wait_for(condition)                                                       \
	do {                                                                      \
		uint64_t until_ns = clock_ns() + PATIENCE_NS;                     \
		while (!(condition)) {                                            \
			if (clock_ns() > until_ns)                                \
				fail_msg("waited in vain for: %s", #condition);   \
			loop_turn(p.loop, true);                                  \
		}                                                                 \
	} while (0)

static struct job *submit(uint32_t max_tokens)
{
	struct job_request request = {
		.prompt = "a stage is lost", .prompt_bytes = 15, .max_tokens = max_tokens,
		.ignore_end = true, .top_p = 1.0f,
	};
	struct error err;
	struct job *job;

	if (job_submit(p.coordinator, &request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

static void names_stage(const char *text, unsigned i)
{
	char expected[64];

	snprintf(expected, sizeof expected, "stage %u (worker w%u, host ", i + 1, i + 1);
	if (!strstr(text, expected) || !strstr(text, ", pid "))
		fail_msg("expected \"%s\", found: %s", expected, text);
}

static void clients_learn_which_stage_died(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct job *running[2], *late;
		struct job_request request = { .prompt = "x", .prompt_bytes = 1, .top_p = 1.0f };
		struct error err;

		create(false);
		wait_for(p.phase == COORDINATOR_READY);
		running[0] = submit(JOB_UNLIMITED);
		running[1] = submit(JOB_UNLIMITED);
		wait_for(job_output(running[1], 0)->n_tokens >= 3);
		kill_stage(i);
		wait_for(p.phase == COORDINATOR_FAILED);
		names_stage(p.error.text, i);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(job_state(running[k]), JOB_FAILED);
			assert_int_equal(job_error(running[k])->status, SC_E_UNAVAILABLE);
			names_stage(job_error(running[k])->text, i);
			assert_int_equal(job_output(running[k], 0)->finish, FINISH_ERROR);
			/* What it had said stays. */
			assert_true(job_output(running[k], 0)->n_tokens >= 1);
			job_release(running[k]);
		}
		assert_int_equal(job_submit(p.coordinator, &request, &late, &err),
				 SC_E_UNAVAILABLE);
		names_stage(err.text, i);
		destroy();
	}
}

static void the_other_stages_are_told_to_stop(void **state)
{
	(void)state;
	create(false);
	wait_for(p.phase == COORDINATOR_READY);
	kill_stage(1);
	wait_for(p.stages[0].is_ended && p.stages[2].is_ended);
	/* And why: so that they know not to wait for the lost one. */
	for (int i = 0; i <= 2; i += 2) {
		assert_true(worker_is_stopped(p.stages[i].worker));
		assert_int_equal(p.stages[i].error.status, p.error.status);
		names_stage(p.stages[i].error.text, 1);
	}
	destroy();
}

/* Whatever is under way after so many turns of the loop. */
static void a_stage_may_die_at_any_moment(void **state)
{
	(void)state;
	for (unsigned n_turns = 0; n_turns < 60; n_turns++) {
		struct job *job = NULL;

		create(false);
		for (unsigned turn = 0; turn < n_turns; turn++) {
			if (!job && p.phase == COORDINATOR_READY)
				job = submit(JOB_UNLIMITED);
			loop_turn(p.loop, true);
		}
		kill_stage(n_turns % N);
		wait_for(p.phase == COORDINATOR_FAILED);
		if (job) {
			assert_int_equal(job_state(job), JOB_FAILED);
			job_release(job);
		}
		destroy();
	}
}

static void stages_whose_coordinator_dies_say_so(void **state)
{
	struct job *job;

	(void)state;
	create(false);
	wait_for(p.phase == COORDINATOR_READY);
	job = submit(JOB_UNLIMITED);
	wait_for(job_output(job, 0)->n_tokens >= 3);
	coordinator_destroy(p.coordinator);
	p.coordinator = NULL;
	assert_int_equal(job_state(job), JOB_FAILED);
	for (unsigned i = 0; i < N; i++) {
		wait_for(p.stages[i].is_ended);
		assert_int_equal(p.stages[i].error.status, SC_E_CLOSED);
		assert_non_null(strstr(p.stages[i].error.text, "coordinator lost"));
	}
	job_release(job);
	destroy();
}

static void a_stage_that_hangs_does_not_hold_up_a_drain(void **state)
{
	struct job *job;

	(void)state;
	create(true);
	wait_for(p.phase == COORDINATOR_READY);
	job = submit(JOB_UNLIMITED);
	wait_for(p.is_hanging);
	coordinator_drain(p.coordinator, 100);
	manual_clock_pass(p.clock, 99);
	assert_false(job_is_ended(job));
	manual_clock_pass(p.clock, 1);
	assert_int_equal(job_state(job), JOB_FAILED);
	manual_clock_pass(p.clock, STOP_MS);
	assert_int_equal(p.phase, COORDINATOR_STOPPED);
	job_release(job);
	/* Else its thread could not be joined. */
	p.hangs = false;
	for (int i = 0; i < 16; i++)
		sem_post(&p.go);
	destroy();
}

static void everything_may_go_while_jobs_run_and_wait(void **state)
{
	(void)state;
	create(false);
	wait_for(p.phase == COORDINATOR_READY);
	for (int i = 0; i < 9; i++)
		job_release(submit(i));
	for (int i = 0; i < 5; i++)
		loop_turn(p.loop, true);
	destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_learn_which_stage_died),
		cmocka_unit_test(the_other_stages_are_told_to_stop),
		cmocka_unit_test(a_stage_may_die_at_any_moment),
		cmocka_unit_test(stages_whose_coordinator_dies_say_so),
		cmocka_unit_test(a_stage_that_hangs_does_not_hold_up_a_drain),
		cmocka_unit_test(everything_may_go_while_jobs_run_and_wait),
	};

	return cmocka_run_group_tests(tests, NULL, rig_model_teardown);
}
