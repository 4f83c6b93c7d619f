/* SPDX-License-Identifier: Apache-2.0 */
#include "event/loop.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

/* A source of news like UCX's: work that only progress sees, and a descriptor that tells of it
 * only when it was armed. */
struct source {
	struct loop *loop;
	struct poller *poller;
	struct timer *timer;
	int fd;
	int n_work;		/* progress() takes one each */
	int n_refusals;		/* arm() answers false that often */
	bool is_armed;
	int n_progressed;
	int n_progress_calls;
	int n_arm_calls;
	int n_timer_calls;
};

static bool source_progress(void *arg)
{
	struct source *source = arg;
	uint64_t value;

	source->n_progress_calls++;
	if (source->is_armed && read(source->fd, &value, sizeof value) == sizeof value)
		source->is_armed = false;
	if (!source->n_work)
		return false;
	source->n_work--;
	source->n_progressed++;
	return true;
}

static bool source_arm(void *arg)
{
	struct source *source = arg;

	source->n_arm_calls++;
	if (source->n_work)
		return false;
	if (source->n_refusals) {
		source->n_refusals--;
		source->n_work = 1;
		return false;
	}
	source->is_armed = true;
	return true;
}

static const struct poller_ops source_ops = { source_progress, source_arm };

static void give_work(struct source *source, int n_work)
{
	uint64_t one = 1;

	source->n_work += n_work;
	if (source->is_armed)
		assert_int_equal(write(source->fd, &one, sizeof one), sizeof one);
}

static int make_source(void **state)
{
	struct source *source = calloc(1, sizeof *source);

	*state = source;
	if (!source || loop_create(&source->loop) != SC_OK)
		return -1;
	source->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return source->fd < 0 ? -1 : 0;
}

static int drop_source(void **state)
{
	struct source *source = *state;

	loop_destroy(source->loop);
	close(source->fd);
	free(source);
	return 0;
}

