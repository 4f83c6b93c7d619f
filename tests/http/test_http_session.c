/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and answers of one connection, against services of the test. */
#include "base/clock.h"
#include "tests/http/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define HOST "Host: x\r\n"
#define END HOST "\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" END
#define POST(path, body, n) "POST " path " HTTP/1.1\r\nContent-Length: " n "\r\n" END body

/* What the services of one test have seen. */
struct service {
	struct http_call *call;	/* the last one of Stream or Wait */
	unsigned n_open;
	unsigned n_started, n_closed;
	unsigned n_ready;	/* events that the stream has */
	unsigned n_pulls;
	bool is_over;
	char seen[4096];	/* the requests in their order */
};

struct fixture {
	struct peer peer;
	struct service service;
	struct http_routes routes;
};

/* --- services --- */

static void echo_start(struct http_call *call)
{
	struct service *service = http_call_context(call);
	size_t n;
	const char *body = http_call_body(call, &n);
	const char *type = http_call_header(call, "x-type");

	service->n_started++;
	snprintf(service->seen + strlen(service->seen),
		 sizeof service->seen - strlen(service->seen), "[%s?%s %.*s]",
		 http_call_path(call), http_call_query(call), (int)n, body);
	http_call_answer(call, 200, type ? type : "text/plain", body, n);
}

static void keep(struct http_call *call)
{
	struct service *service = http_call_context(call);

	service->call = call;
	service->n_started++;
	service->n_open++;
	http_call_set_state(call, service);
}

static void stream_start(struct http_call *call)
{
	keep(call);
	assert_int_equal(http_call_begin(call, 200, "text/event-stream"), SC_OK);
}

static void stream_pull(struct http_call *call)
{
	struct service *service = http_call_state(call);

	service->n_pulls++;
	while (service->n_ready && http_call_has_room(call)) {
		assert_int_equal(http_call_add(call, "data: x\n\n", 9), SC_OK);
		service->n_ready--;
	}
	if (!service->n_ready && service->is_over)
		http_call_end(call);
}

static void keep_close(struct http_call *call)
{
	struct service *service = http_call_state(call);

	service->n_open--;
	service->n_closed++;
	service->call = NULL;
}

static void on_close(void *arg)
{
	struct service *service = arg;

	service->seen[0] = 'C';
}

static void suspend_start(struct http_call *call)
{
	keep(call);
	http_call_suspend(call, on_close, http_call_context(call));
}

static void resume_answer(void *arg)
{
	struct service *service = arg;

	http_call_answer(service->call, 200, "text/plain", "later", 5);
}

static const struct http_call_ops echo = { .start = echo_start };
static const struct http_call_ops stream = {
	.start = stream_start, .pull = stream_pull, .close = keep_close,
};
static const struct http_call_ops wait_ops = { .start = keep, .close = keep_close };
static const struct http_call_ops suspend = { .start = suspend_start, .close = keep_close };
static const struct http_route routes[] = {
	{ .path = "/echo", .methods = HTTP_GET | HTTP_POST, .ops = &echo },
	{ .path = "/only", .methods = HTTP_GET, .ops = &echo },
	{ .path = "/only", .methods = HTTP_DELETE, .ops = &stream },
	{ .path = "/", .methods = HTTP_GET, .ops = &echo, .is_vital = true },
	{ .path = "/models/*", .methods = HTTP_GET, .ops = &echo },
	{ .path = "/stream", .methods = HTTP_GET | HTTP_POST, .ops = &stream },
	{ .path = "/wait", .methods = HTTP_GET | HTTP_POST, .ops = &wait_ops },
	{ .path = "/suspend", .methods = HTTP_GET, .ops = &suspend },
};

/* --- fixture --- */

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->routes = (struct http_routes){
		.routes = routes, .n = sizeof routes / sizeof routes[0], .context = &f->service,
	};
	peer_init(&f->peer, &f->routes, 1);
	peer_open(&f->peer);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	peer_close(&f->peer);
	assert_int_equal(f->service.n_open, 0);
	free(f);
	return 0;
}

/* With another configuration. */
static void reopen(struct fixture *f)
{
	http_session_destroy(f->peer.session);
	peer_forget(&f->peer);
	peer_open(&f->peer);
}

static bool is_open(const struct fixture *f)
{
	return !http_session_is_done(f->peer.session);
}

