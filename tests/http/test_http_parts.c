/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a session by themselves: heads, chunked bodies, error objects. */
#include "http/http_chunked.h"
#include "http/http_error.h"
#include "http/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --- heads --- */

static void parse(struct http_head *head, const char *text)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t n = strlen(text);
	struct http_fault fault = { .text = "" };

	http_head_init(head);
	if (http_head_feed(head, &bytes, &n, &fault) != SC_OK)
		fail_msg("%s: %u %s", text, fault.status, fault.text);
	assert_string_equal(bytes, "rest");
}

static void a_head_is_taken_apart(void **state)
{
	struct http_head head;

	(void)state;
	parse(&head, "POST /a%20b/c?d=%20e HTTP/1.1\r\nHost: h\r\nX-Empty:\r\n"
	      "X-Spaces: \t a b \t\r\nContent-Length: 007\r\nExpect: 100-Continue\r\n\r\nrest");
	assert_string_equal(http_head_method(&head), "POST");
	assert_string_equal(http_head_path(&head), "/a b/c");
	assert_string_equal(http_head_query(&head), "d=%20e");
	assert_int_equal(head.method, HTTP_POST);
	assert_string_equal(http_head_value(&head, "x-empty"), "");
	assert_string_equal(http_head_value(&head, "x-spaces"), "a b");
	assert_null(http_head_value(&head, "x-other"));
	assert_true(head.has_length && head.n_body == 7 && !head.is_chunked);
	assert_true(head.expects_continue && head.is_persistent);
	http_head_deinit(&head);
}

static void fields_of_one_name_are_joined_in_their_order(void **state)
{
	struct http_head head;

	(void)state;
	parse(&head, "GET / HTTP/1.1\r\nA: 1\r\nB: x\r\na: 2\r\nHost: h\r\nb: \r\nA: 3\r\n"
	      "\r\nrest");
	assert_string_equal(http_head_value(&head, "a"), "1, 2, 3");
	assert_string_equal(http_head_value(&head, "b"), "x, ");
	assert_string_equal(http_head_value(&head, "host"), "h");
	http_head_deinit(&head);
}

/* The longest head with the most fields of one name stays bounded in memory. */
static void the_host_of_an_address_counts(void **state)
{
	static const struct { const char *target, *path, *host; } cases[] = {
		{ "/a", "/a", "x" },
		{ "http://h:80/a?b", "/a", "h:80" },
		{ "https://h?b", "/", "h" },
		{ "http://host", "/", "host" },
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct http_head head;

		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nrest",
			 cases[i].target);
		parse(&head, text);
		assert_string_equal(http_head_path(&head), cases[i].path);
		assert_string_equal(http_head_value(&head, "host"), cases[i].host);
		http_head_deinit(&head);
	}
}

static void the_largest_head_is_bounded(void **state)
{
	struct buf text = BUF_INIT;
	struct http_head head;

	(void)state;
	assert_int_equal(buf_add_string(&text, "GET / HTTP/1.1\r\nHost: h\r\n"), SC_OK);
	for (unsigned i = 0; i < 99; i++)
		assert_int_equal(buf_add_format(&text, "a: %0155d\r\n", i), SC_OK);
	assert_int_equal(buf_add_string(&text, "\r\nrest"), SC_OK);
	assert_true(text.length < HTTP_MAX_HEAD);
	parse(&head, text.data);
	assert_int_equal(strlen(http_head_value(&head, "a")), 99 * 157 - 2);
	assert_true(head.text.length < 3 * HTTP_MAX_HEAD);
	http_head_deinit(&head);
	buf_deinit(&text);
}

static void a_connection_field_is_a_list(void **state)
{
	static const struct { const char *field; bool is_persistent; } fields[] = {
		{ "", true }, { "Connection: keep-alive\r\n", true },
		{ "Connection: close\r\n", false }, { "Connection: Upgrade, CLOSE\r\n", false },
		{ "Connection: closed\r\n", true }, { "Connection: x-close\r\n", true },
		{ "Connection: ,,close\r\n", false },
		{ "Connection: x\r\nConnection: close\r\n", false },
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		struct http_head head;

		snprintf(text, sizeof text, "GET / HTTP/1.1\r\n%sHost: h\r\n\r\nrest",
			 fields[i].field);
		parse(&head, text);
		assert_int_equal(head.is_persistent, fields[i].is_persistent);
		http_head_deinit(&head);
	}
}

/* --- chunked bodies --- */

/* Feeds the body in pieces of n_piece. Returns the status, and adds the content. */
static enum sc_status decode(const char *text, size_t n_piece, struct buf *content,
			     size_t *n_rest_out)
{
	struct http_chunked chunked;
	const uint8_t *bytes = (const uint8_t *)text;
	size_t n_left = strlen(text);
	enum sc_status status = SC_AGAIN;
	const char *what = NULL;

	http_chunked_init(&chunked);
	while (n_left && status == SC_AGAIN) {
		size_t n = n_piece < n_left ? n_piece : n_left;
		const size_t n_all = n;

		while (n && status == SC_AGAIN) {
			const uint8_t *part;
			size_t n_part;

			status = http_chunked_feed(&chunked, &bytes, &n, &part, &n_part, &what);
			if (n_part)
				assert_int_equal(buf_add(content, part, n_part), SC_OK);
		}
		n_left -= n_all - n;
	}
	assert_true(status != SC_E_INVALID || what);
	*n_rest_out = n_left;
	return status;
}

