/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_spread(struct spread spread, double median, double least, double most)
{
	if (spread.median != median || spread.least != least || spread.most != most)
		fail_msg("%g within %g and %g", spread.median, spread.least, spread.most);
}

static void the_median_is_in_the_middle_of_any_order(void **state)
{
	double odd[5] = { 9, 1, 5, 100, 4 }, even[4] = { 8, 2, 6, 1 }, one[1] = { 3 };

	(void)state;
	assert_spread(spread_of(odd, 5), 5, 1, 100);
	assert_spread(spread_of(even, 4), 4, 1, 8);
	assert_spread(spread_of(one, 1), 3, 3, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_median_is_in_the_middle_of_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
