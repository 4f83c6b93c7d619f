/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void every_key_finds_its_value(void **state)
{
	static char keys[1000][8];
	struct strmap *map;
	uint32_t value;

	(void)state;
	assert_int_equal(strmap_create(1000, &map), SC_OK);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(keys[i], sizeof keys[i], "k%u", i);
		assert_int_equal(strmap_add(map, keys[i], strlen(keys[i]), i), SC_OK);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		assert_true(strmap_find(map, keys[i], strlen(keys[i]), &value));
		assert_int_equal(value, i);
	}
	assert_false(strmap_find(map, "k1000", 5, &value));
	assert_int_equal(strmap_add(map, "k1", 2, 5), SC_E_EXISTS);
	assert_int_equal(strmap_add(map, "new", 3, 5), SC_E_CAPACITY);
	strmap_destroy(map);
}

static void keys_are_bytes_and_may_be_empty(void **state)
{
	struct strmap *map;
	uint32_t value;

	(void)state;
	assert_int_equal(strmap_create(2, &map), SC_OK);
	assert_int_equal(strmap_add(map, "a\0b", 3, 1), SC_OK);
	assert_int_equal(strmap_add(map, "", 0, 2), SC_OK);
	assert_true(strmap_find(map, "a\0b", 3, &value) && value == 1);
	assert_false(strmap_find(map, "a\0c", 3, &value));
	assert_true(strmap_find(map, "", 0, &value) && value == 2);
	strmap_destroy(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_finds_its_value),
		cmocka_unit_test(keys_are_bytes_and_may_be_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
