/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_session.h"

#include "base/clock.h"
#include "tests/gateway/memory_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_MESSAGE 1000
#define MAX_STREAMS 8
#define BUDGET 100000

/* What the services below were asked, and what they are to do. */
struct context {
	unsigned n_started;
	unsigned n_closed;
	unsigned n_pulled;
	unsigned n_woken;
	unsigned n_to_send;	/* by Count, in messages of 1000 bytes */
	uint64_t ms_left;
	struct grpc_call *waiting;
	struct buf request;	/* of a suspended call */
	unsigned n_abandoned;
	unsigned n_resumed;
};

static void add(struct grpc_call *call, const void *bytes, size_t n_bytes)
{
	uint8_t *space;

	assert_int_equal(grpc_call_add_message(call, n_bytes, &space), SC_OK);
	memcpy(space, bytes, n_bytes);
}

static void count_start(struct grpc_call *call)
{
	struct context *context = grpc_call_context(call);

	context->n_started++;
	context->ms_left = grpc_call_ms_left(call);
}

static void count_close(struct grpc_call *call)
{
	struct context *context = grpc_call_context(call);

	context->n_closed++;
	context->waiting = NULL;
}

static void echo_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	enum sc_status status;
	uint8_t *space;

	count_start(call);
	status = grpc_call_add_message(call, n_bytes, &space);
	if (status == SC_OK) {
		memcpy(space, request, n_bytes);
		grpc_call_finish(call, GRPC_OK, NULL);
	} else {
		grpc_call_fail(call, status, NULL);
	}
}

static void fail_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	(void)request;
	(void)n_bytes;
	count_start(call);
	grpc_call_finish(call, GRPC_NOT_FOUND, "no job \"\xc3\xbc\"");
	grpc_call_finish(call, GRPC_INTERNAL, "the second finish does not count");
}

static void wait_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct context *context = grpc_call_context(call);

	(void)request;
	(void)n_bytes;
	count_start(call);
	context->waiting = call;
}

static void many_pull(struct grpc_call *call)
{
	static const uint8_t thousand[1000];
	struct context *context = grpc_call_context(call);

	while (grpc_call_has_room(call) && context->n_pulled < context->n_to_send) {
		context->n_pulled++;
		add(call, thousand, sizeof thousand);
	}
	if (context->n_pulled == context->n_to_send)
		grpc_call_finish(call, GRPC_OK, NULL);
}

static void note_call_is_over(void *arg)
{
	struct context *context = arg;

	context->n_abandoned++;
	context->waiting = NULL;
}

static void suspend_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct context *context = grpc_call_context(call);

	(void)request;
	(void)n_bytes;
	count_start(call);
	context->waiting = call;
	context->request = grpc_call_take_request(call);
	grpc_call_suspend(call, note_call_is_over, context);
}

/* As Echo does, but later. */
static void echo_later(void *arg)
{
	struct context *context = arg;

	context->n_resumed++;
	add(context->waiting, context->request.data, context->request.length);
	grpc_call_finish(context->waiting, GRPC_OK, NULL);
}

static void fail_later(void *arg)
{
	struct context *context = arg;

	grpc_call_finish(context->waiting, GRPC_NOT_FOUND, "none");
}

/* Answers each request of a stream with itself. */
static void talk_message(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	count_start(call);
	add(call, request, n_bytes);
}

static void talk_end(struct grpc_call *call)
{
	grpc_call_finish(call, GRPC_OK, NULL);
}

static const struct grpc_call_ops talk_ops = {
	.message = talk_message, .end = talk_end, .close = count_close,
};
static const struct grpc_call_ops suspend_ops = { .start = suspend_start, .close = count_close };
static const struct grpc_call_ops echo_ops = { .start = echo_start, .close = count_close };
static const struct grpc_call_ops fail_ops = { .start = fail_start, .close = count_close };
static const struct grpc_call_ops wait_ops = { .start = wait_start, .close = count_close };
static const struct grpc_call_ops many_ops = {
	.start = wait_start, .pull = many_pull, .close = count_close,
};

