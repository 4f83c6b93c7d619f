/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_LOOPBACK_PAIR_H
#define STAGECOACH_TRANSPORT_LOOPBACK_PAIR_H
/*
 * loopback_pair - what the two ends of one loopback link share: an inbox and the credits of each
 * end. Frames change hands by pointer, whatever pool they are from.
 *
 * A pair lives while an end is joined, while the hub still offers it to an end that has not come,
 * and while a frame that went through it is not released: each holds a reference. Sending
 * allocates nothing: what is remembered of a frame that is out lies in a lease, and there are as
 * many leases as credits.
 * Thread: any; each end's functions on the thread of its loop, frames are released on any.
 */
#include "event/loop.h"
#include "wire/frame.h"

#define LOOPBACK_MAX_CREDITS 65536

struct pair;

/* Ends are 0 and 1. */
must_check enum sc_status pair_create(struct pair **pair_out);
void pair_ref(struct pair *pair);
void pair_unref(struct pair *pair);

/* False: this end was joined before, now or earlier. */
bool pair_is_free(struct pair *pair, unsigned end);
/* wake is sent when there is news for this end; borrowed until pair_leave. n_credits frames of at
 * most max_payload bytes may be out to the other end. */
must_check enum sc_status pair_join(struct pair *pair, unsigned end, struct wake *wake,
				    unsigned n_credits, size_t max_payload);
/* Drops what this end has not received. True: the other end has left too. Also for an end that
 * was never joined and will not be. */
bool pair_leave(struct pair *pair, unsigned end);

/* As link_send. */
must_check enum sc_status pair_send(struct pair *pair, unsigned end, struct frame *frame);

/* How many frames wait for this end. */
size_t pair_n_waiting(struct pair *pair, unsigned end);
/* NULL: none. */
struct frame *pair_receive(struct pair *pair, unsigned end);

/* What else is new for an end. */
struct pair_news {
	bool has_frames;
	bool has_credit;	/* once after each SC_AGAIN */
	bool is_down;		/* the other end left, and all its frames were received */
};
struct pair_news pair_news(struct pair *pair, unsigned end);

#endif
