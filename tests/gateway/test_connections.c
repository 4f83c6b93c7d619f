/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over real sockets, on a clock that the tests move. */
#include "gateway/connections.h"

#include "base/clock.h"
#include "event/manual_clock.h"
#include "gateway/listener.h"
#include "tests/gateway/memory_client.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define PREFACE_MS 10000
#define IDLE_MS 300000
#define STALL_MS 120000
/* After which a client that has to go is closed, whatever it does. */
#define LAST_WORDS_MS 1000
#define BUSY_NS (6 * NS_PER_MS)

static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" "\0\0\0\4\0\0\0\0\0";
static const char ping[] = "\0\0\x08\6\0\0\0\0\0" "pingping";

struct fixture {
	struct manual_clock *clock;
	struct loop *loop;
	struct grpc_budget budget;
	struct limit_counts limits;
	struct connections *connections;
	struct listener *listener;
	char directory[64];
	char socket[80];
	char order[64];		/* of the calls that were served: the first byte of each */
	unsigned n_served;
};

/* --- services --- */

/* Takes its time, as seen by a real clock. */
static void busy_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct fixture *f = grpc_call_context(call);
	uint64_t end_ns = clock_ns() + BUSY_NS;

	assert_true(n_bytes && f->n_served < sizeof f->order - 1);
	f->order[f->n_served++] = (char)request[0];
	while (clock_ns() < end_ns)
		;
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void endless_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	(void)call;
	(void)request;
	(void)n_bytes;
}

static void endless_pull(struct grpc_call *call)
{
	while (grpc_call_has_room(call)) {
		uint8_t *space;

		assert_int_equal(grpc_call_add_message(call, 1000, &space), SC_OK);
		memset(space, 'x', 1000);
	}
}

static const struct grpc_call_ops busy_ops = { .start = busy_start };
static const struct grpc_call_ops endless_ops = { .start = endless_start, .pull = endless_pull };
static const struct grpc_method methods[] = {
	{ "/t.T/Busy", &busy_ops },
	{ "/t.T/Endless", &endless_ops },
};

/* --- the two ends --- */

