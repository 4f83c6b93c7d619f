/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts frames in order. UCX calls the handlers in sending order, but a frame that comes by
 * rendezvous is complete only later, after frames sent behind it were already copied. Each frame
 * therefore has a place by its sequence number, and is delivered when all frames before it are.
 */
#include "transport/ucx.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum sc_status make_buffers(struct ucx_link *link)
{
	const struct link_config *config = &link->base.config;

	link->arrivals = calloc(config->credits, sizeof *link->arrivals);
	if (!link->arrivals)
		return SC_E_NOMEM;
	for (unsigned i = 0; i < config->credits; i++)
		link->arrivals[i].link = link;
	return frame_pool_create(config->credits, config->max_payload, &link->pool);
}

enum sc_status ucx_receive_init(struct ucx_link *link, struct error *err)
{
	struct ucx_fabric *fabric = (struct ucx_fabric *)link->base.fabric;
	const struct link_config *config = &link->base.config;

	if ((config->credits && make_buffers(link) != SC_OK) ||
	    grant_create(config->credits, fabric->wake, &link->grant) != SC_OK)
		return error_set(err, SC_E_NOMEM, "link to peer %u: no memory for %u frames of %zu "
				 "bytes", link->base.peer, config->credits, config->max_payload);
	return SC_OK;
}

void ucx_receive_deinit(struct ucx_link *link)
{
	for (unsigned i = 0; link->arrivals && i < link->base.config.credits; i++)
		if (link->arrivals[i].frame)
			frame_release(link->arrivals[i].frame);
	free(link->arrivals);
	grant_detach(link->grant);
	frame_pool_destroy(link->pool);
}

/* The frame's bytes are complete: checks that they match the envelope. */
static void finish_arrival(struct ucx_arrival *arrival, uint64_t sequence, size_t n_bytes)
{
	struct ucx_link *link = arrival->link;
	struct error err;

	if (frame_open(arrival->frame, n_bytes, &err) != SC_OK)
		ucx_link_fail(link, SC_E_PROTOCOL, "%s", err.text);
	else if (arrival->frame->sequence != sequence)
		ucx_link_fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " arrived in place of "
			      "number %" PRIu64,
			      arrival->frame->sequence, sequence);
	else
		arrival->is_whole = true;
}

static uint64_t sequence_of(const struct ucx_arrival *arrival)
{
	const struct ucx_link *link = arrival->link;
	uint64_t n = link->base.config.credits;
	uint64_t place = (uint64_t)(arrival - link->arrivals);

	return link->n_delivered + 1 + (place + n - link->n_delivered % n) % n;
}

static void on_received(void *request, ucs_status_t status, size_t length, void *arg)
{
	struct ucx_arrival *arrival = arg;

	ucp_request_free(request);
	arrival->link->n_receiving--;
	if (status != UCS_OK)
		ucx_link_fail(arrival->link, SC_E_CLOSED, "connection reset: %s",
			      ucs_status_string(status));
	else
		finish_arrival(arrival, sequence_of(arrival), length);
}

static ucs_status_t start_rendezvous(struct ucx_arrival *arrival, void *data, size_t n_bytes,
				     uint64_t sequence)
{
	struct ucx_fabric *fabric = (struct ucx_fabric *)arrival->link->base.fabric;
	const ucp_request_param_t param = {
		.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
				UCP_OP_ATTR_FIELD_MEMORY_TYPE,
		.cb.recv_am = on_received,
		.user_data = arrival,
		.memory_type = UCS_MEMORY_TYPE_HOST,
	};
	ucs_status_ptr_t request = ucp_am_recv_data_nbx(fabric->worker, data, arrival->frame->data,
							n_bytes, &param);

	if (UCS_PTR_IS_ERR(request))
		ucx_link_fail(arrival->link, SC_E_CLOSED, "receive failed: %s",
			      ucs_status_string(UCS_PTR_STATUS(request)));
	else if (request)
		arrival->link->n_receiving++;
	else
		finish_arrival(arrival, sequence, n_bytes);
	return UCS_INPROGRESS;
}

/* Returns a free place with a frame that can hold n_bytes, or NULL after failing the link. */
static struct ucx_arrival *begin_arrival(struct ucx_link *link, uint64_t sequence, size_t n_bytes)
{
	unsigned n_credits = link->base.config.credits;
	struct ucx_arrival *arrival = n_credits ? &link->arrivals[(sequence - 1) % n_credits]
						: NULL;
	struct frame *frame = NULL;

	if (sequence <= link->n_delivered || sequence - link->n_delivered > n_credits ||
	    arrival->frame)
		ucx_link_fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " after %" PRIu64,
			      sequence, link->n_delivered);
	else if (link->has_goodbye && sequence > link->peer_last)
		ucx_link_fail(link, SC_E_PROTOCOL, "frame number %" PRIu64 " after a goodbye at "
			      "%" PRIu64, sequence, link->peer_last);
	else if (!grant_use(link->grant) || !(frame = frame_take(link->pool, FRAME_STEP)))
		ucx_link_fail(link, SC_E_PROTOCOL, "frame %" PRIu64 " arrived without credit",
			      sequence);
	else if (n_bytes < FRAME_HEADER_BYTES || n_bytes > frame->capacity)
		ucx_link_fail(link, SC_E_PROTOCOL, "frame %" PRIu64 " has %zu bytes, expected %d "
			      "to %zu", sequence, n_bytes, FRAME_HEADER_BYTES, frame->capacity);
	else {
		arrival->is_whole = false;
		arrival->frame = frame;
		return arrival;
	}
	if (frame)
		frame_release(frame);
	return NULL;
}

ucs_status_t ucx_receive_frame(struct ucx_link *link, const struct envelope *envelope,
			       void *data, size_t n_bytes, uint64_t attributes)
{
	struct ucx_arrival *arrival;

	/* The owner of a closed link reads no more frames. */
	if (link->is_closed || link->is_failed)
		return UCS_OK;
	arrival = begin_arrival(link, envelope->sequence, n_bytes);
	if (!arrival)
		return UCS_OK;
	if (attributes & UCP_AM_RECV_ATTR_FLAG_RNDV)
		return start_rendezvous(arrival, data, n_bytes, envelope->sequence);
	/* UCX takes eager data back when the handler returns. Where it could be kept
	 * (ATTR_FLAG_DATA), it is not aligned as a frame must be. */
	memcpy(arrival->frame->data, data, n_bytes);
	finish_arrival(arrival, envelope->sequence, n_bytes);
	return UCS_OK;
}

bool ucx_receive_deliver(struct ucx_link *link)
{
	unsigned n_credits = link->base.config.credits;
	bool is_news = false;

	while (n_credits && !link->is_closed && !link->is_down_told) {
		struct ucx_arrival *arrival = &link->arrivals[link->n_delivered % n_credits];
		struct frame *frame = arrival->frame;

		if (!frame || !arrival->is_whole)
			break;
		arrival->frame = NULL;
		link->n_delivered++;
		is_news = true;
		grant_hand_out(link->grant, frame);
		link->base.events->on_frame(link->base.arg, &link->base, frame);
	}
	return is_news;
}
