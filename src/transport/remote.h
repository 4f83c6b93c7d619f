/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_REMOTE_H
#define STAGECOACH_TRANSPORT_REMOTE_H
/*
 * remote - what links between processes have in common, whatever carries their messages: hello,
 * credits, frames in order, goodbye, and closing in bounded time. ucx and mpi fill a remote_ops.
 * Parts: remote_fabric.c (opening, closing, parking, dispatch), remote_link.c (states, sending,
 * closing), remote_receive.c (received frames in order).
 *
 * - Both ends send hello when they connect; it says what they receive. A link sends frames only
 *   after the peer's hello, so no frame arrives for a link that does not exist yet.
 * - Orderly close: goodbye is sent after the last frame, and the peer answers farewell when all
 *   frames have arrived. Only then does the carrier disconnect.
 * - Carriers only note what happened; remote_link_advance acts on it. So no owner's callback runs
 *   inside a call of UCX or MPI.
 * - Closing a fabric never waits. A closed fabric stays in the loop (it is parked) until its links
 *   have said goodbye or their deadline has passed, and the carrier has given back all memory.
 * Thread: the loop's.
 */
#include "base/list.h"
#include "transport/envelope.h"
#include "transport/grant.h"
#include "transport/link.h"

#define REMOTE_N_CONTROL_MESSAGES 8	/* per link, in addition to one per credit */
#define REMOTE_LINGER_MS 1000		/* how long a closed link waits for its peer's farewell */
#define REMOTE_TICK_MS 20		/* interval of checks of these deadlines */
#define REMOTE_DRAIN_MS 2000		/* how long the end of a program waits for parked fabrics */
#define REMOTE_MAX_PARKED 8		/* more: the oldest ones wait for no farewell */
#define REMOTE_STUCK_TICKS 150		/* after close: the carrier hangs */
#define REMOTE_MAX_STUCK 8		/* more: no fabric is opened, see remote_lot */

struct remote_link;
struct remote_fabric;

/* A message that a carrier sends. It reads the envelope and the frame until remote_sent. */
struct remote_message {
	struct remote_message *next;
	struct remote_link *link;
	struct frame *frame;	/* or NULL */
	enum envelope_kind kind;
	uint8_t envelope[ENVELOPE_BYTES];
};

/* The place of a received frame. */
struct remote_arrival {
	struct remote_link *link;
	struct frame *frame;	/* NULL: no frame at this place */
	bool is_whole;
};

/* What a kind of fabric does. All but post, progress and end may be NULL. */
struct remote_ops {
	struct fabric_ops fabric;
	const char *transport;		/* "ucx ", in addresses */
	size_t link_bytes;		/* size of the kind's link; begins with a remote_link */
	bool has_plain_frames;		/* frames are sent without an envelope */
	bool must_receive_all;		/* a closed link still receives the frames that were sent */

	/* Receives: calls remote_dispatch and the functions of remote_receive.c. Returns true if
	 * something happened. */
	bool (*progress)(struct remote_fabric *fabric);
	/* Frees what the kind opened, once no link is left. */
	void (*destroy)(struct remote_fabric *fabric);

	/* Begins to reach the peer. A peer that cannot be reached is told by remote_fail later. */
	enum sc_status (*connect)(struct remote_link *link, const struct fabric_address *address,
				  struct error *err);
	/* The peer's hello has come. */
	enum sc_status (*greet)(struct remote_link *link);
	/* Begins to send, and calls remote_sent when the memory is not needed any more, possibly
	 * inside post. */
	void (*post)(struct remote_link *link, struct remote_message *message);
	/* Begins to wait until all posted messages are on their way, as one more message. */
	void (*flush)(struct remote_link *link, struct remote_message *message);
	/* Disconnects. remote_sent is called for all messages in bounded time. */
	void (*end)(struct remote_link *link);
	/* After end: whether the carrier needs nothing of this link any more. */
	bool (*is_ended)(struct remote_link *link);
	/* Frees the kind's part of the link. */
	void (*destroy_link)(struct remote_link *link);
};

