/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_UCX_H
#define STAGECOACH_TRANSPORT_UCX_H
/*
 * ucx - what the parts of the ucx fabric share: ucx.c (worker, poller, received messages),
 * ucx_link.c (states, sending, closing) and ucx_receive.c (received frames, put back in order).
 *
 * - Each message is one UCX active message: the envelope is its header; a frame, if any, is its
 *   data.
 * - Both ends send hello when they connect; it says what they receive. A link sends frames only
 *   after the peer's hello, so no frame arrives for a link that does not exist yet.
 * - UCX's handlers only note what happened; ucx_link_advance acts on it. So no owner's callback
 *   runs inside a call of UCX.
 * Thread: the loop's. The UCX worker is opened for one thread at a time (SERIALIZED).
 */
#include "base/list.h"
#include "transport/envelope.h"
#include "transport/grant.h"
#include "transport/link.h"

#include <ucp/api/ucp.h>

#define UCX_TRANSPORT "ucx "
#define UCX_AM_ID 1
#define UCX_N_CONTROL_MESSAGES 8	/* per link, in addition to one per credit */
#define UCX_LINGER_MS 1000	/* how long a closed link may wait for its peer's farewell */
#define UCX_TICK_MS 20		/* interval of checks of these deadlines */

struct ucx_link;

struct ucx_port {
	struct loop *loop;
};

struct ucx_fabric {
	struct fabric base;
	struct loop *loop;
	struct poller *poller;
	struct wake *wake;	/* sent when credits should be sent back */
	struct timer *timer;	/* runs while links linger */
	ucp_context_h context;
	ucp_worker_h worker;
	int fd;
	uint8_t *address;
	size_t n_address;
	uint64_t id;
	uint64_t last_id;
	struct ucx_link **by_peer;	/* [n_peers] the link that the owner has open, or NULL */
	struct envelope *hellos;	/* [n_peers] hello of a link that waits
					 * for ours; `from` is 0 if there is none */
	struct list links;		/* all, lingering ones too */
	bool is_busy;		/* inside progress: callbacks may be running */
	bool is_closed;		/* the owner closed it inside a
				 * callback: destroyed after progress */
};

/* Transitions only go forward and may skip states: link_enter in ucx_link.c. */
enum ucx_link_state {
	UCX_LINK_GREETING,	/* our hello is sent, the peer's has not come */
	UCX_LINK_UP,
	UCX_LINK_LEAVING,	/* our goodbye is sent, the peer's farewell has not come */
	UCX_LINK_FLUSHING,	/* both ends are done: the last messages are flushed */
	UCX_LINK_ENDING,	/* the endpoint is being closed; waiting for requests */
	UCX_LINK_GONE,		/* UCX holds nothing of this link; freed
				 * once the owner has closed it */
};

/* A message being sent. UCX reads the envelope until the request is complete. */
struct ucx_message {
	struct ucx_message *next;
	struct ucx_link *link;
	struct frame *frame;	/* or NULL */
	uint8_t envelope[ENVELOPE_BYTES];
};

struct ucx_arrival {
	struct ucx_link *link;
	struct frame *frame;	/* NULL: no frame at this place */
	bool is_whole;
};

struct ucx_link {
	struct link base;
	struct list in_fabric;
	ucp_ep_h ep;			/* NULL before connecting and after closing */
	enum ucx_link_state state;
	uint64_t id;
	uint64_t peer_fabric;		/* id of the peer's fabric */
	uint64_t peer_id;		/* 0 until hello */
	bool is_closed;			/* the owner closed it: no more callbacks */
	bool is_down_told;

	/* sending */
	struct ucx_message control_messages[UCX_N_CONTROL_MESSAGES];
	struct ucx_message *frame_messages;	/* [peer_credits] from hello on */
	struct ucx_message *free_messages;
	size_t n_posted;		/* pending requests, flush included */
	uint64_t n_sent;		/* frames accepted; also the last one's sequence number */
	unsigned peer_credits;		/* number of credits that the peer grants; 0 until hello */
	unsigned n_credits;		/* credits left */
	uint64_t peer_max_payload;
	bool wants_credit;		/* a send was answered with SC_AGAIN */

	/* receiving */
	struct frame_pool *pool;
	struct grant *grant;
	struct ucx_arrival *arrivals;	/* [config.credits], frame n at (n - 1) % credits */
	uint64_t n_delivered;		/* frames delivered; also the last one's sequence number */
	size_t n_receiving;		/* pending rendezvous receives */
	bool has_goodbye;
	uint64_t peer_last;		/* the peer's last sequence, after its goodbye */
	bool has_farewell;
	bool is_farewell_sent;
	bool is_replaced;		/* the peer has sent hello from a newer link */

	/* closing */
	bool is_failed;
	struct error failure;
	bool is_flush_started;
	void *close_request;
	uint64_t deadline_ns;		/* of lingering */
};

/* ucx_link.c. connect, send and close_link are the fabric's operations of those names. */
enum sc_status ucx_link_connect(struct fabric *base, unsigned peer, const void *address,
				size_t n_bytes, const struct link_config *config,
				const struct link_events *events, void *arg,
				struct link **link_out, struct error *err);
enum sc_status ucx_link_send(struct link *base, struct frame *frame);
void ucx_link_close(struct link *base);
/* Acts on what the handlers noted. Returns true if something happened. May free the link. */
bool ucx_link_advance(struct ucx_link *link);
/* Takes the hello of the peer's link. */
void ucx_link_greet(struct ucx_link *link, const struct envelope *hello);
/* The peer has opened a new link. Its goodbye for this link comes over another endpoint and may be
 * delayed by large frames, so this link fails only if the goodbye does not come in time. */
void ucx_link_replace(struct ucx_link *link);
/* Notes that the link is broken. The first reason is kept. */
void ucx_link_fail(struct ucx_link *link, enum sc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ucx_link_destroy(struct ucx_link *link);
/* Called when the fabric is closed while UCX still uses the link's memory: the memory is leaked. */
void ucx_link_abandon(struct ucx_link *link);
/* Handles a message other than hello from this link's peer. */
ucs_status_t ucx_link_receive(struct ucx_link *link, const struct envelope *envelope, void *data,
			      size_t n_bytes, uint64_t attributes);

/* ucx_receive.c */
enum sc_status ucx_receive_init(struct ucx_link *link, struct error *err);
void ucx_receive_deinit(struct ucx_link *link);
ucs_status_t ucx_receive_frame(struct ucx_link *link, const struct envelope *envelope,
			       void *data, size_t n_bytes, uint64_t attributes);
/* Gives frames that are next in order to the owner. Returns true if there were some. */
bool ucx_receive_deliver(struct ucx_link *link);

/* ucx_env.c: sets the variables that UCX reads after main has begun, unless the user has set
 * them. */
void ucx_env_set_defaults(void);

#endif
