/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/dict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>

/* A client can find names whose hashes without a seed end alike. Each of them would lie behind all
 * others in the table, so a request with many would take time by the square of their number. */
static void chosen_names_do_not_collide(void **state)
{
	enum { N = 64, MASK = 255 };
	static char names[N][16];
	static struct str strings[N];
	struct dict dict = { 0 };
	struct arena arena;
	unsigned n = 0, n_alike = 0;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (unsigned i = 0; n < N; i++) {
		snprintf(names[n], sizeof names[n], "%u", i);
		if (XXH3_64bits(names[n], strlen(names[n])) & MASK)
			continue;
		strings[n] = (struct str){ .bytes = names[n], .n_bytes = strlen(names[n]) };
		assert_true(dict_put(&dict, &arena, value_string(&strings[n]), value_int(n)));
		n++;
	}
	for (unsigned i = 0; i < N; i++) {
		n_alike += (dict.entries[i].hash & MASK) == (dict.entries[0].hash & MASK);
		assert_int_equal(dict_find(&dict, value_string(&strings[i]))->value.integer, i);
	}
	assert_true(n_alike < N / 4);
	arena_deinit(&arena);
}

static void numbers_are_one_key_if_they_are_equal(void **state)
{
	const struct value keys[] = {
		value_int(INT64_C(1) << 53), value_int((INT64_C(1) << 53) + 1), value_float(0.5),
		value_float(NAN),
	};
	struct dict dict = { 0 };
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	for (int twice = 0; twice < 2; twice++)
		for (int i = 0; i < 4; i++)
			assert_true(dict_put(&dict, &arena, keys[i], value_int(i)));
	assert_int_equal(dict.n, 4);
	assert_int_equal(dict_find(&dict, value_float(0x1p53))->value.integer, 0);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_names_do_not_collide),
		cmocka_unit_test(numbers_are_one_key_if_they_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
