/* SPDX-License-Identifier: Apache-2.0 */
/* When steps that are not answered count as stuck, on a clock that the test moves. */
#include "coordinator/watchdog.h"

#include "base/clock.h"
#include "event/manual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define DEADLINE_MS 2000
#define DOUBT_MS 500

static struct manual_clock *manual;
static struct loop *loop;
static struct watchdog dog;
static double expected_ms;
static unsigned n_doubts, n_stuck;
static uint64_t stuck_ms;

static double expected_ns(void *arg)
{
	(void)arg;
	return expected_ms * (double)NS_PER_MS;
}

static void on_doubt(void *arg)
{
	(void)arg;
	n_doubts++;
}

static void on_stuck(void *arg, uint64_t age_ns)
{
	(void)arg;
	n_stuck++;
	stuck_ms = age_ns / NS_PER_MS;
}

static int start(void **state)
{
	struct watchdog_config config = {
		.deadline_ms = DEADLINE_MS, .expected_ns = expected_ns, .on_doubt = on_doubt,
		.on_stuck = on_stuck,
	};

	(void)state;
	n_doubts = n_stuck = 0;
	expected_ms = 0;
	assert_int_equal(manual_clock_create(&manual), SC_OK);
	assert_int_equal(loop_create_on(manual, &loop), SC_OK);
	config.loop = loop;
	assert_int_equal(watchdog_init(&dog, &config), SC_OK);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	watchdog_deinit(&dog);
	loop_destroy(loop);
	manual_clock_destroy(manual);
	return 0;
}

static void pass(unsigned ms)
{
	manual_clock_pass(manual, ms);
}

static void run_step(unsigned ms)
{
	watchdog_watch(&dog);
	pass(ms);
	watchdog_note_answer(&dog);
}

/* A step is in flight now: doubt after ms, stuck a little later. */
static void expect_stuck_after(unsigned ms)
{
	pass(ms - 1);
	assert_int_equal(n_doubts, 0);
	pass(1);
	assert_int_equal(n_doubts, 1);
	pass(DOUBT_MS - 1);
	assert_int_equal(n_stuck, 0);
	pass(1);
	assert_int_equal(n_stuck, 1);
	assert_int_equal(stuck_ms, ms + DOUBT_MS);
	pass(1000000);
	assert_int_equal(n_stuck, 1);
}

static void short_steps_have_the_deadline(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		run_step(5);
	watchdog_watch(&dog);
	expect_stuck_after(DEADLINE_MS);
}

static void long_steps_have_ten_times_the_longest(void **state)
{
	(void)state;
	run_step(5);
	run_step(700);
	run_step(5);
	watchdog_watch(&dog);
	expect_stuck_after(7001);
}

static void a_step_that_is_expected_to_take_long_has_ten_times_that(void **state)
{
	(void)state;
	run_step(5);
	expected_ms = 600;
	watchdog_watch(&dog);
	expect_stuck_after(6000);
}

static void the_first_step_has_ten_seconds(void **state)
{
	(void)state;
	watchdog_watch(&dog);
	expect_stuck_after(10000);
}

static void nothing_is_stuck_while_nothing_is_in_flight(void **state)
{
	(void)state;
	run_step(5);
	pass(100000);
	assert_int_equal(n_doubts, 0);
	watchdog_watch(&dog);
	watchdog_reset(&dog);
	pass(100000);
	assert_int_equal(n_doubts, 0);
	/* What was learnt is gone, too. */
	watchdog_watch(&dog);
	expect_stuck_after(10000);
}

static void each_answer_starts_the_time_again(void **state)
{
	(void)state;
	run_step(150);
	for (unsigned i = 0; i < 50; i++)
		run_step(150);
	assert_int_equal(n_doubts, 0);
	watchdog_watch(&dog);
	pass(DEADLINE_MS + 100);	/* in doubt */
	assert_int_equal(n_doubts, 1);
	watchdog_note_answer(&dog);
	n_doubts = 0;
	pass(DOUBT_MS);
	assert_int_equal(n_stuck, 0);
	watchdog_watch(&dog);
	expect_stuck_after((DEADLINE_MS + 100) * 10 + 1);
}

static void a_process_that_was_suspended_blames_nobody(void **state)
{
	(void)state;
	run_step(5);
	watchdog_watch(&dog);
	pass(500);
	manual_clock_jump(manual, 60000);
	pass(0);
	assert_int_equal(n_doubts, 0);
	expect_stuck_after(DEADLINE_MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(short_steps_have_the_deadline),
		TEST(long_steps_have_ten_times_the_longest),
		TEST(a_step_that_is_expected_to_take_long_has_ten_times_that),
		TEST(the_first_step_has_ten_seconds),
		TEST(nothing_is_stuck_while_nothing_is_in_flight),
		TEST(each_answer_starts_the_time_again),
		TEST(a_process_that_was_suspended_blames_nobody),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
