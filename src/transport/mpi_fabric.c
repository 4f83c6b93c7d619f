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

static bool advance_links(struct mpi_fabric *fabric)
{
	uint64_t now_ns = clock_ns();
	bool is_look_due = now_ns - fabric->last_look_ns >= MPI_LOOK_MS * NS_PER_MS;
	bool is_news = false;

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
	leave_loop(fabric);
	free(fabric->address);
	free(fabric->by_peer);
	free(fabric->n_connects);
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
	const struct fabric_config *config = &fabric->base.config;
	struct process_id self;
	const struct fabric_address address = {
		.transport = MPI_TRANSPORT,
		.rank = config->rank,
		.credits = config->credits,
		.max_payload = config->max_payload,
		.native = &self,
		.n_native = sizeof self,
	};

	process_id_of_self(&self);
	return address_encode(&address, &fabric->address, &fabric->n_address);
}

enum sc_status fabric_mpi_open(struct loop *loop, struct mpi_world *world,
			       const struct fabric_config *config, struct fabric **fabric_out,
			       struct error *err)
{
	struct mpi_fabric *fabric;
	enum sc_status status;

	if (config->rank != mpi_world_rank(world) || config->n_ranks != mpi_world_size(world) ||
	    !config->credits || config->credits > ADDRESS_MAX_CREDITS ||
	    config->max_payload > ADDRESS_MAX_PAYLOAD - FRAME_HEADER_BYTES)
		return error_set(err, SC_E_INVALID, "mpi: rank %u of %u, %u credits, frames of %zu "
				 "bytes, in a world of %u", config->rank, config->n_ranks,
				 config->credits, config->max_payload, mpi_world_size(world));
	fabric = calloc(1, sizeof *fabric);
	if (!fabric)
		return error_set(err, SC_E_NOMEM, "mpi: no memory");
	fabric->base = (struct fabric){ .ops = &link_fabric_mpi, .config = *config };
	fabric->loop = loop;
	fabric->world = world;
	list_init(&fabric->links);
	fabric->by_peer = calloc(config->n_ranks, sizeof *fabric->by_peer);
	fabric->n_connects = calloc(config->n_ranks, sizeof *fabric->n_connects);
	if (!fabric->by_peer || !fabric->n_connects || make_address(fabric) != SC_OK) {
		status = error_set(err, SC_E_NOMEM, "mpi: no memory for %u ranks", config->n_ranks);
		goto fail;
	}
	status = join_loop(fabric, err);
	if (status != SC_OK)
		goto fail;
	*fabric_out = &fabric->base;
	return SC_OK;
fail:
	destroy(fabric);
	return status;
}
