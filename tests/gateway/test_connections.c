/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over real sockets, on a clock that the tests move. */
#include "gateway/connections.h"

#include "base/clock.h"
#include "event/manual_clock.h"
#include "net/listener.h"
#include "tests/gateway/memory_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
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
	struct budget budget;
	struct limit_counts limits;
	struct connections *connections;
	struct listener *listener;
	struct listener *tcp;	/* on loopback */
	char directory[64];
	char socket[80];
	char order[64];		/* of the calls that were served: the first byte of each */
	unsigned n_served;
	unsigned n_accepted;	/* connections */
	struct stream {		/* of the service Slow, in the order in which they began */
		struct grpc_call *call;
		uint64_t cost_ns;	/* of a message, as seen by a real clock */
		unsigned n_waiting;	/* messages that it has */
		unsigned n_sent;
		size_t n_bytes;		/* of a message */
		char name;
	} streams[4];
	unsigned n_streams;
};

/* --- services --- */

static void note(struct fixture *f, char name)
{
	assert_true(f->n_served < sizeof f->order - 1);
	f->order[f->n_served++] = name;
}

static void spend(uint64_t cost_ns)
{
	uint64_t end_ns = clock_ns() + cost_ns;

	while (clock_ns() < end_ns)
		;
}

/* Takes its time, as seen by a real clock. */
static void busy_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct fixture *f = grpc_call_context(call);

	assert_true(n_bytes);
	note(f, (char)request[0]);
	spend(BUSY_NS);
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

static void slow_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct fixture *f = grpc_call_context(call);
	struct stream *stream = &f->streams[f->n_streams++];

	assert_true(n_bytes);
	*stream = (struct stream){ .call = call, .name = (char)request[0] };
	grpc_call_set_state(call, stream);
}

static void slow_pull(struct grpc_call *call)
{
	struct stream *stream = grpc_call_state(call);
	uint8_t *space;

	if (!stream->n_waiting)
		return;
	note(grpc_call_context(call), stream->name);
	spend(stream->cost_ns);
	assert_int_equal(grpc_call_add_message(call, stream->n_bytes, &space), SC_OK);
	memset(space, 'x', stream->n_bytes);
	stream->n_waiting--;
	stream->n_sent++;
}

static const struct grpc_call_ops busy_ops = { .start = busy_start };
static const struct grpc_call_ops endless_ops = { .start = endless_start, .pull = endless_pull };
static const struct grpc_call_ops slow_ops = { .start = slow_start, .pull = slow_pull };
static const struct grpc_call_ops wait_ops = { .start = endless_start };
static const struct grpc_call_ops background_ops = {
	.start = endless_start, .is_background = true,
};
static const struct grpc_method methods[] = {
	{ "/t.T/Wait", &wait_ops },
	{ "/t.T/Background", &background_ops },
	{ "/t.T/Busy", &busy_ops },
	{ "/t.T/Endless", &endless_ops },
	{ "/t.T/Slow", &slow_ops },
};

/* --- the two ends --- */