static const struct grpc_method methods[] = {
	{ "/t.T/Echo", &echo_ops },
	{ "/t.T/Fail", &fail_ops },
	{ "/t.T/Wait", &wait_ops },
	{ "/t.T/Many", &many_ops },
	{ "/t.T/Suspend", &suspend_ops },
	{ "/t.T/Talk", &talk_ops },
};

struct fixture {
	struct budget budget;
	struct context context;
	struct grpc_session *session;
	struct memory_client client;
	struct memory_call call;
	struct buf body;
};

static void count_wake(void *arg)
{
	struct context *context = arg;

	context->n_woken++;
}

static void open_session(struct fixture *f, size_t max_message)
{
	const struct grpc_session_config config = {
		.methods = methods,
		.n_methods = sizeof methods / sizeof methods[0],
		.context = &f->context,
		.max_streams = MAX_STREAMS,
		.budget = &f->budget,
		.max_message = max_message,
		.on_wake = count_wake,
		.arg = &f->context,
	};

	f->budget = (struct budget){ .max_bytes = BUDGET };
	memset(&f->context, 0, sizeof f->context);
	buf_init(&f->context.request);
	assert_int_equal(grpc_session_create(&config, &f->session), SC_OK);
	memory_client_init(&f->client, f->session);
}

static void close_session(struct fixture *f)
{
	memory_call_deinit(&f->call);
	buf_deinit(&f->context.request);
	grpc_session_destroy(f->session);
	memory_client_deinit(&f->client);
	assert_int_equal(f->budget.n_bytes, 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	open_session(f, MAX_MESSAGE);
	buf_init(&f->body);
	buf_init(&f->call.body);
	buf_init(&f->call.request);
	memory_body(&f->body, "hello", 5);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_session(f);
	buf_deinit(&f->body);
	free(f);
	return 0;
}

static void call_method(struct fixture *f, const char *path, const struct memory_header *extra)
{
	memory_call_open(&f->client, &f->call, path, extra, f->body.data, f->body.length);
	memory_client_run(&f->client);
}

static void a_unary_call_is_answered_with_message_and_trailers(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Echo", NULL);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	assert_string_equal(f->call.http_status, "200");
	assert_int_equal(f->call.n_header_blocks, 2);
	assert_int_equal(f->call.body.length, 10);
	assert_memory_equal(f->call.body.data, f->body.data, 10);
	assert_int_equal(f->context.n_started, 1);
	assert_int_equal(f->context.n_closed, 1);
	assert_int_equal(grpc_session_n_calls(f->session), 0);
	assert_true(grpc_session_is_established(f->session));
}

static void an_error_before_any_message_is_trailers_only(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Fail", NULL);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.n_header_blocks, 1);
	assert_int_equal(f->call.grpc_status, GRPC_NOT_FOUND);
	assert_string_equal(f->call.grpc_message, "no job \"%C3%BC\"");
	assert_int_equal(f->context.n_closed, 1);
}

static void an_unknown_method_is_unimplemented(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Nothing", NULL);
	assert_int_equal(f->call.grpc_status, GRPC_UNIMPLEMENTED);
	assert_int_equal(f->context.n_started, 0);
	assert_int_equal(f->context.n_closed, 0);
}

static void what_is_no_grpc_gets_an_http_status(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Echo", (const struct memory_header[]){
		{ "content-type", "application/json" }, { NULL, NULL } });
	assert_string_equal(f->call.http_status, "415");
	assert_int_equal(f->call.grpc_status, -1);
	memory_call_deinit(&f->call);
	call_method(f, "/t.T/Echo", (const struct memory_header[]){
		{ ":method", "PUT" }, { NULL, NULL } });
	assert_string_equal(f->call.http_status, "405");
	assert_int_equal(f->context.n_started, 0);
}

static void expect_refusal(struct fixture *f, const void *body, size_t n_bytes, int code)
{
	buf_truncate(&f->body, 0);
	assert_int_equal(buf_add(&f->body, body, n_bytes), SC_OK);
	call_method(f, "/t.T/Echo", NULL);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, code);
	assert_int_equal(f->context.n_started, 0);
	assert_int_equal(grpc_session_n_calls(f->session), 0);
	memory_call_deinit(&f->call);
}