/* Sends the request on a connection of its own. */
static void expect_refused(struct fixture *f, const char *request, unsigned status)
{
	reopen(f);
	peer_ask(&f->peer, request);
	peer_expect_status(&f->peer, status);
	peer_expect(&f->peer, "{\"error\":{\"message\":\"");
	if (status != 404 && status != 405)
		peer_expect(&f->peer, "\r\nConnection: close\r\n");
}

/* --- tests: answers --- */

static void an_answer_has_its_length_and_an_id(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, POST("/echo?a=b", "hello", "5"));
	peer_expect_status(&f->peer, 200);
	peer_expect(&f->peer, "\r\nContent-Length: 5\r\n");
	peer_expect(&f->peer, "\r\nContent-Type: text/plain\r\n");
	peer_expect(&f->peer, "\r\nX-Request-Id: ");
	peer_expect(&f->peer, "\r\n\r\nhello");
	peer_expect_not(&f->peer, "Connection:");
	assert_string_equal(f->service.seen, "[/echo?a=b hello]");
	assert_true(is_open(f));
}

static void a_client_may_name_its_request_if_the_name_is_harmless(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "GET /echo HTTP/1.1\r\nX-Request-Id: my-id_1\r\n" END);
	peer_expect(&f->peer, "\r\nX-Request-Id: my-id_1\r\n");
	peer_ask(&f->peer, "GET /echo HTTP/1.1\r\nX-Request-Id: a b\r\n" END);
	peer_expect_not(&f->peer, "a b");
	peer_ask(&f->peer, "GET /echo HTTP/1.1\r\nX-Request-Id: 0123456789012345678901234567890123"
		 "4567890123456789012345678901234\r\n" END);
	peer_expect_not(&f->peer, "01234567890123456789");
}

