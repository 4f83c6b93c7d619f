/* SPDX-License-Identifier: Apache-2.0 */
#include "model/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

typedef enum sc_status add_fn(struct buf *text, const void *bytes, size_t n_bytes);

static void expect(add_fn *add, const char *bytes, size_t n_bytes, const char *expected)
{
	struct buf text = BUF_INIT;

	assert_int_equal(add(&text, bytes, n_bytes), SC_OK);
	assert_string_equal(text.data, expected);
	assert_int_equal(text.length, strlen(expected));
	buf_deinit(&text);
}

static void visible_characters_stay(void **state)
{
	(void)state;
	expect(printable_add, "", 0, "");
	expect(printable_add, " a key, 100 %", 13, " a key, 100 %");
	expect(printable_add, "\u00E4\u4F60\U0001F600", 9, "\u00E4\u4F60\U0001F600");
}

static void what_a_terminal_obeys_or_hides_is_escaped(void **state)
{
	(void)state;
	expect(printable_add, "\x1B[2J\0\a\x7F", 7, "\\u{1B}[2J\\u{0}\\u{7}\\u{7F}");
	/* One of the C1 controls, direction, zero width, no-break space, separator, unassigned. */
	expect(printable_add, "\xC2\x9B\u202E\u200B\u00A0\u2028\u0378", 15,
	       "\\u{9B}\\u{202E}\\u{200B}\\u{A0}\\u{2028}\\u{378}");
	expect(printable_add, "\n\r\t\"\\", 5, "\\n\\r\\t\\\"\\\\");
}

static void what_is_not_utf8_is_shown_byte_by_byte(void **state)
{
	(void)state;
	expect(printable_add, "a\xE2\x82", 3, "a\\xE2\\x82");
	expect(printable_add, "\xFF\xC0\x80z", 4, "\\xFF\\xC0\\x80z");
	expect(printable_add, "\xED\xA0\x80", 3, "\\xED\\xA0\\x80");
}

static void a_text_of_lines_keeps_them(void **state)
{
	(void)state;
	expect(printable_add_lines, "{% \"a\\n\" %}\n\t\x1B\r\xFF", 16,
	       "{% \"a\\n\" %}\n\t\\u{1B}\\r\\xFF");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(visible_characters_stay),
		cmocka_unit_test(what_a_terminal_obeys_or_hides_is_escaped),
		cmocka_unit_test(what_is_not_utf8_is_shown_byte_by_byte),
		cmocka_unit_test(a_text_of_lines_keeps_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
