/* SPDX-License-Identifier: Apache-2.0 */
/* What one hostile connection can cost: floods of frames, header lists, slow requests, answers that
 * nobody takes. */
#include "gateway/grpc_session.h"

#include "base/clock.h"
#include "tests/gateway/memory_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define REQUEST_NS (60 * NS_PER_SECOND)
#define STALL_NS (100 * NS_PER_SECOND)

struct context {
	unsigned n_closed;
	bool is_silent;			/* the stream has nothing to send for now */
	struct grpc_call *stream;
};

struct fixture {
	struct budget budget;
	struct limit_counts limits;
	struct context context;
	struct grpc_session *session;
	struct memory_client client;
	struct memory_call call;
	struct buf body;
	bool is_full;			/* the server has no ordinary place for the client */
	int64_t goaway_error;		/* as take_all found it; -1: none came */
};

static void echo_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	uint8_t *space;

	assert_int_equal(grpc_call_add_message(call, n_bytes, &space), SC_OK);
	memcpy(space, request, n_bytes);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void stream_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct context *context = grpc_call_context(call);

	(void)request;
	(void)n_bytes;
	context->stream = call;
}

/* A text without end. */
static void stream_pull(struct grpc_call *call)
{
	const struct context *context = grpc_call_context(call);

	while (!context->is_silent && grpc_call_has_room(call)) {
		uint8_t *space;

		assert_int_equal(grpc_call_add_message(call, 1000, &space), SC_OK);
		memset(space, 'x', 1000);
	}
}

static void count_close(struct grpc_call *call)
{
	struct context *context = grpc_call_context(call);

	context->n_closed++;
	context->stream = NULL;
}

static const struct grpc_call_ops echo_ops = { .start = echo_start };
static const struct grpc_call_ops health_ops = { .start = echo_start, .is_vital = true };
static const struct grpc_call_ops stream_ops = {
	.start = stream_start, .pull = stream_pull, .close = count_close,
};
static const struct grpc_method methods[] = {
	{ "/t.T/Echo", &echo_ops },
	{ "/t.T/Stream", &stream_ops },
	{ "/t.T/Health", &health_ops },
};

static bool is_full(void *arg)
{
	const struct fixture *f = arg;

	return f->is_full;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct grpc_session_config config = {
		.methods = methods,
		.n_methods = sizeof methods / sizeof methods[0],
		.max_streams = 8,
		.max_message = 1 << 20,
		.request_ns = REQUEST_NS,
		.stall_ns = STALL_NS,
		.is_restricted = is_full,
		.arg = f,
	};

	assert_non_null(f);
	f->budget.max_bytes = 8 << 20;
	config.context = &f->context;
	config.budget = &f->budget;
	config.limits = &f->limits;
	assert_int_equal(grpc_session_create(&config, &f->session), SC_OK);
	memory_client_init(&f->client, f->session);
	buf_init(&f->body);
	buf_init(&f->call.body);
	buf_init(&f->call.request);
	memory_body(&f->body, "hello", 5);
	*state = f;
	return 0;
}

/* From here on the client is to know the server's settings. */
static int setup_greeted(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	memory_client_run(&f->client);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	memory_call_deinit(&f->call);
	grpc_session_destroy(f->session);
	memory_client_deinit(&f->client);
	assert_int_equal(f->budget.n_bytes, 0);
	buf_deinit(&f->body);
	free(f);
	return 0;
}

static void open_call(struct fixture *f, const char *path)
{
	memory_call_open(&f->client, &f->call, path, NULL, f->body.data, f->body.length);
	memory_client_run(&f->client);
}

/* --- floods --- */

struct flood {
	uint8_t frame[32];
	size_t n_bytes;
	bool is_numbered;	/* each on a stream of its own, from 1001 on */
};