static void head_is_get_without_its_body(void **state)
{
	struct fixture *f = *state;
	const char *text = peer_ask(&f->peer, "HEAD /only HTTP/1.1\r\n" END);

	peer_expect_status(&f->peer, 200);
	assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
	peer_ask(&f->peer, "HEAD /nothing HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 404);
	assert_string_equal(strstr(f->peer.answer.data, "\r\n\r\n"), "\r\n\r\n");
	peer_ask(&f->peer, "HEAD /stream HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 200);
	assert_string_equal(strstr(f->peer.answer.data, "\r\n\r\n"), "\r\n\r\n");
	assert_int_equal(f->service.n_closed, 1);
	/* The connection goes on in step. */
	peer_ask(&f->peer, GET("/echo"));
	peer_expect_status(&f->peer, 200);
}

static void a_path_is_decoded_and_may_have_a_slash_at_its_end(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/ec%68o/?q=%41"));
	peer_expect_status(&f->peer, 200);
	peer_ask(&f->peer, GET("http://host:80/echo?x"));
	peer_expect_status(&f->peer, 200);
	peer_ask(&f->peer, GET("http://host?x"));
	peer_expect_status(&f->peer, 200);
	peer_ask(&f->peer, GET("/models/a/b%2Fc"));
	peer_expect_status(&f->peer, 200);
	assert_string_equal(f->service.seen,
			    "[/echo/?q=%41 ][/echo?x ][/?x ][/models/a/b/c? ]");
	peer_ask(&f->peer, GET("/models/"));
	peer_expect_status(&f->peer, 404);
}

static void a_path_says_what_methods_it_takes(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, POST("/only", "{}", "2"));
	peer_expect_status(&f->peer, 405);
	peer_expect(&f->peer, "\r\nAllow: GET, HEAD, DELETE, OPTIONS\r\n");
	peer_ask(&f->peer, "OPTIONS /only HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 204);
	peer_expect(&f->peer, "\r\nAllow: GET, HEAD, DELETE, OPTIONS\r\n");
	peer_expect_not(&f->peer, "Content-Length");
	peer_ask(&f->peer, "OPTIONS * HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 204);
	peer_ask(&f->peer, "BREW /only HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 501);
	assert_true(is_open(f));
}

static void an_unknown_path_is_not_found(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, POST("/what\"ever", "{}", "2"));
	peer_expect_status(&f->peer, 404);
	peer_expect(&f->peer, "{\"error\":{\"message\":\"there is nothing at /what\\\"ever\","
		    "\"type\":\"not_found_error\",\"param\":null,\"code\":404}}");
	/* The body was read, so the connection goes on. */
	peer_ask(&f->peer, GET("/echo"));
	peer_expect_status(&f->peer, 200);
}

/* --- tests: connections --- */

static void requests_are_answered_in_their_order(void **state)
{
	struct fixture *f = *state;
	const char *text = peer_ask(&f->peer, GET("/echo?1") POST("/echo?2", "two", "3")
				    "\r\n" GET("/nothing") GET("/echo?4"));
	const char *second = strstr(text, "two"), *third = strstr(text, "HTTP/1.1 404 ");

	assert_string_equal(f->service.seen, "[/echo?1 ][/echo?2 two][/echo?4 ]");
	assert_true(second && third && second < third && strstr(third, "HTTP/1.1 200 "));
}

static void later_requests_wait_while_one_is_answered(void **state)
{
	struct fixture *f = *state;
	char many[2000];

	peer_ask(&f->peer, GET("/wait") GET("/echo"));
	assert_string_equal(f->peer.answer.data, "");
	assert_string_equal(f->service.seen, "");
	assert_true(http_session_wants_input(f->peer.session));
	memset(many, 'x', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	peer_send(&f->peer, "POST /echo HTTP/1.1\r\nContent-Length: 19990\r\n" END);
	for (unsigned i = 0; i < 10; i++) {
		assert_true(http_session_wants_input(f->peer.session) == (i < 9));
		peer_send(&f->peer, many);
	}
	http_call_answer(f->service.call, 200, "text/plain", "done", 4);
	assert_int_equal(f->peer.n_wakes, 1);
	peer_take(&f->peer);
	peer_expect(&f->peer, "\r\n\r\ndone");
	assert_int_equal(f->service.n_started, 3);
	assert_true(http_session_wants_input(f->peer.session));
}

static void a_client_that_is_always_ahead_costs_no_more_with_time(void **state)
{
	struct fixture *f = *state;

	peer_give(&f->peer, GET("/wait") GET("/wait"));
	for (unsigned i = 0; i < 2000; i++) {
		peer_give(&f->peer, GET("/wait"));
		http_call_answer(f->service.call, 200, "text/plain", "done", 4);
		peer_take(&f->peer);
		peer_forget(&f->peer);
	}
	assert_int_equal(f->service.n_closed, 2000);
	assert_true(f->peer.budget.n_bytes < 8192);
}

static void a_client_says_that_the_connection_ends(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "GET /echo HTTP/1.1\r\nConnection: x, Close\r\n" END GET("/echo"));
	peer_expect(&f->peer, "\r\nConnection: close\r\n");
	assert_int_equal(f->service.n_started, 1);
	assert_false(is_open(f));
}

/* Clients of Java offer HTTP/2 with their first request. */
static void an_offer_of_http_2_is_left_alone(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "POST /echo HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
		 "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\nContent-Length: 4\r\n" END
		 "body" GET("/echo"));
	peer_expect_status(&f->peer, 200);
	assert_string_equal(f->service.seen, "[/echo? body][/echo? ]");
}

static void http_1_0_closes_unless_asked_to_stay(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	peer_expect_status(&f->peer, 200);
	peer_expect(&f->peer, "\r\nConnection: keep-alive\r\n");
	assert_true(is_open(f));
	peer_ask(&f->peer, "GET /echo HTTP/1.0\r\n\r\n");
	peer_expect(&f->peer, "\r\nConnection: close\r\n");
	assert_false(is_open(f));
}

static void a_draining_server_closes_after_the_answer(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/wait"));
	http_session_announce_end(f->peer.session);
	http_session_refuse_calls(f->peer.session);
	peer_take(&f->peer);
	assert_true(is_open(f));
	http_call_answer(f->service.call, 200, NULL, NULL, 0);
	peer_take(&f->peer);
	peer_expect_status(&f->peer, 200);
	peer_expect(&f->peer, "\r\nConnection: close\r\n");
	assert_false(is_open(f));

	reopen(f);
	peer_ask(&f->peer, GET("/echo") "GET /ec");
	http_session_announce_end(f->peer.session);
	assert_true(is_open(f));
	peer_ask(&f->peer, "ho HTTP/1.1\r\n" END);
	peer_expect(&f->peer, "\r\nConnection: close\r\n");
	assert_false(is_open(f));

	reopen(f);
	http_session_refuse_calls(f->peer.session);
	assert_false(is_open(f));
}

static void the_server_stops_and_says_so(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/wait"));
	http_session_end_calls(f->peer.session, "the server is stopping");
	peer_take(&f->peer);
	peer_expect_status(&f->peer, 503);
	peer_expect(&f->peer, "\r\nRetry-After: 1\r\n");
	peer_expect(&f->peer, "the server is stopping");
	assert_false(is_open(f));
	assert_int_equal(f->service.n_closed, 1);
}

/* --- tests: streams --- */

static void a_stream_is_chunked_and_pulled(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/stream"));
	peer_expect_status(&f->peer, 200);
	peer_expect(&f->peer, "\r\nTransfer-Encoding: chunked\r\n");
	peer_expect(&f->peer, "\r\nCache-Control: no-cache\r\n");
	peer_expect(&f->peer, "\r\nX-Accel-Buffering: no\r\n");
	peer_forget(&f->peer);
	f->service.n_ready = 2;
	http_call_wake(f->service.call);
	assert_int_equal(f->peer.n_wakes, 1);
	peer_take(&f->peer);
	assert_string_equal(f->peer.answer.data, "9\r\ndata: x\n\n\r\n9\r\ndata: x\n\n\r\n");
	peer_forget(&f->peer);
	f->service.is_over = true;
	peer_take(&f->peer);
	assert_string_equal(f->peer.answer.data, "0\r\n\r\n");
	assert_int_equal(f->service.n_closed, 1);
	peer_ask(&f->peer, GET("/echo"));
	peer_expect_status(&f->peer, 200);
}

static void a_stream_to_http_1_0_ends_with_the_connection(void **state)
{
	struct fixture *f = *state;

	f->service.n_ready = 1;
	f->service.is_over = true;
	peer_ask(&f->peer, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	peer_expect_not(&f->peer, "chunked");
	peer_expect(&f->peer, "\r\nConnection: close\r\n");
	assert_string_equal(strstr(f->peer.answer.data, "\r\n\r\n"), "\r\n\r\ndata: x\n\n");
	assert_false(is_open(f));
}

static void a_slow_reader_costs_at_most_the_room_of_a_call(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/stream"));
	f->service.n_ready = 1000000;
	peer_take_some(&f->peer, 1);
	assert_true(1000000 - f->service.n_ready <= HTTP_CALL_ROOM / 14 + 1);
	assert_true(f->peer.budget.n_bytes <= 2 * HTTP_CALL_ROOM + 1024);
}

static void a_spent_budget_leaves_one_event_per_stream(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/stream"));
	f->peer.budget.max_bytes = 0;
	f->service.n_ready = 10;
	peer_forget(&f->peer);
	peer_take_some(&f->peer, 1);
	assert_int_equal(f->service.n_ready, 9);
	peer_take(&f->peer);
	assert_int_equal(f->service.n_ready, 0);
	assert_int_equal(http_call_add(f->service.call, f, HTTP_CALL_ROOM + 1), SC_E_OVERLOADED);
}

static void a_broken_stream_has_no_end(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/stream"));
	http_call_break(f->service.call);
	peer_take(&f->peer);
	peer_expect_not(&f->peer, "0\r\n\r\n");
	assert_false(is_open(f));
	assert_int_equal(f->service.n_closed, 1);
}

static void a_client_that_leaves_closes_its_call(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/stream"));
	reopen(f);
	assert_int_equal(f->service.n_closed, 1);
}

static void a_suspended_call_answers_later(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, GET("/suspend"));
	assert_string_equal(f->peer.answer.data, "");
	http_call_resume(f->service.call, 5, resume_answer, &f->service);
	assert_int_equal(f->peer.n_wakes, 1);
	peer_take(&f->peer);
	peer_expect(&f->peer, "\r\n\r\nlater");
	assert_int_equal(f->service.seen[0], '\0');

	peer_ask(&f->peer, GET("/suspend"));
	reopen(f);
	assert_int_equal(f->service.seen[0], 'C');
}

/* --- tests: bodies --- */

static void a_chunked_body_is_joined(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "POST /echo HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n" END
		 "3;a=\"b\"\r\nabc\r\n0a\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n"
		 GET("/echo?2"));
	assert_string_equal(f->service.seen, "[/echo? abc0123456789][/echo?2 ]");
	peer_ask(&f->peer, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END
		 "2\r\nabc\r\n0\r\n\r\n");
	peer_expect_status(&f->peer, 400);
	assert_false(is_open(f));
}

static void a_client_is_told_to_send_its_body(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "POST /echo HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n"
		 END);
	assert_string_equal(f->peer.answer.data, "HTTP/1.1 100 Continue\r\n\r\n");
	peer_ask(&f->peer, "ok");
	peer_expect_status(&f->peer, 200);
	peer_expect(&f->peer, "\r\n\r\nok");
	/* Refused: the final answer comes instead. */
	peer_ask(&f->peer, "POST /nothing HTTP/1.1\r\nExpect: 100-continue\r\n"
		 "Content-Length: 2\r\n" END);
	peer_expect_status(&f->peer, 404);
	peer_expect(&f->peer, "\r\nConnection: close\r\n");
	assert_false(is_open(f));
	expect_refused(f, "POST /echo HTTP/1.1\r\nExpect: tea\r\nContent-Length: 200000\r\n" END,
		       417);
}