static void chunks_are_joined_however_they_come(void **state)
{
	static const struct { const char *text, *content; } good[] = {
		{ "0\r\n\r\nrest", "" },
		{ "5\r\nhello\r\n0\r\n\r\nrest", "hello" },
		{ "000005\r\nhello\r\n00\r\n\r\nrest", "hello" },
		{ "3\r\na\r\n\r\n2\r\n\r\n\r\n0\r\n\r\nrest", "a\r\n\r\n" },
		{ "a;name=\"v;\"\r\n0123456789\r\n0;x\r\nT: v\r\nU:\r\n\r\nrest", "0123456789" },
		{ "A \t;x\r\n0123456789\r\n0\r\n\r\nrest", "0123456789" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		for (size_t n_piece = 1; n_piece <= strlen(good[i].text); n_piece++) {
			struct buf content = BUF_INIT;
			size_t n_rest;

			assert_int_equal(decode(good[i].text, n_piece, &content, &n_rest), SC_OK);
			assert_string_equal(content.data, good[i].content);
			assert_int_equal(n_rest, 4);
			buf_deinit(&content);
		}
}

static void broken_chunks_are_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\nx\r\n", ";x\r\n",
		"1\nx\r\n", "1\rx", "1\r\nxy", "1\r\nx\n", "1\r\nx\r\r", "1;\1\r\n", "1;a\n",
		"1111111111111111\r\n", "0\r\nT\r\n", "0\r\n: v\r\n", "0\r\n T: v\r\n",
		"0\r\nT : v", "0\r\nT: \1\r\n", "0\r\nT: v\n", "0\r\n\n", "0\r\n\rx", "0\n\r\n", "0\r\n\"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		for (size_t n_piece = 1; n_piece <= strlen(bad[i]); n_piece++) {
			struct buf content = BUF_INIT;
			size_t n_rest;

			if (decode(bad[i], n_piece, &content, &n_rest) != SC_E_INVALID)
				fail_msg("%zu: '%s' is taken", i, bad[i]);
			buf_deinit(&content);
		}
}

static void extensions_and_trailers_are_bounded(void **state)
{
	struct buf text = BUF_INIT, content = BUF_INIT;
	size_t n_rest;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(buf_add_string(&text, "1;0123456789012345678901234567890123456789"
						"\r\nx\r\n"), SC_OK);
	assert_int_equal(decode(text.data, 1000, &content, &n_rest), SC_E_INVALID);
	buf_truncate(&text, 0);
	buf_truncate(&content, 0);
	assert_int_equal(buf_add_string(&text, "0\r\n"), SC_OK);
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(buf_add_string(&text, "a:456789\r\n"), SC_OK);
	assert_int_equal(decode(text.data, 1000, &content, &n_rest), SC_E_INVALID);
	buf_deinit(&text);
	buf_deinit(&content);
}

/* --- error objects --- */

static void expect_object(const struct http_error *error, const char *expected)
{
	struct buf body = BUF_INIT;

	assert_int_equal(http_error_write(error, &body), SC_OK);
	assert_string_equal(body.data, expected);
	buf_deinit(&body);
}

static void an_error_object_says_what_openai_clients_read(void **state)
{
	(void)state;
	expect_object(&(struct http_error){ .status = 400, .message = "no", .param = "n" },
		      "{\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\","
		      "\"param\":\"n\",\"code\":400}}");
	expect_object(&(struct http_error){ .status = 400, .message = "long",
					    .code = "context_length_exceeded",
					    .members = "\"n_ctx\":512" },
		      "{\"error\":{\"message\":\"long\",\"type\":\"invalid_request_error\","
		      "\"param\":null,\"code\":\"context_length_exceeded\",\"n_ctx\":512}}");
	expect_object(&(struct http_error){ .status = 503, .message = "later", .type = "x" },
		      "{\"error\":{\"message\":\"later\",\"type\":\"x\",\"param\":null,"
		      "\"code\":503}}");
}

static void an_error_object_is_valid_json_whatever_its_text(void **state)
{
	(void)state;
	expect_object(&(struct http_error){ .status = 500,
		.message = "a\"b\\c\n\1\xc3\xa9\xff\xc3\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82" },
		      "{\"error\":{\"message\":\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\xef\xbf\xbd"
		      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80"
		      "\xef\xbf\xbd\xef\xbf\xbd\",\"type\":\"server_error\",\"param\":null,"
		      "\"code\":500}}");
}

static void each_failure_has_a_status(void **state)
{
	(void)state;
	for (unsigned status = 0; status < SC_N_STATUS; status++) {
		const unsigned http = http_status_of((enum sc_status)status);

		assert_true(status ? http >= 400 && http < 600 : http == 200);
		assert_string_not_equal(http_status_text(http), "Error");
	}
	assert_int_equal(http_status_of(SC_E_INVALID), 400);
	assert_int_equal(http_status_of(SC_E_OVERLOADED), 429);
	assert_int_equal(http_status_of(SC_E_UNAVAILABLE), 503);
	assert_string_equal(http_error_type(403), "permission_error");
	assert_string_equal(http_error_type(429), "rate_limit_error");
	assert_string_equal(http_error_type(502), "server_error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_head_is_taken_apart),
		cmocka_unit_test(fields_of_one_name_are_joined_in_their_order),
		cmocka_unit_test(the_host_of_an_address_counts),
		cmocka_unit_test(the_largest_head_is_bounded),
		cmocka_unit_test(a_connection_field_is_a_list),
		cmocka_unit_test(chunks_are_joined_however_they_come),
		cmocka_unit_test(broken_chunks_are_refused),
		cmocka_unit_test(extensions_and_trailers_are_bounded),
		cmocka_unit_test(an_error_object_says_what_openai_clients_read),
		cmocka_unit_test(an_error_object_is_valid_json_whatever_its_text),
		cmocka_unit_test(each_failure_has_a_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
