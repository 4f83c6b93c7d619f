/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

/* The events that came, one behind the other, each in brackets. */
struct found {
	char text[1000];
	enum sc_status answer;
};

static enum sc_status on_event(void *arg, const char *data, size_t n_bytes, struct error *err)
{
	struct found *found = arg;

	assert_int_equal(strlen(data), n_bytes);
	assert_true(strlen(found->text) + n_bytes + 3 < sizeof found->text);
	strcat(strcat(strcat(found->text, "["), data), "]");
	return found->answer == SC_OK ? SC_OK : error_set(err, found->answer, "no more");
}

/* Feed bytes in pieces of `cut`, each in memory that ends where the piece does. n_left: what the
 * reply did not use. */
static enum sc_status feed(struct reply *reply, const char *bytes, size_t n_bytes, size_t cut,
			   size_t *n_left, struct error *err)
{
	enum sc_status status = SC_AGAIN;
	size_t at = 0;

	while (at < n_bytes && status == SC_AGAIN) {
		size_t n = n_bytes - at < cut ? n_bytes - at : cut;
		uint8_t *piece = malloc(n);
		const uint8_t *p = piece;
		size_t n_rest = n;

		assert_non_null(piece);
		memcpy(piece, bytes + at, n);
		status = reply_feed(reply, &p, &n_rest, err);
		assert_ptr_equal(p, piece + n - n_rest);
		at += n - n_rest;
		if (status == SC_AGAIN)
			assert_int_equal(n_rest, 0);
		free(piece);
	}
	*n_left = n_bytes - at;
	return status;
}

/* The same whatever the cuts are: the status, the events, and how many bytes are left over. */
static void expect_n(const char *bytes, size_t n_bytes, enum sc_status wanted, const char *events,
		     size_t n_left_wanted)
{
	for (size_t cut = 1; cut <= n_bytes; cut += cut < 64 ? 1 : 61) {
		struct found found = { .answer = SC_OK };
		struct error err = { .status = SC_OK };
		struct reply reply;
		enum sc_status status;
		size_t n_left;

		reply_init(&reply, on_event, &found);
		status = feed(&reply, bytes, n_bytes, cut, &n_left, &err);
		if (status != wanted)
			print_error("cut %zu: %s %s\n", cut, sc_status_name(status), err.text);
		assert_int_equal(status, wanted);
		assert_string_equal(found.text, events);
		if (wanted == SC_OK)
			assert_int_equal(n_left, n_left_wanted);
		reply_deinit(&reply);
	}
}

static void expect(const char *text, enum sc_status wanted, const char *events)
{
	expect_n(text, strlen(text), wanted, events, 0);
}

static void events_come_out_whole_however_the_bytes_are_cut(void **state)
{
	(void)state;
	expect(CHUNKED "c\r\ndata: {\"a\":1\r\n4;x=y\r\n}\n\nd\r\n00B\r\nata: second\r\n"
	       "2\r\n\n\n\r\n0\r\n\r\n", SC_OK, "[{\"a\":1}][second]");
	expect_n(HEAD "Content-Length: 18\r\n\r\ndata: a\r\ndata:b\r\n\r\n", 91, SC_OK, "", 1);
	expect(HEAD "Content-Length: 19\r\n\r\ndata: a\r\ndata:b\r\n\r\n", SC_OK, "[a\nb]");
	expect(HEAD "content-length:2\r\n\r\n\n\n", SC_OK, "");
	expect(HEAD "Content-Length: 0\r\n\r\n", SC_OK, "");
}

static void other_fields_and_comments_of_a_stream_are_skipped(void **state)
{
	(void)state;
	expect(HEAD "Content-Length: 47\r\n\r\n"
	       ":\n\nevent: x\nid: 1\ndat: no\n\ndata:  two\n\n", SC_AGAIN, "[ two]");
	/* Data without an empty line behind it is no event. */
	expect(HEAD "Content-Length: 8\r\n\r\ndata: a\n", SC_OK, "");
}

static void what_follows_a_response_is_left_alone(void **state)
{
	struct found found = { .answer = SC_OK };
	const char *bytes = CHUNKED "0\r\nX-Trailer: 1\r\n\r\nHTTP/1.1";
	struct reply reply;
	size_t n_left;

	(void)state;
	reply_init(&reply, on_event, &found);
	assert_int_equal(feed(&reply, bytes, strlen(bytes), strlen(bytes), &n_left, NULL), SC_OK);
	assert_int_equal(n_left, 8);
	assert_true(reply.keeps_connection);
	reply_deinit(&reply);
}