static void a_compressed_body_is_refused(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "POST /echo HTTP/1.1\r\nContent-Encoding: gzip\r\n"
		 "Content-Length: 2\r\n" END "ab" GET("/echo?2"));
	peer_expect_status(&f->peer, 415);
	peer_expect(&f->peer, "Content-Encoding");
	assert_string_equal(f->service.seen, "[/echo?2 ]");
	peer_ask(&f->peer, "POST /echo HTTP/1.1\r\nContent-Encoding: Identity\r\n"
		 "Content-Length: 2\r\n" END "ok");
	peer_expect_status(&f->peer, 200);
}

static void a_body_that_is_too_large_is_refused(void **state)
{
	struct fixture *f = *state;
	char many[1001];

	f->peer.config.max_message = 1000;
	expect_refused(f, "POST /echo HTTP/1.1\r\nContent-Length: 1000000\r\n" END, 413);
	expect_refused(f, "POST /echo HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n" END,
		       413);
	memset(many, 'x', 1000);
	many[1000] = '\0';
	reopen(f);
	peer_send(&f->peer, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "3e9\r\n");
	peer_send(&f->peer, many);
	assert_string_equal(f->peer.answer.data, "");
	peer_send(&f->peer, "x");
	peer_expect_status(&f->peer, 413);
	assert_int_equal(f->peer.limits.n[LIMIT_MESSAGE], 2);
	assert_int_equal(f->service.n_started, 0);
}

