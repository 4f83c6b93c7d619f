/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a survivor sees when its peer is killed, hangs or leaves. The peer is this program again,
 * as a child process; addresses cross a socket.
 */
#include "base/clock.h"
#include "base/log.h"
#include "tests/transport/child.h"
#include "transport/fabrics.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_PAYLOAD (2u << 20)
#define CREDITS 4
#define N_POOL 16
/* Loaded machines are slow; who waits for good is found all the same. */
#define PATIENCE_NS (60 * NS_PER_SECOND)
#define CHILD_PATIENCE_S 300

/* UCX_TLS of both ends. */
enum { POSIX, TCP, N_TRANSPORTS };
static const char *const transports[N_TRANSPORTS] = {
	[POSIX] = "posix,self", [TCP] = "tcp,self",
};

enum traffic { TRAFFIC_NONE, TRAFFIC_SMALL, TRAFFIC_LARGE };

struct end {
	struct loop *loop;
	struct ucx_port *port;
	struct fabric *fabric;
	struct link *link;
	struct frame_pool *pool;
	uint64_t n_sent;
	uint64_t n_received;
	unsigned n_down;
	enum sc_status down_status;
	char why[256];
};

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct end *end = arg;

	(void)link;
	end->n_received++;
	frame_release(frame);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct end *end = arg;

	(void)link;
	end->n_down++;
	end->down_status = status;
	snprintf(end->why, sizeof end->why, "%s", why);
}

static const struct link_events events = { .on_frame = on_frame, .on_down = on_down };

static const struct link_config link_config = { .max_payload = MAX_PAYLOAD, .credits = CREDITS };

static void end_open(struct end *end, unsigned rank)
{
	const struct fabric_config config = {
		.self = rank,
		.n_peers = 2,
		.spin_us = 20,
	};
	struct error err;

	*end = (struct end){ .n_received = 0 };
	must(loop_create(&end->loop) == SC_OK, "loop");
	must(ucx_port_open(end->loop, &end->port, &err) == SC_OK, "port");
	must(frame_pool_create(N_POOL, MAX_PAYLOAD, &end->pool) == SC_OK, "pool");
	must(fabric_ucx_open(end->port, &config, &end->fabric, &err) == SC_OK, "open");
}

static void end_connect(struct end *end, int fd)
{
	const void *address;
	uint64_t n_bytes, n_peer;
	size_t n;
	char *peer;

	fabric_address(end->fabric, &address, &n);
	n_bytes = n;
	write_all(fd, &n_bytes, sizeof n_bytes);
	write_all(fd, address, n);
	read_all(fd, &n_peer, sizeof n_peer);
	must(n_peer < 65536, "address size");
	peer = malloc(n_peer);
	read_all(fd, peer, n_peer);
	must(fabric_connect(end->fabric, !end->fabric->config.self, peer, n_peer, &link_config,
			    &events, end, &end->link, NULL) == SC_OK, "connect");
	free(peer);
}

static void end_close(struct end *end)
{
	fabric_close(end->fabric);
	ucx_port_close(end->port);
	must(frame_pool_n_free(end->pool) == N_POOL, "frames are lost");
	frame_pool_destroy(end->pool);
	loop_destroy(end->loop);
}

static void send_some(struct end *end, enum traffic traffic)
{
	struct frame *frame;

	while (traffic != TRAFFIC_NONE && (frame = frame_take(end->pool, FRAME_STEP))) {
		frame->n_bytes = traffic == TRAFFIC_LARGE ? MAX_PAYLOAD : 5000;
		if (link_send(end->link, frame) != SC_OK) {
			frame_release(frame);
			return;
		}
		end->n_sent++;
	}
}

static void on_tick(void *arg)
{
	(void)arg;
}