/* All that the server says, of which only GOAWAY is looked at: an honest client would leave. */
static void take_all(struct fixture *f)
{
	struct buf all = BUF_INIT;
	const uint8_t *bytes;
	size_t n = 1;

	while (n) {
		assert_int_equal(grpc_session_send(f->session, f->client.now_ns, &bytes, &n, NULL),
				 SC_OK);
		assert_int_equal(buf_add(&all, bytes, n), SC_OK);
	}
	bytes = (const uint8_t *)all.data;
	for (size_t at = 0; at < all.length; at += 9 + (bytes[at + 1] << 8) + bytes[at + 2])
		if (bytes[at + 3] == NGHTTP2_GOAWAY)
			f->goaway_error = bytes[at + 16];
	buf_deinit(&all);
}

/* Send the frame again and again, and take all answers; true: the session had enough. */
static bool is_stopped(struct fixture *f, struct flood flood)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i < 20000 && status == SC_OK; i++) {
		uint32_t id = 1001 + 2 * i;

		for (unsigned b = 0; flood.is_numbered && b < 4; b++)
			flood.frame[5 + b] = (uint8_t)(id >> (24 - 8 * b));
		status = grpc_session_receive(f->session, flood.frame, flood.n_bytes,
					      f->client.now_ns, NULL);
		take_all(f);
	}
	return status == SC_E_PROTOCOL;
}