static void accept_client(void *arg, uv_stream_t *stream)
{
	struct fixture *f = arg;

	connections_accept(f->connections, stream);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct connections_config config = {
		.session = {
			.methods = methods,
			.n_methods = sizeof methods / sizeof methods[0],
			.max_streams = 100,
			.max_message = 1 << 16,
			.stall_ns = STALL_MS * NS_PER_MS,
		},
		.max = 4,
		.max_per_peer = 4,
		.preface_ms = PREFACE_MS,
		.idle_ms = IDLE_MS,
	};
	struct error err;

	assert_non_null(f);
	f->budget.max_bytes = 1 << 20;
	assert_int_equal(manual_clock_create(&f->clock), SC_OK);
	assert_int_equal(loop_create_on(f->clock, &f->loop), SC_OK);
	snprintf(f->directory, sizeof f->directory, "/tmp/stagecoach-test-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->socket, sizeof f->socket, "%s/grpc.sock", f->directory);
	config.loop = f->loop;
	config.session.context = f;
	config.session.budget = &f->budget;
	config.session.limits = &f->limits;
	assert_int_equal(connections_create(&config, &f->connections), SC_OK);
	assert_int_equal(listener_open_unix(loop_uv(f->loop), f->socket, accept_client, f,
					    &f->listener, &err), SC_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	listener_close(f->listener);
	connections_destroy(f->connections);
	assert_int_equal(f->budget.n_bytes, 0);
	loop_destroy(f->loop);
	manual_clock_destroy(f->clock);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

/* Connect and send bytes; returns when the server has seen the connection and settled. */
static int open_client(struct fixture *f, const void *bytes, size_t n_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	unsigned before = connections_count(f->connections);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(send(fd, bytes, n_bytes, MSG_NOSIGNAL), (ssize_t)n_bytes);
	while (connections_count(f->connections) == before)
		loop_turn(f->loop, true);
	manual_clock_settle(f->clock);
	return fd;
}

/* What the server has said; *is_closed_out: and then it closed its end. */
static size_t read_all(int fd, char *bytes, size_t n_max, bool *is_closed_out)
{
	size_t length = 0;
	ssize_t n = 1;

	while (n > 0 && length < n_max) {
		n = recv(fd, bytes + length, n_max - length, 0);
		if (n > 0)
			length += (size_t)n;
	}
	*is_closed_out = n == 0 || (n < 0 && errno == ECONNRESET);
	return length;
}

/* Did the server say GOAWAY with that code at last, and close its end? */
static void expect_goodbye(int fd, uint32_t code)
{
	char bytes[65536];
	bool is_closed;
	size_t n = read_all(fd, bytes, sizeof bytes, &is_closed);

	assert_true(is_closed);
	assert_true(n >= 17);
	assert_int_equal(bytes[n - 17 + 3], 7);
	assert_int_equal(bytes[n - 1], code);
}

/* --- time --- */

static void a_client_that_says_nothing_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, hello, 10);

	manual_clock_pass(f->clock, PREFACE_MS - 1);
	assert_int_equal(connections_count(f->connections), 1);
	manual_clock_pass(f->clock, 1);
	assert_int_equal(connections_count(f->connections), 0);
	assert_int_equal(f->limits.n[LIMIT_PREFACE], 1);
	close(fd);
}

/* Neither SETTINGS nor PING, again and again, are use of a connection. */
static void a_client_without_calls_is_told_to_go(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, hello, sizeof hello - 1);

	for (unsigned i = 0; i < 10; i++) {
		manual_clock_pass(f->clock, IDLE_MS / 10 - 1);
		assert_int_equal(connections_count(f->connections), 1);
		assert_true(send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) > 0);
		assert_true(send(fd, hello + 24, 9, MSG_NOSIGNAL) > 0);
		manual_clock_settle(f->clock);
	}
	assert_int_equal(f->limits.n[LIMIT_IDLE], 0);
	manual_clock_pass(f->clock, 10);
	assert_int_equal(f->limits.n[LIMIT_IDLE], 1);
	expect_goodbye(fd, NGHTTP2_NO_ERROR);
	/* The client has its time to close, too. */
	assert_int_equal(connections_count(f->connections), 1);
	close(fd);
	manual_clock_settle(f->clock);
	assert_int_equal(connections_count(f->connections), 0);
}

static void a_client_that_does_not_go_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, hello, sizeof hello - 1);

	manual_clock_pass(f->clock, IDLE_MS + LAST_WORDS_MS - 1);
	assert_int_equal(connections_count(f->connections), 1);
	manual_clock_pass(f->clock, 1);
	assert_int_equal(connections_count(f->connections), 0);
	close(fd);
}

/* It gets its last words, and what else it sends stays where it is. */
static void a_client_that_floods_learns_why_and_is_read_no_more(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, hello, sizeof hello - 1);
	char flood[17 * 1000];
	size_t n_sent = 0;
	ssize_t n = 1;

	for (unsigned i = 0; i < 1000; i++)
		memcpy(flood + 17 * i, "\0\0\x08\6\1\0\0\0\0" "pingping", 17);	/* ACK: no answer */
	while (n > 0 && n_sent < 10 << 20) {
		n = send(fd, flood, sizeof flood, MSG_NOSIGNAL);
		n_sent += n > 0 ? (size_t)n : 0;
		manual_clock_settle(f->clock);
	}
	assert_true(n < 0 && errno == EAGAIN);
	assert_int_equal(f->limits.n[LIMIT_FRAMES], 1);
	expect_goodbye(fd, NGHTTP2_ENHANCE_YOUR_CALM);
	manual_clock_pass(f->clock, LAST_WORDS_MS);
	assert_int_equal(connections_count(f->connections), 0);
	close(fd);
}

