/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define N_ITEMS 20000

static void items_come_out_in_order_and_full_says_so(void **state)
{
	struct queue *queue;
	int a, b;

	(void)state;
	assert_int_equal(queue_create(2, &queue), SC_OK);
	assert_null(queue_try_pop(queue));
	assert_int_equal(queue_push(queue, &a), SC_OK);
	assert_int_equal(queue_push(queue, &b), SC_OK);
	assert_int_equal(queue_push(queue, &a), SC_AGAIN);
	assert_ptr_equal(queue_pop(queue, 0), &a);
	queue_close(queue);
	assert_int_equal(queue_push(queue, &a), SC_E_CLOSED);
	assert_ptr_equal(queue_pop(queue, 1000), &b);
	assert_null(queue_pop(queue, 1000));
	queue_destroy(queue);
}

static void *push_all(void *arg)
{
	struct queue *queue = arg;

	for (uintptr_t i = 1; i <= N_ITEMS; i++)
		while (queue_push(queue, (void *)i) == SC_AGAIN)
			sched_yield();
	queue_close(queue);
	return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
	struct queue *queue;
	pthread_t pusher;
	uintptr_t n = 0;

	(void)state;
	assert_int_equal(queue_create(8, &queue), SC_OK);
	assert_int_equal(pthread_create(&pusher, NULL, push_all, queue), 0);
	for (void *item; (item = queue_pop(queue, n % 2 ? 0 : 20000)); n++)
		assert_int_equal((uintptr_t)item, n + 1);
	assert_int_equal(n, N_ITEMS);
	pthread_join(pusher, NULL);
	queue_destroy(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_out_in_order_and_full_says_so),
		cmocka_unit_test(nothing_is_lost_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
