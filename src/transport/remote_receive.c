/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts frames in order. Frames may be complete in another order than they were sent in: over UCX a
 * frame that comes by rendezvous is overtaken by later ones that are copied at once, and MPI
 * completes its receives in any order. Each frame therefore has a place by its sequence number, and
 * is delivered when all frames before it are.
 */
#include "transport/remote.h"

#include <inttypes.h>
#include <stdlib.h>

static enum sc_status make_buffers(struct remote_link *link)
{
	const struct link_config *config = &link->base.config;

	link->arrivals = calloc(config->credits, sizeof *link->arrivals);
	if (!link->arrivals)
		return SC_E_NOMEM;
	for (unsigned i = 0; i < config->credits; i++)
		link->arrivals[i].link = link;
	return frame_pool_create(config->credits, config->max_payload, &link->pool);
}

enum sc_status remote_receive_init(struct remote_link *link)
{
	const unsigned n_credits = link->base.config.credits;
	enum sc_status status = n_credits ? make_buffers(link) : SC_OK;

	if (status == SC_OK)
		status = grant_create(n_credits, remote_fabric_of(link)->wake, &link->grant);
	return status;
}

void remote_receive_drop(struct remote_link *link)
{
	for (unsigned i = 0; link->arrivals && i < link->base.config.credits; i++)
		if (link->arrivals[i].frame)
			frame_release(link->arrivals[i].frame);
	free(link->arrivals);
	link->arrivals = NULL;
	frame_pool_destroy(link->pool);
	link->pool = NULL;
}

void remote_receive_deinit(struct remote_link *link)
{
	remote_receive_drop(link);
	grant_detach(link->grant);
	link->grant = NULL;
}

static uint64_t sequence_of(const struct remote_arrival *arrival)
{
	const struct remote_link *link = arrival->link;
	uint64_t n = link->base.config.credits;
	uint64_t place = (uint64_t)(arrival - link->arrivals);

	return link->n_delivered + 1 + (place + n - link->n_delivered % n) % n;
}

struct remote_arrival *remote_expect(struct remote_link *link, uint64_t sequence)
{
	uint64_t n_credits = link->base.config.credits;
	struct remote_arrival *arrival;

	if (!link->pool || sequence <= link->n_delivered ||
	    sequence - link->n_delivered > n_credits)
		return NULL;
	arrival = &link->arrivals[(sequence - 1) % n_credits];
	if (arrival->frame)
		return NULL;
	arrival->frame = frame_take(link->pool, FRAME_STEP);
	arrival->is_whole = false;
	return arrival->frame ? arrival : NULL;
}

struct remote_arrival *remote_begin(struct remote_link *link, uint64_t sequence, size_t n_bytes)
{
	const size_t max_bytes = FRAME_HEADER_BYTES + link->base.config.max_payload;
	struct remote_arrival *arrival;

	if (link->has_goodbye && sequence > link->peer_last) {
		remote_fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " after a goodbye at "
			    "%" PRIu64, sequence, link->peer_last);
		return NULL;
	}
	if (n_bytes < FRAME_HEADER_BYTES || n_bytes > max_bytes) {
		remote_fail(link, SC_E_PROTOCOL, "frame %" PRIu64 " has %zu bytes, expected %d to "
			    "%zu", sequence, n_bytes, FRAME_HEADER_BYTES, max_bytes);
		return NULL;
	}
	arrival = remote_expect(link, sequence);
	if (!arrival)
		remote_fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " after %" PRIu64
			    " is not expected, or came without credit", sequence,
			    link->n_delivered);
	return arrival;
}

void remote_finish(struct remote_arrival *arrival, size_t n_bytes)
{
	struct remote_link *link = arrival->link;
	const uint64_t sequence = sequence_of(arrival);
	struct error err;

	if (frame_open(arrival->frame, n_bytes, &err) != SC_OK)
		remote_fail(link, SC_E_PROTOCOL, "%s", err.text);
	else if (arrival->frame->sequence != sequence)
		remote_fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " arrived in place of "
			    "number %" PRIu64, arrival->frame->sequence, sequence);
	else
		arrival->is_whole = true;
}

/* The next frame in order, if it is whole. */
static struct frame *take_next(struct remote_link *link)
{
	struct remote_arrival *arrival;
	struct frame *frame;

	if (!link->pool)
		return NULL;
	arrival = &link->arrivals[link->n_delivered % link->base.config.credits];
	if (!arrival->frame || !arrival->is_whole)
		return NULL;
	frame = arrival->frame;
	arrival->frame = NULL;
	link->n_delivered++;
	if (grant_use(link->grant))
		return frame;
	remote_fail(link, SC_E_PROTOCOL, "frame %" PRIu64 " arrived without credit",
		    link->n_delivered);
	frame_release(frame);
	return NULL;
}

bool remote_deliver(struct remote_link *link)
{
	struct frame *frame;
	bool is_news = false;

	while (!link->is_down_told && (frame = take_next(link))) {
		is_news = true;
		grant_hand_out(link->grant, frame);
		/* The owner of a closed link reads no more frames. */
		if (link->is_closed)
			frame_release(frame);
		else
			link->base.events->on_frame(link->base.arg, &link->base, frame);
	}
	return is_news;
}
