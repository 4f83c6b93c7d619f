/* SPDX-License-Identifier: Apache-2.0 */
/*
 * links loopback|ucx|mpi [NAME] - one row of a table: half a round trip in microseconds (median
 * and 99th percentile) and bandwidth in MB/s, per frame size, between two threads (loopback) or
 * two ranks of mpirun. links --head prints the head of the table. See links.sh.
 */
#include "base/clock.h"
#include "transport/fabrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDITS 16
#define SPIN_US 50
#define MAX_PAYLOAD (1u << 20)
#define N_SIZES 4
#define N_WARM 50

static const struct {
	const char *name;
	uint32_t n_bytes;
	unsigned n_trips;
	unsigned n_stream;
} sizes[N_SIZES] = {
	{ "1 KB", 1 << 10, 4000, 50000 },
	{ "8 KB", 8 << 10, 4000, 20000 },
	{ "64 KB", 64 << 10, 2000, 5000 },
	{ "1 MB", 1 << 20, 300, 500 },
};

/* The echo: STEP is sent back unchanged, TOKENS is only counted, CONTROL is sent back empty. A
 * CONTROL frame of epoch 1 is the last. */
struct end {
	struct loop *loop;
	struct ucx_port *port;
	struct fabric *fabric;
	struct link *link;
	struct frame_pool *pool;
	struct frame *waiting;		/* for credit */
	unsigned n_back;
	bool is_over;
};

static void die(const char *what)
{
	fprintf(stderr, "links: %s\n", what);
	exit(1);
}

static void send_or_wait(struct end *end, struct frame *frame)
{
	enum sc_status status = link_send(end->link, frame);

	if (status == SC_AGAIN)
		end->waiting = frame;
	else if (status != SC_OK)
		die(sc_status_name(status));
}

static void on_credit(void *arg, struct link *link)
{
	struct end *end = arg;
	struct frame *frame = end->waiting;

	(void)link;
	end->waiting = NULL;
	if (frame)
		send_or_wait(end, frame);
}

static void answer(struct end *end, struct frame *frame)
{
	end->is_over = frame->epoch;
	if (frame->type == FRAME_TOKENS) {
		frame_release(frame);
		return;
	}
	send_or_wait(end, frame);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct end *end = arg;

	if (link->fabric->config.self == 1) {
		answer(end, frame);
		return;
	}
	end->n_back++;
	frame_release(frame);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	struct end *end = arg;

	(void)link;
	(void)status;
	if (!end->is_over)
		die(why);
}

static const struct link_events events = { on_frame, on_credit, on_down };

static struct frame *take(struct end *end, enum frame_type type, uint32_t n_bytes)
{
	struct frame *frame;

	while (!(frame = frame_take(end->pool, type)))
		loop_turn(end->loop, true);
	frame->n_bytes = n_bytes;
	return frame;
}

static void send_now(struct end *end, struct frame *frame)
{
	send_or_wait(end, frame);
	while (end->waiting)
		loop_turn(end->loop, true);
}