static void a_reply_begins_anew(void **state)
{
	const char *first = "HTTP/1.1 503 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
	const char *second = HEAD "Content-Length: 9\r\n\r\ndata: b\n\n";
	struct found found = { .answer = SC_OK };
	struct reply reply;
	size_t n_left;

	(void)state;
	reply_init(&reply, on_event, &found);
	assert_int_equal(feed(&reply, first, strlen(first), 7, &n_left, NULL), SC_OK);
	assert_int_equal(reply.http_status, 503);
	assert_string_equal(reply.text, "busy");
	assert_false(reply.keeps_connection);
	reply_begin(&reply);
	assert_false(reply.has_begun);
	assert_int_equal(feed(&reply, second, strlen(second), 7, &n_left, NULL), SC_OK);
	assert_string_equal(found.text, "[b]");
	assert_int_equal(reply.http_status, 200);
	assert_true(reply.keeps_connection);
	assert_string_equal(reply.text, "");
	reply_deinit(&reply);
}

static void informational_responses_are_skipped(void **state)
{
	(void)state;
	expect("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" HEAD
	       "Content-Length: 9\r\n\r\ndata: b\n\n", SC_OK, "[b]");
	expect("HTTP/1.1 101 Switching\r\n\r\n", SC_E_PROTOCOL, "");
	expect("HTTP/1.1 204\r\nContent-Length: 5\r\n\r\n", SC_OK, "");
}

static void the_body_of_an_error_is_kept_and_cut(void **state)
{
	struct found found = { .answer = SC_OK };
	struct reply reply;
	char bytes[2000] = HEAD;
	size_t n_left;

	(void)state;
	/* An event stream, but not of a request that was served. */
	memcpy(bytes, "HTTP/1.1 400", 12);
	strcat(bytes, "Content-Length: 1000\r\n\r\n");
	memset(bytes + strlen(bytes), 'x', 1000);
	reply_init(&reply, on_event, &found);
	assert_int_equal(feed(&reply, bytes, strlen(bytes), 99, &n_left, NULL), SC_OK);
	assert_int_equal(strlen(reply.text), REPLY_MAX_TEXT);
	reply_deinit(&reply);
}

static void a_body_without_a_length_ends_with_the_connection(void **state)
{
	const char *bytes = HEAD "\r\ndata: a\n\n";
	struct found found = { .answer = SC_OK };
	struct reply reply;
	size_t n_left;

	(void)state;
	reply_init(&reply, on_event, &found);
	assert_int_equal(feed(&reply, bytes, strlen(bytes), 3, &n_left, NULL), SC_AGAIN);
	assert_int_equal(reply_close(&reply, NULL), SC_OK);
	assert_false(reply.keeps_connection);
	assert_string_equal(found.text, "[a]");
	reply_deinit(&reply);
}

static void a_connection_that_closes_in_the_middle_is_an_error(void **state)
{
	const char *bytes = CHUNKED "9\r\ndata: a\n\n\r\n0\r\n\r\n";

	(void)state;
	for (size_t n = 0; n < strlen(bytes); n++) {
		struct found found = { .answer = SC_OK };
		struct error err;
		struct reply reply;
		size_t n_left;

		reply_init(&reply, on_event, &found);
		if (n)
			assert_int_equal(feed(&reply, bytes, n, n, &n_left, NULL), SC_AGAIN);
		assert_int_equal(reply.has_begun, n > 0);
		assert_int_equal(reply_close(&reply, &err), SC_E_CLOSED);
		reply_deinit(&reply);
	}
}

static void an_end_before_any_line_tells_who_does_not_speak_http(void **state)
{
	/* HTTP/2's settings begin so. */
	static const char others[][10] = { "\0\0\6\4\0\0\0\0\0", "SSH-2.0-x", "HTTP/2.0 " };

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct found found = { .answer = SC_OK };
		struct error err;
		struct reply reply;
		size_t n_left;

		reply_init(&reply, on_event, &found);
		assert_int_equal(feed(&reply, others[i], 9, 1, &n_left, NULL), SC_AGAIN);
		assert_int_equal(reply_close(&reply, &err), SC_E_PROTOCOL);
		assert_string_equal(err.text, "what answers there is no HTTP/1.1 server");
		reply_deinit(&reply);
	}
}

static void what_breaks_the_protocol_is_refused(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.0 200 OK\r\n",
		"HTTP/2 200\r\n",
		"HTTP/1.1 20 OK\r\n",
		"HTTP/1.1 2000 OK\r\n",
		"HTTP/1.1 900 OK\r\n",
		"\r\n",
		"{\"error\":1}\r\n",
		"HTTP/1.1 200 OK\n",
		"HTTP/1.1 200 OK\r\nno header\r\n",
		"HTTP/1.1 200 OK\r\n: no name\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n",
		HEAD "Content-Length: -1\r\n",
		HEAD "Content-Length: 1x\r\n",
		HEAD "Content-Length: \r\n",
		HEAD "Content-Length: 1, 1\r\n",
		HEAD "Content-Length: 99999999999999999999\r\n",
		HEAD "Content-Length: 1\r\nContent-Length: 2\r\n",
		HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		HEAD "Transfer-Encoding: gzip\r\n",
		HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		CHUNKED "\r\n",
		CHUNKED "x\r\n",
		CHUNKED "-1\r\n",
		CHUNKED "0x10\r\n",
		CHUNKED "40000001\r\n",
		CHUNKED "ffffffffffffffff\r\n",
		CHUNKED "10000000000000000\r\n",
		CHUNKED "1\r\n:\n\r\n",
		CHUNKED "1\r\n:xx\r\n",
		CHUNKED "1\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect(bad[i], SC_E_PROTOCOL, "");
	expect_n("HTTP/1.1 200 OK\r\nA\0B: c\r\n", 25, SC_E_PROTOCOL, "", 0);
}