static void expect_stopped(struct fixture *f, struct flood flood)
{
	f->goaway_error = -1;
	assert_true(is_stopped(f, flood));
	assert_int_equal(f->goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_int_equal(f->limits.n[LIMIT_FRAMES], 1);
}

static void a_flood_of_ping_ends_the_connection(void **state)
{
	expect_stopped(*state, (struct flood){ { 0, 0, 8, 6 }, 17, false });
}

static void a_flood_of_settings_ends_the_connection(void **state)
{
	expect_stopped(*state, (struct flood){ { 0, 0, 0, 4 }, 9, false });
}

static void a_flood_of_priority_ends_the_connection(void **state)
{
	expect_stopped(*state, (struct flood){ { 0, 0, 5, 2 }, 14, true });
}

static void a_flood_of_window_updates_ends_the_connection(void **state)
{
	expect_stopped(*state, (struct flood){ { 0, 0, 4, 8, [12] = 1 }, 13, false });
}

static void a_flood_of_an_unknown_type_ends_the_connection(void **state)
{
	expect_stopped(*state, (struct flood){ { 0, 0, 1, 77 }, 10, false });
}

static void a_flood_of_empty_data_ends_the_connection(void **state)
{
	struct fixture *f = *state;

	f->call.keeps_open = true;
	open_call(f, "/t.T/Echo");
	expect_stopped(f, (struct flood){ { 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 9, false });
}

/* Flag PADDED: one byte that says 10, and those 10. */
static void a_flood_of_padding_ends_the_connection(void **state)
{
	struct fixture *f = *state;

	f->call.keeps_open = true;
	open_call(f, "/t.T/Echo");
	expect_stopped(f, (struct flood){ { 0, 0, 11, 0, 8, 0, 0, 0, 1, 10 }, 20, false });
}

/* HEADERS that end the request at once, :method POST, :scheme http, :path /: answered with an
 * error each. */
static void a_flood_of_calls_that_are_none_ends_the_connection(void **state)
{
	expect_stopped(*state, (struct flood){ { 0, 0, 3, 1, 5, 0, 0, 0, 0, 0x83, 0x86, 0x84 },
					       12, true });
}

static void calls_opened_and_reset_at_once_end_the_connection(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;

	f->context.is_silent = true;
	for (; n < 5000 && !f->client.is_broken; n++) {
		memory_call_deinit(&f->call);
		f->call.keeps_open = false;
		open_call(f, "/t.T/Stream");
		memory_call_cancel(&f->client, &f->call);
		f->client.is_deaf = true;
		memory_client_run(&f->client);
		f->client.is_deaf = false;
	}
	assert_in_range(n, 100, 4000);
}

static void calls_that_are_served_may_go_on_for_ever(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 20000; i++) {
		memory_call_deinit(&f->call);
		open_call(f, "/t.T/Echo");
		assert_true(f->call.is_closed);
		assert_int_equal(f->call.grpc_status, GRPC_OK);
	}
	assert_int_equal(f->limits.n[LIMIT_FRAMES], 0);
}

/* --- header lists --- */

static void a_header_list_over_the_limit_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	char *value = calloc(1, GRPC_MAX_HEADER_BYTES + 1);
	const struct memory_header extra[] = { { "x-big", value }, { NULL, NULL } };

	assert_non_null(value);
	memset(value, 'x', GRPC_MAX_HEADER_BYTES);
	memory_call_open(&f->client, &f->call, "/t.T/Echo", extra, f->body.data, f->body.length);
	memory_client_run(&f->client);
	assert_true(f->client.is_broken);
	assert_int_equal(f->client.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_int_equal(f->limits.n[LIMIT_HEADER_LIST], 1);
	free(value);
}

/* One field of 4 KB goes into the table; then a block names it 16,000 times, a byte each: 64 MB. */
static void a_block_of_references_to_one_field_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	static uint8_t block[9 + 16000] = { 0x00, 0x3e, 0x80, 1, 4, 0, 0, 3, 0xe9, 0x83, 0x86,
					    0x84 };
	char value[3900];
	const struct memory_header extra[] = { { "x-big", value }, { NULL, NULL } };
	struct error err;

	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	memory_call_open(&f->client, &f->call, "/t.T/Echo", extra, f->body.data, f->body.length);
	memory_client_run(&f->client);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	memset(block + 12, 0x80 | 62, sizeof block - 12);	/* the newest entry */
	assert_int_equal(grpc_session_receive(f->session, block, sizeof block, 1, &err),
			 SC_E_PROTOCOL);
	assert_string_equal(err.text, "HTTP/2: the header list is over 16 KiB");
	assert_int_equal(f->limits.n[LIMIT_HEADER_LIST], 1);
	memory_client_run(&f->client);
	assert_int_equal(f->client.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* --- what is counted --- */

/* By a client that does not know the limit yet. */
static void streams_over_the_limit_are_counted(void **state)
{
	struct fixture *f = *state;
	struct buf bytes = BUF_INIT;
	/* HEADERS of a request that goes on. */
	uint8_t frame[12] = { 0, 0, 3, 1, 4, 0, 0, 0, 0, 0x83, 0x86, 0x84 };

	memory_client_take(&f->client, &bytes);
	assert_int_equal(grpc_session_receive(f->session, bytes.data, bytes.length, 1, NULL),
			 SC_OK);
	buf_deinit(&bytes);
	for (uint8_t i = 0; i < 11; i++) {
		frame[8] = (uint8_t)(2 * i + 1);
		assert_int_equal(grpc_session_receive(f->session, frame, sizeof frame, 1, NULL),
				 SC_OK);
	}
	take_all(f);
	assert_int_equal(f->limits.n[LIMIT_STREAMS], 3);
}

/* A client that knows the limit breaks the protocol. */
static void a_stream_over_a_known_limit_is_counted_and_ends_the_connection(void **state)
{
	struct fixture *f = *state;
	uint8_t frame[12] = { 0, 0, 3, 1, 4, 0, 0, 0, 0, 0x83, 0x86, 0x84 };

	f->goaway_error = -1;
	for (uint8_t i = 0; i < 9; i++) {
		frame[8] = (uint8_t)(2 * i + 1);
		assert_int_equal(f->limits.n[LIMIT_STREAMS], 0);
		assert_int_equal(grpc_session_receive(f->session, frame, sizeof frame, 1, NULL),
				 SC_OK);
	}
	take_all(f);
	assert_int_equal(f->goaway_error, NGHTTP2_PROTOCOL_ERROR);
	assert_int_equal(f->limits.n[LIMIT_STREAMS], 1);
}

/* A frame of a request that breaks the protocol otherwise is no stream too many. */
static void other_errors_are_not_counted_as_streams(void **state)
{
	struct fixture *f = *state;
	/* HEADERS on a stream of the server's. */
	static const uint8_t frame[12] = { 0, 0, 3, 1, 4, 0, 0, 0, 2, 0x83, 0x86, 0x84 };

	f->goaway_error = -1;
	assert_int_equal(grpc_session_receive(f->session, frame, sizeof frame, 1, NULL), SC_OK);
	take_all(f);
	assert_int_equal(f->goaway_error, NGHTTP2_PROTOCOL_ERROR);
	assert_int_equal(f->limits.n[LIMIT_STREAMS], 0);
}

static void a_client_that_causes_answers_and_takes_none_is_counted(void **state)
{
	struct fixture *f = *state;
	static const uint8_t ping[17] = { 0, 0, 8, 6 };
	enum sc_status status = SC_OK;

	for (unsigned i = 0; i < 4000 && status == SC_OK; i++)
		status = grpc_session_receive(f->session, ping, sizeof ping, 1, NULL);
	assert_int_equal(status, SC_E_PROTOCOL);
	assert_int_equal(f->limits.n[LIMIT_QUEUED_FRAMES], 1);
	assert_int_equal(f->limits.n[LIMIT_FRAMES], 0);
}

static void messages_over_the_limit_are_counted(void **state)
{
	struct fixture *f = *state;

	buf_truncate(&f->body, 0);
	assert_int_equal(buf_add(&f->body, "\0\0\377\377\377", 5), SC_OK);
	open_call(f, "/t.T/Echo");
	assert_int_equal(f->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->limits.n[LIMIT_MESSAGE], 1);
}

/* --- a full server --- */

static void a_restricted_connection_may_only_ask_how_the_server_is(void **state)
{
	struct fixture *f = *state;

	f->is_full = true;
	open_call(f, "/t.T/Health");
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	memory_call_deinit(&f->call);
	open_call(f, "/t.T/Echo");
	assert_int_equal(f->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->limits.n[LIMIT_RESERVE], 1);
	f->is_full = false;
	memory_call_deinit(&f->call);
	open_call(f, "/t.T/Echo");
	assert_int_equal(f->call.grpc_status, GRPC_OK);
}

/* PING and SETTINGS do not count as use, calls do. */
static void only_calls_are_use_of_a_connection(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(grpc_session_idle_since_ns(f->session), 0);
	f->client.now_ns = 5;
	assert_int_equal(nghttp2_submit_ping(f->client.http, NGHTTP2_FLAG_NONE, NULL), 0);
	memory_client_run(&f->client);
	assert_int_equal(grpc_session_idle_since_ns(f->session), 0);
	f->context.is_silent = true;
	f->client.now_ns = 6;
	open_call(f, "/t.T/Stream");
	assert_true(grpc_session_idle_since_ns(f->session) == UINT64_MAX);
	f->client.now_ns = 7;
	memory_call_cancel(&f->client, &f->call);
	memory_client_run(&f->client);
	assert_int_equal(grpc_session_idle_since_ns(f->session), 7);
}

/* --- slow clients --- */

static void a_request_that_trickles_is_ended(void **state)
{
	struct fixture *f = *state;

	f->call.keeps_open = true;
	open_call(f, "/t.T/Echo");
	assert_int_equal(grpc_session_deadline_ns(f->session), 1 + REQUEST_NS);
	grpc_session_expire(f->session, REQUEST_NS);
	memory_client_run(&f->client);
	assert_false(f->call.is_closed);
	grpc_session_expire(f->session, 1 + REQUEST_NS);
	memory_client_run(&f->client);
	assert_true(f->call.is_closed);
	assert_int_equal(f->call.grpc_status, GRPC_DEADLINE_EXCEEDED);
	assert_non_null(strstr(f->call.grpc_message, "within 60 s: send it faster, or raise"));
	assert_int_equal(f->limits.n[LIMIT_REQUEST_TIME], 1);
	assert_true(grpc_session_deadline_ns(f->session) == UINT64_MAX);
}

/* The client's window is 65,535 bytes; it takes frames, but never opens the window. */
static void take_without_window(struct fixture *f, uint64_t now_ns)
{
	const uint8_t *bytes;
	size_t n = 1;

	while (n)
		assert_int_equal(grpc_session_send(f->session, now_ns, &bytes, &n, NULL), SC_OK);
}

static void an_answer_that_nobody_takes_is_ended(void **state)
{
	struct fixture *f = *state;

	f->client.is_deaf = true;
	open_call(f, "/t.T/Stream");
	take_without_window(f, 1000);
	assert_int_equal(grpc_session_deadline_ns(f->session), 1000 + STALL_NS);
	grpc_session_expire(f->session, 999 + STALL_NS);
	assert_int_equal(f->context.n_closed, 0);
	grpc_session_expire(f->session, 1000 + STALL_NS);
	assert_int_equal(f->context.n_closed, 1);
	assert_int_equal(f->budget.n_bytes, 0);
	assert_int_equal(f->limits.n[LIMIT_STALL], 1);
	take_without_window(f, 1001 + STALL_NS);
	assert_int_equal(grpc_session_n_calls(f->session), 0);
	assert_true(grpc_session_deadline_ns(f->session) == UINT64_MAX);
}

/* WINDOW_UPDATE of one byte for the stream, again and again. */
static void taking_a_byte_at_a_time_is_not_taking(void **state)
{
	struct fixture *f = *state;
	static const uint8_t update[] = { 0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 1 };
	uint64_t now_ns = 1000;

	f->client.is_deaf = true;
	open_call(f, "/t.T/Stream");
	take_without_window(f, now_ns);
	for (unsigned i = 0; i < 20; i++) {
		now_ns += STALL_NS / 10;
		assert_int_equal(grpc_session_receive(f->session, update, sizeof update, now_ns,
						      NULL), SC_OK);
		take_without_window(f, now_ns);
		if (grpc_session_deadline_ns(f->session) <= now_ns)
			grpc_session_expire(f->session, now_ns);
	}
	assert_int_equal(f->limits.n[LIMIT_STALL], 1);
	assert_int_equal(f->context.n_closed, 1);
}

/* Nothing to send is no stall, however long it lasts. */
static void a_stream_that_waits_for_its_service_is_left_alone(void **state)
{
	struct fixture *f = *state;

	f->context.is_silent = true;
	open_call(f, "/t.T/Stream");
	assert_true(grpc_session_deadline_ns(f->session) == UINT64_MAX);
	f->client.now_ns = 100 * STALL_NS;
	grpc_session_expire(f->session, f->client.now_ns);
	assert_int_equal(f->context.n_closed, 0);
	/* When there is something again, its time begins then. */
	f->context.is_silent = false;
	grpc_call_wake(f->context.stream);
	take_without_window(f, f->client.now_ns);
	assert_int_equal(grpc_session_deadline_ns(f->session), f->client.now_ns + STALL_NS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_greeted, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flood_of_ping_ends_the_connection),
		TEST(a_flood_of_settings_ends_the_connection),
		TEST(a_flood_of_priority_ends_the_connection),
		TEST(a_flood_of_window_updates_ends_the_connection),
		TEST(a_flood_of_an_unknown_type_ends_the_connection),
		TEST(a_flood_of_empty_data_ends_the_connection),
		TEST(a_flood_of_padding_ends_the_connection),
		TEST(a_flood_of_calls_that_are_none_ends_the_connection),
		TEST(calls_opened_and_reset_at_once_end_the_connection),
		TEST(calls_that_are_served_may_go_on_for_ever),
		TEST(a_header_list_over_the_limit_ends_the_connection),
		TEST(a_block_of_references_to_one_field_ends_the_connection),
		cmocka_unit_test_setup_teardown(streams_over_the_limit_are_counted, setup,
						teardown),
		TEST(a_stream_over_a_known_limit_is_counted_and_ends_the_connection),
		TEST(other_errors_are_not_counted_as_streams),
		TEST(a_client_that_causes_answers_and_takes_none_is_counted),
		TEST(messages_over_the_limit_are_counted),
		TEST(a_restricted_connection_may_only_ask_how_the_server_is),
		TEST(only_calls_are_use_of_a_connection),
		TEST(a_request_that_trickles_is_ended),
		TEST(an_answer_that_nobody_takes_is_ended),
		TEST(taking_a_byte_at_a_time_is_not_taking),
		TEST(a_stream_that_waits_for_its_service_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