static void malformed_requests_are_refused_each_with_its_code(void **state)
{
	struct fixture *f = *state;

	expect_refusal(f, "", 0, GRPC_INVALID_ARGUMENT);
	expect_refusal(f, "\0\0\0", 3, GRPC_INVALID_ARGUMENT);
	expect_refusal(f, "\0\0\0\0\5hell", 9, GRPC_INVALID_ARGUMENT);
	expect_refusal(f, "\0\0\0\0\5hello\0\0\0\0\0", 15, GRPC_INVALID_ARGUMENT);
	expect_refusal(f, "\1\0\0\0\5hello", 10, GRPC_UNIMPLEMENTED);
	expect_refusal(f, "\7\0\0\0\5hello", 10, GRPC_INVALID_ARGUMENT);
	expect_refusal(f, "\0\0\0\3\351hello", 10, GRPC_RESOURCE_EXHAUSTED);
}

static void an_oversized_message_is_refused_before_it_is_sent(void **state)
{
	struct fixture *f = *state;

	f->call.keeps_open = true;
	buf_truncate(&f->body, 0);
	assert_int_equal(buf_add(&f->body, "\0\0\377\377\377", 5), SC_OK);
	call_method(f, "/t.T/Echo", NULL);
	assert_int_equal(f->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.error_code, NGHTTP2_NO_ERROR);
}

/* Streams over the limit, each refused with a frame that the client does not take. */
static void a_client_that_only_sends_cannot_queue_frames_without_end(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = BUF_INIT;
	enum sc_status status = SC_OK;
	uint32_t id = 1;

	memory_client_take(&f->client, &bytes);
	assert_int_equal(grpc_session_receive(f->session, bytes.data, bytes.length, 1, NULL),
			 SC_OK);
	buf_deinit(&bytes);
	for (; status == SC_OK && id < 20000; id += 2) {
		/* HEADERS of :method POST, :scheme http, :path / */
		const uint8_t frame[] = { 0, 0, 3, 1, 4, (uint8_t)(id >> 24),
					  (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id,
					  0x83, 0x86, 0x84 };

		status = grpc_session_receive(f->session, frame, sizeof frame, 1, NULL);
	}
	assert_int_equal(status, SC_E_PROTOCOL);
	assert_true(id > 2 * MAX_STREAMS);
}

static void echo_zeros(struct fixture *f, struct memory_call *call, size_t n_bytes, bool keeps_open)
{
	static const uint8_t zeros[60000];

	buf_truncate(&f->body, 0);
	memory_body(&f->body, zeros, n_bytes);
	call->keeps_open = keeps_open;
	memory_call_open(&f->client, call, "/t.T/Echo", NULL, f->body.data, f->body.length);
	memory_client_run(&f->client);
}

static void a_spent_budget_refuses_what_is_large_and_serves_what_is_small(void **state)
{
	struct fixture *f = *state;
	struct memory_call large = { .keeps_open = true };

	close_session(f);
	open_session(f, 60000);
	echo_zeros(f, &large, 60000, true);	/* 64 KiB of 100000 bytes are held */
	assert_in_range(f->budget.n_bytes, 60000, BUDGET);
	echo_zeros(f, &f->call, 60000, false);
	assert_int_equal(f->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->context.n_started, 0);
	memory_call_deinit(&f->call);
	echo_zeros(f, &f->call, 20000, false);	/* room for the request, none for the answer */
	assert_int_equal(f->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->context.n_started, 1);
	memory_call_deinit(&f->call);
	echo_zeros(f, &f->call, 4000, false);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	memory_call_deinit(&f->call);
	memory_call_cancel(&f->client, &large);
	echo_zeros(f, &f->call, 20000, false);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	memory_call_deinit(&large);
}

static void a_deadline_ends_a_waiting_call(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Wait", (const struct memory_header[]){
		{ "grpc-timeout", "50m" }, { NULL, NULL } });
	assert_false(f->call.is_closed);
	assert_int_equal(f->context.ms_left, 50);
	assert_int_equal(grpc_session_deadline_ns(f->session), 1 + 50 * NS_PER_MS);
	grpc_session_expire(f->session, 50 * NS_PER_MS);
	memory_client_run(&f->client);
	assert_false(f->call.is_closed);
	grpc_session_expire(f->session, 1 + 50 * NS_PER_MS);
	assert_int_equal(f->context.n_closed, 1);
	memory_client_run(&f->client);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_DEADLINE_EXCEEDED);
	assert_string_equal(f->call.grpc_message,
			    "the call's time limit of 0.05 s (grpc-timeout) expired");
	assert_int_equal(f->context.n_closed, 1);
	assert_true(grpc_session_deadline_ns(f->session) == UINT64_MAX);
}

