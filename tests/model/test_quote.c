/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void what_does_not_print_becomes_a_question_mark(void **state)
{
	(void)state;
	assert_string_equal(quote("a key", 5).text, "a key");
	assert_string_equal(quote("\0\x1b[1m\xff", 6).text, "??[1m?");
	assert_string_equal(quote("", 0).text, "");
}

static void what_is_long_is_cut_with_dots(void **state)
{
	char long_text[100], expected[80];

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	memset(expected, 'x', sizeof expected);
	expected[76] = 0;
	assert_string_equal(quote(long_text, 76).text, expected);
	memcpy(expected + 76, "...", 4);
	assert_string_equal(quote(long_text, 77).text, expected);
	assert_string_equal(quote(long_text, 100).text, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_print_becomes_a_question_mark),
		cmocka_unit_test(what_is_long_is_cut_with_dots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
