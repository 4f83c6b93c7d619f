/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of vocabularies, rounded as the tokenizers package rounds them. */
#include "hf/json_pull.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static bool read_number(const char *text, double *value_out)
{
	struct error err = { .text = "" };
	struct json_pull pull = { .path = "f", .text = text, .n = strlen(text), .err = &err };
	enum sc_status status = json_pull_number(&pull, value_out);

	if (status && strncmp(err.text, "f: line 1, column 1: expected a number", 38))
		fail_msg("'%s': %s", text, err.text);
	return !status && pull.at == pull.n;
}

static void numbers_are_rounded_like_those_of_serde_json(void **state)
{
	static const struct {
		const char *text;
		double value;
	} cases[] = {
		{ "0", 0 }, { "-1", -1 }, { "1.5", 1.5 }, { "-12.25", -12.25 }, { "1e3", 1000 },
		{ "25E-2", 0.25 }, { "1.5e+2", 150 }, { "0.0e99999", 0 }, { "1e-400", 0 },
		{ "18446744073709551615", 18446744073709551615.0 },
		{ "184467440737095516150", 184467440737095516150.0 },
		{ "0.000000000000000000000000000001", 1 / 1e30 },
		/* Not the nearest doubles. */
		{ "-3.4432988610233686", -0x1.b8be045f39869p+1 },
		{ "-7.2693877563203335", -0x1.d13da624d5ac6p+2 },
		{ "-7.3018209121730635", -0x1.d35108a8c20f9p+2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double value = -7;

		if (!read_number(cases[i].text, &value) || value != cases[i].value)
			fail_msg("%s: expected %a, found %a", cases[i].text, cases[i].value, value);
	}
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "-", ".5", "1.", "1.e5", "1e", "1e+", "+1", "1e400", "1e99999999999999999999",
		"NaN", "Infinity", "\"1\"",
	};
	double value;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (read_number(texts[i], &value))
			fail_msg("'%s' was read as %a", texts[i], value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_rounded_like_those_of_serde_json),
		cmocka_unit_test(what_is_no_number_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