static void a_deadline_ends_a_request_that_never_ends(void **state)
{
	struct fixture *f = *state;

	f->call.keeps_open = true;
	call_method(f, "/t.T/Wait", (const struct memory_header[]){
		{ "grpc-timeout", "1S" }, { NULL, NULL } });
	assert_int_equal(f->context.n_started, 0);
	grpc_session_expire(f->session, 2 * NS_PER_SECOND);
	memory_client_run(&f->client);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_DEADLINE_EXCEEDED);
}

static void a_malformed_timeout_is_refused(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Echo", (const struct memory_header[]){
		{ "grpc-timeout", "soon" }, { NULL, NULL } });
	assert_int_equal(f->call.grpc_status, GRPC_INVALID_ARGUMENT);
	assert_int_equal(f->context.n_started, 0);
}

static void a_cancelled_call_is_closed_for_its_service(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Wait", NULL);
	assert_int_equal(f->context.n_closed, 0);
	memory_call_cancel(&f->client, &f->call);
	memory_client_run(&f->client);
	assert_int_equal(f->context.n_closed, 1);
	assert_int_equal(grpc_session_n_calls(f->session), 0);
}

static void destroying_the_session_closes_its_calls(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Wait", NULL);
	grpc_session_destroy(f->session);
	f->session = NULL;
	assert_int_equal(f->context.n_closed, 1);
}

static void an_answer_may_come_later_and_wakes_the_connection(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Wait", NULL);
	assert_int_equal(f->call.n_header_blocks, 1);
	assert_int_equal(f->context.n_woken, 0);
	add(f->context.waiting, "one", 3);
	assert_true(f->context.n_woken > 0);
	memory_client_run(&f->client);
	assert_int_equal(f->call.body.length, 8);
	assert_false(f->call.is_closed);
	grpc_call_finish(f->context.waiting, GRPC_OK, NULL);
	memory_client_run(&f->client);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
}

static void output_is_pulled_no_faster_than_the_client_takes_it(void **state)
{
	struct fixture *f = *state;

	f->context.n_to_send = 1000000;
	f->client.is_deaf = true;
	call_method(f, "/t.T/Many", NULL);
	assert_int_equal(f->context.n_pulled, 0);
	/* The client's window is 65,535 bytes; it takes frames, but never opens the window. */
	for (;;) {
		const uint8_t *bytes;
		size_t n;

		assert_int_equal(grpc_session_send(f->session, 1, &bytes, &n, NULL), SC_OK);
		if (!n)
			break;
	}
	assert_true(f->context.n_pulled >= 65);
	assert_true(f->context.n_pulled * 1005 <= 65535 + GRPC_CALL_ROOM + 1005);
}

static void a_long_stream_arrives_whole(void **state)
{
	struct fixture *f = *state;

	f->context.n_to_send = 2000;
	call_method(f, "/t.T/Many", NULL);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	assert_int_equal(f->call.body.length, 2000 * 1005);
}

