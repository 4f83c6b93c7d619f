/* SPDX-License-Identifier: Apache-2.0 */
#include "event/work.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ITEMS = 16, MAX_BYTES = 1000 };

struct fixture;

struct item {
	struct work work;
	struct fixture *fixture;
	bool has_run;
	bool is_held;		/* run waits until the fixture lets it go */
	bool is_done;
};

struct fixture {
	struct loop *loop;
	struct work_pool *pool;
	struct item items[MAX_ITEMS + 1];
	unsigned n_done;
	int order[MAX_ITEMS + 1];		/* of the items whose run was called */
	unsigned n_run;
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool is_open;		/* items that are held may go on */
};

static int make_pool(void **state)
{
	const struct work_limits limits = {
		.max_items = MAX_ITEMS, .max_bytes = MAX_BYTES,
	};
	struct fixture *f = calloc(1, sizeof *f);

	*state = f;
	if (!f || loop_create(&f->loop) != SC_OK)
		return -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
	return work_pool_create(f->loop, &limits, &f->pool) == SC_OK ? 0 : -1;
}

static int drop_pool(void **state)
{
	struct fixture *f = *state;

	work_pool_destroy(f->pool);
	loop_destroy(f->loop);
	pthread_cond_destroy(&f->news);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

static void run_item(struct work *work)
{
	struct item *item = (struct item *)work;
	struct fixture *f = item->fixture;

	pthread_mutex_lock(&f->lock);
	f->order[f->n_run++] = (int)(item - f->items);
	item->has_run = true;
	pthread_cond_broadcast(&f->news);
	while (item->is_held && !f->is_open)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void item_done(struct work *work)
{
	struct item *item = (struct item *)work;

	item->is_done = true;
	item->fixture->n_done++;
}

static struct item *prepare(struct fixture *f, int i, uint64_t client, size_t n_bytes)
{
	f->items[i] = (struct item){
		.work = { .run = run_item, .done = item_done, .client = client,
			  .n_bytes = n_bytes, .is_long = true },
		.fixture = f,
	};
	return &f->items[i];
}

static void start(struct fixture *f, int i, uint64_t client, size_t n_bytes)
{
	assert_int_equal(work_start(f->pool, &prepare(f, i, client, n_bytes)->work), SC_OK);
}

/* Start an item that runs until let_go, and wait until it runs. */
static void start_held(struct fixture *f, int i, size_t n_bytes)
{
	struct item *item = prepare(f, i, 99, n_bytes);

	item->is_held = true;
	assert_int_equal(work_start(f->pool, &item->work), SC_OK);
	pthread_mutex_lock(&f->lock);
	while (!item->has_run)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void let_go(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	f->is_open = true;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static void turn_until_done(struct fixture *f, unsigned n)
{
	while (f->n_done < n)
		loop_turn(f->loop, true);
}

static void an_item_runs_on_another_thread_and_is_done_on_the_loop(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 1, 100);
	assert_false(f->items[0].is_done);
	turn_until_done(f, 1);
	assert_true(f->items[0].has_run);
	assert_false(f->items[0].work.is_cancelled);
}

static void a_short_item_does_not_wait_for_a_long_one(void **state)
{
	struct fixture *f = *state;

	start_held(f, 0, 50);
	prepare(f, 1, 1, 50)->work.is_long = false;
	assert_int_equal(work_start(f->pool, &f->items[1].work), SC_OK);
	turn_until_done(f, 1);
	assert_true(f->items[1].is_done);
	assert_false(f->items[0].is_done);
	let_go(f);
	turn_until_done(f, 2);
}

static void clients_take_turns(void **state)
{
	struct fixture *f = *state;
	static const int expected[] = { 0, 1, 4, 2, 3 };

	/* Long items, so that one helper takes them all. */
	start_held(f, 0, 50);
	for (int i = 1; i <= 3; i++)
		start(f, i, 1, 50);
	start(f, 4, 2, 50);
	let_go(f);
	turn_until_done(f, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(f->order[i], expected[i]);
}

/* A short item of a later round runs first; whoever comes then is still behind the long ones. */
static void a_newcomer_is_in_no_earlier_round_than_those_that_began(void **state)
{
	struct fixture *f = *state;
	static const int expected[] = { 0, 4, 1, 2, 3 };

	start_held(f, 0, 50);
	start(f, 1, 1, 50);
	start(f, 2, 1, 50);
	for (int i = 3; i <= 4; i++)
		prepare(f, i, 2, 50);
	f->items[4].work.is_long = false;
	assert_int_equal(work_start(f->pool, &f->items[4].work), SC_OK);
	turn_until_done(f, 1);
	assert_int_equal(work_start(f->pool, &f->items[3].work), SC_OK);
	let_go(f);
	turn_until_done(f, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(f->order[i], expected[i]);
}

static enum sc_status try(struct fixture *f, int i, uint64_t client, size_t n_bytes)
{
	return work_start(f->pool, &prepare(f, i, client, n_bytes)->work);
}

static void bytes_are_bounded_and_a_quarter_is_for_clients_with_little(void **state)
{
	struct fixture *f = *state;

	start_held(f, 0, 50);
	assert_int_equal(try(f, 1, 1, MAX_BYTES - 49), SC_E_OVERLOADED);
	assert_int_equal(try(f, 1, 1, 701), SC_E_OVERLOADED);
	start(f, 1, 1, 700);
	assert_int_equal(try(f, 2, 1, 1), SC_E_OVERLOADED);
	assert_int_equal(try(f, 2, 2, MAX_BYTES / 8 + 1), SC_E_OVERLOADED);
	start(f, 2, 2, MAX_BYTES / 8);
	assert_int_equal(try(f, 3, 2, 1), SC_E_OVERLOADED);
	start(f, 3, 3, MAX_BYTES / 8);
	assert_int_equal(try(f, 4, 4, 1), SC_E_OVERLOADED);
	let_go(f);
	turn_until_done(f, 4);
	start(f, 4, 1, MAX_BYTES / 4 * 3);
	turn_until_done(f, 5);
}

static void items_are_bounded_and_a_quarter_is_for_clients_with_little(void **state)
{
	struct fixture *f = *state;
	const int most = MAX_ITEMS / 4 * 3;

	start_held(f, 0, 0);
	for (int i = 1; i < most; i++)
		start(f, i, 1, 0);
	assert_int_equal(try(f, most, 1, 0), SC_E_OVERLOADED);
	for (int i = most; i < MAX_ITEMS; i++)
		start(f, i, (uint64_t)i, 0);
	assert_int_equal(try(f, MAX_ITEMS, MAX_ITEMS, 0), SC_E_OVERLOADED);
	let_go(f);
	turn_until_done(f, MAX_ITEMS);
}

static void a_waiting_item_can_be_taken_back(void **state)
{
	struct fixture *f = *state;

	start_held(f, 0, 50);
	start(f, 1, 1, 700);
	assert_true(work_cancel(&f->items[1].work));
	assert_false(work_cancel(&f->items[0].work));
	start(f, 2, 1, 700);
	let_go(f);
	turn_until_done(f, 2);
	assert_false(f->items[1].has_run);
	assert_false(f->items[1].is_done);
	assert_false(work_cancel(&f->items[2].work));
}

static void dawdle(struct work *work)
{
	uint64_t end_ns = clock_ns() + 5 * NS_PER_MS;

	while (clock_ns() < end_ns)
		;
	item_done(work);
}

/* Three items are finished before the loop looks; each takes more than one turn has for all. */
static void items_that_take_long_to_be_done_have_a_turn_each(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		prepare(f, i, 1, 50)->work.done = dawdle;
		assert_int_equal(work_start(f->pool, &f->items[i].work), SC_OK);
	}
	/* Items are finished in their order, so the last one's run says that of the others. */
	pthread_mutex_lock(&f->lock);
	while (!f->items[2].has_run)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
	while (!f->n_done)
		loop_turn(f->loop, true);
	/* loop_turn looks at timers before and after it waits. */
	assert_in_range(f->n_done, 1, 2);
	turn_until_done(f, 3);
}

static void destroy_waits_for_what_runs_and_cancels_the_rest(void **state)
{
	struct fixture *f = *state;

	start(f, 0, 1, 50);
	turn_until_done(f, 1);
	start_held(f, 1, 50);
	start(f, 2, 1, 50);
	let_go(f);
	work_pool_destroy(f->pool);
	f->pool = NULL;
	assert_int_equal(f->n_done, 3);
	assert_true(f->items[1].has_run);
	assert_false(f->items[1].work.is_cancelled);
	/* The helper may have begun the last one before it was told to stop. */
	assert_int_equal(f->items[2].work.is_cancelled, !f->items[2].has_run);
	work_pool_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_pool, drop_pool)
	const struct CMUnitTest tests[] = {
		TEST(an_item_runs_on_another_thread_and_is_done_on_the_loop),
		TEST(a_short_item_does_not_wait_for_a_long_one),
		TEST(clients_take_turns),
		TEST(a_newcomer_is_in_no_earlier_round_than_those_that_began),
		TEST(bytes_are_bounded_and_a_quarter_is_for_clients_with_little),
		TEST(items_are_bounded_and_a_quarter_is_for_clients_with_little),
		TEST(a_waiting_item_can_be_taken_back),
		TEST(items_that_take_long_to_be_done_have_a_turn_each),
		TEST(destroy_waits_for_what_runs_and_cancels_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