static void a_large_chunk_is_not_reserved_before_it_comes(void **state)
{
	const char *bytes = CHUNKED "40000000\r\ndata: a\n\n";
	struct found found = { .answer = SC_OK };
	struct reply reply;
	size_t n_left;

	(void)state;
	reply_init(&reply, on_event, &found);
	assert_int_equal(feed(&reply, bytes, strlen(bytes), 5, &n_left, NULL), SC_AGAIN);
	assert_string_equal(found.text, "[a]");
	assert_true(reply.data.capacity + reply.event_line.capacity < 1000);
	reply_deinit(&reply);
}

/* n_bytes of `filler` behind `start`, in large pieces; the status of the last one. */
static enum sc_status flood(const char *start, const char *filler, size_t n_bytes)
{
	struct found found = { .answer = SC_OK };
	struct reply reply;
	enum sc_status status;
	size_t n_left;

	reply_init(&reply, on_event, &found);
	status = feed(&reply, start, strlen(start), 1000, &n_left, NULL);
	for (size_t n = 0; n < n_bytes && status == SC_AGAIN; n += strlen(filler))
		status = feed(&reply, filler, strlen(filler), strlen(filler), &n_left, NULL);
	reply_deinit(&reply);
	return status;
}

static void nothing_grows_without_end(void **state)
{
	char filler[1025];

	(void)state;
	memset(filler, 'x', 1024);
	filler[1024] = '\0';
	assert_int_equal(flood("HTTP/1.1 200 ", filler, REPLY_MAX_LINE), SC_E_TOO_LARGE);
	assert_int_equal(flood(HEAD, "A: b\r\n", 6 * (REPLY_MAX_HEADERS + 1)), SC_E_TOO_LARGE);
	assert_int_equal(flood(CHUNKED "1;", filler, REPLY_MAX_LINE), SC_E_TOO_LARGE);
	assert_int_equal(flood(CHUNKED "0\r\n", "A: b\r\n", 6 * (REPLY_MAX_HEADERS + 1)),
			 SC_E_TOO_LARGE);
	assert_int_equal(flood(HEAD "\r\ndata: ", filler, REPLY_MAX_EVENT), SC_E_TOO_LARGE);
	memcpy(filler, "data: ", 6);
	filler[1023] = '\n';
	assert_int_equal(flood(HEAD "\r\n", filler, REPLY_MAX_EVENT + 100000), SC_E_TOO_LARGE);
	/* What is not an event stream is not kept. */
	assert_int_equal(flood("HTTP/1.1 200 OK\r\n\r\n", filler, 2 * REPLY_MAX_EVENT), SC_AGAIN);
}

static void an_event_that_is_refused_ends_the_reply(void **state)
{
	const char *bytes = HEAD "\r\ndata: a\n\ndata: b\n\n";
	struct found found = { .answer = SC_E_UNAVAILABLE };
	struct error err;
	struct reply reply;
	size_t n_left;

	(void)state;
	reply_init(&reply, on_event, &found);
	assert_int_equal(feed(&reply, bytes, strlen(bytes), 1000, &n_left, &err),
			 SC_E_UNAVAILABLE);
	assert_string_equal(found.text, "[a]");
	reply_deinit(&reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_out_whole_however_the_bytes_are_cut),
		cmocka_unit_test(other_fields_and_comments_of_a_stream_are_skipped),
		cmocka_unit_test(what_follows_a_response_is_left_alone),
		cmocka_unit_test(a_reply_begins_anew),
		cmocka_unit_test(informational_responses_are_skipped),
		cmocka_unit_test(the_body_of_an_error_is_kept_and_cut),
		cmocka_unit_test(a_body_without_a_length_ends_with_the_connection),
		cmocka_unit_test(a_connection_that_closes_in_the_middle_is_an_error),
		cmocka_unit_test(an_end_before_any_line_tells_who_does_not_speak_http),
		cmocka_unit_test(what_breaks_the_protocol_is_refused),
		cmocka_unit_test(a_large_chunk_is_not_reserved_before_it_comes),
		cmocka_unit_test(nothing_grows_without_end),
		cmocka_unit_test(an_event_that_is_refused_ends_the_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
