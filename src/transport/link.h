/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_LINK_H
#define STAGECOACH_TRANSPORT_LINK_H
/*
 * link - an ordered, reliable, two-way stream of frames to one peer.
 * fabric - one process's end of a transport: it has an address that peers need to connect, and one
 * link per peer. Kinds: loopback (same process, frames are handed over, nothing is copied), ucx
 * (active messages), mpi (non-blocking point to point). Neither knows of jobs or models.
 *
 * Peers are numbered by rank: 0 is the coordinator. Every pair of ranks has at most one link.
 * Credits: a receiver grants each peer a number of frames; sending without credit answers
 * SC_AGAIN and on_credit comes later. A received frame's credit goes back when it is released.
 * Frames of one link arrive in the order in which they were sent, or on_down comes.
 * Thread: the loop's thread alone, callbacks included; frames may be released on any thread.
 */
#include "base/error.h"
#include "event/loop.h"
#include "wire/frame.h"

struct fabric;
struct link;

struct link_events {
	/* Takes frame. */
	void (*on_frame)(void *arg, struct link *link, struct frame *frame);
	/* Credit came back after SC_AGAIN. May be NULL. */
	void (*on_credit)(void *arg, struct link *link);
	/* The link is dead, once; why is for people. Frames queued for sending are dropped. The
	 * owner calls link_close, now or later. */
	void (*on_down)(void *arg, struct link *link, enum sc_status status, const char *why);
};

struct fabric_config {
	unsigned rank;
	unsigned n_ranks;
	size_t max_payload;	/* the largest frame that this end receives */
	unsigned credits;	/* frames that each peer may have under way to this end */
	unsigned spin_us;	/* busy waiting before sleeping */
};

struct fabric_ops {
	const char *name;	/* "ucx" */
	bool has_buffers;	/* links receive into frames of their own: fabric_link_bytes */
	void (*close)(struct fabric *fabric);
	/* The bytes that peers give to connect; borrowed until close. */
	void (*address)(const struct fabric *fabric, const void **address_out, size_t *n_bytes_out);
	must_check enum sc_status (*connect)(struct fabric *fabric, unsigned peer,
					     const void *address, size_t n_bytes,
					     const struct link_events *events, void *arg,
					     struct link **link_out, struct error *err);
	must_check enum sc_status (*send)(struct link *link, struct frame *frame);
	void (*close_link)(struct link *link);
};

struct fabric {
	const struct fabric_ops *ops;
	struct fabric_config config;
};

struct link {
	struct fabric *fabric;
	unsigned peer;
	const struct link_events *events;
	void *arg;
};

/* Closes its links too; frames already received stay valid. Accepts NULL. */
void fabric_close(struct fabric *fabric);
const char *fabric_name(const struct fabric *fabric);

/* The frames that a link of ucx or mpi receives into, in bytes. */
size_t fabric_link_bytes(const struct fabric_config *config);
/* The same of a link of this fabric; 0 with loopback, which hands frames over. */
size_t fabric_buffer_bytes(const struct fabric *fabric);

void fabric_address(const struct fabric *fabric, const void **address_out, size_t *n_bytes_out);

/* Never blocks; a peer that cannot be reached is reported by on_down. events and arg are borrowed
 * until link_close. SC_E_EXISTS: that peer has a link. */
must_check enum sc_status fabric_connect(struct fabric *fabric, unsigned peer, const void *address,
					 size_t n_bytes, const struct link_events *events,
					 void *arg, struct link **link_out, struct error *err);

/* Seals and queues frame. Takes it on SC_OK; otherwise the caller keeps it. SC_AGAIN: no credit.
 * SC_E_CLOSED: down. SC_E_TOO_LARGE: over what the peer receives. */
must_check enum sc_status link_send(struct link *link, struct frame *frame);

/* Sends what is queued if it can be sent within a short deadline, then forgets the peer. No
 * callback comes after it. Accepts NULL. */
void link_close(struct link *link);

static inline unsigned link_peer(const struct link *link) { return link->peer; }

#endif
