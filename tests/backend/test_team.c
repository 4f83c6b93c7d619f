/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/team.h"

#include "base/clock.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>

#define MAX_ITEMS 5000
#define MAX_THREADS 9

struct record {
	atomic_uint calls[MAX_ITEMS];
	atomic_bool is_running[MAX_THREADS];
	atomic_uint n_clashes;		/* calls of a thread that had not come back from the last */
	atomic_uint n_runs;		/* calls with several items */
	atomic_uint n_too_long;
	unsigned max_run;
	unsigned long plain[MAX_ITEMS];	/* no atomics: the region must order them */
	unsigned n_threads;
};

static struct record record;

static void note(void *arg, size_t first, size_t end, unsigned thread)
{
	struct record *r = arg;

	if (thread >= r->n_threads || atomic_exchange(&r->is_running[thread], true))
		atomic_fetch_add(&r->n_clashes, 1);
	if (end - first > r->max_run)
		atomic_fetch_add(&r->n_too_long, 1);
	if (end - first > 1)
		atomic_fetch_add(&r->n_runs, 1);
	for (size_t item = first; item < end; item++) {
		atomic_fetch_add(&r->calls[item], 1);
		r->plain[item]++;
	}
	atomic_store(&r->is_running[thread], false);
}

static struct team *team_of(unsigned n_threads)
{
	struct team *team;
	struct error err;

	memset(&record, 0, sizeof record);
	record.n_threads = n_threads;
	assert_int_equal(team_create(n_threads, &team, &err), SC_OK);
	assert_int_equal(team_size(team), n_threads);
	return team;
}

static void every_item_runs_once(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 7, 8, 9, 100, MAX_ITEMS };

	(void)state;
	for (unsigned n_threads = 1; n_threads <= MAX_THREADS; n_threads += 2) {
		struct team *team = team_of(n_threads);
		unsigned long sum = 0, expected = 0;

		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			memset(record.calls, 0, sizeof record.calls);
			record.max_run = i % 2 ? 16 : 1;
			team_run(team, sizes[i], record.max_run, note, &record);
			expected += sizes[i];
			for (size_t item = 0; item < MAX_ITEMS; item++)
				assert_int_equal(record.calls[item], item < sizes[i]);
		}
		for (size_t item = 0; item < MAX_ITEMS; item++)
			sum += record.plain[item];
		assert_int_equal(sum, expected);
		assert_int_equal(record.n_clashes, 0);
		assert_int_equal(record.n_too_long, 0);
		assert_true(record.n_runs);
		team_destroy(team);
	}
}

static void many_small_regions_follow_each_other(void **state)
{
	struct team *team = team_of(3);

	(void)state;
	for (unsigned i = 1; i <= 20000; i++) {
		record.max_run = 1 + i % 3;
		team_run(team, 1 + i % 5, record.max_run, note, &record);
		assert_int_equal(record.plain[0], i);
	}
	/* As many regions of one item as of two, and so on up to five. */
	for (unsigned item = 0; item < 5; item++)
		assert_int_equal(record.plain[item], 20000 - item * 4000);
	assert_int_equal(record.n_clashes, 0);
	assert_int_equal(record.n_too_long, 0);
	team_destroy(team);
}

static void sleep_ms(unsigned ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

static void helpers_that_fell_asleep_work_again(void **state)
{
	struct team *team = team_of(4);

	(void)state;
	for (unsigned i = 1; i <= 20; i++) {
		sleep_ms(2);
		team_run(team, 16, 4, note, &record);
		for (size_t item = 0; item < 16; item++)
			assert_int_equal(record.calls[item], i);
	}
	team_destroy(team);
}

struct meeting {
	atomic_uint n_present;
	unsigned n_expected;
};

/* Comes back only when the others are in their own call. */
static void meet(void *arg, size_t first, size_t end, unsigned thread)
{
	struct meeting *meeting = arg;

	(void)first;
	(void)end;
	(void)thread;
	atomic_fetch_add(&meeting->n_present, 1);
	while (atomic_load(&meeting->n_present) < meeting->n_expected)
		sleep_ms(1);
}

static void threads_of_a_team_run_at_the_same_time(void **state)
{
	struct meeting meeting = { .n_expected = 4 };
	struct team *team = team_of(4);

	(void)state;
	team_run(team, 4, 1, meet, &meeting);
	assert_int_equal(meeting.n_present, 4);
	team_destroy(team);
}

struct straggler {
	atomic_uint n_done;
	unsigned n_items;
	unsigned n_held;	/* the first item's run */
	uint64_t limit_ns;	/* for waiting */
};

/* The run of the first item takes until all the others are done: they must be somebody else's. */
static void straggle(void *arg, size_t first, size_t end, unsigned thread)
{
	struct straggler *s = arg;
	unsigned n = (unsigned)(end - first);

	(void)thread;
	if (first == 0)
		s->n_held = n;
	while (first == 0 && atomic_load(&s->n_done) < s->n_items - n) {
		if (clock_ns() > s->limit_ns)
			return;
		sleep_ms(1);
	}
	atomic_fetch_add(&s->n_done, n);
}

static void check_straggler(struct team *team, unsigned max_run)
{
	struct straggler s = { .n_items = 64, .limit_ns = clock_ns() + 30 * NS_PER_SECOND };

	team_run(team, s.n_items, max_run, straggle, &s);
	assert_int_equal(s.n_done, s.n_items);
	/* Three quarters of its thread's half, however many could be taken. */
	assert_in_range(s.n_held, 1, max_run < 24 ? max_run : 24);
}

static void items_of_a_thread_that_is_held_up_go_to_others(void **state)
{
	struct team *team = team_of(2);

	(void)state;
	check_straggler(team, 1);
	check_straggler(team, TEAM_MAX_RUN);
	team_destroy(team);
}

static void team_that_never_worked_can_be_destroyed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		team_destroy(team_of(1 + i % 4));
	team_destroy(NULL);
}

/* On one processor, where the caller may run only while its helper does not want to: the helper
 * goes first as soon as it is woken. The last test: who once is idle may have to stay so. */
static void helpers_that_are_done_before_the_caller_begins_take_its_items(void **state)
{
	const struct sched_param none = { .sched_priority = 0 };
	struct team *team;
	cpu_set_t one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0) {
		print_message("not allowed to choose a processor\n");
		skip();
	}
	team = team_of(2);
	if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) {
		print_message("not allowed to be idle\n");
		team_destroy(team);
		skip();
	}
	for (unsigned i = 0; i < 3; i++) {
		sleep_ms(1);	/* the helper too, then */
		check_straggler(team, TEAM_MAX_RUN);
	}
	team_destroy(team);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_item_runs_once),
		cmocka_unit_test(many_small_regions_follow_each_other),
		cmocka_unit_test(helpers_that_fell_asleep_work_again),
		cmocka_unit_test(threads_of_a_team_run_at_the_same_time),
		cmocka_unit_test(items_of_a_thread_that_is_held_up_go_to_others),
		cmocka_unit_test(team_that_never_worked_can_be_destroyed),
		cmocka_unit_test(helpers_that_are_done_before_the_caller_begins_take_its_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