/* Turn until it is true; that it does not become true in time fails the test. */
#define turn_until(end, condition, traffic)                                               \
	do {                                                                              \
		uint64_t limit = clock_ns() + PATIENCE_NS;                                \
		struct timer *tick;                                                       \
		bool is_true;                                                             \
		must(timer_create_on((end)->loop, on_tick, NULL, &tick) == SC_OK, "timer"); \
		timer_start(tick, 1, 1);                                                  \
		while (!(is_true = (condition)) && clock_ns() < limit) {                  \
			send_some(end, traffic);                                          \
			loop_turn((end)->loop, true);                                     \
		}                                                                         \
		timer_destroy(tick);                                                      \
		must(is_true, #condition);                                                \
	} while (0)

/* The peer: sends as told until it is killed, or says goodbye after its n-th frame. */
static int child_main(int fd, enum traffic traffic, unsigned n_frames)
{
	struct end end;
	unsigned n_sent = 0;

	alarm(CHILD_PATIENCE_S);
	end_open(&end, 1);
	end_connect(&end, fd);
	turn_until(&end, end.n_received > 0, TRAFFIC_NONE);
	write_all(fd, "r", 1);
	if (!n_frames)
		turn_until(&end, end.n_down, traffic);
	while (n_sent < n_frames) {
		struct frame *frame = frame_take(end.pool, FRAME_STEP);

		if (frame) {
			frame->n_bytes = n_sent % 2 ? MAX_PAYLOAD : 100;
			if (link_send(end.link, frame) == SC_OK)
				n_sent++;
			else
				frame_release(frame);
		}
		loop_turn(end.loop, false);
	}
	end_close(&end);
	return 0;
}

static struct child start_peer(enum traffic traffic, unsigned n_frames)
{
	char traffic_text[16], n_text[16];

	snprintf(traffic_text, sizeof traffic_text, "%d", (int)traffic);
	snprintf(n_text, sizeof n_text, "%u", n_frames);
	return child_start(traffic_text, n_text, NULL);
}

/* Both talk: a frame went there, and its ready came back. */
static void meet(struct end *end, const struct child *child)
{
	struct frame *frame = frame_take(end->pool, FRAME_TOKENS);
	char ready;

	assert_non_null(frame);
	turn_until(end, link_send(end->link, frame) == SC_OK, TRAFFIC_NONE);
	turn_until(end, recv(child->fd, &ready, 1, MSG_DONTWAIT) == 1, TRAFFIC_NONE);
}

static void kill_and_survive(struct end *end, const char *tls, enum traffic ours,
			     enum traffic theirs)
{
	struct child child = start_peer(theirs, 0);
	uint64_t died_ns;

	end_connect(end, child.fd);
	meet(end, &child);
	if (theirs != TRAFFIC_NONE)
		turn_until(end, end->n_received > 20, ours);
	else if (ours != TRAFFIC_NONE)
		turn_until(end, end->n_sent > 20, ours);
	kill(child.pid, SIGKILL);
	died_ns = clock_ns();
	/* A zombie still has its entry in /proc, where UCX looks for peers in shared memory. */
	child_end(&child, true);
	turn_until(end, end->n_down, ours);
	print_message("%s: down after %.0f ms: %s\n", tls,
		      clock_seconds(clock_ns() - died_ns) * 1e3, end->why);
	assert_int_equal(end->n_down, 1);
	assert_int_equal(end->down_status, SC_E_CLOSED);
	assert_non_null(strstr(end->why, "connection reset"));
}

static void kill_while(enum traffic ours, enum traffic theirs)
{
	for (unsigned i = 0; i < N_TRANSPORTS; i++) {
		struct end end;

		setenv("UCX_TLS", transports[i], 1);
		end_open(&end, 0);
		kill_and_survive(&end, transports[i], ours, theirs);
		end_close(&end);
	}
}

static void killed_idle_peer_is_noticed(void **state)
{
	(void)state;
	kill_while(TRAFFIC_NONE, TRAFFIC_NONE);
}

static void killed_sender_of_small_frames_is_noticed(void **state)
{
	(void)state;
	kill_while(TRAFFIC_NONE, TRAFFIC_SMALL);
}

static void killed_sender_of_large_frames_is_noticed(void **state)
{
	(void)state;
	kill_while(TRAFFIC_NONE, TRAFFIC_LARGE);
}

static void killed_receiver_of_small_frames_is_noticed(void **state)
{
	(void)state;
	kill_while(TRAFFIC_SMALL, TRAFFIC_NONE);
}

static void killed_receiver_of_large_frames_is_noticed(void **state)
{
	(void)state;
	kill_while(TRAFFIC_LARGE, TRAFFIC_NONE);
}

static void killed_peer_of_a_busy_link_is_noticed(void **state)
{
	(void)state;
	kill_while(TRAFFIC_LARGE, TRAFFIC_LARGE);
}

/* Not in shared memory: see fabric_ucx_open. */
static void another_takes_the_place_of_a_killed_peer(void **state)
{
	struct end end;

	(void)state;
	setenv("UCX_TLS", transports[TCP], 1);
	end_open(&end, 0);
	for (int life = 0; life < 4; life++) {
		kill_and_survive(&end, transports[TCP], TRAFFIC_LARGE, TRAFFIC_LARGE);
		link_close(end.link);
		end.n_down = 0;
		end.n_sent = 0;
		end.n_received = 0;
	}
	end_close(&end);
}

static void peer_that_leaves_in_order_has_sent_everything(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_TRANSPORTS; i++) {
		struct child child;
		struct end end;

		setenv("UCX_TLS", transports[i], 1);
		end_open(&end, 0);
		child = start_peer(TRAFFIC_NONE, 101);
		end_connect(&end, child.fd);
		meet(&end, &child);
		turn_until(&end, end.n_down, TRAFFIC_NONE);
		assert_int_equal(end.n_received, 101);
		assert_int_equal(end.n_down, 1);
		assert_string_equal(end.why, "closed by the peer");
		child_end(&child, false);
		end_close(&end);
	}
}

