/* SPDX-License-Identifier: Apache-2.0 */
/* The mpi fabric: its poller, opening and closing. See mpi_fabric.h. */
#include "transport/mpi_fabric.h"

#include "base/clock.h"
#include "base/log.h"
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
#define CLOSE_LIMIT_MS 3000

static void destroy(struct mpi_fabric *fabric);

/* Hello */

static void take_hello(struct mpi_fabric *fabric, const struct envelope *hello)
{
	struct mpi_link *link;

	list_for_each(node, &fabric->links) {
		link = list_entry(node, struct mpi_link, in_fabric);
		if (link->base.peer == hello->peer && link->state == MPI_LINK_GREETING &&
		    !link->peer_id && is_same_fabric(link->peer_fabric, hello->from) &&
		    (link->id == hello->to || fabric->id == hello->to)) {
			mpi_link_greet(link, hello);
			return;
		}
	}
	fabric->hellos[hello->peer] = *hello;
}

static void receive_hello(struct mpi_fabric *fabric)
{
	if (MPI_Irecv(fabric->hello, ENVELOPE_BYTES, MPI_BYTE, MPI_ANY_SOURCE, MPI_HELLO_TAG,
		      MPI_COMM_WORLD, &fabric->hello_request) != MPI_SUCCESS)
		fabric->hello_request = MPI_REQUEST_NULL;
}

static bool take_hellos(struct mpi_fabric *fabric)
{
	struct envelope hello;
	bool is_news = false;
	MPI_Status status;
	struct error err;
	int is_done, n;

	while (fabric->hello_request != MPI_REQUEST_NULL &&
	       MPI_Test(&fabric->hello_request, &is_done, &status) == MPI_SUCCESS && is_done) {
		is_news = true;
		MPI_Get_count(&status, MPI_BYTE, &n);
		if (envelope_decode(fabric->hello, (size_t)n, &hello, &err) == SC_OK &&
		    hello.kind == ENVELOPE_HELLO && hello.peer < fabric->base.config.n_peers &&
		    is_same_fabric(hello.to, fabric->id) && hello.from)
			take_hello(fabric, &hello);
		receive_hello(fabric);
	}
	return is_news;
}

static bool advance_links(struct mpi_fabric *fabric)
{
	uint64_t now_ns = clock_ns();
	bool is_look_due = now_ns - fabric->last_look_ns >= MPI_LOOK_MS * NS_PER_MS;
	bool is_news = take_hellos(fabric);

	if (is_look_due) {
		fabric->last_look_ns = now_ns;
		list_for_each(node, &fabric->links)
			mpi_link_look(list_entry(node, struct mpi_link, in_fabric));
	}
	list_for_each(node, &fabric->links)
		is_news |= mpi_link_advance(list_entry(node, struct mpi_link, in_fabric));
	return is_news;
}

static bool progress(void *arg)
{
	struct mpi_fabric *fabric = arg;
	bool is_news;

	if (fabric->is_busy)
		return false;
	fabric->is_busy = true;
	is_news = advance_links(fabric);
	fabric->is_busy = false;
	if (is_news)
		fabric->last_news_ns = clock_ns();
	if (fabric->is_closed)
		destroy(fabric);
	return is_news;
}

/* Returns false after a nap, because there may be news. A nap ends early when the loop has work. */
static bool arm(void *arg)
{
	struct mpi_fabric *fabric = arg;
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct pollfd loop_news = { .fd = uv_backend_fd(loop_uv(fabric->loop)), .events = POLLIN };

	if (list_is_empty(&fabric->links) || clock_ns() - fabric->last_news_ns > NAPPING_NS)
		return true;
	return ppoll(&loop_news, 1, &nap, NULL) > 0;
}

static const struct poller_ops poller_ops = { .progress = progress, .arm = arm };

static void on_wake(void *arg)
{
	(void)progress(arg);
}

static enum sc_status join_loop(struct mpi_fabric *fabric, struct error *err)
{
	const struct poller_config poller = {
		.ops = &poller_ops,
		.arg = fabric,
		.fd = -1,
		.spin_us = fabric->base.config.spin_us,
		.idle_ms = IDLE_MS,
	};

	if (wake_create(fabric->loop, on_wake, fabric, &fabric->wake) != SC_OK)
		return error_set(err, SC_E_NOMEM, "mpi: no memory for the loop's objects");
	return poller_create(fabric->loop, &poller, &fabric->poller, err);
}

