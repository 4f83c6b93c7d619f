/* SPDX-License-Identifier: Apache-2.0 */
/* Which lines of input make one message. */
#include "cli/turn_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct turn_text turn;

/* Adds a line; true: the message is whole. */
static bool add(const char *line, bool goes_on)
{
	assert_int_equal(turn_text_add(&turn, line, strlen(line), goes_on), SC_OK);
	return !turn.is_begun;
}

static int begin(void **state)
{
	(void)state;
	turn_text_init(&turn);
	return 0;
}

static int end(void **state)
{
	(void)state;
	turn_text_deinit(&turn);
	return 0;
}

static void a_line_is_a_message(void **state)
{
	(void)state;
	assert_true(add("to be", false));
	assert_string_equal(turn.text.data, "to be");
	assert_false(turn.is_literal);
	turn_text_reset(&turn);
	assert_true(add("", false));
	assert_int_equal(turn.text.length, 0);
}

static void a_backslash_joins_lines(void **state)
{
	(void)state;
	assert_false(add("to be\\", false));
	assert_false(add("\\", false));
	assert_true(add("or not", false));
	assert_string_equal(turn.text.data, "to be\n\nor not");
}

static void a_backslash_within_a_line_is_text(void **state)
{
	(void)state;
	assert_true(add("a\\b", false));
	assert_string_equal(turn.text.data, "a\\b");
}

static void quotes_hold_lines_as_they_are(void **state)
{
	(void)state;
	assert_false(add("\"\"\"", false));
	assert_false(add("/quit\\", false));
	assert_false(add("", false));
	assert_true(add("end\"\"\"", false));
	assert_string_equal(turn.text.data, "/quit\\\n\nend");
	assert_true(turn.is_literal);
}

static void quotes_may_open_and_close_in_a_line(void **state)
{
	(void)state;
	assert_true(add("\"\"\"/one\"\"\"", false));
	assert_string_equal(turn.text.data, "/one");
	turn_text_reset(&turn);
	assert_true(add("\"\"\"\"\"\"", false));
	assert_int_equal(turn.text.length, 0);
	turn_text_reset(&turn);
	assert_false(add("\"\"\"\"", false));
	assert_true(add("\"\"\"", false));
	assert_string_equal(turn.text.data, "\"");
}

static void quotes_within_a_line_are_text(void **state)
{
	(void)state;
	assert_true(add("say \"\"\"", false));
	assert_string_equal(turn.text.data, "say \"\"\"");
}

static void a_paste_goes_on_until_its_last_line(void **state)
{
	(void)state;
	assert_false(add("if x:\\", true));
	assert_false(add("", true));
	assert_true(add("  /quit", false));
	assert_string_equal(turn.text.data, "if x:\\\n\n  /quit");
	assert_true(turn.is_literal);
}

static void a_message_has_a_limit(void **state)
{
	const size_t n = TURN_TEXT_MAX / 2 + 1;
	char *line = malloc(n);

	(void)state;
	assert_non_null(line);
	memset(line, 'a', n);
	assert_int_equal(turn_text_add(&turn, line, n, true), SC_OK);
	assert_int_equal(turn_text_add(&turn, line, n, true), SC_E_TOO_LARGE);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_line_is_a_message, begin, end),
		cmocka_unit_test_setup_teardown(a_backslash_joins_lines, begin, end),
		cmocka_unit_test_setup_teardown(a_backslash_within_a_line_is_text, begin, end),
		cmocka_unit_test_setup_teardown(quotes_hold_lines_as_they_are, begin, end),
		cmocka_unit_test_setup_teardown(quotes_may_open_and_close_in_a_line, begin, end),
		cmocka_unit_test_setup_teardown(quotes_within_a_line_are_text, begin, end),
		cmocka_unit_test_setup_teardown(a_paste_goes_on_until_its_last_line, begin, end),
		cmocka_unit_test_setup_teardown(a_message_has_a_limit, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
