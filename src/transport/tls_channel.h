/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_TLS_CHANNEL_H
#define STAGECOACH_TRANSPORT_TLS_CHANNEL_H
/*
 * tls_channel - the channel kind over a TCP or Unix socket. It begins as a handshake with a
 * stranger, and becomes a channel when the stranger has proved that it has a cluster key. Private
 * to channel_listener.c and channel_dialler.c.
 *
 * A handshake costs one tls_channel, its GnuTLS session, and no more: what the stranger sends is
 * bounded by tls_session, and there is one read buffer for all channels of a tls_channels.
 * Thread: the loop's.
 */
#include "base/list.h"
#include "transport/channel_private.h"
#include "transport/tls_session.h"

struct tls_channel;
struct tls_channels;

/* What comes of a handshake: exactly one of these is called, from the loop, unless
 * tls_channel_abort was called before. */
struct tls_channel_events {
	/* The peer is a member. The callee takes channel. */
	void (*on_secure)(void *arg, struct channel *channel, const char *key_id);
	/* The tls_channel is gone. was_connected: false if the socket never connected. */
	void (*on_failed)(void *arg, const struct error *err, bool was_connected);
};

struct tls_channel_config {
	enum tls_role role;
	unsigned key;		/* that a dialler offers */
	unsigned connect_ms;	/* until the socket must be connected; 0: it is */
	unsigned handshake_ms;	/* from then on */
	bool is_unix;
	const char *peer;	/* for people */
	const struct tls_channel_events *events;
	void *arg;
};

/* The channels of one listener or dialler. dead_ms: a TCP peer that acknowledges nothing for so
 * long is gone. */
must_check enum sc_status tls_channels_create(struct loop *loop, unsigned dead_ms,
					      struct tls_channels **channels_out);
/* Channels live on, but no longer than their owners: those that still send in the background are cut
 * off now, and later ones are closed as fast as the socket takes their last bytes. Handshakes must
 * have been aborted. Accepts NULL. */
void tls_channels_close(struct tls_channels *channels);

/* Begins a handshake on fd, a socket that does not block, connected or connecting. Takes fd, also on
 * failure. */
must_check enum sc_status tls_channel_open(struct tls_channels *channels,
					   struct tls_context *context, int fd,
					   const struct tls_channel_config *config,
					   struct tls_channel **channel_out, struct error *err);

/* Ends a handshake, without a callback. */
void tls_channel_abort(struct tls_channel *channel);

/* Whether the peer of a handshake has sent anything. */
bool tls_channel_has_spoken(const struct tls_channel *channel);

#endif
