/* SPDX-License-Identifier: Apache-2.0 */
/* Replacing a worker: which losses are noticed, who takes the stage, and what happens when nobody
 * can. Workers are hand-written peers; all have the only stage. */
#include "coordinator/coordinator_private.h"

#include "tests/coordinator/stage_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define DEADLINE_MS 2000
#define START_MS 5000

static struct stage_double d;
static struct peer spare;
static bool has_spare;

static struct coordinator_config config_of(void)
{
	struct coordinator_config config = stage_double_config();

	config.has_fixed_workers = false;
	config.survives_losses = true;
	config.heartbeat_ms = 200;
	config.deadline_ms = DEADLINE_MS;
	config.start_ms = START_MS;
	return config;
}

static int start_with(const struct coordinator_config *config)
{
	has_spare = false;
	stage_double_create(&d, config, 0);
	d.peer.answers_questions = true;
	stage_double_come_up(&d);
	return 0;
}

static int start(void **state)
{
	struct coordinator_config config = config_of();

	(void)state;
	return start_with(&config);
}

static int stop(void **state)
{
	(void)state;
	coordinator_destroy(d.coordinator);
	d.coordinator = NULL;
	if (has_spare)
		peer_close(&spare);
	stage_double_destroy(&d);
	return 0;
}

static void hello(struct peer *peer)
{
	coordinator_accept(d.coordinator, peer_dial(peer));
	peer_say_hello(peer, CONTROL_PROTOCOL_VERSION,
		       stage_double_config().model->fingerprint);
	stage_double_run_for(&d, 1);
}

static void add_spare_with(uint64_t memory_bytes)
{
	peer_open(&spare, d.loop, d.hub);
	spare.memory_bytes = memory_bytes;
	spare.id = "spare";
	spare.joins_epochs = spare.answers_steps = spare.answers_questions = true;
	spare.limits = d.peer.limits;
	has_spare = true;
	hello(&spare);
}

static void add_spare(void)
{
	add_spare_with(0);
}

/* Time in which both workers say that they are alive. */
static void live(unsigned ms)
{
	for (unsigned n = 0; n < ms; n += 100) {
		if (d.peer.channel)
			peer_beat(&d.peer, 0);
		if (has_spare && spare.channel)
			peer_beat(&spare, 0);
		stage_double_run_for(&d, 100);
	}
}

static struct job *submit(void)
{
	struct job_request request = stage_double_request(5, 20);

	return stage_double_submit(&d, &request);
}

