/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs over UCX: three processes send each other frames in shared memory, all the time. One of
 * them is killed or stopped at a random moment; the other two close their fabrics, open new ones,
 * and go on with another process in its place. This process is peer 0. The others are this program
 * again; the socket to each carries addresses and orders.
 */
#include "base/clock.h"
#include "tests/sanitizer.h"
#include "tests/transport/child.h"
#include "transport/fabrics.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define N_PEERS 3
#define VICTIM 2
#define MAX_PAYLOAD 6000
#define CREDITS 8
#define N_FRAMES 64
#define MAX_ADDRESS 4096
#define PATIENCE_NS (60 * NS_PER_SECOND)
#define CHILD_PATIENCE_S 300
/* Growth that is no leak: what UCX, libuv and the allocator keep for later. */
#define SPARE_BYTES ((size_t)24 << 20)

/* One process in one epoch after the other. */
struct node {
	unsigned self;
	struct loop *loop;
	struct ucx_port *port;
	struct fabric *fabric;
	struct link *links[N_PEERS];
	struct frame_pool *pool;
	struct timer *tick;
	uint64_t n_received[N_PEERS];
	unsigned n_down[N_PEERS];
};

static void send_some(struct node *node, struct link *link)
{
	struct frame *frame;

	while ((frame = frame_take(node->pool, FRAME_STEP))) {
		frame->n_bytes = (uint32_t)(node->n_received[link_peer(link)] * 37 % MAX_PAYLOAD);
		if (link_send(link, frame) == SC_OK)
			continue;
		frame_release(frame);
		return;
	}
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct node *node = arg;

	node->n_received[link_peer(link)]++;
	frame_release(frame);
}

static void on_credit(void *arg, struct link *link)
{
	send_some(arg, link);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct node *node = arg;
	unsigned peer = link_peer(link);

	(void)status;
	(void)why;
	node->n_down[peer]++;
	node->links[peer] = NULL;
	link_close(link);
}

static const struct link_events events = { on_frame, on_credit, on_down };

/* The pool's frames may all have been under way. */
static void on_tick(void *arg)
{
	struct node *node = arg;

	for (unsigned i = 0; i < N_PEERS; i++)
		if (node->links[i])
			send_some(node, node->links[i]);
}

static void node_init(struct node *node, unsigned self)
{
	struct error err;

	*node = (struct node){ .self = self };
	must(loop_create(&node->loop) == SC_OK, "loop");
	must(ucx_port_open(node->loop, &node->port, &err) == SC_OK, "port");
	must(timer_create_on(node->loop, on_tick, node, &node->tick) == SC_OK, "timer");
	must(frame_pool_create(N_FRAMES, MAX_PAYLOAD, &node->pool) == SC_OK, "pool");
	timer_start(node->tick, 1, 1);
}

static void node_deinit(struct node *node)
{
	ucx_port_close(node->port);
	timer_destroy(node->tick);
	must(frame_pool_n_free(node->pool) == N_FRAMES, "frames are lost");
	frame_pool_destroy(node->pool);
	loop_destroy(node->loop);
}

static void node_open(struct node *node)
{
	const struct fabric_config config = { .self = node->self, .n_peers = N_PEERS };
	struct error err;

	memset(node->n_received, 0, sizeof node->n_received);
	memset(node->n_down, 0, sizeof node->n_down);
	if (fabric_ucx_open(node->port, &config, &node->fabric, &err) != SC_OK)
		must(false, err.text);
}

static void node_close(struct node *node)
{
	fabric_close(node->fabric);
	node->fabric = NULL;
	memset(node->links, 0, sizeof node->links);
}

static void node_connect(struct node *node, unsigned peer, const void *address, size_t n_bytes)
{
	const struct link_config config = { .max_payload = MAX_PAYLOAD, .credits = CREDITS };
	struct error err;

	if (fabric_connect(node->fabric, peer, address, n_bytes, &config, &events, node,
			   &node->links[peer], &err) != SC_OK)
		must(false, err.text);
}

struct address {
	uint32_t n_bytes;
	uint8_t bytes[MAX_ADDRESS];
};

static void node_address(const struct node *node, struct address *out)
{
	const void *bytes;
	size_t n_bytes;

	fabric_address(node->fabric, &bytes, &n_bytes);
	must(n_bytes <= sizeof out->bytes, "address size");
	*out = (struct address){ .n_bytes = (uint32_t)n_bytes };
	memcpy(out->bytes, bytes, n_bytes);
}

/* Children */

enum order { ORDER_OPEN = 'o', ORDER_CLOSE = 'c', ORDER_REPORT = 'r', ORDER_END = 'e' };

static void open_epoch(struct node *node, int fd)
{
	struct address addresses[N_PEERS];

	node_open(node);
	node_address(node, &addresses[node->self]);
	write_all(fd, &addresses[node->self], sizeof addresses[0]);
	read_all(fd, addresses, sizeof addresses);
	for (unsigned i = 0; i < N_PEERS; i++)
		if (i != node->self)
			node_connect(node, i, addresses[i].bytes, addresses[i].n_bytes);
}

