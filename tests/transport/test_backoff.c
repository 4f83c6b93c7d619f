/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* The longest of many first, second, ... waits after a reset. */
static unsigned longest_wait(struct backoff *backoff, unsigned n_before)
{
	unsigned longest = 0;

	for (unsigned i = 0; i < 2000; i++) {
		unsigned wait_ms = 0;

		backoff_reset(backoff);
		for (unsigned j = 0; j <= n_before; j++)
			wait_ms = backoff_next_ms(backoff);
		if (wait_ms > longest)
			longest = wait_ms;
	}
	return longest;
}

static void limits_double_up_to_the_largest(void **state)
{
	static const unsigned limits[] = { 100, 200, 400, 800, 1000, 1000, 1000 };
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, 100, 1000, 7);
	for (unsigned i = 0; i < sizeof limits / sizeof limits[0]; i++)
		assert_in_range(longest_wait(&backoff, i), limits[i] * 9 / 10, limits[i]);
}

static void a_long_outage_overflows_nothing(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, 100, 4000000000u, 7);
	for (unsigned i = 0; i < 1000; i++)
		assert_in_range(backoff_next_ms(&backoff), 0, 4000000000u);
}

static void waits_are_spread_over_the_whole_range(void **state)
{
	unsigned n_short = 0, n_long = 0;
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, 1000, 1000, 0);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned wait_ms = backoff_next_ms(&backoff);

		n_short += wait_ms < 250;
		n_long += wait_ms > 750;
	}
	assert_in_range(n_short, 150, 350);
	assert_in_range(n_long, 150, 350);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_double_up_to_the_largest),
		cmocka_unit_test(a_long_outage_overflows_nothing),
		cmocka_unit_test(waits_are_spread_over_the_whole_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