static void requests_work_however_their_bytes_are_cut(void **state)
{
	struct fixture *f = *state;
	size_t n_bytes = SIZE_MAX;

	for (size_t cut = 0; cut <= n_bytes; cut++) {
		struct buf bytes = BUF_INIT;

		close_session(f);
		open_session(f, MAX_MESSAGE);
		memory_call_open(&f->client, &f->call, "/t.T/Echo", NULL, f->body.data,
				 f->body.length);
		memory_client_take(&f->client, &bytes);
		n_bytes = bytes.length;
		assert_int_equal(grpc_session_receive(f->session, bytes.data, cut, 1, NULL),
				 SC_OK);
		assert_int_equal(grpc_session_receive(f->session, bytes.data + cut, n_bytes - cut,
						      1, NULL), SC_OK);
		buf_deinit(&bytes);
		memory_client_run(&f->client);
		assert_int_equal(f->call.grpc_status, GRPC_OK);
		assert_int_equal(f->call.body.length, 10);
	}
	assert_true(n_bytes > 60);
}

static void a_request_works_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = BUF_INIT;

	memory_call_open(&f->client, &f->call, "/t.T/Echo", NULL, f->body.data, f->body.length);
	memory_client_take(&f->client, &bytes);
	for (size_t i = 0; i < bytes.length; i++)
		assert_int_equal(grpc_session_receive(f->session, bytes.data + i, 1, 1, NULL),
				 SC_OK);
	buf_deinit(&bytes);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
}

static void garbage_is_a_protocol_violation(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(grpc_session_receive(f->session, request, sizeof request - 1, 1, &err),
			 SC_E_PROTOCOL);
	assert_true(strncmp(err.text, "HTTP/2: ", 8) == 0);
	assert_false(grpc_session_is_established(f->session));
}

static void streams_over_the_limit_are_refused_and_the_others_go_on(void **state)
{
	struct fixture *f = *state;
	struct memory_call calls[MAX_STREAMS + 3] = { { 0 } };
	unsigned n_refused = 0;

	/* Before it knows the server's limit, a client may open more than that. */
	for (size_t i = 0; i < MAX_STREAMS + 3; i++)
		memory_call_open(&f->client, &calls[i], "/t.T/Wait", NULL, f->body.data,
				 f->body.length);
	memory_client_run(&f->client);
	for (size_t i = 0; i < MAX_STREAMS + 3; i++)
		n_refused += calls[i].is_closed &&
			     calls[i].error_code == NGHTTP2_REFUSED_STREAM;
	assert_int_equal(n_refused, 3);
	assert_int_equal(grpc_session_n_calls(f->session), MAX_STREAMS);
	assert_int_equal(f->context.n_started, MAX_STREAMS);
	for (size_t i = 0; i < MAX_STREAMS + 3; i++)
		memory_call_deinit(&calls[i]);
	grpc_session_destroy(f->session);
	f->session = NULL;
}

static void unfinished_requests_together_have_a_limit(void **state)
{
	struct fixture *f = *state;
	struct memory_call calls[6] = { { 0 } };
	unsigned n_refused = 0;
	char most[MAX_MESSAGE - 1 + 5] = { 0, 0, 0, MAX_MESSAGE >> 8, (char)(MAX_MESSAGE & 255) };

	/* Each lacks its last byte. */
	for (size_t i = 0; i < 6; i++) {
		calls[i].keeps_open = true;
		memory_call_open(&f->client, &calls[i], "/t.T/Echo", NULL, most, sizeof most);
	}
	memory_client_run(&f->client);
	for (size_t i = 0; i < 6; i++)
		n_refused += calls[i].grpc_status == GRPC_RESOURCE_EXHAUSTED;
	assert_int_equal(n_refused, 2);
	for (size_t i = 0; i < 6; i++)
		memory_call_deinit(&calls[i]);
	grpc_session_destroy(f->session);
	f->session = NULL;
}

static void draining_lets_calls_end_and_refuses_new_ones(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Wait", NULL);
	grpc_session_announce_end(f->session);
	memory_client_run(&f->client);
	assert_true(f->client.is_goaway);
	assert_int_equal(f->client.goaway_last_id, INT32_MAX);
	grpc_session_refuse_calls(f->session);
	memory_client_run(&f->client);
	assert_int_equal(f->client.goaway_last_id, f->call.stream_id);
	assert_false(grpc_session_is_done(f->session));
	add(f->context.waiting, "end", 3);
	grpc_call_finish(f->context.waiting, GRPC_OK, NULL);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	assert_int_equal(f->call.body.length, 8);
	assert_true(grpc_session_is_done(f->session));
}