/* Once no closed fabric is left. */
static struct holdings make_report(struct node *node)
{
	while (ucx_port_n_parked(node->port))
		loop_turn(node->loop, true);
	return count_holdings();
}

static void obey(struct node *node, int fd, char order)
{
	struct holdings report;

	if (order == ORDER_OPEN) {
		open_epoch(node, fd);
	} else if (order == ORDER_CLOSE) {
		node_close(node);
		write_all(fd, "c", 1);
	} else {
		report = make_report(node);
		write_all(fd, &report, sizeof report);
	}
}

static int child_main(int fd, unsigned self)
{
	struct node node;
	char order;

	alarm(CHILD_PATIENCE_S);
	node_init(&node, self);
	for (;;) {
		while (recv(fd, &order, 1, MSG_DONTWAIT) != 1)
			loop_turn(node.loop, true);
		if (order == ORDER_END)
			break;
		obey(&node, fd, order);
	}
	node_deinit(&node);
	return 0;
}

static struct child start(unsigned self)
{
	char text[16];

	snprintf(text, sizeof text, "%u", self);
	return child_start(text, NULL);
}

/* The parent */

struct cluster {
	struct node node;
	struct child children[N_PEERS];	/* from 1 on */
};

static void order(const struct child *child, enum order order)
{
	char byte = (char)order;

	write_all(child->fd, &byte, 1);
}

static void begin_epoch(struct cluster *cluster)
{
	struct address addresses[N_PEERS];

	node_open(&cluster->node);
	node_address(&cluster->node, &addresses[0]);
	for (unsigned i = 1; i < N_PEERS; i++) {
		order(&cluster->children[i], ORDER_OPEN);
		read_all(cluster->children[i].fd, &addresses[i], sizeof addresses[i]);
	}
	for (unsigned i = 1; i < N_PEERS; i++) {
		write_all(cluster->children[i].fd, addresses, sizeof addresses);
		node_connect(&cluster->node, i, addresses[i].bytes, addresses[i].n_bytes);
	}
}

