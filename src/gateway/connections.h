/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_CONNECTIONS_H
#define STAGECOACH_GATEWAY_CONNECTIONS_H
/*
 * connections - the accepted sockets of a gateway, each with its session.
 * Moves bytes between the two and keeps time. A client that speaks HTTP/1 is told what this server
 * is, and one that speaks neither is closed (first_bytes.h); the server says nothing before that is
 * clear. A client that has not shown within preface_ms that it speaks HTTP/2 is dropped, one without
 * calls for idle_ms is told to go, deadlines of calls are watched. One write per connection is under
 * way at a time, so output is bounded. In one turn of the loop clients get some milliseconds
 * together, then everything else has its turn; what they sent meanwhile waits, first come first
 * served.
 * Thread: the loop's thread alone; nothing blocks.
 */
#include "base/status.h"
#include "event/loop.h"
#include "gateway/grpc_session.h"

#include <uv.h>

struct connections;

struct connections_config {
	struct loop *loop;
	/* Used for each session, but for on_wake and what else is the connection's own. What it
	 * points to is borrowed until destroy. */
	struct grpc_session_config session;
	unsigned max;		/* as admission.h has them */
	unsigned max_per_peer;
	unsigned preface_ms;
	unsigned idle_ms;	/* 0: any time */
};

must_check enum sc_status connections_create(const struct connections_config *config,
					     struct connections **connections_out);
/* Closes all. Memory is freed in the loop's next turns. Accepts NULL. */
void connections_destroy(struct connections *connections);

/* A client waits at the listening socket. */
void connections_accept(struct connections *connections, uv_stream_t *listener);

/* Tell the clients that this is the end; calls under way go on. */
void connections_drain(struct connections *connections);

unsigned connections_count(const struct connections *connections);

#endif
