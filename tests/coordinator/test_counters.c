/* SPDX-License-Identifier: Apache-2.0 */
/* A status waits for counters that count every step whose result has come, but for no stage that
 * hangs. */
#include "coordinator/counters.h"

#include "tests/coordinator/stage_double.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct stage_double d;
static unsigned n_current;

static int start(void **state)
{
	struct coordinator_config config = stage_double_config();

	(void)state;
	n_current = 0;
	stage_double_create(&d, &config, 0);
	stage_double_come_up(&d);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	stage_double_destroy(&d);
	return 0;
}

static void on_current(void *arg)
{
	++*(unsigned *)arg;
}

static struct counters_wait new_wait(void)
{
	return (struct counters_wait){ .on_current = on_current, .arg = &n_current };
}

/* Heartbeats of a stage that has counted so many steps. */
static void say_counted(uint64_t step)
{
	Stagecoach__Cluster__V1__StageCounters counters =
		STAGECOACH__CLUSTER__V1__STAGE_COUNTERS__INIT;
	Stagecoach__Cluster__V1__Heartbeat heartbeat = STAGECOACH__CLUSTER__V1__HEARTBEAT__INIT;
	peer_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;

	counters.steps = counters.last_step = step;
	heartbeat.epoch = 1;
	heartbeat.counters = &counters;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HEARTBEAT;
	message.heartbeat = &heartbeat;
	peer_say(&d.peer, &message);
	stage_double_run_for(&d, 0);
}

/* The id of the last step that it took. */
static uint64_t run_job(uint32_t n_tokens)
{
	struct job_request request = stage_double_request(3, n_tokens);
	struct job *job = stage_double_submit(&d, &request);

	peer_wait(d.loop, job_is_ended(job));
	job_release(job);
	return d.peer.last_step;
}

static uint64_t steps_told(void)
{
	struct stage_status status;

	coordinator_stage_status(d.coordinator, 0, &status);
	return status.steps;
}

static void a_status_after_a_job_waits_until_its_last_step_is_counted(void **state)
{
	struct counters_wait wait = new_wait();
	uint64_t last = run_job(5);

	(void)state;
	coordinator_await_counters(d.coordinator, &wait);
	stage_double_run_for(&d, 0);
	assert_int_equal(d.peer.n_asked, 1);
	say_counted(last - 1);
	assert_int_equal(n_current, 0);
	say_counted(last);
	assert_int_equal(n_current, 1);
	assert_int_equal(steps_told(), last);
}

static void nobody_is_asked_when_no_step_came_since(void **state)
{
	struct counters_wait wait = new_wait();

	(void)state;
	say_counted(run_job(5));
	coordinator_await_counters(d.coordinator, &wait);
	assert_int_equal(n_current, 1);
	stage_double_run_for(&d, 0);
	assert_int_equal(d.peer.n_asked, 0);
}

static void however_many_wait_one_question_is_under_way(void **state)
{
	struct counters_wait waits[3] = { new_wait(), new_wait(), new_wait() };
	uint64_t last = run_job(5);

	(void)state;
	coordinator_await_counters(d.coordinator, &waits[0]);
	coordinator_await_counters(d.coordinator, &waits[1]);
	stage_double_run_for(&d, 0);
	assert_int_equal(d.peer.n_asked, 1);
	/* The third knows of more steps than that question did. */
	assert_true(run_job(5) > last);
	coordinator_await_counters(d.coordinator, &waits[2]);
	stage_double_run_for(&d, 0);
	assert_int_equal(d.peer.n_asked, 1);
	say_counted(last);
	assert_int_equal(n_current, 2);
	assert_int_equal(d.peer.n_asked, 2);
	say_counted(d.peer.last_step);
	assert_int_equal(n_current, 3);
}

static void a_stage_that_hangs_holds_up_a_status_for_a_second(void **state)
{
	struct counters_wait wait = new_wait(), later = new_wait();

	(void)state;
	run_job(5);
	coordinator_await_counters(d.coordinator, &wait);
	stage_double_run_for(&d, COUNTERS_PATIENCE_MS - 10);
	assert_int_equal(n_current, 0);
	stage_double_run_for(&d, 20);
	assert_int_equal(n_current, 1);
	/* It is asked again by the next. */
	coordinator_await_counters(d.coordinator, &later);
	stage_double_run_for(&d, 0);
	assert_int_equal(d.peer.n_asked, 2);
	say_counted(d.peer.last_step);
	assert_int_equal(n_current, 2);
}

static void a_stage_that_is_lost_is_not_waited_for(void **state)
{
	struct counters_wait wait = new_wait();

	(void)state;
	run_job(5);
	coordinator_await_counters(d.coordinator, &wait);
	peer_hang_up(&d.peer);
	stage_double_run_for(&d, 0);
	assert_int_equal(d.phase, COORDINATOR_FAILED);
	assert_int_equal(n_current, 1);
}

static void a_status_that_was_given_up_is_not_told(void **state)
{
	struct counters_wait wait = new_wait(), never = new_wait();

	(void)state;
	run_job(5);
	coordinator_await_counters(d.coordinator, &wait);
	counters_forget(&wait);
	counters_forget(&wait);
	counters_forget(&never);
	say_counted(d.peer.last_step);
	stage_double_run_for(&d, 2 * COUNTERS_PATIENCE_MS);
	assert_int_equal(n_current, 0);
}

static void before_stages_are_ready_nobody_waits(void **state)
{
	struct coordinator_config config = stage_double_config();
	struct counters_wait wait = new_wait();

	(void)state;
	n_current = 0;
	stage_double_create(&d, &config, 0);
	coordinator_await_counters(d.coordinator, &wait);
	assert_int_equal(n_current, 1);
	stage_double_destroy(&d);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_status_after_a_job_waits_until_its_last_step_is_counted),
		TEST(nobody_is_asked_when_no_step_came_since),
		TEST(however_many_wait_one_question_is_under_way),
		TEST(a_stage_that_hangs_holds_up_a_status_for_a_second),
		TEST(a_stage_that_is_lost_is_not_waited_for),
		TEST(a_status_that_was_given_up_is_not_told),
		cmocka_unit_test(before_stages_are_ready_nobody_waits),
	};
#undef TEST

	return cmocka_run_group_tests(tests, stage_double_open_model,
				      stage_double_close_model);
}
