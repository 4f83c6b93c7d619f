/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CHANNEL_PRIVATE_H
#define STAGECOACH_TRANSPORT_CHANNEL_PRIVATE_H
/*
 * channel_private - what all kinds of channels share. Private to channel*.c.
 *
 * A kind puts the bytes that it received into `input` and calls channel_input_came, and it reports
 * the end of its connection with channel_fail. channel.c calls the owner back later, from a wake of
 * the loop, so that no kind has to expect a call in the middle of its own work.
 */
#include "transport/channel.h"

struct channel_ops {
	/* Queues message. Called only while the channel is neither down nor closed. Errors as
	 * channel_send. */
	must_check enum sc_status (*send)(struct channel *channel,
					  const Stagecoach__Cluster__V1__Control *message);
	/* Input was consumed: there is room for more. NULL: this kind never waits for room. */
	void (*resume)(struct channel *channel);
	/* The owner is gone: sends what is queued, disconnects, then calls channel_free. */
	void (*close)(struct channel *channel);
};

struct channel {
	const struct channel_ops *ops;
	const struct channel_events *events;	/* NULL: nobody watches yet */
	void *arg;
	struct wake *wake;		/* destroyed by channel_mute */
	struct buf input;		/* received, not yet delivered */
	struct error fault;		/* status SC_OK: the channel is up */
	bool is_down_told;
	bool is_closed;
	bool is_delivering;
	bool is_free;			/* free when the delivery is over */
	char peer[128];
};

/* Sets up a zeroed channel, which is the first member of the kind's own struct. */
must_check enum sc_status channel_init(struct channel *channel, struct loop *loop,
				       const struct channel_ops *ops);
/* Frees the channel, which was allocated on the heap, now or after the callback that is running. */
void channel_free(struct channel *channel);

/* Calls nobody back any more. channel_close does it. A kind does it for a channel that never had an
 * owner, before it waits for anything. */
void channel_mute(struct channel *channel);

/* Bytes were appended to input. */
void channel_input_came(struct channel *channel);
/* The connection is over. The first call counts; the owner is told after the rest of the input. */
void channel_fail(struct channel *channel, enum sc_status status, const char *why);

#endif
