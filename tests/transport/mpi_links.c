/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mpi_links ucx|mpi - run under mpirun by run_mpi.sh: ranks form a ring, frames of many sizes go
 * round it, several at once. Every rank checks order and content of each; rank 0 also that each
 * comes back from everyone. Prints the time of a hop, hot and after a pause, and what a second of
 * waiting costs.
 */
#include "base/clock.h"
#include "base/log.h"
#include "transport/fabrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_PAYLOAD (3u << 20)
#define CREDITS 6
#define N_IN_FLIGHT 4
#define N_ROUNDS 400
#define N_HOT 2000
#define N_COLD 20
#define COLD_GAP_MS 30
#define WAIT_MS 1000
#define MAX_WAITING 64

enum phase { PHASE_SIZES, PHASE_HOT, PHASE_COLD, PHASE_WAIT, PHASE_END, PHASE_OVER };

struct node {
	unsigned rank;
	unsigned n_ranks;
	struct loop *loop;
	struct ucx_port *port;
	struct fabric *fabric;
	struct link *from;	/* the rank before; the same as to when there are two ranks */
	struct link *to;
	struct frame_pool *pool;
	struct timer *timer;
	struct frame *waiting[MAX_WAITING];	/* for credit, oldest first */
	unsigned n_waiting;
	unsigned n_seen;
	enum phase phase;	/* of rank 0 */
	unsigned n_started;
	unsigned n_back;
	uint64_t phase_ns;
	uint64_t started_ns;
	uint64_t cold_ns;
	double cpu_s;
	bool is_over;
};

/* What each frame begins with. */
struct stamp {
	uint32_t number;	/* from 0, over the whole run */
	uint32_t n_hops;
	uint32_t is_last;
};

