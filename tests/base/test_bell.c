/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bell.h"

#include "base/clock.h"
#include "base/spin.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <time.h>

#define N_RINGS 3000

struct news {
	struct bell bell;
	atomic_uint n_sent;
	unsigned n_seen;
	unsigned pause_us;	/* before each ring */
};

static bool is_there(void *arg)
{
	struct news *news = arg;

	return atomic_load(&news->n_sent) > news->n_seen;
}

static void *send_all(void *arg)
{
	struct news *news = arg;
	const struct timespec pause = { .tv_nsec = news->pause_us * 1000 };

	for (unsigned i = 0; i < N_RINGS / (1 + news->pause_us); i++) {
		if (news->pause_us)
			nanosleep(&pause, NULL);
		atomic_fetch_add(&news->n_sent, 1);
		bell_ring(&news->bell);
	}
	return NULL;
}

static void wait_for_all(unsigned pause_us, uint64_t spin_ns)
{
	struct news news = { .pause_us = pause_us };
	pthread_t sender;

	assert_int_equal(pthread_create(&sender, NULL, send_all, &news), 0);
	while (news.n_seen < N_RINGS / (1 + pause_us)) {
		bell_wait(&news.bell, spin_ns, is_there, &news);
		assert_true(atomic_load(&news.n_sent) > news.n_seen);
		news.n_seen++;
	}
	pthread_join(sender, NULL);
}

static void no_news_is_missed(void **state)
{
	(void)state;
	wait_for_all(0, 0);
	wait_for_all(0, 20000);
	wait_for_all(99, 0);
	wait_for_all(99, 20000);
	wait_for_all(99, 200000);
}

static bool is_past(void *arg)
{
	return clock_ns() >= *(uint64_t *)arg;
}

static void a_ring_without_a_waiter_is_harmless(void **state)
{
	struct bell bell = { 0 };
	uint64_t soon = clock_ns();

	(void)state;
	bell_ring(&bell);
	bell_wait(&bell, 0, is_past, &soon);
	assert_int_equal(bell.is_asleep, 0);
}

static void a_spin_ends(void **state)
{
	struct spin spin;
	uint64_t begin_ns = clock_ns();

	(void)state;
	spin_begin(&spin, 0);
	assert_false(spin_goes_on(&spin));
	spin_begin(&spin, 100000);
	while (spin_goes_on(&spin))
		assert_true(clock_ns() - begin_ns < 60 * NS_PER_SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_news_is_missed),
		cmocka_unit_test(a_ring_without_a_waiter_is_harmless),
		cmocka_unit_test(a_spin_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
