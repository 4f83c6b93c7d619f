/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void every_status_has_a_name(void **state)
{
	(void)state;
	for (int status = 0; status < SC_N_STATUS; status++)
		assert_non_null(sc_status_name((enum sc_status)status));
	assert_string_equal(sc_status_name((enum sc_status)999), "unknown status");
	assert_int_equal(sc_status_exit_code(SC_OK), 0);
	assert_int_equal(sc_status_exit_code(SC_E_CONFIG), 78);
	assert_int_equal(sc_status_exit_code((enum sc_status)999), 1);
}

static void context_goes_in_front(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, SC_E_FORMAT, "offset %d", 7), SC_E_FORMAT);
	error_prefix(&err, "%s.gguf", "m");
	assert_int_equal(err.status, SC_E_FORMAT);
	assert_string_equal(err.text, "m.gguf: offset 7");
	assert_int_equal(error_errno(&err, SC_E_IO, ENOENT, "open %s", "x"), SC_E_IO);
	assert_string_equal(err.text, "open x: No such file or directory");
}

static void a_long_text_is_cut_not_overrun(void **state)
{
	struct error err;
	char long_text[2 * ERROR_TEXT_MAX];

	(void)state;
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	error_set(&err, SC_E_IO, "%s", long_text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	error_prefix(&err, "%s", long_text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

/* Characters of 1, 2, 3 and 4 bytes, so often that every place of a cut comes up. */
static void a_text_is_cut_between_characters(void **state)
{
	static const char *const characters[] = { "x", "\u00e4", "\u20ac", "\U0001f682" };

	(void)state;
	for (size_t c = 0; c < sizeof characters / sizeof *characters; c++) {
		size_t length = strlen(characters[c]);
		char text[2 * ERROR_TEXT_MAX] = "";
		struct error err;

		for (size_t at = 0; at + length < sizeof text; at += length)
			memcpy(text + at, characters[c], length + 1);
		for (size_t pad = 0; pad < 4; pad++) {
			error_set(&err, SC_E_IO, "%.*s%s", (int)pad, "...", text);
			assert_in_range(strlen(err.text), ERROR_TEXT_MAX - length,
					ERROR_TEXT_MAX - 1);
			assert_int_equal((strlen(err.text) - pad) % length, 0);
			error_prefix(&err, "y");
			assert_int_equal((strlen(err.text) - pad - strlen("y: ")) % length, 0);
			error_prefix(&err, "%.*s%s", (int)pad, "...", text);
			assert_non_null(strstr(err.text, ": "));
			assert_int_equal((size_t)(strstr(err.text, ": ") - err.text - pad) % length,
					 0);
		}
	}
}

static void without_an_error_only_the_status_passes(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, SC_E_IO, "x"), SC_E_IO);
	error_prefix(NULL, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_a_name),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(a_long_text_is_cut_not_overrun),
		cmocka_unit_test(a_text_is_cut_between_characters),
		cmocka_unit_test(without_an_error_only_the_status_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
