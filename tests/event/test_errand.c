/* SPDX-License-Identifier: Apache-2.0 */
#include "event/errand.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_BYTES = 1000 };

/* Outlives its errands, which destroy themselves. */
struct fixture {
	struct loop *loop;
	struct work_pool *pool;
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool is_held;		/* run waits */
	unsigned n_running;
	unsigned n_run, n_answered, n_destroyed;
};

struct task {
	struct errand errand;
	struct fixture *fixture;
};

static void run(struct errand *errand)
{
	struct fixture *f = ((struct task *)errand)->fixture;

	pthread_mutex_lock(&f->lock);
	f->n_running++;
	pthread_cond_broadcast(&f->news);
	while (f->is_held)
		pthread_cond_wait(&f->news, &f->lock);
	f->n_run++;
	pthread_mutex_unlock(&f->lock);
}

static void answer(struct errand *errand)
{
	struct fixture *f = ((struct task *)errand)->fixture;

	f->n_answered++;
}

static void destroy(struct errand *errand)
{
	((struct task *)errand)->fixture->n_destroyed++;
	free(errand);
}

static struct errand *make(struct fixture *f, size_t n_bytes)
{
	struct task *task = calloc(1, sizeof *task);

	assert_non_null(task);
	task->fixture = f;
	task->errand = (struct errand){
		.work = { .client = 1, .n_bytes = n_bytes, .is_long = true },
		.run = run, .answer = answer, .destroy = destroy,
	};
	return &task->errand;
}

static int set_up(void **state)
{
	const struct work_limits limits = { .max_items = 4, .max_bytes = MAX_BYTES };
	struct fixture *f = calloc(1, sizeof *f);

	*state = f;
	if (!f || loop_create(&f->loop) != SC_OK)
		return -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
	return work_pool_create(f->loop, &limits, &f->pool) == SC_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	work_pool_destroy(f->pool);
	loop_destroy(f->loop);
	pthread_cond_destroy(&f->news);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

static void hold(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	f->is_held = true;
	pthread_mutex_unlock(&f->lock);
}

static void let_go(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	f->is_held = false;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static void await_running(struct fixture *f)
{
	pthread_mutex_lock(&f->lock);
	while (!f->n_running)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

static void turn_until_destroyed(struct fixture *f, unsigned n)
{
	while (f->n_destroyed < n)
		loop_turn(f->loop, true);
}

static void an_errand_runs_answers_and_is_destroyed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(errand_start(f->pool, make(f, 10)), SC_OK);
	turn_until_destroyed(f, 1);
	assert_int_equal(f->n_run, 1);
	assert_int_equal(f->n_answered, 1);
}

static void an_abandoned_errand_is_destroyed_when_its_thread_is_done(void **state)
{
	struct fixture *f = *state;
	struct errand *errand = make(f, 10);

	hold(f);
	assert_int_equal(errand_start(f->pool, errand), SC_OK);
	await_running(f);
	errand_abandon(errand);
	assert_int_equal(f->n_destroyed, 0);
	let_go(f);
	turn_until_destroyed(f, 1);
	assert_int_equal(f->n_answered, 0);
}

static void an_errand_that_did_not_start_is_destroyed_at_once(void **state)
{
	struct fixture *f = *state;
	struct errand *waiting = make(f, 10);

	hold(f);
	assert_int_equal(errand_start(f->pool, make(f, 10)), SC_OK);
	await_running(f);
	assert_int_equal(errand_start(f->pool, waiting), SC_OK);
	errand_abandon(waiting);
	assert_int_equal(f->n_destroyed, 1);
	let_go(f);
	while (!f->n_answered && f->n_destroyed < 2)
		loop_turn(f->loop, true);
	assert_int_equal(f->n_run, 1);
}

static void an_errand_that_is_refused_stays_with_its_sender(void **state)
{
	struct fixture *f = *state;
	struct errand *errand = make(f, 2 * MAX_BYTES);

	assert_int_equal(errand_start(f->pool, errand), SC_E_OVERLOADED);
	assert_int_equal(f->n_destroyed, 0);
	free(errand);
}

static void errands_of_a_pool_that_ends_are_not_answered(void **state)
{
	struct fixture *f = *state;

	hold(f);
	assert_int_equal(errand_start(f->pool, make(f, 10)), SC_OK);
	await_running(f);
	assert_int_equal(errand_start(f->pool, make(f, 10)), SC_OK);
	let_go(f);
	work_pool_destroy(f->pool);
	f->pool = NULL;
	assert_int_equal(f->n_destroyed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_errand_runs_answers_and_is_destroyed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			an_abandoned_errand_is_destroyed_when_its_thread_is_done, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(an_errand_that_did_not_start_is_destroyed_at_once,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_errand_that_is_refused_stays_with_its_sender,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(errands_of_a_pool_that_ends_are_not_answered,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
