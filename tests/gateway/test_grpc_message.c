/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* Three messages: "hello", empty, "xy". */
static const uint8_t three[] = {
	0, 0, 0, 0, 5, 'h', 'e', 'l', 'l', 'o',
	0, 0, 0, 0, 0,
	0, 0, 0, 0, 2, 'x', 'y',
};
static const char *const texts[] = { "hello", "", "xy" };

static void messages_come_out_whole_however_the_bytes_are_cut(void **state)
{
	(void)state;
	for (size_t cut = 1; cut <= sizeof three; cut++) {
		struct grpc_reader reader;
		size_t n_found = 0;

		grpc_reader_init(&reader, 100);
		for (size_t at = 0; at < sizeof three; at += cut) {
			const uint8_t *bytes = three + at;
			size_t n = sizeof three - at < cut ? sizeof three - at : cut;

			while (n && grpc_reader_feed(&reader, &bytes, &n, NULL) == SC_OK) {
				assert_true(n_found < 3);
				assert_string_equal(reader.message.data, texts[n_found++]);
				grpc_reader_next(&reader);
			}
		}
		assert_int_equal(n_found, 3);
		assert_true(grpc_reader_is_between(&reader));
		grpc_reader_deinit(&reader);
	}
}

static enum sc_status feed(const uint8_t *bytes, size_t n_bytes, size_t max, struct error *err)
{
	struct grpc_reader reader;
	enum sc_status status;

	grpc_reader_init(&reader, max);
	status = grpc_reader_feed(&reader, &bytes, &n_bytes, err);
	grpc_reader_deinit(&reader);
	return status;
}

static void a_message_over_the_limit_is_refused_by_its_prefix(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(feed((const uint8_t[]){ 0, 0, 0, 0, 11 }, 5, 10, &err), SC_E_OVERLOADED);
	assert_string_equal(err.text, "the message has 11 bytes, the limit is 10");
	assert_int_equal(feed((const uint8_t[]){ 0, 0, 0, 0, 10 }, 5, 10, &err), SC_AGAIN);
	assert_int_equal(feed((const uint8_t[]){ 0, 255, 255, 255, 255 }, 5, 10, &err),
			 SC_E_OVERLOADED);
}

static void compressed_and_unknown_flags_are_refused(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(feed((const uint8_t[]){ 1, 0, 0, 0, 1 }, 5, 10, &err), SC_E_UNSUPPORTED);
	assert_int_equal(feed((const uint8_t[]){ 2, 0, 0, 0, 1 }, 5, 10, &err), SC_E_INVALID);
	assert_string_equal(err.text, "message flag: expected 0 or 1, found 2");
}

static void an_announced_length_takes_no_memory_by_itself(void **state)
{
	struct grpc_reader reader;
	const uint8_t prefix[] = { 0, 0x7f, 0, 0, 0, 'x' };
	const uint8_t *bytes = prefix;
	size_t n = sizeof prefix;

	(void)state;
	grpc_reader_init(&reader, UINT32_MAX);
	assert_int_equal(grpc_reader_feed(&reader, &bytes, &n, NULL), SC_AGAIN);
	assert_true(reader.message.capacity < 1024);
	grpc_reader_deinit(&reader);
}

static void the_prefix_is_written_most_significant_byte_first(void **state)
{
	uint8_t prefix[GRPC_PREFIX_BYTES];

	(void)state;
	grpc_write_prefix(prefix, 0x01020304);
	assert_memory_equal(prefix, ((const uint8_t[]){ 0, 1, 2, 3, 4 }), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_out_whole_however_the_bytes_are_cut),
		cmocka_unit_test(a_message_over_the_limit_is_refused_by_its_prefix),
		cmocka_unit_test(compressed_and_unknown_flags_are_refused),
		cmocka_unit_test(an_announced_length_takes_no_memory_by_itself),
		cmocka_unit_test(the_prefix_is_written_most_significant_byte_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