static void accept_client(void *arg, int fd, bool is_unix)
{
	struct fixture *f = arg;

	connections_accept(f->connections, fd, is_unix);
	f->n_accepted++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct connections_config config = {
		.grpc = {
			.methods = methods,
			.n_methods = sizeof methods / sizeof methods[0],
			.max_streams = 100,
			.max_message = 1 << 16,
			.stall_ns = STALL_MS * NS_PER_MS,
		},
		.stall_ns = STALL_MS * NS_PER_MS,
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
	config.grpc.context = f;
	config.grpc.budget = &f->budget;
	config.grpc.limits = &f->limits;
	config.limits = &f->limits;
	assert_int_equal(connections_create(&config, &f->connections), SC_OK);
	assert_int_equal(listener_open_unix(loop_uv(f->loop), f->socket, accept_client, f,
					    &f->listener, &err), SC_OK);
	assert_int_equal(listener_open_tcp(loop_uv(f->loop), "127.0.0.1:0", accept_client, f,
					   &f->tcp, &err), SC_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	listener_close(f->listener);
	listener_close(f->tcp);
	connections_destroy(f->connections);
	assert_int_equal(f->budget.n_bytes, 0);
	loop_destroy(f->loop);
	manual_clock_destroy(f->clock);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static int connect_unix(const struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static int connect_tcp(const struct fixture *f)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *port = strrchr(listener_address(f->tcp), ':');
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_non_null(port);
	address.sin_port = htons((uint16_t)atoi(port + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void send_all(int fd, const void *bytes, size_t n_bytes)
{
	assert_int_equal(send(fd, bytes, n_bytes, MSG_NOSIGNAL), (ssize_t)n_bytes);
}

/* Send the first bytes; returns when the server has seen the connection and settled. */
static int greet(struct fixture *f, int fd, const void *bytes, size_t n_bytes)
{
	unsigned before = f->n_accepted;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	send_all(fd, bytes, n_bytes);
	while (f->n_accepted == before)
		loop_turn(f->loop, true);
	manual_clock_settle(f->clock);
	return fd;
}

static int open_client(struct fixture *f, const void *bytes, size_t n_bytes)
{
	return greet(f, connect_unix(f), bytes, n_bytes);
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

static void a_client_that_speaks_something_else_is_closed_without_a_word(void **state)
{
	static const char *const hellos[] = { "\x16\2\1\2", "\200\1", "\1\2\3" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
		char bytes[64];
		bool is_closed;
		int fd = open_client(f, hellos[i], strlen(hellos[i]));

		assert_int_equal(read_all(fd, bytes, sizeof bytes, &is_closed), 0);
		assert_true(is_closed);
		close(fd);
		manual_clock_settle(f->clock);
		assert_int_equal(connections_count(f->connections), 0);
	}
}

static void a_client_of_tls_is_told_that_there_is_none(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, "\x16\3\1\2", 4);
	bool is_closed;
	char bytes[1024];
	size_t n = read_all(fd, bytes, sizeof bytes - 1, &is_closed);

	bytes[n] = '\0';
	assert_ptr_equal(strstr(bytes, "HTTP/1.1 400 "), bytes);
	assert_non_null(strstr(bytes, "this port speaks no TLS"));
	assert_true(is_closed);
	close(fd);
	manual_clock_settle(f->clock);
	assert_int_equal(connections_count(f->connections), 0);
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

/* A client whose windows are wide open asks for an answer without end, and takes none of it. */
static int open_endless(struct fixture *f)
{
	static const nghttp2_settings_entry wide = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
						     (1u << 31) - 1 };
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
	memory_client_deinit(&client);
	memory_call_deinit(&call);
	buf_deinit(&bytes);
	return fd;
}

static void a_client_that_takes_nothing_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd = open_endless(f);

	assert_true(f->budget.n_bytes > 0);
	manual_clock_pass(f->clock, STALL_MS - 1);
	assert_int_equal(connections_count(f->connections), 1);
	assert_true(f->budget.n_bytes > 0);
	manual_clock_pass(f->clock, 1);
	assert_int_equal(connections_count(f->connections), 0);
	assert_int_equal(f->budget.n_bytes, 0);
	assert_true(f->limits.n[LIMIT_STALL] > 0);
	close(fd);
}

/* The kernel tells the server of room only when much of its buffer is free, so a few bytes in
 * stall_ms are no progress. */
static void a_client_that_takes_a_few_bytes_at_a_time_is_closed(void **state)
{
	struct fixture *f = *state;
	char taken[200];
	int fd = open_endless(f);

	for (unsigned i = 0; i < 30; i++) {
		manual_clock_pass(f->clock, STALL_MS / 10);
		(void)recv(fd, taken, sizeof taken, 0);
		manual_clock_settle(f->clock);
	}
	assert_int_equal(connections_count(f->connections), 0);
	assert_true(f->limits.n[LIMIT_STALL] > 0);
	close(fd);
}

/* --- turns --- */

/* A client with one call under way, and its socket. */
struct caller {
	struct memory_client client;
	struct memory_call call;
	int fd;
};

/* Move what either side has to say. */
static void exchange(struct fixture *f, struct caller *caller)
{
	struct buf bytes = BUF_INIT;
	char answer[65536];
	bool is_closed;
	size_t n;

	memory_client_take(&caller->client, &bytes);
	send_all(caller->fd, bytes.data, bytes.length);
	buf_deinit(&bytes);
	manual_clock_settle(f->clock);
	loop_turn(f->loop, false);	/* for answers that the last turn had no time for */
	n = read_all(caller->fd, answer, sizeof answer, &is_closed);
	memory_client_give(&caller->client, answer, n);
}

static void begin_call(struct fixture *f, struct caller *caller, const char *path, char name)
{
	memory_call_deinit(&caller->call);
	caller->call.keeps_open = false;
	add_call(&caller->client, &caller->call, path, name, 1);
	exchange(f, caller);
}

/* fd is connected, but no more. */
static void open_caller(struct fixture *f, struct caller *caller, int fd)
{
	*caller = (struct caller){ .fd = fd };
	memory_client_init(&caller->client, NULL);
	(void)greet(f, fd, "", 0);
}

static void close_caller(struct fixture *f, struct caller *caller)
{
	close(caller->fd);
	manual_clock_settle(f->clock);
	memory_client_deinit(&caller->client);
	memory_call_deinit(&caller->call);
}

/* Four streams have a token at every step and wake up in the same order, but a turn has time for
 * one or two of them. */
static void streams_that_wake_up_together_all_get_their_turn(void **state)
{
	struct fixture *f = *state;
	struct caller callers[4];

	for (unsigned i = 0; i < 4; i++) {
		open_caller(f, &callers[i], connect_unix(f));
		begin_call(f, &callers[i], "/t.T/Slow", (char)('a' + i));
		f->streams[i].cost_ns = 3 * NS_PER_MS / 2;
		f->streams[i].n_bytes = 10;
	}
	for (unsigned step = 0; step < 12; step++) {
		for (unsigned i = 0; i < 4; i++) {
			f->streams[i].n_waiting = 1;
			grpc_call_wake(f->streams[i].call);
		}
		loop_turn(f->loop, false);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(f->streams[i].n_sent, 2, 12);
	for (unsigned i = 0; i < 4; i++)
		close_caller(f, &callers[i]);
}

/* A large answer goes on in every turn, but behind the small ones that wake up for it, also where
 * one of these takes the turn's time. */
static void a_large_answer_waits_for_small_ones_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct caller large, small;

	open_caller(f, &large, connect_unix(f));
	open_caller(f, &small, connect_unix(f));
	begin_call(f, &large, "/t.T/Slow", 'l');
	begin_call(f, &small, "/t.T/Slow", 's');
	f->streams[0].cost_ns = 3 * NS_PER_MS;
	f->streams[0].n_bytes = 10000;
	f->streams[0].n_waiting = 1000;
	grpc_call_wake(f->streams[0].call);
	loop_turn(f->loop, false);
	assert_string_equal(f->order, "ll");	/* as a woken one, and as a large one */
	f->streams[1].n_bytes = 10;
	for (unsigned i = 0; i < 4; i++) {
		f->streams[1].cost_ns = i * NS_PER_MS / 10;
		f->streams[1].n_waiting = 1;
		grpc_call_wake(f->streams[1].call);
		loop_turn(f->loop, false);
	}
	assert_string_equal(f->order, "llslslslsl");
	f->streams[0].n_waiting = 0;
	close_caller(f, &large);
	close_caller(f, &small);
}

/* A turn of the loop that had no time for all that came, or for its answers, saw calls all the
 * same. */
/* As those that watch health: they must not hold a connection for ever. */
static void a_call_in_the_background_does_not_keep_its_connection(void **state)
{
	static const char *const paths[] = { "/t.T/Wait", "/t.T/Background" };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct memory_call call = { 0 };
		struct caller caller;

		open_caller(f, &caller, connect_unix(f));
		add_call(&caller.client, &call, paths[i], 'x', 1);
		exchange(f, &caller);
		manual_clock_pass(f->clock, IDLE_MS + 1);
		assert_int_equal(f->limits.n[LIMIT_IDLE], i);
		close_caller(f, &caller);
		memory_call_deinit(&call);
	}
}

static void a_client_whose_calls_wait_for_a_turn_is_not_idle(void **state)
{
	static const unsigned n_calls[] = { 1, 20 };
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct memory_call calls[20] = { { 0 } };
		struct buf bytes = BUF_INIT;
		struct caller caller;

		open_caller(f, &caller, connect_unix(f));
		exchange(f, &caller);
		manual_clock_pass(f->clock, IDLE_MS - 1);
		for (unsigned c = 0; c < n_calls[i]; c++)
			add_call(&caller.client, &calls[c], "/t.T/Busy", 'b', 1500);
		memory_client_take(&caller.client, &bytes);
		send_all(caller.fd, bytes.data, bytes.length);
		f->n_served = 0;
		while (!f->n_served)
			loop_turn(f->loop, false);
		assert_true(f->n_served == 1 || f->n_served < n_calls[i]);
		manual_clock_jump(f->clock, 1);
		for (unsigned turn = 0; turn < 100 && f->n_served < n_calls[i]; turn++)
			loop_turn(f->loop, false);
		assert_int_equal(f->n_served, n_calls[i]);
		exchange(f, &caller);
		assert_int_equal(f->limits.n[LIMIT_IDLE], 0);
		for (unsigned c = 0; c < n_calls[i]; c++) {
			assert_int_equal(calls[c].grpc_status, GRPC_OK);
			memory_call_deinit(&calls[c]);
		}
		close_caller(f, &caller);
		buf_deinit(&bytes);
	}
}

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

/* --- a full server --- */

/* Four callers that hold all ordinary places, with a call each, and a fifth on loopback. */
static void open_crowd(struct fixture *f, struct caller crowd[4], struct caller *late)
{
	for (unsigned i = 0; i < 4; i++) {
		open_caller(f, &crowd[i], connect_unix(f));
		begin_call(f, &crowd[i], "/t.T/Slow", 's');
	}
	open_caller(f, late, connect_tcp(f));
	begin_call(f, late, "/t.T/Busy", 'b');
	assert_int_equal(late->call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->limits.n[LIMIT_RESERVE], 1);
}

static void a_connection_that_came_in_a_crowd_is_served_when_the_crowd_has_gone(void **state)
{
	struct fixture *f = *state;
	struct caller crowd[4], late, next;

	open_crowd(f, crowd, &late);
	close_caller(f, &crowd[0]);
	begin_call(f, &late, "/t.T/Busy", 'b');
	assert_int_equal(late.call.grpc_status, GRPC_OK);
	/* It holds an ordinary place from now on: the next one finds none. */
	open_caller(f, &next, connect_tcp(f));
	begin_call(f, &next, "/t.T/Busy", 'b');
	assert_int_equal(next.call.grpc_status, GRPC_RESOURCE_EXHAUSTED);
	for (unsigned i = 1; i < 4; i++)
		close_caller(f, &crowd[i]);
	close_caller(f, &late);
	close_caller(f, &next);
}

static void a_connection_that_came_in_a_crowd_takes_the_place_of_an_idle_one(void **state)
{
	struct fixture *f = *state;
	struct caller crowd[4], late;

	open_crowd(f, crowd, &late);
	memory_call_cancel(&crowd[2].client, &crowd[2].call);
	exchange(f, &crowd[2]);
	manual_clock_pass(f->clock, 1000);
	begin_call(f, &late, "/t.T/Busy", 'b');
	assert_int_equal(late.call.grpc_status, GRPC_OK);
	expect_goodbye(crowd[2].fd, NGHTTP2_NO_ERROR);
	for (unsigned i = 0; i < 4; i++)
		close_caller(f, &crowd[i]);
	close_caller(f, &late);
}

/* How often text stands in what was written to file. */
static unsigned count_in(FILE *file, const char *text)
{
	char line[1024];
	unsigned n = 0;

	rewind(file);
	while (fgets(line, sizeof line, file))
		n += strstr(line, text) != NULL;
	return n;
}

/* A remote client can come and go as it likes. */
static void a_full_server_says_so_once_a_minute(void **state)
{
	struct fixture *f = *state;
	FILE *log = tmpfile();
	int fds[6], real_stderr = dup(STDERR_FILENO);

	assert_true(log && dup2(fileno(log), STDERR_FILENO) >= 0);
	for (unsigned i = 0; i < 4; i++)
		fds[i] = open_client(f, hello, sizeof hello - 1);
	for (unsigned i = 0; i < 10; i++) {
		fds[4] = open_client(f, hello, sizeof hello - 1);
		close(fds[4]);
		close(fds[3]);
		manual_clock_settle(f->clock);
		fds[3] = open_client(f, hello, sizeof hello - 1);
	}
	manual_clock_pass(f->clock, 59999);
	close(open_client(f, hello, sizeof hello - 1));
	assert_int_equal(count_in(log, "the limit of connections is reached"), 0);
	assert_int_equal(count_in(log, "the limit of peer-connections is reached"), 1);
	manual_clock_settle(f->clock);
	fds[4] = open_client(f, hello, sizeof hello - 1);
	manual_clock_pass(f->clock, 1);
	fds[5] = open_client(f, hello, sizeof hello - 1);
	assert_int_equal(count_in(log, "the limit of peer-connections is reached"), 2);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	for (unsigned i = 0; i < 6; i++)
		close(fds[i]);
	fclose(log);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_that_says_nothing_is_closed),
		TEST(a_client_that_speaks_something_else_is_closed_without_a_word),
		TEST(a_client_of_tls_is_told_that_there_is_none),
		TEST(a_client_without_calls_is_told_to_go),
		TEST(a_client_that_does_not_go_is_closed),
		TEST(a_client_that_floods_learns_why_and_is_read_no_more),
		TEST(a_client_that_takes_nothing_is_closed),
		TEST(a_client_that_takes_a_few_bytes_at_a_time_is_closed),
		TEST(a_client_with_much_to_do_lets_others_have_their_turn),
		TEST(streams_that_wake_up_together_all_get_their_turn),
		TEST(a_large_answer_waits_for_small_ones_and_goes_on),
		TEST(a_call_in_the_background_does_not_keep_its_connection),
		TEST(a_client_whose_calls_wait_for_a_turn_is_not_idle),
		TEST(a_connection_that_came_in_a_crowd_is_served_when_the_crowd_has_gone),
		TEST(a_connection_that_came_in_a_crowd_takes_the_place_of_an_idle_one),
		TEST(a_full_server_says_so_once_a_minute),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
