/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const char *nearest_of(const char *word)
{
	static const char *const known[] = {
		"ctx-size", "temp", "temperature", "port", "prompt", "top-k", "top-p", "min-p",
		"max-queue", "kv-type",
	};
	struct nearest nearest;

	nearest_init(&nearest, word);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		nearest_offer(&nearest, known[i]);
	return nearest.best ? nearest.best : "";
}

static void a_slip_finds_the_name(void **state)
{
	(void)state;
	assert_string_equal(nearest_of("temprature"), "temperature");	/* too few */
	assert_string_equal(nearest_of("portt"), "port");		/* too many */
	assert_string_equal(nearest_of("kv-tipe"), "kv-type");		/* another one */
	assert_string_equal(nearest_of("prot"), "port");		/* exchanged */
}

static void case_and_kind_of_dash_do_not_count(void **state)
{
	(void)state;
	assert_string_equal(nearest_of("ctx_size"), "ctx-size");
	assert_string_equal(nearest_of("CTX_SIZE"), "ctx-size");
	assert_string_equal(nearest_of("MaxQueue"), "max-queue");
}

static void the_nearest_of_several_wins(void **state)
{
	(void)state;
	assert_string_equal(nearest_of("tmp"), "temp");
	assert_string_equal(nearest_of("top-q"), "top-k");	/* the first of equals */
	assert_string_equal(nearest_of("min-k"), "min-p");
}

static void nothing_is_near_to_another_word(void **state)
{
	char longest[NEAREST_MAX_LENGTH + 1], longer[NEAREST_MAX_LENGTH + 2];

	(void)state;
	assert_string_equal(nearest_of("nonsense"), "");
	assert_string_equal(nearest_of("x"), "");
	assert_string_equal(nearest_of(""), "");
	memset(longest, 'p', NEAREST_MAX_LENGTH);
	longest[NEAREST_MAX_LENGTH] = '\0';
	memset(longer, 'p', NEAREST_MAX_LENGTH + 1);
	longer[NEAREST_MAX_LENGTH + 1] = '\0';
	assert_string_equal(nearest_of(longest), "");
	assert_string_equal(nearest_of(longer), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slip_finds_the_name),
		cmocka_unit_test(case_and_kind_of_dash_do_not_count),
		cmocka_unit_test(the_nearest_of_several_wins),
		cmocka_unit_test(nothing_is_near_to_another_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
