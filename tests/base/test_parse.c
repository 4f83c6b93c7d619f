/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void integers_are_taken_whole_or_not_at_all(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "1x", "0x10",
					   "18446744073709551616" };
	uint64_t u = 7;
	int64_t i = 7;

	(void)state;
	assert_true(parse_u64("18446744073709551615", &u));
	assert_true(u == UINT64_MAX);
	assert_true(parse_i64("-9223372036854775808", &i));
	assert_true(i == INT64_MIN);
	u = 7;
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
		assert_false(parse_u64(bad[k], &u));
	assert_int_equal(u, 7);
	assert_false(parse_i64("--1", &i));
	assert_false(parse_i64("9223372036854775808", &i));
}

static void numbers_must_be_finite_decimals(void **state)
{
	static const char *const bad[] = { "", "nan", "inf", "1e999", "0x1p3", "1.0.0", "1,5",
					   " 1", "e" };
	double f;

	(void)state;
	assert_true(parse_f64("0.8", &f));
	assert_true(f == 0.8);
	assert_true(parse_f64("-1e-3", &f));
	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
		assert_false(parse_f64(bad[k], &f));
}

static void words_for_yes_and_no(void **state)
{
	bool value = false;

	(void)state;
	assert_true(parse_bool("ON", &value) && value);
	assert_true(parse_bool("0", &value) && !value);
	assert_false(parse_bool("2", &value));
	assert_false(parse_bool("", &value));
}

static void bytes_take_a_suffix(void **state)
{
	uint64_t value;

	(void)state;
	assert_true(parse_bytes("512M", &value) && value == UINT64_C(512) << 20);
	assert_true(parse_bytes("3g", &value) && value == UINT64_C(3) << 30);
	assert_true(parse_bytes("17", &value) && value == 17);
	assert_false(parse_bytes("1MB", &value));
	assert_false(parse_bytes("-1", &value));
	assert_false(parse_bytes("99999999999T", &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_taken_whole_or_not_at_all),
		cmocka_unit_test(numbers_must_be_finite_decimals),
		cmocka_unit_test(words_for_yes_and_no),
		cmocka_unit_test(bytes_take_a_suffix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
