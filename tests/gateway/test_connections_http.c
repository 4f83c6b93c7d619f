/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 and gRPC on the same real sockets, on a clock that the tests move. */
#include "base/clock.h"
#include "event/manual_clock.h"
#include "gateway/connections.h"
#include "net/listener.h"
#include "tests/gateway/memory_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#define REQUEST_MS 30000
#define LAST_WORDS_MS 1000
#define DRAIN_NOTICE_MS 100
#define MAX_MESSAGE 100000

#define END "Host: x\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" END

struct fixture {
	struct manual_clock *clock;
	struct loop *loop;
	struct budget budget;
	struct limit_counts limits;
	struct http_routes routes;
	struct connections *connections;
	struct listener *listeners[2];	/* TCP on loopback, and a Unix socket */
	char directory[64];
	char socket[80];
	unsigned n_accepted;
	unsigned n_grpc;		/* calls served */
	unsigned n_echoed;
	struct http_call *call;		/* of /wait or /stream; NULL: it has closed */
	unsigned n_closed;
	bool is_endless;
	char answer[1 << 18];
};

/* --- services --- */

static void grpc_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct fixture *f = grpc_call_context(call);

	(void)request;
	(void)n_bytes;
	f->n_grpc++;
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void echo_start(struct http_call *call)
{
	struct fixture *f = http_call_context(call);
	size_t n;
	const char *body = http_call_body(call, &n);

	f->n_echoed++;
	http_call_answer(call, 200, "text/plain", body, n);
}

static void wait_start(struct http_call *call)
{
	struct fixture *f = http_call_context(call);

	f->call = call;
}

static void wait_close(struct http_call *call)
{
	struct fixture *f = http_call_context(call);

	f->call = NULL;
	f->n_closed++;
}

static void stream_start(struct http_call *call)
{
	wait_start(call);
	assert_int_equal(http_call_begin(call, 200, "text/event-stream"), SC_OK);
}

static void stream_pull(struct http_call *call)
{
	static const char event[1000];
	struct fixture *f = http_call_context(call);

	while (f->is_endless && http_call_has_room(call))
		assert_int_equal(http_call_add(call, event, sizeof event), SC_OK);
}

static const struct grpc_call_ops grpc_ops = { .start = grpc_start };
static const struct grpc_method methods[] = { { "/t.T/Call", &grpc_ops } };

static const struct http_call_ops echo = { .start = echo_start };
static const struct http_call_ops wait_ops = { .start = wait_start, .close = wait_close };
static const struct http_call_ops stream = {
	.start = stream_start, .pull = stream_pull, .close = wait_close,
};
static const struct http_route routes[] = {
	{ .path = "/echo", .methods = HTTP_GET | HTTP_POST, .ops = &echo },
	{ .path = "/wait", .methods = HTTP_GET, .ops = &wait_ops },
	{ .path = "/stream", .methods = HTTP_GET, .ops = &stream },
};

/* --- the two ends --- */

static void accept_client(void *arg, int fd, bool is_unix)
{
	struct fixture *f = arg;

	connections_accept(f->connections, fd, is_unix);
	f->n_accepted++;
}

static struct connections_config config_of(struct fixture *f)
{
	return (struct connections_config){
		.loop = f->loop,
		.grpc = {
			.methods = methods,
			.n_methods = 1,
			.context = f,
			.budget = &f->budget,
			.limits = &f->limits,
			.max_streams = 100,
			.max_message = MAX_MESSAGE,
		},
		.http = {
			.routes = &f->routes,
			.n_routes = 1,
			.budget = &f->budget,
			.limits = &f->limits,
			.max_message = MAX_MESSAGE,
			.request_ns = REQUEST_MS * NS_PER_MS,
		},
		.limits = &f->limits,
		.stall_ns = STALL_MS * NS_PER_MS,
		.max = 4,
		.max_per_peer = 4,
		.preface_ms = PREFACE_MS,
		.idle_ms = IDLE_MS,
	};
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct connections_config config;
	struct error err;

