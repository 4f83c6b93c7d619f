/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/plan_change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct plan_change change;

/* Notes a plan of n stages. */
static void expect(const struct plan_stage *stages, unsigned n, const char *expected)
{
	const struct plan plan = { .n_stages = n, .stages = (struct plan_stage *)(uintptr_t)stages };
	struct buf text = BUF_INIT;

	assert_int_equal(plan_change_note(&change, &plan, &text), SC_OK);
	assert_string_equal(text.data, expected);
	buf_deinit(&text);
}

static int forget(void **state)
{
	(void)state;
	plan_change_deinit(&change);
	return 0;
}

static const struct plan_stage both[] = {
	{ .worker = "a", .first_layer = 0, .n_layers = 4 },
	{ .worker = "b", .first_layer = 4, .n_layers = 4 },
};

static void the_first_plan_is_all_new(void **state)
{
	(void)state;
	expect(both, 2, "worker a takes layers 0-3, worker b takes layers 4-7");
}

static void a_spare_takes_the_lost_layers(void **state)
{
	static const struct plan_stage replaced[] = {
		{ .worker = "a", .first_layer = 0, .n_layers = 4 },
		{ .worker = "c", .first_layer = 4, .n_layers = 4 },
	};

	(void)state;
	expect(both, 2, "worker a takes layers 0-3, worker b takes layers 4-7");
	expect(replaced, 2, "worker c takes layers 4-7");
	/* It is compared with the last plan, not with the first. */
	expect(both, 2, "worker b takes layers 4-7");
}

static void survivors_take_the_lost_layers(void **state)
{
	static const struct plan_stage alone[] = {
		{ .worker = "b", .first_layer = 0, .n_layers = 8 },
	};

	(void)state;
	expect(both, 2, "worker a takes layers 0-3, worker b takes layers 4-7");
	expect(alone, 1, "worker b takes layers 0-7 instead of 4-7");
}

static void nothing_changes_when_the_lost_worker_comes_back(void **state)
{
	(void)state;
	expect(both, 2, "worker a takes layers 0-3, worker b takes layers 4-7");
	expect(both, 2, "all workers have the same layers as before");
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_plan_is_all_new),
		TEST(a_spare_takes_the_lost_layers),
		TEST(survivors_take_the_lost_layers),
		TEST(nothing_changes_when_the_lost_worker_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