/* Nothing waits for the peer: the fabric is parked. What it cannot send comes back in the end. */
static void closing_does_not_wait_for_a_hung_peer(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_TRANSPORTS; i++) {
		struct child child;
		struct end end;
		uint64_t begin_ns;

		setenv("UCX_TLS", transports[i], 1);
		end_open(&end, 0);
		child = start_peer(TRAFFIC_NONE, 0);
		end_connect(&end, child.fd);
		meet(&end, &child);
		kill(child.pid, SIGSTOP);
		send_some(&end, TRAFFIC_LARGE);
		begin_ns = clock_ns();
		fabric_close(end.fabric);
		end.fabric = NULL;
		assert_int_equal(ucx_port_n_parked(end.port), 1);
		print_message("%s: closed after %.1f ms\n", transports[i],
			      clock_seconds(clock_ns() - begin_ns) * 1e3);
		turn_until(&end, !ucx_port_n_parked(end.port), TRAFFIC_NONE);
		print_message("%s: gone after %.0f ms\n", transports[i],
			      clock_seconds(clock_ns() - begin_ns) * 1e3);
		end_close(&end);
		kill(child.pid, SIGKILL);
		child_end(&child, true);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_idle_peer_is_noticed),
		cmocka_unit_test(killed_sender_of_small_frames_is_noticed),
		cmocka_unit_test(killed_sender_of_large_frames_is_noticed),
		cmocka_unit_test(killed_receiver_of_small_frames_is_noticed),
		cmocka_unit_test(killed_receiver_of_large_frames_is_noticed),
		cmocka_unit_test(killed_peer_of_a_busy_link_is_noticed),
		cmocka_unit_test(another_takes_the_place_of_a_killed_peer),
		cmocka_unit_test(peer_that_leaves_in_order_has_sent_everything),
		cmocka_unit_test(closing_does_not_wait_for_a_hung_peer),
	};

	ucx_env_prepare(argv);
	setenv("UCX_NET_DEVICES", "lo", 1);
	if (argc == 4)
		return child_main(atoi(argv[1]), (enum traffic)atoi(argv[2]),
				  (unsigned)atoi(argv[3]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