static void a_large_body_needs_budget(void **state)
{
	struct fixture *f = *state;
	char many[5001];

	f->peer.budget.max_bytes = 0;
	memset(many, 'x', 5000);
	many[5000] = '\0';
	many[4000] = '\0';
	peer_send(&f->peer, "POST /echo HTTP/1.1\r\nContent-Length: 4000\r\n" END);
	peer_send(&f->peer, many);
	peer_expect_status(&f->peer, 200);
	peer_forget(&f->peer);
	many[4000] = 'x';
	peer_send(&f->peer, "POST /echo HTTP/1.1\r\nContent-Length: 5000\r\n" END);
	peer_send(&f->peer, many);
	peer_expect_status(&f->peer, 429);
	peer_expect(&f->peer, "\r\nRetry-After: 1\r\n");
	assert_int_equal(f->peer.limits.n[LIMIT_BUDGET], 1);
}

static void a_request_must_arrive_in_time(void **state)
{
	struct fixture *f = *state;

	f->peer.config.request_ns = 10 * NS_PER_SECOND;
	reopen(f);
	assert_int_equal(http_session_deadline_ns(f->peer.session), UINT64_MAX);
	peer_send(&f->peer, "\r\n");
	assert_int_equal(http_session_deadline_ns(f->peer.session), UINT64_MAX);
	peer_send(&f->peer, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\n" END "x");
	assert_int_equal(http_session_deadline_ns(f->peer.session), 10 * NS_PER_SECOND + 1);
	http_session_expire(f->peer.session, 10 * NS_PER_SECOND);
	peer_take(&f->peer);
	assert_string_equal(f->peer.answer.data, "");
	http_session_expire(f->peer.session, 10 * NS_PER_SECOND + 1);
	peer_take(&f->peer);
	peer_expect_status(&f->peer, 408);
	assert_false(is_open(f));
	assert_int_equal(f->peer.limits.n[LIMIT_REQUEST_TIME], 1);
}

/* --- tests: what is refused --- */

static void ambiguous_requests_are_refused(void **state)
{
	struct fixture *f = *state;
	static const struct { unsigned status; const char *request; } bad[] = {
		{ 400, "GET /echo HTTP/1.1\r\n\r\n" },
		{ 400, "GET /echo HTTP/1.1\r\n" HOST END },
		{ 400, "GET /echo HTTP/1.1\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nHost: x\n\r\n" },
		{ 400, "GET /echo\r\n" END },
		{ 400, "GET  /echo HTTP/1.1\r\n" END },
		{ 400, "GET /ec ho HTTP/1.1\r\n" END },
		{ 400, "GET /echo http/1.1\r\n" END },
		{ 400, "GET /echo HTTP/1.10\r\n" END },
		{ 400, "G@T /echo HTTP/1.1\r\n" END },
		{ 400, "GET echo HTTP/1.1\r\n" END },
		{ 400, "GET * HTTP/1.1\r\n" END },
		{ 400, "GET ftp://x/ HTTP/1.1\r\n" END },
		{ 400, "GET /%zz HTTP/1.1\r\n" END },
		{ 400, "GET /%4 HTTP/1.1\r\n" END },
		{ 400, "GET /%00 HTTP/1.1\r\n" END },
		{ 400, "GET /%0a HTTP/1.1\r\n" END },
		{ 400, "GET /\t HTTP/1.1\r\n" END },
		{ 505, "GET /echo HTTP/2.0\r\n" END },
		{ 505, "GET /echo HTTP/0.9\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nA : b\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\n: b\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nA\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nA: b\r\n c\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\n A: b\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nA: b\rc\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nA: b\1\r\n" END },
		{ 400, "GET /echo HTTP/1.1\r\nA: b\x7f\r\n" END },
		{ 400, POST("/echo", "abc", "3\r\nContent-Length: 4") },
		{ 400, POST("/echo", "abc", "3\r\nContent-Length: 3") },
		{ 400, POST("/echo", "abc", "3, 3") },
		{ 400, POST("/echo", "abc", "+3") },
		{ 400, POST("/echo", "abc", "-3") },
		{ 400, POST("/echo", "abc", "0x3") },
		{ 400, POST("/echo", "abc", "") },
		{ 400, POST("/echo", "0\r\n\r\n", "5\r\nTransfer-Encoding: chunked") },
		{ 501, "POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" END },
		{ 501, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
		       "Transfer-Encoding: chunked\r\n" END },
		{ 501, "POST /echo HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n" END },
		{ 501, "POST /echo HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n" END },
		{ 400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		expect_refused(f, bad[i].request, bad[i].status);
		assert_false(is_open(f));
	}
	assert_int_equal(f->service.n_started, 0);
}

static void a_nul_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "GET /echo HTTP/1.1\r\nA: b\0c\r\n" END;

	peer_send_bytes(&f->peer, request, sizeof request - 1, 0);
	peer_expect_status(&f->peer, 400);
}

static void heads_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf head = BUF_INIT;

	assert_int_equal(buf_add_string(&head, "GET /"), SC_OK);
	for (unsigned i = 0; i < 8200; i++)
		assert_int_equal(buf_add_string(&head, "x"), SC_OK);
	expect_refused(f, head.data, 414);
	buf_truncate(&head, 0);
	assert_int_equal(buf_add_string(&head, "GET /echo HTTP/1.1\r\n"), SC_OK);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(buf_add_format(&head, "A%u: b\r\n", i), SC_OK);
	assert_int_equal(buf_add_string(&head, END), SC_OK);
	expect_refused(f, head.data, 431);
	buf_truncate(&head, 0);
	assert_int_equal(buf_add_string(&head, "GET /echo HTTP/1.1\r\nA: "), SC_OK);
	for (unsigned i = 0; i < 16384; i++)
		assert_int_equal(buf_add_string(&head, "x"), SC_OK);
	expect_refused(f, head.data, 431);
	assert_int_equal(f->peer.limits.n[LIMIT_HEADER_LIST], 3);
	buf_deinit(&head);
}

