/* SPDX-License-Identifier: Apache-2.0 */
/* A session in which each allocation fails in turn: no crash, no leak, no half an answer that looks
 * whole. */
#include "http/http_session.h"
#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define END "Host: x\r\n\r\n"

static void echo_start(struct http_call *call)
{
	size_t n;
	const char *body = http_call_body(call, &n);
	enum sc_status status = http_call_add_header(call, "X-Echo", "yes");

	if (status != SC_OK)
		http_call_fail(call, status, NULL);
	else
		http_call_answer(call, 200, "text/plain", body, n);
}

static void stream_start(struct http_call *call)
{
	enum sc_status status = http_call_begin(call, 200, "text/event-stream");

	if (status != SC_OK)
		http_call_fail(call, status, NULL);
}

static void stream_pull(struct http_call *call)
{
	if (http_call_add(call, "data: x\n\n", 9) == SC_OK)
		http_call_end(call);
	else
		http_call_break(call);
}

static const struct http_call_ops echo = { .start = echo_start };
static const struct http_call_ops stream = { .start = stream_start, .pull = stream_pull };
static const struct http_route routes[] = {
	{ .path = "/echo", .methods = HTTP_GET | HTTP_POST, .ops = &echo },
	{ .path = "/stream", .methods = HTTP_GET, .ops = &stream },
};

static const char requests[] =
	"POST /echo HTTP/1.1\r\nA: 1\r\nA: 2\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
	END "hello"
	"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "5\r\nhello\r\n0\r\n\r\n"
	"GET /stream HTTP/1.1\r\n" END "GET /nothing HTTP/1.1\r\n" END
	"OPTIONS /echo HTTP/1.1\r\n" END "GET /echo HTTP/1.1\r\n" END;

/* All of static size: what a test allocates must not fail. */
struct answers {
	char bytes[8192];
	size_t length;
};

static enum sc_status take(struct http_session *session, struct answers *answers)
{
	const uint8_t *bytes;
	enum sc_status status;
	size_t n;

	do {
		status = http_session_send(session, 1, &bytes, &n, NULL);
		if (status != SC_OK)
			return status;
		assert_true(answers->length + n < sizeof answers->bytes);
		memcpy(answers->bytes + answers->length, bytes, n);
		answers->length += n;
	} while (n);
	return SC_OK;
}

/* In pieces, so that some input waits behind a request. */
static enum sc_status converse(struct budget *budget, struct answers *answers)
{
	static const struct http_routes table = { routes, sizeof routes / sizeof routes[0], NULL };
	const struct http_session_config config = {
		.routes = &table, .n_routes = 1, .budget = budget, .max_message = 1000,
	};
	struct http_session *session;
	enum sc_status status = http_session_create(&config, &session);

	answers->length = 0;
	if (status != SC_OK)
		return status;
	for (size_t at = 0; at < sizeof requests - 1 && status == SC_OK; at += 100) {
		const size_t n_left = sizeof requests - 1 - at;

		status = http_session_receive(session, requests + at, n_left < 100 ? n_left : 100,
					      1, NULL);
		if (status == SC_OK)
			status = take(session, answers);
	}
	http_session_destroy(session);
	answers->bytes[answers->length] = '\0';
	return status;
}

static unsigned count(const struct answers *answers, const char *text)
{
	unsigned n = 0;

	for (const char *at = answers->bytes; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void each_allocation_may_fail(void **state)
{
	static struct answers answers;
	struct budget budget = { .max_bytes = 1 << 20 };
	bool has_failed = true;

	(void)state;
	assert_int_equal(converse(&budget, &answers), SC_OK);
	assert_int_equal(count(&answers, "HTTP/1.1 200 "), 4);
	for (long n = 0; has_failing_alloc && has_failed; n++) {
		const long n_before = failing_alloc_n_live();
		enum sc_status status;

		failing_alloc_arm(n);
		status = converse(&budget, &answers);
		has_failed = failing_alloc_disarm();
		if (status != SC_OK && status != SC_E_NOMEM)
			fail_msg("allocation %ld: %s", n, sc_status_name(status));
		if (failing_alloc_n_live() != n_before)
			fail_msg("allocation %ld: blocks are left", n);
		assert_int_equal(budget.n_bytes, 0);
		/* A stream without its end is the last answer. */
		if (has_failed && status == SC_OK && count(&answers, "HTTP/1.1 200 ") == 4 &&
		    count(&answers, "\r\n0\r\n\r\n") != 1)
			fail_msg("allocation %ld: %s", n, answers.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
