/* SPDX-License-Identifier: Apache-2.0 */
#include "event/loop.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <cmocka.h>

struct fixture {
	struct loop *loop;
	struct timer *timer;
	struct wake *wake;
	struct signal_watch *watch;
	int n_calls;
	int n_wanted;
};

static int make_loop(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	*state = f;
	return f && loop_create(&f->loop) == SC_OK ? 0 : -1;
}

static int drop_loop(void **state)
{
	struct fixture *f = *state;

	loop_destroy(f->loop);
	free(f);
	return 0;
}

static void a_loop_without_objects_ends_at_once(void **state)
{
	struct fixture *f = *state;

	loop_run(f->loop);
	loop_turn(f->loop, true);
	loop_destroy(NULL);
	timer_destroy(NULL);
	wake_destroy(NULL);
	signal_watch_destroy(NULL);
	poller_destroy(NULL);
}

static void count_and_destroy(void *arg)
{
	struct fixture *f = arg;

	if (++f->n_calls == f->n_wanted)
		timer_destroy(f->timer);
}

static void a_timer_repeats_until_it_is_destroyed_in_its_own_callback(void **state)
{
	struct fixture *f = *state;
	uint64_t start_ns = clock_ns();

	f->n_wanted = 3;
	assert_int_equal(timer_create_on(f->loop, count_and_destroy, f, &f->timer), SC_OK);
	timer_start(f->timer, 10, 5);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 3);
	assert_true(clock_ns() - start_ns >= 15 * NS_PER_MS);
}

static void count(void *arg)
{
	((struct fixture *)arg)->n_calls++;
}

static void a_timer_counts_from_its_start_also_after_a_long_callback(void **state)
{
	struct fixture *f = *state;
	struct timespec pause = { .tv_nsec = 300 * 1000000 };

	assert_int_equal(timer_create_on(f->loop, count, f, &f->timer), SC_OK);
	loop_turn(f->loop, false);
	nanosleep(&pause, NULL);
	timer_start(f->timer, 250, 0);
	loop_turn(f->loop, false);
	assert_int_equal(f->n_calls, 0);
	timer_stop(f->timer);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 0);
	timer_start(f->timer, 0, 0);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 1);
	timer_destroy(f->timer);
}

static void stop_loop(void *arg)
{
	struct fixture *f = arg;

	f->n_calls++;
	loop_stop(f->loop);
}

static void stop_ends_the_run_and_the_loop_can_run_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(timer_create_on(f->loop, stop_loop, f, &f->timer), SC_OK);
	timer_start(f->timer, 1, 1);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 1);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 2);
	timer_destroy(f->timer);
	loop_stop(f->loop);
}

static void on_signal(void *arg, int signum)
{
	struct fixture *f = arg;

	assert_int_equal(signum, SIGUSR1);
	if (++f->n_calls == 2)
		signal_watch_destroy(f->watch);
	else
		raise(SIGUSR1);
}

static void signals_arrive_on_the_loop(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(signal_watch_create(f->loop, SIGUSR1, on_signal, f, &f->watch, &err),
			 SC_OK);
	raise(SIGUSR1);
	assert_int_equal(f->n_calls, 0);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 2);
}

static void a_signal_that_cannot_be_watched_is_named(void **state)
{
	struct fixture *f = *state;
	struct error err = { .text = "" };

	assert_int_equal(signal_watch_create(f->loop, SIGKILL, on_signal, f, &f->watch, &err),
			 SC_E_IO);
	assert_non_null(strstr(err.text, "signal 9"));
}

#define N_SENDERS 3
#define N_SENDS 2000

static void *send_wakes(void *arg)
{
	for (int i = 0; i < N_SENDS; i++)
		wake_send(arg);
	return NULL;
}

static void wakes_of_other_threads_become_at_least_one_call_after_the_last(void **state)
{
	struct fixture *f = *state;
	pthread_t senders[N_SENDERS];
	int n_before;

	assert_int_equal(wake_create(f->loop, count, f, &f->wake), SC_OK);
	for (int i = 0; i < N_SENDERS; i++)
		assert_int_equal(pthread_create(&senders[i], NULL, send_wakes, f->wake), 0);
	while (!f->n_calls)
		loop_turn(f->loop, true);
	for (int i = 0; i < N_SENDERS; i++)
		pthread_join(senders[i], NULL);
	loop_turn(f->loop, false);
	n_before = f->n_calls;
	assert_true(n_before <= N_SENDERS * N_SENDS);
	loop_turn(f->loop, false);
	assert_int_equal(f->n_calls, n_before);
	wake_send(f->wake);
	loop_turn(f->loop, true);
	assert_int_equal(f->n_calls, n_before + 1);
	wake_destroy(f->wake);
}