static void nothing_is_sent_of_a_suspended_call_until_it_resumes(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Suspend", NULL);
	assert_int_equal(f->call.n_header_blocks, 0);
	grpc_call_resume(f->context.waiting, f->client.now_ns, echo_later, &f->context);
	assert_int_equal(f->context.n_woken, 1);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	assert_int_equal(f->call.body.length, 10);
	assert_memory_equal(f->call.body.data, f->body.data, 10);
	assert_int_equal(f->context.n_closed, 1);
	assert_int_equal(f->context.n_abandoned, 0);
}

static void a_suspended_call_that_fails_gets_trailers_only(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Suspend", NULL);
	grpc_call_resume(f->context.waiting, f->client.now_ns, fail_later, &f->context);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_NOT_FOUND);
	assert_int_equal(f->call.n_header_blocks, 1);
}

static void a_suspended_call_that_ends_is_told_once(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Suspend", NULL);
	memory_call_cancel(&f->client, &f->call);
	memory_client_run(&f->client);
	assert_int_equal(f->context.n_abandoned, 1);
	assert_int_equal(f->context.n_closed, 1);
}

static void a_suspended_call_of_a_server_that_goes_does_not_resume(void **state)
{
	struct fixture *f = *state;

	call_method(f, "/t.T/Suspend", NULL);
	grpc_session_end_calls(f->session, GRPC_UNAVAILABLE, "the server goes");
	grpc_call_resume(f->context.waiting, f->client.now_ns, echo_later, &f->context);
	assert_int_equal(f->context.n_resumed, 0);
	assert_int_equal(f->context.n_abandoned, 1);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_UNAVAILABLE);
}

static void nothing_is_pulled_while_the_client_has_no_window(void **state)
{
	struct fixture *f = *state;
	const nghttp2_settings_entry none = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 };
	const nghttp2_settings_entry some = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10 };

	f->context.n_to_send = 1;
	assert_int_equal(nghttp2_submit_settings(f->client.http, NGHTTP2_FLAG_NONE, &none, 1), 0);
	memory_client_run(&f->client);
	call_method(f, "/t.T/Many", NULL);
	assert_int_equal(f->context.n_started, 1);
	assert_int_equal(f->context.n_pulled, 0);
	assert_int_equal(nghttp2_submit_settings(f->client.http, NGHTTP2_FLAG_NONE, &some, 1), 0);
	memory_client_run(&f->client);
	assert_int_equal(f->context.n_pulled, 1);
}

static const char two_requests[] = "\0\0\0\0\5hello\0\0\0\0\0";

static void set_body(struct fixture *f, const void *bytes, size_t n_bytes)
{
	buf_truncate(&f->body, 0);
	assert_int_equal(buf_add(&f->body, bytes, n_bytes), SC_OK);
}

static void requests_of_a_stream_are_answered_while_it_is_open(void **state)
{
	struct fixture *f = *state;

	f->call.keeps_open = true;
	set_body(f, two_requests, 15);
	call_method(f, "/t.T/Talk", NULL);
	assert_false(f->call.is_closed);
	assert_int_equal(f->context.n_started, 2);
	assert_int_equal(f->context.n_closed, 0);
	assert_int_equal(f->call.body.length, 15);
	assert_memory_equal(f->call.body.data, two_requests, 15);
	memory_call_cancel(&f->client, &f->call);
	memory_client_run(&f->client);
	assert_int_equal(f->context.n_closed, 1);
	assert_int_equal(grpc_session_n_calls(f->session), 0);
}

static void a_stream_of_requests_ends_when_the_client_ends_it(void **state)
{
	struct fixture *f = *state;

	for (unsigned n = 0; n <= 15; n += 15) {
		set_body(f, two_requests, n);
		call_method(f, "/t.T/Talk", NULL);
		assert_true(f->call.is_closed);
		assert_int_equal(f->call.grpc_status, GRPC_OK);
		assert_int_equal(f->call.body.length, n);
		memory_call_deinit(&f->call);
	}
	assert_int_equal(f->context.n_started, 2);
	assert_int_equal(f->context.n_closed, 2);
}