static double round_trip_us(struct end *end, enum frame_type type, uint32_t n_bytes)
{
	uint64_t begin_ns = clock_ns();
	unsigned n_back = end->n_back;

	send_now(end, take(end, type, n_bytes));
	while (end->n_back == n_back)
		loop_turn(end->loop, true);
	return (double)(clock_ns() - begin_ns) * 1e-3;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_latency(struct end *end, int i)
{
	static double times[8192];
	unsigned n = sizes[i].n_trips;

	for (unsigned k = 0; k < N_WARM; k++)
		(void)round_trip_us(end, FRAME_STEP, sizes[i].n_bytes);
	for (unsigned k = 0; k < n; k++)
		times[k] = round_trip_us(end, FRAME_STEP, sizes[i].n_bytes) / 2;
	qsort(times, n, sizeof *times, compare_doubles);
	printf(" %.1f (%.0f) |", times[n / 2], times[n * 99 / 100]);
	fflush(stdout);
}

static void print_bandwidth(struct end *end, int i)
{
	uint64_t begin_ns = clock_ns();

	for (unsigned k = 0; k < sizes[i].n_stream; k++)
		send_now(end, take(end, FRAME_TOKENS, sizes[i].n_bytes));
	(void)round_trip_us(end, FRAME_STEP, 0);
	printf(" %.0f |", (double)sizes[i].n_bytes * sizes[i].n_stream * 1e3 /
			  (double)(clock_ns() - begin_ns));
	fflush(stdout);
}

static void measure(struct end *end, const char *name)
{
	struct frame *last;

	printf("| %s |", name);
	for (int i = 0; i < N_SIZES; i++)
		print_latency(end, i);
	for (int i = 0; i < N_SIZES; i++)
		print_bandwidth(end, i);
	printf("\n");
	last = take(end, FRAME_TOKENS, 0);
	last->epoch = 1;
	end->is_over = true;
	send_now(end, last);
}

static void end_open(struct end *end, unsigned rank, struct loopback_hub *hub,
		     struct mpi_world *world)
{
	const struct fabric_config config = {
		.self = rank,
		.n_peers = 2,
		.spin_us = SPIN_US,
	};
	enum sc_status status;
	struct error err = { .text = "no memory" };

	if (loop_create(&end->loop) != SC_OK ||
	    ucx_port_open(end->loop, &end->port, &err) != SC_OK ||
	    frame_pool_create(CREDITS + 2, MAX_PAYLOAD, &end->pool) != SC_OK)
		die(err.text);
	if (hub)
		status = fabric_loopback_open(end->loop, hub, &config, &end->fabric, &err);
	else if (world)
		status = fabric_mpi_open(end->loop, world, &config, &end->fabric, &err);
	else
		status = fabric_ucx_open(end->port, &config, &end->fabric, &err);
	if (status != SC_OK)
		die(err.text);
}

static void end_connect(struct end *end, const void *address, size_t n_bytes)
{
	const struct link_config config = { .max_payload = MAX_PAYLOAD, .credits = CREDITS };
	struct error err;

	if (fabric_connect(end->fabric, !end->fabric->config.self, address, n_bytes, &config,
			   &events, end, &end->link, &err) != SC_OK)
		die(err.text);
}

static void *serve(void *arg)
{
	struct end *end = arg;

	while (!end->is_over || end->waiting)
		loop_turn(end->loop, true);
	return NULL;
}

static void end_close(struct end *end)
{
	fabric_close(end->fabric);
	ucx_port_close(end->port);
	frame_pool_destroy(end->pool);
	loop_destroy(end->loop);
}

static void run_loopback(const char *name)
{
	struct end ends[2] = { { .n_back = 0 } };
	struct loopback_hub *hub;
	pthread_t thread;

	if (loopback_hub_create(&hub) != SC_OK)
		die("no memory");
	for (unsigned i = 0; i < 2; i++)
		end_open(&ends[i], i, hub, NULL);
	for (unsigned i = 0; i < 2; i++) {
		const void *address;
		size_t n_bytes;

		fabric_address(ends[!i].fabric, &address, &n_bytes);
		end_connect(&ends[i], address, n_bytes);
	}
	if (pthread_create(&thread, NULL, serve, &ends[1]) != 0)
		die("no thread");
	measure(&ends[0], name);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 2; i++)
		end_close(&ends[i]);
	loopback_hub_destroy(hub);
}

static void run_ranks(const char *name, bool is_mpi)
{
	struct end end = { .n_back = 0 };
	struct mpi_world *world;
	struct mpi_blob *blobs;
	const void *address;
	struct error err;
	unsigned rank;
	size_t n_bytes;

	if (mpi_world_open(&world, &err) != SC_OK)
		die(err.text);
	rank = mpi_world_rank(world);
	if (mpi_world_size(world) != 2)
		die("start two ranks");
	end_open(&end, rank, NULL, is_mpi ? world : NULL);
	fabric_address(end.fabric, &address, &n_bytes);
	if (mpi_world_exchange(world, address, n_bytes, &blobs, &err) != SC_OK)
		die(err.text);
	end_connect(&end, blobs[!rank].data, blobs[!rank].n_bytes);
	mpi_world_free(blobs);
	if (!is_mpi)
		mpi_world_close(world);
	if (rank == 0)
		measure(&end, name);
	else
		(void)serve(&end);
	end_close(&end);
	if (is_mpi)
		mpi_world_close(world);
}

static void print_head(void)
{
	printf("Half a round trip in us, median (99th percentile), and MB/s one way.\n\n| link |");
	for (int i = 0; i < N_SIZES; i++)
		printf(" %s us |", sizes[i].name);
	for (int i = 0; i < N_SIZES; i++)
		printf(" %s MB/s |", sizes[i].name);
	printf("\n|---|");
	for (int i = 0; i < 2 * N_SIZES; i++)
		printf("---|");
	printf("\n");
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	const char *name = argc > 2 ? argv[2] : kind;

	ucx_env_prepare(argv);
	if (strcmp(kind, "--head") == 0)
		print_head();
	else if (strcmp(kind, "loopback") == 0)
		run_loopback(name);
	else if (strcmp(kind, "ucx") == 0 || strcmp(kind, "mpi") == 0)
		run_ranks(name, *kind == 'm');
	else
		die("usage: links --head|loopback|ucx|mpi [NAME]");
	return 0;
}