/* Where the closed fabrics of one loop wait for their end.
 * - A fabric is stuck when its carrier has not given back all memory after REMOTE_STUCK_TICKS. It
 *   stays parked, because freeing the memory would be worse than keeping it. Ticks are counted, not
 *   seconds, because a process that was suspended is no sign of a carrier that hangs.
 * - With REMOTE_MAX_STUCK stuck fabrics no other can be opened: each holds memory and
 *   descriptors, so something is wrong that a new process will not have. */
struct remote_lot {
	struct list fabrics;
	unsigned n_parked;
	unsigned n_open;
};

struct remote_fabric {
	struct fabric base;
	const struct remote_ops *ops;
	struct loop *loop;
	struct remote_lot *lot;
	struct list in_lot;		/* once it is parked */
	struct poller *poller;
	struct wake *wake;		/* sent when credits should be sent back */
	struct timer *timer;		/* runs while links linger */
	uint8_t *address;
	size_t n_address;
	uint64_t id;
	uint32_t last_link;
	struct envelope *hellos;	/* [n_peers] hello of a link that waits
					 * for ours; `from` is 0 if there is none */
	struct list links;		/* all, lingering ones too */
	unsigned n_ticks;		/* since it was closed */
	bool is_busy;			/* inside progress: callbacks may be running */
	bool is_closed;
	bool is_stuck;
};

/* Transitions only go forward and may skip states. */
enum remote_state {
	REMOTE_GREETING,	/* our hello is sent, the peer's has not come */
	REMOTE_UP,
	REMOTE_LEAVING,		/* our goodbye is sent, the peer's farewell has not come */
	REMOTE_FLUSHING,	/* both ends are done: the last messages are flushed */
	REMOTE_ENDING,		/* disconnecting; waiting for the carrier */
	REMOTE_GONE,		/* the carrier holds nothing of this link;
				 * freed once the owner has closed it */
};

struct remote_link {
	struct link base;
	struct list in_fabric;
	enum remote_state state;
	uint64_t id;
	uint64_t peer_fabric;		/* id of the peer's fabric */
	uint64_t peer_id;		/* 0 until hello */
	bool is_closed;			/* the owner closed it: no more callbacks */
	bool is_down_told;

	/* sending */
	struct remote_message control_messages[REMOTE_N_CONTROL_MESSAGES];
	struct remote_message *frame_messages;	/* [peer_credits] from hello on */
	struct remote_message *free_controls;
	struct remote_message *free_frames;
	size_t n_posted;		/* messages that the carrier has, flush included */
	uint64_t n_sent;		/* frames accepted; also the last one's sequence number */
	unsigned peer_credits;		/* number of credits that the peer grants; 0 until hello */
	unsigned n_credits;		/* credits left */
	uint64_t peer_max_payload;
	bool wants_credit;		/* a send was answered with SC_AGAIN */

	/* receiving */
	struct frame_pool *pool;	/* NULL: this end receives no frames */
	struct grant *grant;
	struct remote_arrival *arrivals;	/* [config.credits], frame n at (n - 1) % credits */
	uint64_t n_delivered;		/* frames delivered; also the last one's sequence number */
	size_t n_receiving;		/* arrivals that the carrier writes into */
	bool has_goodbye;
	uint64_t peer_last;		/* the peer's last sequence, after goodbye or farewell */
	bool has_farewell;
	bool is_farewell_sent;
	bool is_replaced;		/* the peer has sent hello from a newer link */

	/* closing */
	bool is_failed;
	struct error failure;
	bool is_flush_started;
	uint64_t deadline_ns;		/* of lingering */
};

/* remote_fabric.c: the functions for fabric_ops, */
void remote_fabric_close(struct fabric *base);
void remote_fabric_address(const struct fabric *base, const void **address_out,
			   size_t *n_bytes_out);
