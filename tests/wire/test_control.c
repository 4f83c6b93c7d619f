/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef Stagecoach__Cluster__V1__Control control_message;

static void a_hello_comes_back_without_control_characters(void **state)
{
	Stagecoach__Cluster__V1__Hello hello = STAGECOACH__CLUSTER__V1__HELLO__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT, *got;
	struct buf bytes = BUF_INIT;
	struct error err;
	size_t n_used;
	char host[] = "node\n7\x7f";

	(void)state;
	hello.launch_rank = 3;
	hello.host = host;
	hello.memory_bytes = UINT64_C(1) << 40;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO;
	message.hello = &hello;
	assert_int_equal(control_add(&message, &bytes), SC_OK);
	assert_int_equal(control_take(bytes.data, bytes.length, &got, &n_used, &err), SC_OK);
	assert_int_equal(n_used, bytes.length);
	assert_int_equal(got->body_case, STAGECOACH__CLUSTER__V1__CONTROL__BODY_HELLO);
	assert_int_equal(got->hello->launch_rank, 3);
	assert_int_equal(got->hello->memory_bytes, UINT64_C(1) << 40);
	assert_string_equal(got->hello->host, "node 7 ");
	assert_string_equal(got->hello->version, "");
	control_free(got);
	control_free(NULL);
	buf_deinit(&bytes);
}

static void a_message_over_the_limit_is_not_added(void **state)
{
	Stagecoach__Cluster__V1__Stop stop = STAGECOACH__CLUSTER__V1__STOP__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT;
	struct buf bytes = BUF_INIT;
	char *reason = malloc(CONTROL_MAX_BYTES);

	(void)state;
	assert_non_null(reason);
	memset(reason, 'x', CONTROL_MAX_BYTES - 1);
	reason[CONTROL_MAX_BYTES - 1] = '\0';
	stop.reason = reason;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_STOP;
	message.stop = &stop;
	assert_int_equal(control_add(&message, &bytes), SC_E_TOO_LARGE);
	assert_int_equal(bytes.length, 0);
	reason[CONTROL_MAX_BYTES - 100] = '\0';
	assert_int_equal(control_add(&message, &bytes), SC_OK);
	free(reason);
	buf_deinit(&bytes);
}

static void messages_behind_lengths_come_back_from_any_cut(void **state)
{
	Stagecoach__Cluster__V1__Ready ready = STAGECOACH__CLUSTER__V1__READY__INIT;
	control_message message = STAGECOACH__CLUSTER__V1__CONTROL__INIT, *got;
	struct buf bytes = BUF_INIT;
	size_t n_used = 0, n_first;
	struct error err;

	(void)state;
	ready.epoch = 7;
	message.body_case = STAGECOACH__CLUSTER__V1__CONTROL__BODY_READY;
	message.ready = &ready;
	assert_int_equal(control_add(&message, &bytes), SC_OK);
	n_first = bytes.length;
	ready.epoch = 8;
	assert_int_equal(control_add(&message, &bytes), SC_OK);
	for (size_t n = 0; n < n_first; n++)
		assert_int_equal(control_take(bytes.data, n, &got, &n_used, &err), SC_AGAIN);
	assert_int_equal(control_take(bytes.data, bytes.length, &got, &n_used, &err), SC_OK);
	assert_int_equal(n_used, n_first);
	assert_int_equal(got->ready->epoch, 7);
	control_free(got);
	buf_consume(&bytes, n_used);
	assert_int_equal(control_take(bytes.data, bytes.length, &got, &n_used, &err), SC_OK);
	assert_int_equal(got->ready->epoch, 8);
	control_free(got);
	buf_deinit(&bytes);
}

static void lengths_out_of_range_and_junk_are_refused(void **state)
{
	static const struct { char bytes[8]; size_t n; const char *word; } bad[] = {
		{ "\0\0\0\0", 4, "expected 1 to 65536" },
		{ "\1\0\1\0", 4, "message of 65537 bytes" },
		{ "\xff\xff\xff\xff", 4, "expected 1 to 65536" },
		{ "\2\0\0\0\x0a\x7f", 6, "not a Control message" },
		{ "\4\0\0\0\xff\xff\xff\xff", 8, "not a Control message" },
		{ "\3\0\0\0\xf8\x01\x01", 7, "without a known body" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct error err = { .text = "" };
		control_message *got = NULL;
		size_t n_used = 0;

		assert_int_equal(control_take(bad[i].bytes, bad[i].n, &got, &n_used, &err),
				 SC_E_PROTOCOL);
		assert_non_null(strstr(err.text, bad[i].word));
		assert_null(got);
		assert_int_equal(n_used, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_comes_back_without_control_characters),
		cmocka_unit_test(a_message_over_the_limit_is_not_added),
		cmocka_unit_test(messages_behind_lengths_come_back_from_any_cut),
		cmocka_unit_test(lengths_out_of_range_and_junk_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