static void a_stream_that_ends_inside_a_request_is_refused(void **state)
{
	struct fixture *f = *state;

	set_body(f, two_requests, 12);
	call_method(f, "/t.T/Talk", NULL);
	assert_int_equal(f->call.grpc_status, GRPC_INVALID_ARGUMENT);
	assert_int_equal(f->context.n_closed, 1);
	memory_call_deinit(&f->call);
	set_body(f, two_requests, 7);
	call_method(f, "/t.T/Talk", NULL);
	assert_int_equal(f->call.grpc_status, GRPC_INVALID_ARGUMENT);
	assert_int_equal(f->context.n_closed, 1);
}

static void a_long_request_of_a_stream_is_refused(void **state)
{
	struct fixture *f = *state;
	static const char prefix[] = { 0, 0, 0, (GRPC_STREAM_REQUEST + 1) >> 8,
				       (GRPC_STREAM_REQUEST + 1) & 0xff };

	close_session(f);
	open_session(f, 10 * GRPC_STREAM_REQUEST);
	f->call.keeps_open = true;
	set_body(f, prefix, sizeof prefix);
	call_method(f, "/t.T/Talk", NULL);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->context.n_started, 0);
}

static void requests_of_a_stream_work_byte_by_byte(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = BUF_INIT;

	set_body(f, two_requests, 15);
	memory_call_open(&f->client, &f->call, "/t.T/Talk", NULL, f->body.data, f->body.length);
	memory_client_take(&f->client, &bytes);
	for (size_t i = 0; i < bytes.length; i++)
		assert_int_equal(grpc_session_receive(f->session, bytes.data + i, 1, 1, NULL),
				 SC_OK);
	buf_deinit(&bytes);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	assert_int_equal(f->call.body.length, 15);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_unary_call_is_answered_with_message_and_trailers),
		TEST(an_error_before_any_message_is_trailers_only),
		TEST(an_unknown_method_is_unimplemented),
		TEST(what_is_no_grpc_gets_an_http_status),
		TEST(malformed_requests_are_refused_each_with_its_code),
		TEST(an_oversized_message_is_refused_before_it_is_sent),
		TEST(a_spent_budget_refuses_what_is_large_and_serves_what_is_small),
		TEST(a_client_that_only_sends_cannot_queue_frames_without_end),
		TEST(a_deadline_ends_a_waiting_call),
		TEST(a_deadline_ends_a_request_that_never_ends),
		TEST(a_malformed_timeout_is_refused),
		TEST(a_cancelled_call_is_closed_for_its_service),
		TEST(destroying_the_session_closes_its_calls),
		TEST(an_answer_may_come_later_and_wakes_the_connection),
		TEST(output_is_pulled_no_faster_than_the_client_takes_it),
		TEST(a_long_stream_arrives_whole),
		TEST(requests_work_however_their_bytes_are_cut),
		TEST(a_request_works_byte_by_byte),
		TEST(garbage_is_a_protocol_violation),
		TEST(streams_over_the_limit_are_refused_and_the_others_go_on),
		TEST(unfinished_requests_together_have_a_limit),
		TEST(draining_lets_calls_end_and_refuses_new_ones),
		TEST(nothing_is_sent_of_a_suspended_call_until_it_resumes),
		TEST(a_suspended_call_that_fails_gets_trailers_only),
		TEST(a_suspended_call_that_ends_is_told_once),
		TEST(a_suspended_call_of_a_server_that_goes_does_not_resume),
		TEST(nothing_is_pulled_while_the_client_has_no_window),
		TEST(requests_of_a_stream_are_answered_while_it_is_open),
		TEST(a_stream_of_requests_ends_when_the_client_ends_it),
		TEST(a_stream_that_ends_inside_a_request_is_refused),
		TEST(a_long_request_of_a_stream_is_refused),
		TEST(requests_of_a_stream_work_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