static bool yes(void *arg)
{
	(void)arg;
	return true;
}

static void a_restricted_connection_serves_what_is_vital(void **state)
{
	struct fixture *f = *state;

	f->peer.config.is_restricted = yes;
	reopen(f);
	peer_ask(&f->peer, GET("/echo"));
	peer_expect_status(&f->peer, 503);
	assert_int_equal(f->peer.limits.n[LIMIT_RESERVE], 1);
	peer_ask(&f->peer, GET("/"));
	peer_expect_status(&f->peer, 200);
}

/* --- tests: every split --- */

static const char *const wholes[] = {
	GET("/echo?1") "POST /echo HTTP/1.1\r\nX-A: b\r\ntransfer-encoding: chunked\r\nx-a: c\r\n"
	END "5;x\r\nhello\r\n0\r\nT: u\r\n\r\n" POST("/echo", "12345", "5") "\r\n"
	"HEAD /only HTTP/1.1\r\n" END "GET /nothing HTTP/1.0\r\n\r\n",
	"DELETE /echo HTTP/1.1\r\nContent-Length: 3\r\n" END "abc" GET("/echo") "GET /\r\n\r\n",
	"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "5\r\nhelloX\r\n",
	"GET /echo HTTP/1.1\r\n" HOST "a: b\r\n\tc: d\r\n\r\n",
};

