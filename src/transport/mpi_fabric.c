/* SPDX-License-Identifier: Apache-2.0 */
/* The mpi fabric: its poller, greetings and opening. See mpi_fabric.h. */
#include "transport/mpi_fabric.h"

#include "base/clock.h"
#include "transport/fabrics.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

/*
 * MPI has no descriptor to sleep on; its own way to wait is to spin. Here the wait becomes coarser
 * the longer nothing arrives:
 * 1. spin (the poller's spin_us);
 * 2. nap for 50 us at a time, while the next message is likely near;
 * 3. sleep in the poller, for up to IDLE_MS.
 */
#define NAP_NS 50000
#define NAPPING_NS (5 * NS_PER_MS)
#define IDLE_MS 2
#define LINKS_PER_FABRIC 256	/* more than this take the numbers of the next fabric */

static struct mpi_fabric *fabric_of(struct remote_fabric *base)
{
	return (struct mpi_fabric *)base;
}

/* Greetings: hello, and goodbye to a link that has not connected yet */

static void expect_greeting(struct mpi_fabric *fabric)
{
	if (MPI_Irecv(fabric->greeting, ENVELOPE_BYTES, MPI_BYTE, MPI_ANY_SOURCE, MPI_GREETING_TAG,
		      MPI_COMM_WORLD, &fabric->greeting_request) != MPI_SUCCESS)
		fabric->greeting_request = MPI_REQUEST_NULL;
}

static bool take_greetings(struct mpi_fabric *fabric)
{
	struct envelope greeting;
	bool is_news = false;
	MPI_Status status;
	struct error err;
	int is_done, n;

	while (fabric->greeting_request != MPI_REQUEST_NULL &&
	       MPI_Test(&fabric->greeting_request, &is_done, &status) == MPI_SUCCESS && is_done) {
		is_news = true;
		MPI_Get_count(&status, MPI_BYTE, &n);
		if (envelope_decode(fabric->greeting, (size_t)n, &greeting, &err) == SC_OK)
			remote_dispatch(&fabric->base, &greeting);
		expect_greeting(fabric);
	}
	return is_news;
}

/* Progress */

static struct mpi_link *link_at(struct list *node)
{
	return (struct mpi_link *)list_entry(node, struct remote_link, in_fabric);
}

static bool progress(struct remote_fabric *base)
{
	struct mpi_fabric *fabric = fabric_of(base);
	uint64_t now_ns = clock_ns();
	bool is_look_due = now_ns - fabric->last_look_ns >= MPI_LOOK_MS * NS_PER_MS;
	bool is_news = take_greetings(fabric);

	if (is_look_due)
		fabric->last_look_ns = now_ns;
	list_for_each(node, &base->links) {
		if (is_look_due)
			mpi_link_look(link_at(node));
		is_news |= mpi_link_progress(link_at(node));
	}
	if (is_news)
		fabric->last_news_ns = now_ns;
	return is_news;
}

/* Returns false after a nap, because there may be news. A nap ends early when the loop has work. */
static bool arm(void *arg)
{
	struct mpi_fabric *fabric = arg;
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct pollfd loop_news = {
		.fd = uv_backend_fd(loop_uv(fabric->base.loop)), .events = POLLIN,
	};

	if (list_is_empty(&fabric->base.links) || clock_ns() - fabric->last_news_ns > NAPPING_NS)
		return true;
	return ppoll(&loop_news, 1, &nap, NULL) > 0;
}

static enum sc_status connect_link(struct remote_link *base, const struct fabric_address *address,
				   struct error *err)
{
	((struct mpi_fabric *)base->base.fabric)->last_news_ns = clock_ns();
	return mpi_link_connect(base, address, err);
}

static void destroy(struct remote_fabric *base)
{
	struct mpi_fabric *fabric = fabric_of(base);

	if (fabric->greeting_request == MPI_REQUEST_NULL)
		return;
	MPI_Cancel(&fabric->greeting_request);
	MPI_Wait(&fabric->greeting_request, MPI_STATUS_IGNORE);
}

/* Opening */

static enum sc_status start(struct mpi_fabric *fabric, struct error *err)
{
	static const struct poller_ops poller_ops = { .progress = remote_progress, .arm = arm };
	const struct poller_config poller = {
		.ops = &poller_ops,
		.arg = fabric,
		.fd = -1,
		.spin_us = fabric->base.base.config.spin_us,
		.idle_ms = IDLE_MS,
	};
	struct mpi_native self = { .rank = mpi_world_rank(fabric->world) };

	process_id_of_self(&self.process);
	return remote_fabric_start(&fabric->base, &self, sizeof self, &poller, err);
}

static const struct remote_ops remote_mpi = {
	.fabric = {
		.name = "mpi",
		.has_buffers = true,
		.close = remote_fabric_close,
		.address = remote_fabric_address,
		.connect = remote_link_connect,
		.send = remote_link_send,
		.close_link = remote_link_close,
	},
	.transport = "mpi ",
	.link_bytes = sizeof(struct mpi_link),
	.has_plain_frames = true,
	.must_receive_all = true,
	.progress = progress,
	.destroy = destroy,
	.connect = connect_link,
	.greet = mpi_link_greet,
	.post = mpi_link_post,
	.end = mpi_link_end,
	.is_ended = mpi_link_is_ended,
	.destroy_link = mpi_link_destroy,
};

enum sc_status fabric_mpi_open(struct loop *loop, struct mpi_world *world,
			       const struct fabric_config *config, struct fabric **fabric_out,
			       struct error *err)
{
	struct mpi_fabric *fabric = calloc(1, sizeof *fabric);
	enum sc_status status;

	if (!fabric)
		return error_set(err, SC_E_NOMEM, "mpi: no memory");
	fabric->world = world;
	fabric->greeting_request = MPI_REQUEST_NULL;
	/* No lot: a world has one fabric at a time, and its loop may go before the world does. */
	status = remote_fabric_init(&fabric->base, &remote_mpi, config, loop, NULL, err);
	fabric->base.last_link = mpi_world_count_fabric(world) * LINKS_PER_FABRIC;
	if (status == SC_OK)
		status = start(fabric, err);
	if (status != SC_OK) {
		remote_fabric_destroy(&fabric->base);
		return status;
	}
	expect_greeting(fabric);
	*fabric_out = &fabric->base.base;
	return SC_OK;
}

static enum sc_status open_at(void *arg, const struct fabric_config *config,
			      struct fabric **fabric_out, struct error *err)
{
	const struct mpi_port *port = arg;

	return fabric_mpi_open(port->loop, port->world, config, fabric_out, err);
}

struct fabric_source mpi_source(struct mpi_port *port)
{
	return (struct fabric_source){
		.open = open_at,
		.arg = port,
		.name = "mpi",
		.has_buffers = true,
	};
}
