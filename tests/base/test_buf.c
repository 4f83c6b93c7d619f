/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void an_empty_buf_is_an_empty_string(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	assert_string_equal(buf.data, "");
	buf_consume(&buf, 5);
	buf_truncate(&buf, 0);
	assert_int_equal(buf.length, 0);
	buf_deinit(&buf);
}

static void additions_grow_and_stay_terminated(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_add_format(&buf, "%d,", i % 10), SC_OK);
	assert_int_equal(buf.length, 2000);
	assert_int_equal(buf.data[2000], '\0');
	assert_int_equal(buf_add(&buf, "a\0b", 3), SC_OK);
	assert_memory_equal(buf.data + 2000, "a\0b", 4);
	buf_deinit(&buf);
}

static void consuming_moves_the_rest_to_the_front(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	assert_int_equal(buf_add_string(&buf, "stagecoach"), SC_OK);
	buf_consume(&buf, 5);
	assert_string_equal(buf.data, "coach");
	buf_truncate(&buf, 2);
	assert_string_equal(buf.data, "co");
	buf_consume(&buf, 99);
	assert_string_equal(buf.data, "");
	buf_deinit(&buf);
}

static void an_impossible_size_is_refused_and_changes_nothing(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	assert_int_equal(buf_add_string(&buf, "x"), SC_OK);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX - 1), SC_E_NOMEM);
	assert_string_equal(buf.data, "x");
	buf_deinit(&buf);
}

static void trimming_keeps_the_bytes_and_gives_back_the_rest(void **state)
{
	struct buf buf = BUF_INIT;

	(void)state;
	buf_trim(&buf);
	assert_string_equal(buf.data, "");
	assert_int_equal(buf_add_string(&buf, "stage"), SC_OK);
	buf_trim(&buf);
	assert_int_equal(buf.capacity, 6);
	assert_string_equal(buf.data, "stage");
	assert_int_equal(buf_add_string(&buf, "coach"), SC_OK);
	assert_string_equal(buf.data, "stagecoach");
	buf_truncate(&buf, 0);
	buf_trim(&buf);
	assert_int_equal(buf.capacity, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buf_is_an_empty_string),
		cmocka_unit_test(additions_grow_and_stay_terminated),
		cmocka_unit_test(consuming_moves_the_rest_to_the_front),
		cmocka_unit_test(an_impossible_size_is_refused_and_changes_nothing),
		cmocka_unit_test(trimming_keeps_the_bytes_and_gives_back_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
