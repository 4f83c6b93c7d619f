/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_LOOPBACK_PAIR_H
#define STAGECOACH_TRANSPORT_LOOPBACK_PAIR_H
/*
 * loopback_pair - the state shared by the two ends of a loopback link: an inbox and credits for
 * each end. Frames are passed by pointer, whatever pool they come from.
 *
 * References keep a pair alive: one for each joined end, one while the hub offers the pair to a
 * missing end, and one for each frame that went through the pair and is not released. Sending
 * allocates nothing: a lease records each frame in use, and there are as many leases as credits.
 * Thread: each end's functions run on the thread of its loop; frames are released on any thread.
 */
#include "event/loop.h"
#include "transport/link.h"

struct pair;

/* Ends are 0 and 1. */
must_check enum sc_status pair_create(struct pair **pair_out);
void pair_ref(struct pair *pair);
void pair_unref(struct pair *pair);

/* Returns false if this end is joined or was joined earlier. */
bool pair_is_free(struct pair *pair, unsigned end);
/* Joins an end. wake is sent when there is news for this end; borrowed until pair_leave. config is
 * what this end receives: only now can the other end send. */
must_check enum sc_status pair_join(struct pair *pair, unsigned end, struct wake *wake,
				    const struct link_config *config);
/* Leaves, and drops the frames that this end has not received. Returns true if the other end has
 * left, too. May also be called for an end that was never joined and never will be. */
bool pair_leave(struct pair *pair, unsigned end);

/* As link_send. */
must_check enum sc_status pair_send(struct pair *pair, unsigned end, struct frame *frame);

/* The number of frames that wait for this end. */
size_t pair_n_waiting(struct pair *pair, unsigned end);
/* Returns NULL if no frame waits. */
struct frame *pair_receive(struct pair *pair, unsigned end);

/* Other news for an end. */
struct pair_news {
	bool has_frames;
	bool has_credit;	/* once after each SC_AGAIN */
	bool is_down;		/* the other end left, and all its frames were received */
};
struct pair_news pair_news(struct pair *pair, unsigned end);

#endif
