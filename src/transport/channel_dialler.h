/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_CHANNEL_DIALLER_H
#define STAGECOACH_TRANSPORT_CHANNEL_DIALLER_H
/*
 * channel_dialler - a worker's side of control connections: dials the coordinator until it has a
 * channel, and again when it is told that the channel was lost. It never gives up.
 *
 * A round tries each address of the list, and each address that a name stands for: names are
 * resolved again in every round, by libuv's threads. At each address the key that worked last is
 * offered first, and the other key if that handshake fails. Between two rounds the dialler waits a
 * random time whose limit doubles from min_backoff_ms to max_backoff_ms. The limit starts again
 * only after a channel that lived for stable_ms, so a coordinator that accepts and drops is not
 * dialled in a tight loop.
 * Thread: the loop's. Nothing blocks; loop_destroy waits for a name server that was asked.
 */
#include "transport/channel.h"
#include "transport/cluster_keys.h"

#define DIALLER_MAX_ADDRESSES 32

struct channel_dialler;

struct channel_dialler_events {
	/* There is a channel. The callee takes it, and should call channel_watch. The dialler rests
	 * until channel_dialler_again. */
	void (*on_up)(void *arg, struct channel *channel, const char *key_id);
	/* A round has failed; err names each address with the reason. The next round begins in
	 * wait_ms. May be NULL. SC_E_CLOSED: at every address a host has answered that nobody
	 * listens there. SC_E_UNAVAILABLE: any other reason. */
	void (*on_failed)(void *arg, const struct error *err, unsigned wait_ms);
};

struct channel_dialler_config {
	struct loop *loop;
	/* Each is "HOST:PORT", or the path of a Unix socket, which begins with '/'. At least one, at
	 * most DIALLER_MAX_ADDRESSES. Copied. */
	const char *const *addresses;
	unsigned n_addresses;
	const struct cluster_keys *keys;	/* copied */
	unsigned connect_ms;		/* for a name server's answer, and for each address; 0: 3000 */
	unsigned handshake_ms;		/* 0: 5000 */
	unsigned dead_ms;		/* as in channel_listener_config */
	unsigned min_backoff_ms;	/* 0: 100 */
	unsigned max_backoff_ms;	/* 0: 5000 */
	unsigned stable_ms;		/* 0: 10000 */
	const struct channel_dialler_events *events;	/* borrowed; may destroy the dialler */
	void *arg;
};

/* Starts the first round in the next turn of the loop. From then on the process ignores SIGPIPE.
 * SC_E_INVALID: err names an address that makes
 * no sense. */
must_check enum sc_status channel_dialler_create(const struct channel_dialler_config *config,
						 struct channel_dialler **dialler_out,
						 struct error *err);
/* A channel that was handed out lives on. If it was closed, and still sends its last messages, it is
 * cut off: let the loop run for a moment first if last messages matter. Accepts NULL. */
void channel_dialler_destroy(struct channel_dialler *dialler);

/* The channel of on_up is lost, or of no use: dial again. At once after a stable channel, else after
 * a wait. Does nothing while the dialler dials. */
void channel_dialler_again(struct channel_dialler *dialler);

/* Other keys, from the next attempt on. */
must_check enum sc_status channel_dialler_set_keys(struct channel_dialler *dialler,
						   const struct cluster_keys *keys,
						   struct error *err);

#endif
