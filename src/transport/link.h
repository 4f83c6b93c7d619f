/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_LINK_H
#define STAGECOACH_TRANSPORT_LINK_H
/*
 * link - an ordered, reliable, two-way stream of frames to one peer.
 * fabric - one process's end of a transport, for one epoch. It has an address that peers need to
 * connect, and one link per peer. Kinds: loopback (same process; frames are handed over without a
 * copy), ucx (active messages), mpi (non-blocking point to point). Links and fabrics know nothing of
 * jobs or models.
 *
 * - Peers are numbered; peer 0 is the coordinator. Two fabrics have at most one link. A process may
 *   have several fabrics at a time, of an old and of a new epoch.
 * - Sizes: each end of a link says how many frames it receives and how large they may be
 *   (link_config). An end tells the other when it connects. Until then sending returns SC_AGAIN.
 *   A frame that arrives can be answered at once.
 * - Credits: a receiver grants its peer a number of frames. Sending without credit returns
 *   SC_AGAIN, and on_credit is called later. A received frame's credit goes back when the frame is
 *   released.
 * - Order: frames of a link arrive in the order in which they were sent. If one is lost, on_down is
 *   called.
 * Thread: the loop's thread only, callbacks included. Frames may be released on any thread.
 */
#include "base/error.h"
#include "event/loop.h"
#include "wire/frame.h"

struct fabric;
struct link;

struct link_events {
	/* A frame arrived. The callee takes it. */
	void (*on_frame)(void *arg, struct link *link, struct frame *frame);
	/* Credit is available after SC_AGAIN. May be NULL. */
	void (*on_credit)(void *arg, struct link *link);
	/* The link is dead; called once. why is a text for people. Frames queued for sending are
	 * dropped. The owner must call link_close, inside this callback or later. */
	void (*on_down)(void *arg, struct link *link, enum sc_status status, const char *why);
};

#define LINK_MAX_CREDITS 65536
#define LINK_MAX_PAYLOAD ((size_t)INT32_MAX - FRAME_HEADER_BYTES)

struct fabric_config {
	unsigned self;		/* this end's number */
	unsigned n_peers;	/* number of ends, this one included */
	unsigned spin_us;	/* busy waiting before sleeping */
};

/* What one end of a link receives. An end that receives nothing gives zeros; it needs no memory. */
struct link_config {
	size_t max_payload;	/* largest payload in bytes; at most LINK_MAX_PAYLOAD */
	unsigned credits;	/* number of frames that the peer may
				 * have in flight; at most LINK_MAX_CREDITS */
};

struct fabric_ops {
	const char *name;	/* "ucx" */
	bool has_buffers;	/* links receive into memory of their own: link_buffer_bytes */
	void (*close)(struct fabric *fabric);
	/* The bytes that peers need to connect. Borrowed until close. */
	void (*address)(const struct fabric *fabric, const void **address_out, size_t *n_bytes_out);
	/* Called if there is no link to this peer. */
	must_check enum sc_status (*connect)(struct fabric *fabric, unsigned peer,
					     const void *address, size_t n_bytes,
					     const struct link_config *config,
					     const struct link_events *events, void *arg,
					     struct link **link_out, struct error *err);
	must_check enum sc_status (*send)(struct link *link, struct frame *frame);
	void (*close_link)(struct link *link);
};

struct fabric {
	const struct fabric_ops *ops;
	struct fabric_config config;
	struct link **links;	/* [n_peers] the link that the owner has open, or NULL */
};

/* For kinds. deinit accepts a fabric that is all zeros. */
must_check enum sc_status fabric_init(struct fabric *fabric, const struct fabric_ops *ops,
				      const struct fabric_config *config);
void fabric_deinit(struct fabric *fabric);

struct link {
	struct fabric *fabric;
	unsigned peer;
	struct link_config config;	/* of this end */
	const struct link_events *events;
	void *arg;
};

/* Opens fabrics of one kind, one per epoch. The maker of a source keeps arg valid. */
typedef enum sc_status fabric_open_fn(void *arg, const struct fabric_config *config,
				      struct fabric **fabric_out, struct error *err);
struct fabric_source {
	fabric_open_fn *open;
	void *arg;
	const char *name;	/* "ucx" */
	bool has_buffers;	/* as fabric_has_buffers */
	bool survives_losses;	/* a fabric can be opened after a peer's process was lost */
};

must_check enum sc_status fabric_open(const struct fabric_source *source,
				      const struct fabric_config *config,
				      struct fabric **fabric_out, struct error *err);
/* Closes the fabric and its links. Received frames stay valid. Accepts NULL. */
void fabric_close(struct fabric *fabric);
const char *fabric_name(const struct fabric *fabric);

/* False for loopback, which hands frames over. */
bool fabric_has_buffers(const struct fabric *fabric);
/* Bytes of the frames that such a link receives into. */
size_t link_buffer_bytes(const struct link_config *config);

void fabric_address(const struct fabric *fabric, const void **address_out, size_t *n_bytes_out);

/* Connects to a peer. Never blocks: if the peer cannot be reached, on_down is called later. Borrows
 * events and arg until link_close. SC_E_EXISTS: there is already a link to this peer. */
must_check enum sc_status fabric_connect(struct fabric *fabric, unsigned peer, const void *address,
					 size_t n_bytes, const struct link_config *config,
					 const struct link_events *events, void *arg,
					 struct link **link_out, struct error *err);

/* Seals the frame and queues it for sending. Takes the frame on SC_OK; otherwise the caller keeps
 * it. SC_AGAIN: no credit, or the peer has not connected yet. SC_E_CLOSED: the link is down.
 * SC_E_TOO_LARGE: the payload exceeds what the peer receives. */
must_check enum sc_status link_send(struct link *link, struct frame *frame);

/* Sends queued frames if that is possible within a short time, then disconnects. No callback comes
 * after it. Accepts NULL. */
void link_close(struct link *link);

static inline unsigned link_peer(const struct link *link) { return link->peer; }

#endif