static void fail(const struct node *node, const char *what)
{
	fprintf(stderr, "rank %u: %s\n", node->rank, what);
	_exit(1);
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static uint32_t size_of(uint32_t number)
{
	static const uint32_t sizes[] = { 12, 1000, 8192, 65536, 100001, 1u << 20, MAX_PAYLOAD };

	return number < N_ROUNDS ? sizes[number * 5 % 7] : 4096;
}

static uint8_t byte_of(uint32_t number, uint32_t i)
{
	return (uint8_t)(number * 31 + i * 7 + (i >> 9));
}

static void flush_waiting(struct node *node)
{
	unsigned n = 0;

	while (n < node->n_waiting) {
		enum sc_status status = link_send(node->to, node->waiting[n]);

		if (status == SC_AGAIN)
			break;
		if (status != SC_OK)
			fail(node, sc_status_name(status));
		n++;
	}
	node->n_waiting -= n;
	memmove(node->waiting, node->waiting + n, node->n_waiting * sizeof *node->waiting);
}

static void forward(struct node *node, struct frame *frame)
{
	if (node->n_waiting == MAX_WAITING)
		fail(node, "too many frames wait");
	node->waiting[node->n_waiting++] = frame;
	flush_waiting(node);
}

static void start_frame(struct node *node, bool is_last)
{
	struct frame *frame = frame_take(node->pool, is_last ? FRAME_TOKENS : FRAME_STEP);
	const struct stamp stamp = { node->n_started, 1, is_last };
	uint8_t *payload;

	if (!frame)
		fail(node, "no frame is free");
	payload = frame_payload(frame);
	frame->n_bytes = size_of(stamp.number);
	for (uint32_t i = sizeof stamp; i < frame->n_bytes; i++)
		payload[i] = byte_of(stamp.number, i);
	memcpy(payload, &stamp, sizeof stamp);
	node->n_started++;
	node->started_ns = clock_ns();
	forward(node, frame);
}

static struct stamp check(struct node *node, const struct frame *frame)
{
	const uint8_t *payload = frame_payload(frame);
	struct stamp stamp;

	if (frame->n_bytes < sizeof stamp)
		fail(node, "a frame is too short");
	memcpy(&stamp, payload, sizeof stamp);
	if (stamp.number != node->n_seen++)
		fail(node, "a frame is out of order");
	if (frame->n_bytes != size_of(stamp.number))
		fail(node, "a frame has another size");
	for (uint32_t i = sizeof stamp; i < frame->n_bytes; i++)
		if (payload[i] != byte_of(stamp.number, i))
			fail(node, "a frame has another content");
	return stamp;
}

static void begin_phase(struct node *node, enum phase phase)
{
	node->phase = phase;
	node->phase_ns = clock_ns();
	node->n_back = 0;
	switch (phase) {
	case PHASE_SIZES:
		for (int i = 0; i < N_IN_FLIGHT; i++)
			start_frame(node, false);
		break;
	case PHASE_HOT:
		start_frame(node, false);
		break;
	case PHASE_COLD:
		timer_start(node->timer, COLD_GAP_MS, 0);
		break;
	case PHASE_WAIT:
		node->cpu_s = cpu_seconds();
		timer_start(node->timer, WAIT_MS, 0);
		break;
	case PHASE_END:
		start_frame(node, true);
		break;
	case PHASE_OVER:
		node->is_over = true;
		break;
	}
}

static void on_timer(void *arg)
{
	struct node *node = arg;

	if (node->phase == PHASE_COLD) {
		start_frame(node, false);
		return;
	}
	printf("  %s: waiting for 1 s took %.1f ms of processor time\n",
	       fabric_name(node->fabric), (cpu_seconds() - node->cpu_s) * 1e3);
	begin_phase(node, PHASE_END);
}

static double hop_us(const struct node *node, uint64_t ns, unsigned n)
{
	return (double)ns * 1e-3 / n / node->n_ranks;
}

/* Rank 0: a frame went all the way round. */
static void come_back(struct node *node)
{
	const char *name = fabric_name(node->fabric);

	node->n_back++;
	if (node->phase == PHASE_SIZES) {
		if (node->n_started < N_ROUNDS)
			start_frame(node, false);
		else if (node->n_back == N_ROUNDS)
			begin_phase(node, PHASE_HOT);
	} else if (node->phase == PHASE_HOT) {
		if (node->n_back < N_HOT) {
			start_frame(node, false);
			return;
		}
		printf("  %s: 4 KB hop, hot: %.1f us\n", name,
		       hop_us(node, clock_ns() - node->phase_ns, N_HOT));
		begin_phase(node, PHASE_COLD);
	} else if (node->phase == PHASE_COLD) {
		node->cold_ns += clock_ns() - node->started_ns;
		if (node->n_back < N_COLD) {
			timer_start(node->timer, COLD_GAP_MS, 0);
			return;
		}
		printf("  %s: 4 KB hop, after %d ms of silence: %.1f us\n", name, COLD_GAP_MS,
		       hop_us(node, node->cold_ns, N_COLD));
		begin_phase(node, PHASE_WAIT);
	} else {
		begin_phase(node, PHASE_OVER);
	}
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct node *node = arg;
	struct stamp stamp = check(node, frame);

	if (link != node->from)
		fail(node, "a frame came from the wrong side");
	if (node->rank == 0) {
		if (stamp.n_hops != node->n_ranks)
			fail(node, "a frame has missed a rank");
		frame_release(frame);
		come_back(node);
		return;
	}
	stamp.n_hops++;
	memcpy(frame_payload(frame), &stamp, sizeof stamp);
	forward(node, frame);
	node->is_over = stamp.is_last;
}

static void on_credit(void *arg, struct link *link)
{
	struct node *node = arg;

	if (link == node->to)
		flush_waiting(node);
}

/* Ranks end one after the other: only what comes before the last frame is wrong. */
static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct node *node = arg;

	(void)link;
	if (node->is_over || (node->rank == 0 && node->phase == PHASE_OVER))
		return;
	if (link == node->to && strcmp(why, "closed by the peer") == 0)
		return;
	fprintf(stderr, "rank %u: %s: %s\n", node->rank, sc_status_name(status), why);
	_exit(1);
}

