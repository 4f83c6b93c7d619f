/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CHANNEL_H
#define STAGECOACH_TRANSPORT_CHANNEL_H
/*
 * channel - control messages between the coordinator and one worker, both ways, in order.
 * Kinds: loopback (two ends in one process) and tls (TLS 1.3 over TCP or a Unix socket; made by
 * channel_listener.h and channel_dialler.h). On the wire a message is a length and protobuf
 * (wire/control.h). A channel knows nothing of what the messages mean.
 *
 * Ownership: whoever got a channel from channel_pair, or from the callback of a listener or
 * dialler, calls channel_close exactly once.
 * Thread: the loop's thread only, callbacks included. Nothing blocks. A channel calls back only from
 * the loop, never from inside a function of this header. A callback may call every function of this
 * header on every channel.
 */
#include "base/error.h"
#include "event/loop.h"
#include "wire/control.h"

struct channel;

struct channel_events {
	/* A message came. It is borrowed during the call. */
	void (*on_message)(void *arg, struct channel *channel,
			   const Stagecoach__Cluster__V1__Control *message);
	/* The channel is dead; called once, after the messages that came before. The owner calls
	 * channel_close, here or later. why is a text for people.
	 * SC_E_CLOSED: the peer closed the channel, or the connection broke. SC_E_PROTOCOL: the
	 * peer sent bytes that are no message. SC_E_TIMEOUT: the peer does not read, or does not
	 * answer any more. SC_E_NOMEM: this process has no memory for the channel. */
	void (*on_down)(void *arg, struct channel *channel, enum sc_status status,
			const char *why);
};

/* Bytes that wait for a peer that does not read. */
#define CHANNEL_MAX_QUEUE (1 << 20)

/* Says who is told of the channel's events, and begins to deliver. Until then messages wait, and a
 * channel that dies is silent. Borrows events and arg until channel_close, or until another call
 * replaces them. */
void channel_watch(struct channel *channel, const struct channel_events *events, void *arg);

/* Packs message and queues it for sending. Keeps nothing of message. Never blocks or calls back.
 * SC_E_CLOSED: the channel is down; on_down is called, or was. SC_E_TOO_LARGE: over
 * CONTROL_MAX_BYTES; nothing is sent. SC_E_TIMEOUT: over CHANNEL_MAX_QUEUE bytes wait already; the
 * channel goes down. SC_E_NOMEM: nothing is sent. */
must_check enum sc_status channel_send(struct channel *channel,
				       const Stagecoach__Cluster__V1__Control *message);

/* Disconnects after what is queued has been sent, in the background and within a short time; the
 * memory goes by itself. No callback comes after it. Accepts NULL. */
void channel_close(struct channel *channel);

/* "10.0.0.3:41234", the path of a Unix socket, or "this process". Borrowed until channel_close. */
const char *channel_peer(const struct channel *channel);

/* Makes two connected ends in one process, on one loop. Messages are packed and unpacked as on the
 * wire. The caller closes both ends. SC_E_NOMEM. */
must_check enum sc_status channel_pair(struct loop *loop, struct channel *ends_out[2]);

#endif