static void start_poller(struct source *source, int fd, unsigned spin_us, unsigned idle_ms)
{
	struct poller_config config = {
		.ops = &source_ops,
		.arg = source,
		.fd = fd,
		.spin_us = spin_us,
		.idle_ms = idle_ms,
	};
	struct error err;

	assert_int_equal(poller_create(source->loop, &config, &source->poller, &err), SC_OK);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void stop(void *arg)
{
	struct source *source = arg;

	source->n_timer_calls++;
	loop_stop(source->loop);
}

static void run_for_ms(struct source *source, uint64_t ms)
{
	assert_int_equal(timer_create_on(source->loop, stop, source, &source->timer), SC_OK);
	timer_start(source->timer, ms, 0);
	loop_run(source->loop);
	timer_destroy(source->timer);
}

static void an_idle_poller_sleeps(void **state)
{
	struct source *source = *state;
	uint64_t start_ns = cpu_ns();

	start_poller(source, source->fd, 50, 0);
	run_for_ms(source, 300);
	assert_true(cpu_ns() - start_ns < 30 * NS_PER_MS);
	assert_true(source->n_arm_calls >= 1);
	assert_true(source->n_arm_calls < 10);
	poller_destroy(source->poller);
}

/* As UCX's: the descriptor stays readable until the next arm(), whatever progress does. */
static bool arm_and_empty(void *arg)
{
	struct source *source = arg;
	uint64_t value;

	source->n_arm_calls++;
	(void)!read(source->fd, &value, sizeof value);
	return true;
}

static void a_descriptor_that_only_arming_empties_does_not_keep_it_awake(void **state)
{
	static const struct poller_ops ops = { source_progress, arm_and_empty };
	struct itimerspec in_10_ms = { .it_value.tv_nsec = 10000000 };
	struct source *source = *state;
	struct poller_config config = { .ops = &ops, .arg = source, .spin_us = 2000 };
	uint64_t start_ns = cpu_ns();
	struct error err;

	/* The news comes while the loop sleeps, not from one of its own callbacks. */
	close(source->fd);
	source->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	assert_int_equal(timerfd_settime(source->fd, 0, &in_10_ms, NULL), 0);
	config.fd = source->fd;
	assert_int_equal(poller_create(source->loop, &config, &source->poller, &err), SC_OK);
	run_for_ms(source, 300);
	assert_true(cpu_ns() - start_ns < 50 * NS_PER_MS);
	assert_in_range(source->n_arm_calls, 2, 4);
	poller_destroy(source->poller);
}

static void give_five(void *arg)
{
	give_work(arg, 5);
}

static void work_that_the_descriptor_announces_is_done(void **state)
{
	struct source *source = *state;
	struct timer *timer;

	start_poller(source, source->fd, 0, 0);
	assert_int_equal(timer_create_on(source->loop, give_five, source, &timer), SC_OK);
	timer_start(timer, 20, 20);
	run_for_ms(source, 150);
	timer_destroy(timer);
	/* On a busy machine both timers may have come in the last round. */
	loop_turn(source->loop, false);
	assert_true(source->n_progressed >= 10);
	assert_int_equal(source->n_work, 0);
	poller_destroy(source->poller);
}

static void when_arming_is_refused_progress_comes_again_without_sleep(void **state)
{
	struct source *source = *state;

	source->n_refusals = 100;
	start_poller(source, source->fd, 0, 0);
	run_for_ms(source, 100);
	assert_int_equal(source->n_refusals, 0);
	assert_int_equal(source->n_progressed, 100);
	assert_true(source->n_arm_calls >= 101);
	poller_destroy(source->poller);
}

static void endless_work_leaves_timers_their_turn(void **state)
{
	struct source *source = *state;

	source->n_work = 1 << 30;
	start_poller(source, source->fd, 50, 0);
	run_for_ms(source, 20);
	assert_int_equal(source->n_timer_calls, 1);
	assert_true(source->n_progressed > 100);
	assert_int_equal(source->n_arm_calls, 0);
	poller_destroy(source->poller);
}

static int most_progress_calls(struct source *source)
{
	int n_most = 0;

	for (int i = 0; i < 100; i++) {
		source->n_work = 1;
		source->n_progress_calls = 0;
		source->n_arm_calls = 0;
		while (!source->n_arm_calls)
			loop_turn(source->loop, false);
		if (source->n_progress_calls > n_most)
			n_most = source->n_progress_calls;
	}
	return n_most;
}

/* On a busy machine a spin is soon given up, but it has begun. */
static void spinning_delays_arming(void **state)
{
	struct source *source = *state;
	int n_most;

	start_poller(source, source->fd, 0, 0);
	n_most = most_progress_calls(source);
	loop_spin(source->loop, 1000);
	assert_true(most_progress_calls(source) > n_most);
	poller_destroy(source->poller);
}

static void without_a_descriptor_it_naps_longer_and_longer(void **state)
{
	struct source *source = *state;
	int n_calls;

	start_poller(source, -1, 0, 20);
	run_for_ms(source, 200);
	/* 1 + 2 + 4 + 8 + 16 + 20 + ...: some 14 naps. */
	assert_true(source->n_progress_calls >= 4);
	assert_true(source->n_progress_calls <= 25);
	n_calls = source->n_progressed;
	source->n_work = 3;
	run_for_ms(source, 100);
	assert_int_equal(source->n_progressed, n_calls + 3);
	poller_destroy(source->poller);
}

static bool destroy_in_progress(void *arg)
{
	struct source *source = arg;

	source->n_progress_calls++;
	poller_destroy(source->poller);
	return true;
}

static bool destroy_in_arm(void *arg)
{
	struct source *source = arg;

	source->n_arm_calls++;
	poller_destroy(source->poller);
	return true;
}

static void it_may_be_destroyed_inside_progress_and_arm(void **state)
{
	static const struct poller_ops in_progress = { destroy_in_progress, source_arm };
	static const struct poller_ops in_arm = { source_progress, destroy_in_arm };
	struct source *source = *state;
	struct poller_config config = { .ops = &in_progress, .arg = source, .fd = -1 };
	struct error err;

	assert_int_equal(poller_create(source->loop, &config, &source->poller, &err), SC_OK);
	loop_run(source->loop);
	assert_int_equal(source->n_progress_calls, 1);
	assert_int_equal(source->n_arm_calls, 0);
	config.ops = &in_arm;
	config.fd = source->fd;
	assert_int_equal(poller_create(source->loop, &config, &source->poller, &err), SC_OK);
	loop_run(source->loop);
	assert_int_equal(source->n_arm_calls, 1);
}

static void a_descriptor_that_cannot_be_polled_is_named(void **state)
{
	struct source *source = *state;
	struct poller_config config = { .ops = &source_ops, .arg = source, .fd = 9999 };
	struct error err = { .text = "" };

	assert_int_equal(poller_create(source->loop, &config, &source->poller, &err), SC_E_IO);
	assert_non_null(strstr(err.text, "descriptor 9999"));
}

int main(void)
{
#define POLLER_TEST(name) cmocka_unit_test_setup_teardown(name, make_source, drop_source)
	const struct CMUnitTest tests[] = {
		POLLER_TEST(an_idle_poller_sleeps),
		POLLER_TEST(a_descriptor_that_only_arming_empties_does_not_keep_it_awake),
		POLLER_TEST(work_that_the_descriptor_announces_is_done),
		POLLER_TEST(when_arming_is_refused_progress_comes_again_without_sleep),
		POLLER_TEST(endless_work_leaves_timers_their_turn),
		POLLER_TEST(spinning_delays_arming),
		POLLER_TEST(without_a_descriptor_it_naps_longer_and_longer),
		POLLER_TEST(it_may_be_destroyed_inside_progress_and_arm),
		POLLER_TEST(a_descriptor_that_cannot_be_polled_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