#define turn_until(node, condition)                                                       \
	do {                                                                              \
		uint64_t limit_ns_ = clock_ns() + PATIENCE_NS;                            \
		bool is_true_;                                                            \
		while (!(is_true_ = (condition)) && clock_ns() < limit_ns_)               \
			loop_turn((node)->loop, true);                                    \
		must(is_true_, #condition);                                               \
	} while (0)

/* Frames come from everybody: no queue is dead. */
static void talk(struct node *node, unsigned n_frames)
{
	turn_until(node, node->n_received[1] >= n_frames && node->n_received[2] >= n_frames);
}

static void nap_randomly(void)
{
	const struct timespec nap = { .tv_nsec = rand() % 300000 };

	nanosleep(&nap, NULL);
}

static void end_epoch(struct cluster *cluster, bool has_victim)
{
	node_close(&cluster->node);
	for (unsigned i = 1; i < (has_victim ? N_PEERS : VICTIM); i++) {
		char closed;

		order(&cluster->children[i], ORDER_CLOSE);
		turn_until(&cluster->node,
			   recv(cluster->children[i].fd, &closed, 1, MSG_DONTWAIT) == 1);
	}
}

static void start_cluster(struct cluster *cluster)
{
	node_init(&cluster->node, 0);
	for (unsigned i = 1; i < N_PEERS; i++)
		cluster->children[i] = start(i);
}

static void end_cluster(struct cluster *cluster)
{
	for (unsigned i = 1; i < N_PEERS; i++) {
		order(&cluster->children[i], ORDER_END);
		child_end(&cluster->children[i], false);
	}
	node_deinit(&cluster->node);
}

/* What each life may not add to, in this process and in the other survivor. The first lives fill
 * caches. */
struct baseline {
	struct holdings survivors[2];
};

static struct baseline take_baseline(struct cluster *cluster)
{
	struct baseline baseline = { { make_report(&cluster->node) } };
	struct holdings *other = &baseline.survivors[1];

	order(&cluster->children[1], ORDER_REPORT);
	turn_until(&cluster->node,
		   recv(cluster->children[1].fd, other, sizeof *other, MSG_DONTWAIT) > 0);
	return baseline;
}

static void assert_flat(const struct baseline *first, const struct baseline *last, unsigned n)
{
	for (int i = 0; i < 2; i++) {
		const struct holdings *a = &first->survivors[i], *b = &last->survivors[i];

		print_message("%u lives, survivor %d: descriptors %u -> %u, shared mappings %u -> "
			      "%u, resident %zu -> %zu KiB\n", n, i, a->n_descriptors,
			      b->n_descriptors, a->n_shared, b->n_shared, a->n_bytes >> 10,
			      b->n_bytes >> 10);
		assert_int_equal(a->n_descriptors, b->n_descriptors);
		assert_int_equal(a->n_shared, b->n_shared);
		assert_true(b->n_bytes < a->n_bytes + SPARE_BYTES);
	}
}

#define WARM_LIVES 4

/* Whether nothing comes from the living peer either. */
static bool is_deaf(struct node *node)
{
	uint64_t limit_ns = clock_ns() + 100 * NS_PER_MS;
	uint64_t n_before = node->n_received[1];

	while (node->n_received[1] == n_before && clock_ns() < limit_ns)
		loop_turn(node->loop, true);
	return node->n_received[1] == n_before;
}

static void survivors_of_a_killed_writer_go_on_with_another(void **state)
{
	const unsigned n_lives = HAS_ASAN || HAS_TSAN ? 8 : 30;
	struct baseline first = { 0 }, last = { 0 };
	struct cluster cluster;
	unsigned n_deaf = 0;

	(void)state;
	start_cluster(&cluster);
	for (unsigned life = 0; life < n_lives; life++) {
		begin_epoch(&cluster);
		talk(&cluster.node, 1 + (unsigned)rand() % 300);
		nap_randomly();
		kill(cluster.children[VICTIM].pid, SIGKILL);
		child_end(&cluster.children[VICTIM], true);
		/* Half of the time somebody else has told of the death before UCX does. */
		if (life % 2) {
			turn_until(&cluster.node, cluster.node.n_down[VICTIM]);
			n_deaf += is_deaf(&cluster.node);
		}
		end_epoch(&cluster, false);
		cluster.children[VICTIM] = start(VICTIM);
		if (life == WARM_LIVES)
			first = take_baseline(&cluster);
	}
	last = take_baseline(&cluster);
	print_message("queues that the victim left unusable: %u of %u\n", n_deaf, n_lives / 2);
	assert_flat(&first, &last, n_lives);
	end_cluster(&cluster);
}

/* A stopped process, and one that was declared dead by mistake and writes on. */
static void survivors_of_a_stopped_peer_go_on_with_another(void **state)
{
	struct cluster cluster;

	(void)state;
	start_cluster(&cluster);
	for (unsigned life = 0; life < 3; life++) {
		struct child stopped;

		begin_epoch(&cluster);
		talk(&cluster.node, 100);
		stopped = cluster.children[VICTIM];
		if (life < 2)
			kill(stopped.pid, SIGSTOP);
		end_epoch(&cluster, false);
		cluster.children[VICTIM] = start(VICTIM);
		begin_epoch(&cluster);
		talk(&cluster.node, 100);
		if (life == 1)
			kill(stopped.pid, SIGCONT);
		talk(&cluster.node, 300);
		kill(stopped.pid, SIGKILL);
		child_end(&stopped, true);
		talk(&cluster.node, 500);
		assert_int_equal(cluster.node.n_down[1] + cluster.node.n_down[2], 0);
		end_epoch(&cluster, true);
	}
	end_cluster(&cluster);
}

static void epochs_without_a_loss_follow_each_other(void **state)
{
	const unsigned n_lives = HAS_ASAN || HAS_TSAN ? 10 : 60;
	struct baseline first = { 0 }, last = { 0 };
	struct cluster cluster;

	(void)state;
	start_cluster(&cluster);
	for (unsigned life = 0; life < n_lives; life++) {
		begin_epoch(&cluster);
		talk(&cluster.node, 20);
		end_epoch(&cluster, true);
		if (life == WARM_LIVES)
			first = take_baseline(&cluster);
	}
	last = take_baseline(&cluster);
	assert_flat(&first, &last, n_lives);
	end_cluster(&cluster);
}

static void over(const char *tls)
{
	setenv("UCX_TLS", tls, 1);
}

static int on_posix(void **state)
{
	(void)state;
	over("posix,self");
	return 0;
}

static int on_tcp(void **state)
{
	(void)state;
	over("tcp,self");
	return 0;
}

int main(int argc, char **argv)
{
#define TEST_ON(name, setup) { #name " (" #setup ")", name, setup, NULL, NULL }
	const struct CMUnitTest tests[] = {
		TEST_ON(survivors_of_a_killed_writer_go_on_with_another, on_posix),
		TEST_ON(survivors_of_a_killed_writer_go_on_with_another, on_tcp),
		TEST_ON(survivors_of_a_stopped_peer_go_on_with_another, on_posix),
		TEST_ON(survivors_of_a_stopped_peer_go_on_with_another, on_tcp),
		TEST_ON(epochs_without_a_loss_follow_each_other, on_posix),
		TEST_ON(epochs_without_a_loss_follow_each_other, on_tcp),
	};

	ucx_env_prepare(argv);
	setenv("UCX_NET_DEVICES", "lo", 1);
	if (argc == 3)
		return child_main(atoi(argv[1]), (unsigned)atoi(argv[2]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