static const struct link_events events = { on_frame, on_credit, on_down };

static struct link *connect_to(struct node *node, const struct mpi_blob *blobs, unsigned peer)
{
	const struct link_config config = { .max_payload = MAX_PAYLOAD, .credits = CREDITS };
	struct link *link;
	struct error err;

	if (fabric_connect(node->fabric, peer, blobs[peer].data, blobs[peer].n_bytes, &config,
			   &events, node, &link, &err) != SC_OK)
		fail(node, err.text);
	return link;
}

static void join(struct node *node, struct mpi_world *world)
{
	unsigned before = (node->rank + node->n_ranks - 1) % node->n_ranks;
	unsigned after = (node->rank + 1) % node->n_ranks;
	struct mpi_blob *blobs;
	struct error err;
	const void *address;
	size_t n_bytes;

	fabric_address(node->fabric, &address, &n_bytes);
	if (mpi_world_exchange(world, address, n_bytes, &blobs, &err) != SC_OK)
		fail(node, err.text);
	node->to = connect_to(node, blobs, after);
	node->from = before == after ? node->to : connect_to(node, blobs, before);
	mpi_world_free(blobs);
}

static void node_open(struct node *node, struct mpi_world *world, bool is_mpi)
{
	const struct fabric_config config = {
		.self = node->rank,
		.n_peers = node->n_ranks,
		.spin_us = 50,
	};
	enum sc_status status;
	struct error err;

	if (loop_create(&node->loop) != SC_OK ||
	    timer_create_on(node->loop, on_timer, node, &node->timer) != SC_OK ||
	    ucx_port_open(node->loop, &node->port, &err) != SC_OK ||
	    frame_pool_create(N_IN_FLIGHT * 2, MAX_PAYLOAD, &node->pool) != SC_OK)
		fail(node, "no memory");
	status = is_mpi ? fabric_mpi_open(node->loop, world, &config, &node->fabric, &err)
			: fabric_ucx_open(node->port, &config, &node->fabric, &err);
	if (status != SC_OK)
		fail(node, err.text);
}

int main(int argc, char **argv)
{
	struct node node = { .rank = 0 };
	struct mpi_world *world;
	struct error err;
	unsigned rank, size;
	bool is_mpi;

	ucx_env_prepare(argv);
	if (argc != 2 || !mpi_world_is_launched(&rank, &size) || size < 2) {
		fprintf(stderr, "usage: mpirun -n N mpi_links ucx|mpi\n");
		return 64;
	}
	is_mpi = strcmp(argv[1], "mpi") == 0;
	if (mpi_world_open(&world, &err) != SC_OK)
		fail(&node, err.text);
	node.rank = mpi_world_rank(world);
	node.n_ranks = mpi_world_size(world);
	if (node.rank != rank || node.n_ranks != size)
		fail(&node, "the launcher's variables tell another rank");
	node_open(&node, world, is_mpi);
	join(&node, world);
	if (!is_mpi)
		mpi_world_close(world);
	if (node.rank == 0)
		begin_phase(&node, PHASE_SIZES);
	while (!node.is_over || node.n_waiting)
		loop_turn(node.loop, true);
	fabric_close(node.fabric);
	ucx_port_close(node.port);
	if (is_mpi)
		mpi_world_close(world);
	if (frame_pool_n_free(node.pool) != N_IN_FLIGHT * 2)
		fail(&node, "frames are lost");
	frame_pool_destroy(node.pool);
	timer_destroy(node.timer);
	loop_destroy(node.loop);
	if (node.rank == 0)
		printf("  %s: %u frames went round %u ranks\n", argv[1], node.n_started, size);
	return 0;
}