/* --- output --- */

static void add_call(struct memory_client *client, struct memory_call *call, const char *path,
		     char first, size_t n_bytes)
{
	struct buf body = BUF_INIT;
	char message[4096];

	assert_true(n_bytes <= sizeof message);
	memset(message, first, n_bytes);
	memory_body(&body, message, n_bytes);
	memory_call_open(client, call, path, NULL, body.data, body.length);
	buf_deinit(&body);
}

static void a_client_that_takes_nothing_is_closed(void **state)
{
	static const nghttp2_settings_entry wide = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
						     (1u << 31) - 1 };
	struct fixture *f = *state;
	struct memory_client client;
	struct memory_call call = { 0 };
	struct buf bytes = BUF_INIT;
	int fd;

	memory_client_init(&client, NULL);
	assert_int_equal(nghttp2_submit_settings(client.http, NGHTTP2_FLAG_NONE, &wide, 1), 0);
	assert_int_equal(nghttp2_submit_window_update(client.http, NGHTTP2_FLAG_NONE, 0, 1 << 30),
			 0);
	add_call(&client, &call, "/t.T/Endless", 'x', 1);
	memory_client_take(&client, &bytes);
	fd = open_client(f, bytes.data, bytes.length);
	assert_true(f->budget.n_bytes > 0);
	manual_clock_pass(f->clock, STALL_MS - 1);
	assert_int_equal(connections_count(f->connections), 1);
	assert_true(f->budget.n_bytes > 0);
	manual_clock_pass(f->clock, 1);
	assert_int_equal(connections_count(f->connections), 0);
	assert_int_equal(f->budget.n_bytes, 0);
	assert_true(f->limits.n[LIMIT_STALL] > 0);
	close(fd);
	memory_client_deinit(&client);
	memory_call_deinit(&call);
	buf_deinit(&bytes);
}

/* --- turns --- */

/* One client sends twenty calls that take 6 ms each; another, behind it, sends one. No turn of the
 * loop has time for all twenty, so the other does not wait for the last of them. */
static void a_client_with_much_to_do_lets_others_have_their_turn(void **state)
{
	struct fixture *f = *state;
	struct memory_client many, one;
	struct memory_call calls[20] = { { 0 } }, call = { 0 };
	struct buf bytes = BUF_INIT;
	int busy, other;

	other = open_client(f, "", 0);
	busy = open_client(f, "", 0);
	memory_client_init(&many, NULL);
	memory_client_init(&one, NULL);
	for (unsigned i = 0; i < 20; i++)
		add_call(&many, &calls[i], "/t.T/Busy", 'm', 1500);
	memory_client_take(&many, &bytes);
	assert_int_equal(send(busy, bytes.data, bytes.length, MSG_NOSIGNAL), bytes.length);
	loop_turn(f->loop, false);
	buf_truncate(&bytes, 0);
	add_call(&one, &call, "/t.T/Busy", 'o', 10);
	memory_client_take(&one, &bytes);
	assert_int_equal(send(other, bytes.data, bytes.length, MSG_NOSIGNAL), bytes.length);
	while (f->n_served < 21)
		loop_turn(f->loop, true);
	assert_true(strcspn(f->order, "o") < 15);
	close(busy);
	close(other);
	for (unsigned i = 0; i < 20; i++)
		memory_call_deinit(&calls[i]);
	memory_call_deinit(&call);
	memory_client_deinit(&many);
	memory_client_deinit(&one);
	buf_deinit(&bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_that_says_nothing_is_closed),
		TEST(a_client_without_calls_is_told_to_go),
		TEST(a_client_that_does_not_go_is_closed),
		TEST(a_client_that_floods_learns_why_and_is_read_no_more),
		TEST(a_client_that_takes_nothing_is_closed),
		TEST(a_client_with_much_to_do_lets_others_have_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
