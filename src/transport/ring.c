/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/ring.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct ring {
	struct ring_config config;
	struct fabric *fabric;
	struct link *previous;
	struct link *next;		/* with two peers the same as previous */
	bool is_connected;
};

unsigned ring_previous(const struct ring *ring)
{
	return (ring->config.self + ring->config.n_peers - 1) % ring->config.n_peers;
}

unsigned ring_next(const struct ring *ring)
{
	return (ring->config.self + 1) % ring->config.n_peers;
}

/* The callback may close the ring. */
static void lose_link(struct ring *ring, struct link *link, enum sc_status status, const char *why)
{
	unsigned peer = link_peer(link);

	if (ring->previous == link)
		ring->previous = NULL;
	if (ring->next == link)
		ring->next = NULL;
	link_close(link);
	ring->config.on_down(ring->config.arg, peer, status, why);
}

static void on_frame(void *arg, struct link *link, struct frame *frame)
{
	struct ring *ring = arg;
	const struct ring_config *config = &ring->config;
	char why[128];

	if (frame->epoch != config->epoch) {
		frame_release(frame);
	} else if (link == ring->previous && frame->type == config->in_type) {
		config->on_frame(config->arg, frame);
	} else {
		snprintf(why, sizeof why, "a frame of type %d from peer %u, expected only type %d, "
			 "from peer %u", frame->type, link_peer(link), config->in_type,
			 ring_previous(ring));
		frame_release(frame);
		lose_link(ring, link, SC_E_PROTOCOL, why);
	}
}

static void on_credit(void *arg, struct link *link)
{
	const struct ring *ring = arg;

	if (link == ring->next)
		ring->config.on_credit(ring->config.arg);
}

static void on_down(void *arg, struct link *link, enum sc_status status, const char *why)
{
	lose_link(arg, link, status, why);
}

static const struct link_events ring_events = { on_frame, on_credit, on_down };

enum sc_status ring_open(const struct ring_config *config, struct ring **ring_out,
			 struct error *err)
{
	const struct fabric_config fabric = {
		.self = config->self, .n_peers = config->n_peers, .spin_us = config->spin_us,
	};
	struct ring *ring = calloc(1, sizeof *ring);
	enum sc_status status;

	assert(config->n_peers >= 2 && config->self < config->n_peers);
	if (!ring)
		return error_set(err, SC_E_NOMEM, "out of memory for data links");
	ring->config = *config;
	status = fabric_open(config->source, &fabric, &ring->fabric, err);
	if (status != SC_OK) {
		ring_close(ring);
		return status;
	}
	*ring_out = ring;
	return SC_OK;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->next != ring->previous)
		link_close(ring->next);
	link_close(ring->previous);
	fabric_close(ring->fabric);
	free(ring);
}

const void *ring_address(const struct ring *ring, size_t *n_bytes_out)
{
	const void *address;

	fabric_address(ring->fabric, &address, n_bytes_out);
	return address;
}

enum sc_status ring_connect(struct ring *ring, const void *previous, size_t n_previous,
			    const void *next, size_t n_next, struct error *err)
{
	static const struct link_config nothing = { 0, 0 };
	enum sc_status status;

	assert(!ring->is_connected);
	status = fabric_connect(ring->fabric, ring_previous(ring), previous, n_previous,
				&ring->config.in, &ring_events, ring, &ring->previous, err);
	if (status == SC_OK && ring_next(ring) == ring_previous(ring))
		ring->next = ring->previous;
	else if (status == SC_OK)
		status = fabric_connect(ring->fabric, ring_next(ring), next, n_next, &nothing,
					&ring_events, ring, &ring->next, err);
	ring->is_connected = status == SC_OK;
	return status;
}

bool ring_is_connected(const struct ring *ring)
{
	return ring->is_connected;
}

enum sc_status ring_send(struct ring *ring, struct frame *frame)
{
	return ring->next ? link_send(ring->next, frame) : SC_E_CLOSED;
}