static void leave_loop(struct mpi_fabric *fabric)
{
	if (fabric->poller)
		poller_destroy(fabric->poller);
	if (fabric->wake)
		wake_destroy(fabric->wake);
}

static void close_links(struct mpi_fabric *fabric)
{
	list_for_each(node, &fabric->links) {
		struct mpi_link *link = list_entry(node, struct mpi_link, in_fabric);

		if (!link->is_closed)
			mpi_link_close(&link->base);
	}
}

static void destroy(struct mpi_fabric *fabric)
{
	uint64_t limit = clock_ns() + CLOSE_LIMIT_MS * NS_PER_MS;
	const struct timespec nap = { .tv_nsec = NAP_NS };

	close_links(fabric);
	while (!list_is_empty(&fabric->links) && clock_ns() < limit)
		if (!advance_links(fabric))
			nanosleep(&nap, NULL);
	if (!list_is_empty(&fabric->links)) {
		/* MPI may still write into these frames, so freeing them would be worse than
		 * leaking them. */
		log_warning("mpi: requests did not come back within %d ms of closing",
			    CLOSE_LIMIT_MS);
		list_for_each(node, &fabric->links)
			grant_detach(list_entry(node, struct mpi_link, in_fabric)->grant);
		leave_loop(fabric);
		return;
	}
	if (fabric->hello_request != MPI_REQUEST_NULL) {
		MPI_Cancel(&fabric->hello_request);
		MPI_Wait(&fabric->hello_request, MPI_STATUS_IGNORE);
	}
	leave_loop(fabric);
	free(fabric->address);
	free(fabric->by_peer);
	free(fabric->hellos);
	free(fabric);
}

static void mpi_close(struct fabric *base)
{
	struct mpi_fabric *fabric = (struct mpi_fabric *)base;

	if (!fabric->is_busy) {
		destroy(fabric);
		return;
	}
	close_links(fabric);
	fabric->is_closed = true;
}

static void mpi_address(const struct fabric *base, const void **address_out, size_t *n_bytes_out)
{
	const struct mpi_fabric *fabric = (const struct mpi_fabric *)base;

	*address_out = fabric->address;
	*n_bytes_out = fabric->n_address;
}

static const struct fabric_ops link_fabric_mpi = {
	.name = "mpi",
	.has_buffers = true,
	.close = mpi_close,
	.address = mpi_address,
	.connect = mpi_link_connect,
	.send = mpi_link_send,
	.close_link = mpi_link_close,
};

static enum sc_status make_address(struct mpi_fabric *fabric)
{
	struct mpi_native self = { .rank = mpi_world_rank(fabric->world) };
	const struct fabric_address address = {
		.transport = MPI_TRANSPORT,
		.peer = fabric->base.config.self,
		.id = fabric->id,
		.native = &self,
		.n_native = sizeof self,
	};

	process_id_of_self(&self.process);
	return address_encode(&address, &fabric->address, &fabric->n_address);
}

enum sc_status fabric_mpi_open(struct loop *loop, struct mpi_world *world,
			       const struct fabric_config *config, struct fabric **fabric_out,
			       struct error *err)
{
	struct mpi_fabric *fabric = calloc(1, sizeof *fabric);
	enum sc_status status;

	if (!fabric)
		return error_set(err, SC_E_NOMEM, "mpi: no memory");
	fabric->base = (struct fabric){ .ops = &link_fabric_mpi, .config = *config };
	fabric->loop = loop;
	fabric->world = world;
	fabric->hello_request = MPI_REQUEST_NULL;
	list_init(&fabric->links);
	fabric->by_peer = calloc(config->n_peers, sizeof *fabric->by_peer);
	fabric->hellos = calloc(config->n_peers, sizeof *fabric->hellos);
	if (!fabric->by_peer || !fabric->hellos || address_make_id(&fabric->id) != SC_OK ||
	    make_address(fabric) != SC_OK) {
		status = error_set(err, SC_E_NOMEM, "mpi: no memory for %u peers",
				   config->n_peers);
		goto fail;
	}
	status = join_loop(fabric, err);
	if (status != SC_OK)
		goto fail;
	receive_hello(fabric);
	*fabric_out = &fabric->base;
	return SC_OK;
fail:
	destroy(fabric);
	return status;
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
