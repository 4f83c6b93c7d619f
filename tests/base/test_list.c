/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
	int value;
	struct list node;
};

static int sum_in_order(struct list *head)
{
	int sum = 0;

	list_for_each(node, head)
		sum = sum * 10 + list_entry(node, struct item, node)->value;
	return sum;
}

static void nodes_keep_their_order(void **state)
{
	struct item a = { .value = 1 }, b = { .value = 2 }, c = { .value = 3 };
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	list_append(&head, &b.node);
	list_append(&head, &c.node);
	list_prepend(&head, &a.node);
	assert_int_equal(sum_in_order(&head), 123);
	list_remove(&b.node);
	list_remove(&b.node);
	assert_int_equal(sum_in_order(&head), 13);
}

static void a_visit_may_remove_the_visited_node(void **state)
{
	struct item items[4] = { { .value = 1 }, { .value = 2 }, { .value = 3 }, { .value = 4 } };
	struct list head;

	(void)state;
	list_init(&head);
	for (int i = 0; i < 4; i++)
		list_append(&head, &items[i].node);
	list_for_each(node, &head)
		if (list_entry(node, struct item, node)->value % 2)
			list_remove(node);
	assert_int_equal(sum_in_order(&head), 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_keep_their_order),
		cmocka_unit_test(a_visit_may_remove_the_visited_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
