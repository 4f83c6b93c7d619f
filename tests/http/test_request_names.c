/* SPDX-License-Identifier: Apache-2.0 */
/* What clients call their requests: X-Request-Id and traceparent. */
#include "http/request_id.h"
#include "http/trace_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static void a_trace_is_taken(void **state)
{
	static const char *const good[] = {
		"00-" TRACE "-" PARENT "-01",
		"00-" TRACE "-" PARENT "-00",
		"01-" TRACE "-" PARENT "-01",
		"cc-" TRACE "-" PARENT "-01-what-comes-later",
		"cc-" TRACE "-" PARENT "-01-",
	};
	struct trace_id trace;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (!trace_id_parse(good[i], &trace))
			fail_msg("%s was refused", good[i]);
		assert_string_equal(trace.text, TRACE);
	}
}

static void a_malformed_trace_counts_as_absent(void **state)
{
	static const char *const bad[] = {
		"", "00", "00-" TRACE "-" PARENT, "00-" TRACE "-" PARENT "-0",
		"00-" TRACE "-" PARENT "-01-x",		/* version 0 has four parts */
		"00-" TRACE "-" PARENT "-01 ",
		"cc-" TRACE "-" PARENT "-01x",
		"ff-" TRACE "-" PARENT "-01",
		"00-00000000000000000000000000000000-" PARENT "-01",
		"00-" TRACE "-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
		"00-" TRACE "-" PARENT "-0g", "0x-" TRACE "-" PARENT "-01",
		"00_" TRACE "-" PARENT "-01", "00-" TRACE "_" PARENT "-01",
		"00-" TRACE "-" PARENT "_01",
		"00-0af7651916cd43dd8448eb211c80319\"-" PARENT "-01",
		"00-" TRACE "-" PARENT "-01, 00-" TRACE "-" PARENT "-01",	/* two fields */
	};
	struct trace_id trace;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		memset(&trace, 'x', sizeof trace);
		if (trace_id_parse(bad[i], &trace))
			fail_msg("%s was taken", bad[i]);
		assert_string_equal(trace.text, "");
	}
	assert_false(trace_id_parse(NULL, &trace));
}

static void harmless_request_ids_are_taken(void **state)
{
	char id[REQUEST_ID_MAX + 1] = "before";
	char longest[REQUEST_ID_MAX + 2];

	(void)state;
	assert_true(request_id_copy(id, "cmpl-1/2:3", 10));
	assert_string_equal(id, "cmpl-1/2:3");
	memset(longest, 'a', sizeof longest);
	assert_true(request_id_copy(id, longest, REQUEST_ID_MAX));
	assert_int_equal(strlen(id), REQUEST_ID_MAX);
}

static void other_request_ids_leave_the_one_that_there_is(void **state)
{
	static const char *const bad[] = {
		"", "a b", "a\nb", "a\"b", "a\\b", "a,b", "a;b", "<a", "caf\xc3\xa9", "\x7f",
	};
	char id[REQUEST_ID_MAX + 1] = "before";
	char too_long[REQUEST_ID_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(request_id_copy(id, bad[i], strlen(bad[i])));
	memset(too_long, 'a', sizeof too_long);
	assert_false(request_id_copy(id, too_long, sizeof too_long - 1));
	assert_false(request_id_copy(id, "a\0b", 3));
	assert_string_equal(id, "before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trace_is_taken),
		cmocka_unit_test(a_malformed_trace_counts_as_absent),
		cmocka_unit_test(harmless_request_ids_are_taken),
		cmocka_unit_test(other_request_ids_leave_the_one_that_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
