/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_UCX_H
#define STAGECOACH_TRANSPORT_UCX_H
/*
 * ucx - what the parts of the ucx fabric share: ucx.c (worker, poller, messages in), ucx_link.c
 * (states, sending, closing) and ucx_receive.c (frames in, put back in order).
 *
 * A message is one active message: an envelope as header, and a frame as data or nothing. Both
 * ends say hello when they connect; a link sends frames once it knows the peer's link, so nothing
 * arrives for a link that is not there yet. Until then frames wait at the sender.
 * Nothing is called back from inside UCX: handlers note what happened, ucx_link_advance acts.
 * Thread: the loop's; the worker is opened for one thread at a time (SERIALIZED).
 */
#include "base/list.h"
#include "transport/envelope.h"
#include "transport/grant.h"
#include "transport/link.h"

#include <ucp/api/ucp.h>

#define UCX_TRANSPORT "ucx "
#define UCX_AM_ID 1
#define UCX_N_CONTROL_MESSAGES 8	/* per link, beside one per credit */
#define UCX_LINGER_MS 1000	/* how long a closed link may wait for its peer's farewell */
#define UCX_TICK_MS 20		/* how often deadlines are looked at meanwhile */

struct ucx_link;

struct ucx_fabric {
	struct fabric base;
	struct loop *loop;
	struct poller *poller;
	struct wake *wake;	/* credits wait to be sent back */
	struct timer *timer;	/* runs while links linger */
	ucp_context_h context;
	ucp_worker_h worker;
	int fd;
	uint8_t *address;
	size_t n_address;
	uint64_t last_id;
	struct ucx_link **by_peer;	/* [n_ranks] what its owner has open, or NULL */
	uint64_t *hello;		/* [n_ranks] peer link that waits for ours, or 0 */
	struct list links;		/* all, lingering ones too */
	bool is_busy;		/* inside progress: callbacks may be running */
	bool is_closed;		/* by its owner from inside a callback: ends after progress */
};

/* Transitions go forward only, any state may be skipped: link_enter in ucx_link.c. */
enum ucx_link_state {
	UCX_LINK_GREETING,	/* our hello is out; frames wait in `unsent` */
	UCX_LINK_UP,
	UCX_LINK_LEAVING,	/* our goodbye is out, the farewell is not in */
	UCX_LINK_FLUSHING,	/* over in good order: the last messages are pushed out */
	UCX_LINK_ENDING,	/* the endpoint is being closed, requests come back */
	UCX_LINK_GONE,		/* nothing of UCX is left; freed once the owner has closed it */
};

/* A message under way out; UCX reads the envelope until the request is complete. */
struct ucx_message {
	struct ucx_message *next;
	struct ucx_link *link;
	struct frame *frame;	/* or NULL */
	uint8_t envelope[ENVELOPE_BYTES];
};

struct ucx_arrival {
	struct ucx_link *link;
	struct frame *frame;	/* NULL: nothing here */
	bool is_whole;
};

struct ucx_link {
	struct link base;
	struct list in_fabric;
	ucp_ep_h ep;			/* NULL before and after */
	enum ucx_link_state state;
	uint64_t id;
	uint64_t peer_id;		/* 0 until hello */
	bool is_closed;			/* by its owner: no callbacks any more */
	bool is_down_told;

	/* out */
	struct ucx_message *messages;	/* [n_messages] */
	struct ucx_message *free_messages;
	size_t n_messages;
	size_t n_posted;		/* requests that have not come back, flush included */
	struct frame *unsent;		/* before hello, oldest first */
	struct frame **unsent_end;
	uint64_t n_sent;		/* frames taken; the last one's sequence */
	unsigned peer_credits;		/* all that the peer grants */
	unsigned n_credits;		/* left of them */
	uint64_t peer_max_payload;
	bool wants_credit;		/* a send was answered with SC_AGAIN */

	/* in */
	struct frame_pool *pool;
	struct grant *grant;
	struct ucx_arrival *arrivals;	/* [config.credits], frame n at (n - 1) % credits */
	uint64_t n_delivered;		/* frames; the last one's sequence */
	size_t n_receiving;		/* rendezvous receives that have not come back */
	bool has_goodbye;
	uint64_t peer_last;		/* the peer's last sequence, after its goodbye */
	bool has_farewell;
	bool is_farewell_sent;
	bool is_replaced;		/* the peer says hello from another link */

	/* the end */
	bool is_failed;
	struct error failure;
	bool is_flush_started;
	void *close_request;
	uint64_t deadline_ns;		/* of lingering */
};

/* ucx_link.c. connect, send and close_link are the fabric's operations of those names. */
enum sc_status ucx_link_connect(struct fabric *base, unsigned peer, const void *address,
				size_t n_bytes, const struct link_events *events, void *arg,
				struct link **link_out, struct error *err);
enum sc_status ucx_link_send(struct link *base, struct frame *frame);
void ucx_link_close(struct link *base);
/* Act on what was noted; true: something happened. May free the link. */
bool ucx_link_advance(struct ucx_link *link);
/* The peer has begun a new link. Its goodbye for this one comes on another endpoint and may be
 * behind large frames: the link fails only if it stays away. */
void ucx_link_replace(struct ucx_link *link);
/* Note that the link is broken; the first reason stands. */
void ucx_link_fail(struct ucx_link *link, enum sc_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void ucx_link_destroy(struct ucx_link *link);
/* The fabric goes, but UCX still uses the link's memory, which therefore stays. */
void ucx_link_abandon(struct ucx_link *link);
/* A message that is no hello, from this link's peer. */
ucs_status_t ucx_link_receive(struct ucx_link *link, const struct envelope *envelope, void *data,
			      size_t n_bytes, uint64_t attributes);

/* ucx_receive.c */
enum sc_status ucx_receive_init(struct ucx_link *link, struct error *err);
void ucx_receive_deinit(struct ucx_link *link);
ucs_status_t ucx_receive_frame(struct ucx_link *link, const struct envelope *envelope,
			       void *data, size_t n_bytes, uint64_t attributes);
/* Hand frames whose turn it is to the owner; true: there were some. */
bool ucx_receive_deliver(struct ucx_link *link);

/* ucx_env.c: the variables that are read after main has begun, where the user set none. */
void ucx_env_set_defaults(void);

#endif
