/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CHANNEL_LISTENER_H
#define STAGECOACH_TRANSPORT_CHANNEL_LISTENER_H
/*
 * channel_listener - the coordinator's side of control connections: listens on a TCP port or a Unix
 * socket, and hands out a channel for each peer that proves that it has a cluster key.
 *
 * Until then a peer is a stranger. Strangers are bounded in number, in total and per address, in
 * time, and in bytes (transport/tls_session.h). Members are not counted. Nothing is parsed of a
 * stranger but its TLS handshake, and a stranger that fails is told nothing. Failures are counted
 * and logged, one warning a minute at most.
 * Thread: the loop's. channel_listener_create may wait for a name server; nothing else blocks.
 */
#include "transport/channel.h"
#include "transport/cluster_keys.h"

#include <stdbool.h>

struct channel_listener;

/* A peer has proved that it has the key of that id. The callee takes channel, and should call
 * channel_watch. It may close the listener. */
typedef void channel_accept_fn(void *arg, struct channel *channel, const char *key_id);

struct channel_listener_config {
	struct loop *loop;
	/* "HOST:PORT", or "INTERFACE:PORT" for the addresses of a network interface ("eth0:7070"),
	 * or "*:PORT" for all addresses, or the path of a Unix socket, which begins with '/'.
	 * Port 0: any free port. */
	const char *address;
	const struct cluster_keys *keys;	/* copied */
	unsigned handshake_ms;		/* that a stranger may take; 0: 5000 */
	unsigned dead_ms;		/* a member's host that acknowledges nothing for so long
					 * is gone; 0: as the system decides */
	unsigned max_strangers;		/* 0: 64 */
	unsigned max_strangers_per_address;	/* of TCP; 0: 16 */
	channel_accept_fn *on_accept;
	void *arg;
};

/* Copies config. From then on the process ignores SIGPIPE. SC_E_INVALID, SC_E_IO: err names the
 * address and the reason. */
must_check enum sc_status channel_listener_create(const struct channel_listener_config *config,
						  struct channel_listener **listener_out,
						  struct error *err);
/* Whether an address of the config above makes sense and belongs to this machine. Whether it is in
 * use is not noticed. Errors as above. */
must_check enum sc_status channel_listener_check(const char *address, struct error *err);
/* Stops listening and drops all strangers. Channels that were handed out live on. Those that were
 * closed, and still send their last messages, are cut off: let the loop run for a moment first if
 * last messages matter. Accepts NULL. */
void channel_listener_close(struct channel_listener *listener);

/* Other keys from now on. Members stay, also those that came with a key that is gone now. */
must_check enum sc_status channel_listener_set_keys(struct channel_listener *listener,
						    const struct cluster_keys *keys,
						    struct error *err);

/* The first address, with its real port: "127.0.0.1:7070", "[::]:7070", or the path. Borrowed until
 * close. */
const char *channel_listener_address(const struct channel_listener *listener);
/* May other machines reach it? */
bool channel_listener_is_exposed(const struct channel_listener *listener);

struct channel_listener_counts {
	unsigned n_strangers;	/* now */
	uint64_t accepted;	/* became members */
	uint64_t refused;	/* the handshake failed, or the peer closed its end */
	uint64_t expired;	/* took longer than handshake_ms */
	uint64_t displaced;	/* gave way to a newcomer */
};
void channel_listener_count(const struct channel_listener *listener,
			    struct channel_listener_counts *counts_out);

#endif