static void expect_end(struct job *job)
{
	peer_wait(d.loop, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(job_output(job, 0)->n_tokens, 20);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(job_output(job, 0)->tokens[i].id, 'a' + (5 + i) % 26);
	job_release(job);
}

static void expect_loss(const char *words)
{
	if (!strstr(d.coordinator->last_loss.text, words))
		fail_msg("expected %s, found %s", words, d.coordinator->last_loss.text);
}

static void take_over(struct peer *peer)
{
	peer_wait(d.loop, peer->epoch == d.coordinator->n_epochs && d.coordinator->epoch);
	peer_say_ready(peer, peer->epoch);
	peer_wait(d.loop, d.phase == COORDINATOR_READY);
}

static void a_spare_takes_over(void **state)
{
	struct job *job;

	(void)state;
	add_spare();
	d.peer.answers_steps = false;
	job = submit();
	stage_double_run_for(&d, 1);
	peer_hang_up(&d.peer);
	peer_wait(d.loop, d.phase == COORDINATOR_RECOVERING);
	take_over(&spare);
	assert_int_equal(spare.n_layers, 2);
	expect_end(job);
	expect_loss("stage 1 (worker peer");
}

static void a_silent_worker_is_replaced(void **state)
{
	struct job *job;

	(void)state;
	add_spare();
	d.peer.answers_steps = d.peer.answers_questions = false;
	job = submit();
	for (unsigned n = 0; n < 2 * DEADLINE_MS && d.phase == COORDINATOR_READY; n += 100) {
		peer_beat(&spare, 0);
		stage_double_run_for(&d, 100);
	}
	expect_loss("silent for");
	take_over(&spare);
	expect_end(job);
}

/* It sends heartbeats, but its compute thread hangs. */
static void a_stage_that_does_not_answer_steps_is_replaced(void **state)
{
	struct job *job;

	(void)state;
	add_spare();
	live(10 * DEADLINE_MS);		/* idle: nothing is missed */
	assert_int_equal(d.phase, COORDINATOR_READY);
	d.peer.answers_steps = false;
	job = submit();
	live(DEADLINE_MS);
	assert_int_equal(d.phase, COORDINATOR_READY);
	assert_true(d.peer.n_asked > 0);
	live(600);
	assert_int_equal(d.phase, COORDINATOR_RECOVERING);
	expect_loss("it is alive, but has not ended step 2 for 2.");
	take_over(&spare);
	expect_end(job);
}

static void a_probe_that_is_not_answered_ends_the_epoch(void **state)
{
	(void)state;
	add_spare();
	d.peer.answers_steps = spare.answers_steps = false;
	peer_hang_up(&d.peer);
	peer_wait(d.loop, spare.epoch == 2);
	peer_say_ready(&spare, 2);
	live(9000);
	assert_int_equal(d.coordinator->n_attempts, 1);
	live(2000);
	assert_int_equal(d.coordinator->n_attempts, 2);
	expect_loss("has not ended step 1");
}

static void loading_that_stands_still_ends_the_epoch(void **state)
{
	struct job *job;

	(void)state;
	add_spare();
	job = submit();
	expect_end(job);
	peer_hang_up(&d.peer);
	peer_wait(d.loop, spare.epoch == 2);
	live(50000);
	peer_say_progress(&spare, 2, 1, 100);
	live(50000);
	assert_int_equal(d.coordinator->n_attempts, 1);
	d.peer.incarnation = 2;
	hello(&d.peer);
	live(20000);
	expect_loss("has loaded nothing for");
	peer_wait(d.loop, d.peer.epoch == 3);
	take_over(&d.peer);
	expect_end(submit());
}

static void without_a_worker_jobs_wait_and_then_fail(void **state)
{
	struct job *job, *late;

	(void)state;
	d.peer.answers_steps = false;
	job = submit();
	stage_double_run_for(&d, 1);
	peer_hang_up(&d.peer);
	peer_wait(d.loop, d.phase == COORDINATOR_RECOVERING);
	late = submit();
	stage_double_run_for(&d, START_MS - 500);
	assert_int_equal(d.phase, COORDINATOR_RECOVERING);
	peer_wait(d.loop, d.phase == COORDINATOR_FAILED);
	assert_int_equal(d.error.status, SC_E_UNAVAILABLE);
	assert_non_null(strstr(d.error.text, "stage 1 (worker peer"));
	assert_non_null(strstr(d.error.text, "no other worker came within 5000 ms"));
	assert_int_equal(job_error(job)->status, SC_E_UNAVAILABLE);
	assert_int_equal(job_error(late)->status, SC_E_UNAVAILABLE);
	job_release(job);
	job_release(late);
}

static void a_worker_that_comes_in_time_is_taken(void **state)
{
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = submit();
	stage_double_run_for(&d, 1);
	peer_hang_up(&d.peer);
	stage_double_run_for(&d, START_MS - 500);
	add_spare();
	take_over(&spare);
	expect_end(job);
}

/* A worker that has been lost counts as worse than a spare, and the spare is too small. */
static void a_worker_with_too_little_memory_is_passed_over(void **state)
{
	struct job *job;

	(void)state;
	d.peer.answers_steps = false;
	job = submit();
	stage_double_run_for(&d, 1);
	add_spare_with(4096);
	peer_hang_up(&d.peer);
	stage_double_run_for(&d, 100);
	assert_null(d.coordinator->epoch);
	d.peer.answers_steps = true;
	d.peer.incarnation = 2;
	hello(&d.peer);
	take_over(&d.peer);
	expect_end(job);
}

/* The channel is alive, so nobody knows which end is at fault. */
static void a_link_that_breaks_twice_keeps_its_ends_apart(void **state)
{
	struct job *job = submit();

	(void)state;
	expect_end(job);
	add_spare();
	peer_disconnect(&d.peer, 0);
	peer_wait(d.loop, d.peer.epoch == 2);
	expect_loss("the data link between the coordinator and stage 1");
	take_over(&d.peer);
	live(1000);
	peer_disconnect(&d.peer, 0);
	peer_wait(d.loop, spare.epoch == 3);
	assert_int_equal(d.peer.epoch, 2);
	take_over(&spare);
	expect_end(submit());
}

static void attempts_that_all_fail_are_the_end(void **state)
{
	struct job *job;
	unsigned n = 0;

	(void)state;
	d.peer.answers_steps = false;
	job = submit();
	stage_double_run_for(&d, 1);
	while (d.phase < COORDINATOR_STOPPED) {
		assert_true(++n < 1000);
		if (d.coordinator->epoch && d.peer.epoch == d.coordinator->n_epochs)
			peer_say_failed(&d.peer, d.peer.epoch, SC_E_NOMEM, "out of memory");
		live(500);
	}
	assert_int_equal(d.phase, COORDINATOR_FAILED);
	assert_non_null(strstr(d.error.text, "out of memory; this was the last of many attempts"));
	assert_int_equal(job_state(job), JOB_FAILED);
	job_release(job);
}

static void spares_load_what_may_be_lost(void **state)
{
	struct coordinator_config config = config_of();

	(void)state;
	config.warms_spares = true;
	start_with(&config);
	add_spare();
	peer_wait(d.loop, spare.n_controls[STAGECOACH__CLUSTER__V1__CONTROL__BODY_PRELOAD]);
	stop(NULL);
}

static void without_survival_the_first_loss_is_the_end(void **state)
{
	struct coordinator_config config = config_of();

	(void)state;
	config.survives_losses = false;
	start_with(&config);
	add_spare();
	peer_hang_up(&d.peer);
	peer_wait(d.loop, d.phase == COORDINATOR_FAILED);
	stop(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_spare_takes_over),
		TEST(a_silent_worker_is_replaced),
		TEST(a_stage_that_does_not_answer_steps_is_replaced),
		TEST(a_probe_that_is_not_answered_ends_the_epoch),
		TEST(loading_that_stands_still_ends_the_epoch),
		TEST(without_a_worker_jobs_wait_and_then_fail),
		TEST(a_worker_that_comes_in_time_is_taken),
		TEST(a_worker_with_too_little_memory_is_passed_over),
		TEST(a_link_that_breaks_twice_keeps_its_ends_apart),
		TEST(attempts_that_all_fail_are_the_end),
		cmocka_unit_test(spares_load_what_may_be_lost),
		cmocka_unit_test(without_survival_the_first_loss_is_the_end),
	};
#undef TEST

	return cmocka_run_group_tests(tests, stage_double_open_model, stage_double_close_model);
}
