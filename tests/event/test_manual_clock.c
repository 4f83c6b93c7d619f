/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, moved by a clock that stands still until the test moves it: no real time passes. */
#include "event/manual_clock.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N_TIMERS 40

static struct manual_clock *manual;
static struct loop *loop, *other;
static uint64_t start_ns;

/* What fired, and when: "a10 b20". */
static char story[4096];

struct teller {
	struct timer *timer;
	struct wake *wake;
	const char *name;
	uint64_t again_ms;	/* starts itself again */
	bool goes;		/* destroys itself */
	struct teller *stops;
	struct teller *starts;
	struct teller *wakes;
};

static void tell(void *arg)
{
	struct teller *teller = arg;
	size_t used = strlen(story);

	snprintf(story + used, sizeof story - used, "%s%s%llu", used ? " " : "", teller->name,
		 (unsigned long long)((loop_now_ns(loop) - start_ns) / NS_PER_MS));
	if (teller->stops)
		timer_stop(teller->stops->timer);
	if (teller->starts)
		timer_start(teller->starts->timer, 0, 0);
	if (teller->wakes)
		wake_send(teller->wakes->wake);
	if (teller->again_ms)
		timer_start(teller->timer, teller->again_ms, 0);
	if (teller->goes) {
		timer_destroy(teller->timer);
		teller->timer = NULL;
	}
}

static void open_on(struct loop *on, struct teller *teller, const char *name)
{
	teller->name = name;
	assert_int_equal(timer_create_on(on, tell, teller, &teller->timer), SC_OK);
}

static int start(void **state)
{
	(void)state;
	story[0] = '\0';
	if (manual_clock_create(&manual) != SC_OK || loop_create_on(manual, &loop) != SC_OK ||
	    loop_create_on(manual, &other) != SC_OK)
		return -1;
	start_ns = manual_clock_ns(manual);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	loop_destroy(loop);
	loop_destroy(other);
	manual_clock_destroy(manual);
	return 0;
}

static void time_stands_still_until_it_is_moved(void **state)
{
	struct teller a = { 0 };

	(void)state;
	open_on(loop, &a, "a");
	timer_start(a.timer, 1, 0);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, true);	/* 100 ms of real time each */
	assert_string_equal(story, "");
	assert_int_equal(loop_now_ns(loop), start_ns);
	manual_clock_pass(manual, 1);
	assert_string_equal(story, "a1");
	assert_int_equal(loop_now_ns(loop), start_ns + NS_PER_MS);
	timer_destroy(a.timer);
}

static void timers_of_all_loops_fire_in_their_order_at_their_moments(void **state)
{
	struct teller a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	open_on(loop, &a, "a");
	open_on(other, &b, "b");
	open_on(loop, &c, "c");
	timer_start(c.timer, 30, 0);
	timer_start(a.timer, 10, 20);
	timer_start(b.timer, 20, 20);
	manual_clock_pass(manual, 59);
	assert_string_equal(story, "a10 b20 c30 a30 b40 a50");
	timer_destroy(a.timer);
	timer_destroy(b.timer);
	timer_destroy(c.timer);
}

static void what_fired_late_counts_its_repetitions_from_then(void **state)
{
	struct teller a = { 0 };

	(void)state;
	open_on(loop, &a, "a");
	timer_start(a.timer, 10, 10);
	manual_clock_jump(manual, 35);
	assert_string_equal(story, "");
	manual_clock_settle(manual);
	assert_string_equal(story, "a35");
	manual_clock_pass(manual, 20);
	assert_string_equal(story, "a35 a45 a55");
	timer_destroy(a.timer);
}

static void a_timer_may_stop_start_and_destroy_timers(void **state)
{
	struct teller a = { .goes = true }, b = { 0 }, c = { 0 }, d = { .again_ms = 5 };

	(void)state;
	open_on(loop, &a, "a");
	open_on(loop, &b, "b");
	open_on(loop, &c, "c");
	open_on(loop, &d, "d");
	a.stops = &b;
	a.starts = &c;
	timer_start(a.timer, 10, 10);
	timer_start(b.timer, 10, 0);
	timer_start(d.timer, 10, 0);
	manual_clock_pass(manual, 20);
	/* b was due at the same moment, but later; c waits for those that were due before it. */
	assert_string_equal(story, "a10 d10 c10 d15 d20");
	timer_destroy(b.timer);
	timer_destroy(c.timer);
	timer_destroy(d.timer);
}

static void on_wake(void *arg)
{
	tell(arg);
}

static void what_a_timer_sets_off_happens_before_the_next_moment(void **state)
{
	struct teller a = { 0 }, b = { 0 }, w = { .name = "w" };

	(void)state;
	open_on(loop, &a, "a");
	open_on(other, &b, "b");
	assert_int_equal(wake_create(other, on_wake, &w, &w.wake), SC_OK);
	a.wakes = &w;
	timer_start(a.timer, 10, 0);
	timer_start(b.timer, 11, 0);
	manual_clock_pass(manual, 20);
	assert_string_equal(story, "a10 w10 b11");
	wake_destroy(w.wake);
	timer_destroy(a.timer);
	timer_destroy(b.timer);
}

static uint64_t last_due;
static unsigned n_fired;

struct drawn {
	struct timer *timer;
	uint64_t due;
};

static void note(void *arg)
{
	struct drawn *drawn = arg;

	assert_true(drawn->due >= last_due);
	assert_int_equal(loop_now_ns(loop), start_ns + drawn->due * NS_PER_MS);
	last_due = drawn->due;
	n_fired++;
}

/* Started, stopped and started again in any order, each fires once, when it is due. */
static void many_timers_are_kept_in_order(void **state)
{
	struct drawn all[N_TIMERS];
	unsigned n_active = 0;

	(void)state;
	srand(1);
	last_due = n_fired = 0;
	for (int i = 0; i < N_TIMERS; i++)
		assert_int_equal(timer_create_on(loop, note, &all[i], &all[i].timer), SC_OK);
	for (int i = 0; i < 20 * N_TIMERS; i++) {
		struct drawn *drawn = &all[rand() % N_TIMERS];

		drawn->due = rand() % 4 ? 1 + (uint64_t)rand() % 100 : 0;
		if (drawn->due)
			timer_start(drawn->timer, drawn->due, 0);
		else
			timer_stop(drawn->timer);
	}
	for (int i = 0; i < N_TIMERS; i++) {
		if (i % 5 == 0) {
			timer_destroy(all[i].timer);
			all[i].timer = NULL;
		} else if (all[i].due) {
			n_active++;
		}
	}
	manual_clock_pass(manual, 101);
	assert_int_equal(n_fired, n_active);
	for (int i = 0; i < N_TIMERS; i++)
		timer_destroy(all[i].timer);
}

static void a_moment_beyond_the_end_of_time_never_comes(void **state)
{
	struct teller a = { 0 };

	(void)state;
	open_on(loop, &a, "a");
	timer_start(a.timer, UINT64_MAX, UINT64_MAX);
	manual_clock_pass(manual, UINT64_C(1000) * 3600 * 24 * 365);
	assert_string_equal(story, "");
	timer_destroy(a.timer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(time_stands_still_until_it_is_moved),
		TEST(timers_of_all_loops_fire_in_their_order_at_their_moments),
		TEST(what_fired_late_counts_its_repetitions_from_then),
		TEST(a_timer_may_stop_start_and_destroy_timers),
		TEST(what_a_timer_sets_off_happens_before_the_next_moment),
		TEST(many_timers_are_kept_in_order),
		TEST(a_moment_beyond_the_end_of_time_never_comes),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