	assert_non_null(f);
	f->budget.max_bytes = 1 << 20;
	f->routes = (struct http_routes){ routes, sizeof routes / sizeof routes[0], f };
	assert_int_equal(manual_clock_create(&f->clock), SC_OK);
	assert_int_equal(loop_create_on(f->clock, &f->loop), SC_OK);
	snprintf(f->directory, sizeof f->directory, "/tmp/stagecoach-test-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->socket, sizeof f->socket, "%s/grpc.sock", f->directory);
	config = config_of(f);
	assert_int_equal(connections_create(&config, &f->connections), SC_OK);
	assert_int_equal(listener_open_tcp(loop_uv(f->loop), "127.0.0.1:0", accept_client, f,
					   &f->listeners[0], &err), SC_OK);
	assert_int_equal(listener_open_unix(loop_uv(f->loop), f->socket, accept_client, f,
					    &f->listeners[1], &err), SC_OK);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	listener_close(f->listeners[0]);
	listener_close(f->listeners[1]);
	connections_destroy(f->connections);
	assert_int_equal(f->budget.n_bytes, 0);
	assert_null(f->call);
	loop_destroy(f->loop);
	manual_clock_destroy(f->clock);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static int connect_to(const struct fixture *f, bool is_unix)
{
	struct sockaddr_un path = { .sun_family = AF_UNIX };
	struct sockaddr_in address = { .sin_family = AF_INET };
	const char *port = strrchr(listener_address(f->listeners[0]), ':');
	int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	snprintf(path.sun_path, sizeof path.sun_path, "%s", f->socket);
	address.sin_port = htons((uint16_t)atoi(port + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (is_unix)
		assert_int_equal(connect(fd, (struct sockaddr *)&path, sizeof path), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	/* So that single bytes are sent at once. */
	if (!is_unix)
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
	return fd;
}

static void send_bytes(struct fixture *f, int fd, const void *bytes, size_t n_bytes)
{
	assert_int_equal(send(fd, bytes, n_bytes, MSG_NOSIGNAL), (ssize_t)n_bytes);
	manual_clock_settle(f->clock);
}

static void send_text(struct fixture *f, int fd, const char *text)
{
	send_bytes(f, fd, text, strlen(text));
}

/* Connects and sends; returns when the server has seen that. */
static int open_client(struct fixture *f, bool is_unix, const char *text)
{
	unsigned before = f->n_accepted;
	int fd = connect_to(f, is_unix);

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	while (f->n_accepted == before)
		loop_turn(f->loop, true);
	manual_clock_settle(f->clock);
	return fd;
}

/* Puts into f->answer what the server has said. Returns true if it closed its end after that. */
static bool read_answer(struct fixture *f, int fd)
{
	size_t length = 0;
	ssize_t n = 1;

	manual_clock_settle(f->clock);
	while (n > 0 && length < sizeof f->answer - 1) {
		n = recv(fd, f->answer + length, sizeof f->answer - 1 - length, 0);
		if (n > 0)
			length += (size_t)n;
	}
	f->answer[length] = '\0';
	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static unsigned count_in_answer(const struct fixture *f, const char *text)
{
	unsigned n = 0;

	for (const char *at = f->answer; (at = strstr(at, text)); at += strlen(text))
		n++;
	return n;
}

static void expect_status(const struct fixture *f, unsigned status)
{
	char begin[32];

	snprintf(begin, sizeof begin, "HTTP/1.1 %u ", status);
	if (strncmp(f->answer, begin, strlen(begin)))
		fail_msg("expected %s, found %.200s", begin, f->answer);
}

/* One gRPC call, byte by byte. */
static void call_grpc(struct fixture *f, bool is_unix)
{
	struct memory_client client;
	struct memory_call call = { 0 };
	struct buf body = BUF_INIT, bytes = BUF_INIT;
	const unsigned before = f->n_grpc;
	int fd = open_client(f, is_unix, "P");

	memory_client_init(&client, NULL);
	memory_body(&body, "x", 1);
	memory_call_open(&client, &call, "/t.T/Call", NULL, body.data, body.length);
	memory_client_take(&client, &bytes);
	for (size_t i = 1; i < bytes.length; i++)
		send_bytes(f, fd, bytes.data + i, 1);
	assert_int_equal(f->n_grpc, before + 1);
	memory_client_deinit(&client);
	memory_call_deinit(&call);
	buf_deinit(&body);
	buf_deinit(&bytes);
	close(fd);
}

/* --- tests --- */

static void one_address_speaks_both_protocols(void **state)
{
	struct fixture *f = *state;

	for (int is_unix = 0; is_unix < 2; is_unix++) {
		int fd = open_client(f, is_unix, GET("/echo"));

		assert_false(read_answer(f, fd));
		expect_status(f, 200);
		call_grpc(f, is_unix);
		/* The connection is still there. */
		send_text(f, fd, "POST /echo HTTP/1.1\r\nContent-Length: 4\r\n" END "echo");
		assert_false(read_answer(f, fd));
		assert_non_null(strstr(f->answer, "\r\n\r\necho"));
		close(fd);
	}
}

static void a_request_may_come_byte_by_byte(void **state)
{
	static const char request[] = "POST /echo HTTP/1.1\r\nContent-Length: 4\r\n" END "echo";
	struct fixture *f = *state;
	int fd = open_client(f, false, "P");

	for (size_t i = 1; i < sizeof request - 1; i++) {
		/* Nothing comes before the answer, not even SETTINGS of HTTP/2. */
		assert_false(read_answer(f, fd));
		assert_string_equal(f->answer, "");
		send_bytes(f, fd, request + i, 1);
	}
	assert_false(read_answer(f, fd));
	assert_non_null(strstr(f->answer, "\r\n\r\necho"));
	close(fd);
}

static void a_client_of_nonsense_is_told_and_closed(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, false, "SSH-2.0-OpenSSH_9.2\r\n");

	assert_true(read_answer(f, fd));
	expect_status(f, 400);
	close(fd);
	manual_clock_settle(f->clock);
	assert_int_equal(connections_count(f->connections), 0);
}

/* The client sends all of its request before it reads the answer. */
static void a_refused_body_is_read_so_that_the_answer_arrives(void **state)
{
	static char many[65536];
	struct fixture *f = *state;
	int fd = open_client(f, false, "POST /echo HTTP/1.1\r\nContent-Length: 4000000\r\n" END);
	size_t n_sent = 0;

	while (n_sent < 4000000) {
		size_t n_left = 4000000 - n_sent;
		ssize_t n = send(fd, many, n_left < sizeof many ? n_left : sizeof many,
				 MSG_NOSIGNAL);

		manual_clock_settle(f->clock);
		assert_true(n > 0 || errno == EAGAIN);
		n_sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(read_answer(f, fd));
	expect_status(f, 413);
	assert_non_null(strstr(f->answer, "Connection: close\r\n"));
	/* A client that stays is closed. */
	manual_clock_pass(f->clock, LAST_WORDS_MS);
	assert_int_equal(connections_count(f->connections), 0);
	close(fd);
}

static void a_client_that_leaves_ends_its_call_at_once(void **state)
{
	struct fixture *f = *state;
	int fds[2] = { open_client(f, false, GET("/wait")), 0 };

	assert_non_null(f->call);
	close(fds[0]);
	manual_clock_settle(f->clock);
	assert_int_equal(f->n_closed, 1);
	fds[1] = open_client(f, true, GET("/stream"));
	assert_non_null(f->call);
	close(fds[1]);
	manual_clock_settle(f->clock);
	assert_int_equal(f->n_closed, 2);
	assert_int_equal(connections_count(f->connections), 0);
}

/* Even if what it sent behind its request fills all that the session keeps of it. */
static void a_client_that_leaves_is_noticed_behind_its_input(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, false, GET("/wait"));

	for (unsigned i = 0; i < 1500; i++)
		(void)!send(fd, GET("/echo"), sizeof GET("/echo") - 1, MSG_NOSIGNAL);
	manual_clock_settle(f->clock);
	assert_true(f->budget.n_bytes < 100000);
	manual_clock_pass(f->clock, 10000);
	assert_non_null(f->call);
	close(fd);
	manual_clock_pass(f->clock, 1000);
	assert_int_equal(f->n_closed, 1);
	assert_int_equal(connections_count(f->connections), 0);
	assert_int_equal(f->n_echoed, 0);
}

static void requests_behind_a_long_one_are_all_answered(void **state)
{
	static char many[40000];
	struct fixture *f = *state;
	const size_t n_request = sizeof GET("/echo") - 1;
	const unsigned n_requests = sizeof many / n_request;
	int fd = open_client(f, false, GET("/wait"));

	for (unsigned i = 0; i < n_requests; i++)
		memcpy(many + i * n_request, GET("/echo"), n_request);
	send_bytes(f, fd, many, n_requests * n_request);
	assert_int_equal(f->n_echoed, 0);
	http_call_answer(f->call, 200, "text/plain", "first", 5);
	for (unsigned i = 0; i < 100 && f->n_echoed < n_requests; i++)
		manual_clock_settle(f->clock);
	assert_int_equal(f->n_echoed, n_requests);
	assert_false(read_answer(f, fd));
	assert_int_equal(count_in_answer(f, "HTTP/1.1 200 "), n_requests + 1);
	assert_true(strstr(f->answer, "first") < strstr(f->answer + 20, "HTTP/1.1"));
	close(fd);
}

/* `nc -N` and the like close their sending end at once. */
static void a_client_that_has_said_all_still_gets_what_is_ready(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f, false);

	assert_int_equal(send(fd, GET("/echo"), sizeof GET("/echo") - 1, MSG_NOSIGNAL),
			 sizeof GET("/echo") - 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (!f->n_accepted || connections_count(f->connections))
		loop_turn(f->loop, true);
	assert_true(read_answer(f, fd));
	expect_status(f, 200);
	close(fd);
}

static void a_request_that_does_not_arrive_is_refused(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, false, "GET /echo HTTP/1.1\r\n");

	manual_clock_pass(f->clock, REQUEST_MS - 1);
	assert_false(read_answer(f, fd));
	assert_string_equal(f->answer, "");
	manual_clock_pass(f->clock, 1);
	assert_true(read_answer(f, fd));
	expect_status(f, 408);
	close(fd);
}

static void a_client_without_a_request_line_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, false, "GET /echo");

	manual_clock_pass(f->clock, PREFACE_MS);
	assert_int_equal(connections_count(f->connections), 0);
	assert_int_equal(f->limits.n[LIMIT_PREFACE], 1);
	close(fd);
}

static void an_idle_connection_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd = open_client(f, false, GET("/echo"));

	manual_clock_pass(f->clock, IDLE_MS - 1);
	assert_false(read_answer(f, fd));
	manual_clock_pass(f->clock, 1);
	assert_true(read_answer(f, fd));
	assert_int_equal(f->limits.n[LIMIT_IDLE], 1);
	close(fd);
	/* One with a call is not idle. */
	fd = open_client(f, false, GET("/wait"));
	manual_clock_pass(f->clock, 10 * IDLE_MS);
	assert_non_null(f->call);
	close(fd);
	manual_clock_settle(f->clock);
}

static void a_client_that_takes_nothing_is_closed(void **state)
{
	struct fixture *f = *state;
	int fd;

	f->is_endless = true;
	fd = open_client(f, true, GET("/stream"));
	manual_clock_pass(f->clock, STALL_MS - 1);
	assert_true(f->budget.n_bytes > 0 && f->budget.n_bytes < 3 * HTTP_CALL_ROOM);
	manual_clock_pass(f->clock, 1);
	assert_int_equal(connections_count(f->connections), 0);
	assert_int_equal(f->n_closed, 1);
	assert_true(f->limits.n[LIMIT_STALL] > 0);
	close(fd);
}

static void a_server_that_drains_closes_what_is_idle_and_finishes_the_rest(void **state)
{
	struct fixture *f = *state;
	int fds[3] = {
		open_client(f, false, GET("/echo")), open_client(f, false, GET("/wait")),
		open_client(f, false, "P"),
	};

	connections_drain(f->connections);
	manual_clock_pass(f->clock, DRAIN_NOTICE_MS);
	assert_true(read_answer(f, fds[0]));
	assert_false(read_answer(f, fds[1]));
	assert_string_equal(f->answer, "");
	http_call_answer(f->call, 200, "text/plain", "last", 4);
	assert_true(read_answer(f, fds[1]));
	assert_non_null(strstr(f->answer, "Connection: close\r\n"));
	assert_non_null(strstr(f->answer, "\r\n\r\nlast"));
	/* A client whose first byte came before says its request after. */
	send_text(f, fds[2], "OST /echo HTTP/1.1\r\n" END);
	assert_true(read_answer(f, fds[2]));
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	manual_clock_pass(f->clock, LAST_WORDS_MS);
	assert_int_equal(connections_count(f->connections), 0);
}

static void a_server_that_stops_answers_what_is_open(void **state)
{
	struct fixture *f = *state;
	struct connections_config config = config_of(f);
	int fd = open_client(f, false, GET("/wait"));

	connections_destroy(f->connections);
	assert_int_equal(f->n_closed, 1);
	assert_int_equal(connections_create(&config, &f->connections), SC_OK);
	assert_true(read_answer(f, fd));
	expect_status(f, 503);
	assert_non_null(strstr(f->answer, "the server is stopping"));
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_address_speaks_both_protocols),
		TEST(a_request_may_come_byte_by_byte),
		TEST(a_client_of_nonsense_is_told_and_closed),
		TEST(a_refused_body_is_read_so_that_the_answer_arrives),
		TEST(a_client_that_leaves_ends_its_call_at_once),
		TEST(a_client_that_leaves_is_noticed_behind_its_input),
		TEST(requests_behind_a_long_one_are_all_answered),
		TEST(a_client_that_has_said_all_still_gets_what_is_ready),
		TEST(a_request_that_does_not_arrive_is_refused),
		TEST(a_client_without_a_request_line_is_closed),
		TEST(an_idle_connection_is_closed),
		TEST(a_client_that_takes_nothing_is_closed),
		TEST(a_server_that_drains_closes_what_is_idle_and_finishes_the_rest),
		TEST(a_server_that_stops_answers_what_is_open),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