/* and for the opening of a kind's fabric:
 * 1. init, with the fabric zeroed by the kind; SC_E_CAPACITY: too many stuck fabrics;
 * 2. the kind opens what it needs;
 * 3. start, with the kind's part of the address. The poller's progress is remote_progress.
 * If a step fails, call remote_fabric_destroy, which calls ops->destroy. */
must_check enum sc_status remote_fabric_init(struct remote_fabric *fabric,
					     const struct remote_ops *ops,
					     const struct fabric_config *config, struct loop *loop,
					     struct remote_lot *lot, struct error *err);
must_check enum sc_status remote_fabric_start(struct remote_fabric *fabric, const void *native,
					      size_t n_native, const struct poller_config *poller,
					      struct error *err);
void remote_fabric_destroy(struct remote_fabric *fabric);
bool remote_progress(void *arg);
/* Handles a message that is no frame. Messages for nobody are dropped. */
void remote_dispatch(struct remote_fabric *fabric, const struct envelope *envelope);
/* The link that a message other than hello is for, or NULL. */
struct remote_link *remote_find_link(struct remote_fabric *fabric,
				     const struct envelope *envelope);

void remote_lot_init(struct remote_lot *lot);
/* Waits until the parked fabrics are gone, for REMOTE_DRAIN_MS at most, and leaves the rest to the
 * end of the process: then it returns false. All fabrics must be closed. */
bool remote_lot_deinit(struct remote_lot *lot);

/* remote_link.c: the functions for fabric_ops, */
enum sc_status remote_link_connect(struct fabric *base, unsigned peer, const void *address,
				   size_t n_bytes, const struct link_config *config,
				   const struct link_events *events, void *arg,
				   struct link **link_out, struct error *err);
enum sc_status remote_link_send(struct link *base, struct frame *frame);
void remote_link_close(struct link *base);
/* and for the fabric: acts on what carriers noted. Returns true if something happened. May free the
 * link. */
bool remote_link_advance(struct remote_link *link);
void remote_link_greet(struct remote_link *link, const struct envelope *hello);
/* The peer has opened a new link. Its goodbye for this link may come over another connection and
 * late, behind large frames. So this link fails only if the goodbye does not come in time. */
void remote_link_replace(struct remote_link *link);
/* A message other than hello and frame. */
void remote_link_take(struct remote_link *link, const struct envelope *envelope);
void remote_link_destroy(struct remote_link *link);

/* For carriers. Notes that the link is broken; the first reason is kept. */
void remote_fail(struct remote_link *link, enum sc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The carrier does not need the message any more. why is NULL, or what went wrong. */
void remote_sent(struct remote_message *message, const char *why);
/* Takes the credits of an envelope that came with a frame. */
void remote_take_credits(struct remote_link *link, const struct envelope *envelope);

static inline struct remote_fabric *remote_fabric_of(const struct remote_link *link)
{
	return (struct remote_fabric *)link->base.fabric;
}

/* remote_receive.c */
must_check enum sc_status remote_receive_init(struct remote_link *link);
void remote_receive_deinit(struct remote_link *link);
/* Frees the buffers of a link that receives no more frames. The owner keeps the frames that it
 * has. */
void remote_receive_drop(struct remote_link *link);
/* The free place of frame number `sequence`, with a frame to receive into. NULL: no frame is free,
 * or its place is taken. */
struct remote_arrival *remote_expect(struct remote_link *link, uint64_t sequence);
/* The same for a frame that has come. NULL after failing the link. */
struct remote_arrival *remote_begin(struct remote_link *link, uint64_t sequence, size_t n_bytes);
/* The frame's bytes are complete: checks them. */
void remote_finish(struct remote_arrival *arrival, size_t n_bytes);
/* Gives frames that are next in order to the owner. Returns true if there were some. */
bool remote_deliver(struct remote_link *link);

#endif