/* Ids differ between connections. */
static void cut_ids(struct buf *answer)
{
	char *at = answer->data;

	while ((at = strstr(at, "X-Request-Id: "))) {
		at += 14;
		memset(at, '-', strcspn(at, "\r"));
	}
}

static void a_split_of_the_bytes_changes_nothing(void **state)
{
	struct fixture *f = *state;

	for (size_t w = 0; w < sizeof wholes / sizeof wholes[0]; w++) {
		const size_t n = strlen(wholes[w]);
		char *expected;

		reopen(f);
		peer_send(&f->peer, wholes[w]);
		cut_ids(&f->peer.answer);
		expected = strdup(f->peer.answer.data);
		assert_non_null(expected);
		for (size_t split = 1; split < 2 * n; split++) {
			reopen(f);
			/* In two pieces, or in many of one size. */
			if (split < n) {
				peer_send_bytes(&f->peer, wholes[w], split, 0);
				peer_send_bytes(&f->peer, wholes[w] + split, n - split, 0);
			} else {
				peer_send_bytes(&f->peer, wholes[w], n, split - n + 1);
			}
			cut_ids(&f->peer.answer);
			assert_string_equal(f->peer.answer.data, expected);
			f->service.seen[0] = '\0';
		}
		free(expected);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer_has_its_length_and_an_id),
		TEST(a_client_may_name_its_request_if_the_name_is_harmless),
		TEST(head_is_get_without_its_body),
		TEST(a_path_is_decoded_and_may_have_a_slash_at_its_end),
		TEST(a_path_says_what_methods_it_takes),
		TEST(an_unknown_path_is_not_found),
		TEST(requests_are_answered_in_their_order),
		TEST(later_requests_wait_while_one_is_answered),
		TEST(a_client_that_is_always_ahead_costs_no_more_with_time),
		TEST(a_client_says_that_the_connection_ends),
		TEST(an_offer_of_http_2_is_left_alone),
		TEST(http_1_0_closes_unless_asked_to_stay),
		TEST(a_draining_server_closes_after_the_answer),
		TEST(the_server_stops_and_says_so),
		TEST(a_stream_is_chunked_and_pulled),
		TEST(a_stream_to_http_1_0_ends_with_the_connection),
		TEST(a_slow_reader_costs_at_most_the_room_of_a_call),
		TEST(a_spent_budget_leaves_one_event_per_stream),
		TEST(a_broken_stream_has_no_end),
		TEST(a_client_that_leaves_closes_its_call),
		TEST(a_suspended_call_answers_later),
		TEST(a_chunked_body_is_joined),
		TEST(a_client_is_told_to_send_its_body),
		TEST(a_compressed_body_is_refused),
		TEST(a_body_that_is_too_large_is_refused),
		TEST(a_large_body_needs_budget),
		TEST(a_request_must_arrive_in_time),
		TEST(ambiguous_requests_are_refused),
		TEST(a_nul_is_refused),
		TEST(heads_are_bounded),
		TEST(a_restricted_connection_serves_what_is_vital),
		TEST(a_split_of_the_bytes_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
