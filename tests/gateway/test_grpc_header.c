/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_header.h"
#include "gateway/grpc_status.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void content_types_of_grpc_are_recognised(void **state)
{
	static const struct {
		const char *value;
		bool is_grpc;
	} rows[] = {
		{ "application/grpc", true },
		{ "application/grpc+proto", true },
		{ "application/grpc; charset=utf-8", true },
		{ "application/grpc+proto;x=y", true },
		{ "application/grpc+json", false },
		{ "application/grpc-web", false },
		{ "application/grp", false },
		{ "application/json", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(grpc_is_content_type(rows[i].value, strlen(rows[i].value)),
				 rows[i].is_grpc);
}

static void timeouts_of_every_unit_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{ "1n", 1 },
		{ "7u", 7000 },
		{ "250m", 250 * NS_PER_MS },
		{ "3S", 3 * NS_PER_SECOND },
		{ "2M", 120 * NS_PER_SECOND },
		{ "1H", 3600 * NS_PER_SECOND },
		{ "00000000S", 0 },
		{ "99999999m", 99999999 * NS_PER_MS },
		{ "99999999H", UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t ns = 12345;

		assert_true(grpc_parse_timeout(rows[i].text, strlen(rows[i].text), &ns));
		assert_true(ns == rows[i].ns);
	}
}

static void timeouts_that_are_malformed_are_refused(void **state)
{
	static const char *const rows[] = {
		"", "m", "1", "1x", "-1m", "1.5S", " 1m", "1m ", "999999999m", "1mm", "+1S",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t ns = 12345;

		assert_false(grpc_parse_timeout(rows[i], strlen(rows[i]), &ns));
		assert_true(ns == 12345);
	}
}

static void a_timeout_survives_being_written_and_read(void **state)
{
	static const uint64_t rows[] = {
		1, 999, 99999999, 100000000, 123456789012, 60 * NS_PER_SECOND,
		86400 * NS_PER_SECOND, UINT64_MAX / 2,
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[GRPC_TIMEOUT_MAX];
		uint64_t ns;

		grpc_format_timeout(rows[i], text);
		assert_true(grpc_parse_timeout(text, strlen(text), &ns));
		assert_true(ns >= rows[i]);
		assert_true(ns - rows[i] <= rows[i] / 1000 + 3600 * NS_PER_SECOND);
	}
}

static void messages_are_percent_encoded_and_decoded(void **state)
{
	static const struct {
		const char *text;
		const char *encoded;
	} rows[] = {
		{ "plain text, with ~ and \"quotes\"", "plain text, with ~ and \"quotes\"" },
		{ "100%", "100%25" },
		{ "a\nb\x7f", "a%0Ab%7F" },
		{ "gr\xc3\xbc\xc3\x9f", "gr%C3%BC%C3%9F" },
		{ "\xff", "%FF" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char encoded[128];
		char decoded[128];
		size_t n = grpc_percent_encode(rows[i].text, encoded, sizeof encoded);

		assert_string_equal(encoded, rows[i].encoded);
		assert_int_equal(n, strlen(encoded));
		n = grpc_percent_decode(encoded, n, decoded, sizeof decoded);
		assert_string_equal(decoded, rows[i].text);
		assert_int_equal(n, strlen(rows[i].text));
	}
}

static void decoding_leaves_stray_percent_signs_alone(void **state)
{
	static const char text[] = "%zz%4%%41%";
	char out[32];

	(void)state;
	grpc_percent_decode(text, sizeof text - 1, out, sizeof out);
	assert_string_equal(out, "%zz%4%A%");
}

static void encoding_cuts_at_a_whole_character(void **state)
{
	char out[9];

	(void)state;
	for (size_t capacity = 1; capacity <= sizeof out; capacity++) {
		size_t n = grpc_percent_encode("a\xc3\xbc" "b", out, capacity);

		assert_true(n < capacity);
		assert_int_equal(strlen(out), n);
		assert_true(n == 0 || n == 1 || n == 7 || n == 8);
	}
	assert_string_equal(out, "a%C3%BC" "b");
}

static void every_status_of_ours_has_a_code(void **state)
{
	(void)state;
	for (int s = 0; s < SC_N_STATUS; s++) {
		enum grpc_status code = grpc_status_of((enum sc_status)s);

		assert_int_equal(code == GRPC_OK, s == SC_OK);
		assert_string_not_equal(grpc_status_name(code), "UNKNOWN");
	}
	assert_int_equal(grpc_status_of(SC_E_OVERLOADED), GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(grpc_status_of(SC_E_UNAVAILABLE), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_status_to_sc(GRPC_NOT_FOUND), SC_E_NOT_FOUND);
	assert_int_equal(grpc_status_to_sc((enum grpc_status)99), SC_E_INTERNAL);
	assert_string_equal(grpc_status_name((enum grpc_status)99), "UNKNOWN");
	assert_int_equal(grpc_status_parse("0"), GRPC_OK);
	assert_int_equal(grpc_status_parse("16"), GRPC_UNAUTHENTICATED);
	assert_int_equal(grpc_status_parse("17"), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse(""), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse("OK"), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse("0 "), GRPC_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_types_of_grpc_are_recognised),
		cmocka_unit_test(timeouts_of_every_unit_are_read),
		cmocka_unit_test(timeouts_that_are_malformed_are_refused),
		cmocka_unit_test(a_timeout_survives_being_written_and_read),
		cmocka_unit_test(messages_are_percent_encoded_and_decoded),
		cmocka_unit_test(decoding_leaves_stray_percent_signs_alone),
		cmocka_unit_test(encoding_cuts_at_a_whole_character),
		cmocka_unit_test(every_status_of_ours_has_a_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
