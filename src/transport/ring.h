/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_RING_H
#define STAGECOACH_TRANSPORT_RING_H
/*
 * ring - one process's place on the data path of an epoch. Steps go from the coordinator (peer 0)
 * through all stages (peer i + 1 is stage i) and come back to it as tokens. So each process has a
 * link from the previous peer, which only receives, and a link to the next one, which only sends.
 * With one stage both are the same link.
 * Ownership: a ring owns a fabric of its own and its links.
 * Thread: the loop's, callbacks included. Nothing blocks.
 */
#include "transport/link.h"

struct ring;

struct ring_config {
	const struct fabric_source *source;	/* borrowed */
	uint32_t epoch;			/* frames of another epoch are dropped */
	unsigned self;
	unsigned n_peers;		/* at least 2 */
	unsigned spin_us;
	enum frame_type in_type;	/* the only type that the previous peer may send */
	struct link_config in;		/* what the link from the previous peer receives */
	/* A frame of this epoch from the previous peer. The callee takes it. */
	void (*on_frame)(void *arg, struct frame *frame);
	/* The next peer can take frames again. */
	void (*on_credit)(void *arg);
	/* A link is down; called once for each link. SC_E_PROTOCOL: the peer sent a frame that it
	 * may not send, and the ring closed the link. */
	void (*on_down)(void *arg, unsigned peer, enum sc_status status, const char *why);
	void *arg;
};

/* Credits of a link of the ring: more than the window (steps in flight), because a frame's credit
 * may come back after the step has gone round. */
static inline unsigned ring_credits(uint32_t window) { return window + 1; }

/* Opens the fabric. */
must_check enum sc_status ring_open(const struct ring_config *config, struct ring **ring_out,
				    struct error *err);
/* Also inside a callback of the ring. Frames that were received stay valid. Accepts NULL. */
void ring_close(struct ring *ring);

unsigned ring_previous(const struct ring *ring);
unsigned ring_next(const struct ring *ring);
/* The address that the neighbours need. Borrowed until ring_close. */
const void *ring_address(const struct ring *ring, size_t *n_bytes_out);

/* Connects to the neighbours' fabrics. Call it once. SC_E_PROTOCOL: bytes that are no address. */
must_check enum sc_status ring_connect(struct ring *ring, const void *previous, size_t n_previous,
				       const void *next, size_t n_next, struct error *err);
/* True once ring_connect has succeeded, whether or not links are down since. */
bool ring_is_connected(const struct ring *ring);

/* Sends a frame of this epoch to the next peer, as link_send. SC_E_CLOSED also before
 * ring_connect. */
must_check enum sc_status ring_send(struct ring *ring, struct frame *frame);

#endif