static void destroy_wake(void *arg)
{
	struct fixture *f = arg;

	f->n_calls++;
	wake_send(f->wake);
	wake_destroy(f->wake);
}

static void no_wake_comes_after_destroy(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(wake_create(f->loop, destroy_wake, f, &f->wake), SC_OK);
	wake_send(f->wake);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 1);
}

#define BUSY_NS (20 * NS_PER_MS)

static void be_busy(void *arg)
{
	struct fixture *f = arg;
	uint64_t end_ns = clock_ns() + BUSY_NS;

	f->n_calls++;
	while (clock_ns() < end_ns)
		;
	if (f->wake)
		wake_send(f->wake);
}

static void on_busy_wake(void *arg)
{
	struct fixture *f = arg;

	f->wake = NULL;
	be_busy(f);
	loop_stop(f->loop);
}

/* The timer's function and the wake-up that it sends are one turn; the wait before is none. */
static void the_longest_turn_is_all_work_between_two_waits(void **state)
{
	struct fixture *f = *state;
	struct wake *wake;

	assert_int_equal(wake_create(f->loop, on_busy_wake, f, &wake), SC_OK);
	assert_int_equal(timer_create_on(f->loop, be_busy, f, &f->timer), SC_OK);
	assert_int_equal(loop_longest_turn_ns(f->loop), 0);
	f->wake = wake;
	timer_start(f->timer, 1000, 0);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 2);
	assert_true(loop_longest_turn_ns(f->loop) >= 2 * BUSY_NS);
	assert_true(loop_longest_turn_ns(f->loop) < 1000 * NS_PER_MS);
	assert_true(loop_most_work_ns(f->loop) > 0);
	assert_true(loop_most_work_ns(f->loop) <= loop_longest_turn_ns(f->loop));
	wake_destroy(wake);
	timer_destroy(f->timer);
}

static void rest(void *arg)
{
	(void)arg;
	usleep(BUSY_NS / 1000);
}

/* Time in which the thread does not run is part of a turn, but no work. */
static void only_running_is_work(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(timer_create_on(f->loop, rest, f, &f->timer), SC_OK);
	timer_start(f->timer, 1, 0);
	loop_run(f->loop);
	assert_true(loop_longest_turn_ns(f->loop) >= BUSY_NS);
	assert_true(loop_most_work_ns(f->loop) < loop_longest_turn_ns(f->loop));
	timer_destroy(f->timer);
}

static void on_data(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	be_busy(handle->data);
	uv_poll_stop(handle);
}

static void work_for_descriptors_belongs_to_a_turn(void **state)
{
	struct fixture *f = *state;
	uv_poll_t poll = { .data = f };
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(uv_poll_init(loop_uv(f->loop), &poll, fds[0]), 0);
	assert_int_equal(uv_poll_start(&poll, UV_READABLE, on_data), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_run(f->loop);
	assert_int_equal(f->n_calls, 1);
	assert_true(loop_longest_turn_ns(f->loop) >= BUSY_NS);
	uv_close((uv_handle_t *)&poll, NULL);
	loop_turn(f->loop, false);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, make_loop, drop_loop)
	const struct CMUnitTest tests[] = {
		LOOP_TEST(a_loop_without_objects_ends_at_once),
		LOOP_TEST(a_timer_repeats_until_it_is_destroyed_in_its_own_callback),
		LOOP_TEST(a_timer_counts_from_its_start_also_after_a_long_callback),
		LOOP_TEST(stop_ends_the_run_and_the_loop_can_run_again),
		LOOP_TEST(signals_arrive_on_the_loop),
		LOOP_TEST(a_signal_that_cannot_be_watched_is_named),
		LOOP_TEST(wakes_of_other_threads_become_at_least_one_call_after_the_last),
		LOOP_TEST(no_wake_comes_after_destroy),
		LOOP_TEST(the_longest_turn_is_all_work_between_two_waits),
		LOOP_TEST(only_running_is_work),
		LOOP_TEST(work_for_descriptors_belongs_to_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
