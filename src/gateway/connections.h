/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_CONNECTIONS_H
#define STAGECOACH_GATEWAY_CONNECTIONS_H
/*
 * connections - the accepted sockets of a gateway, each with its session.
 * - Moves bytes between socket and session.
 * - Keeps time limits: a client that has not proved within preface_ms that it speaks a protocol of
 *   this server is dropped; a client without calls for idle_ms is told to go; deadlines of calls
 *   are enforced.
 * - Bounds output: each connection has one write in progress.
 * - Shares the loop: all clients together get some milliseconds per turn of the loop. Input beyond
 *   that waits, first come first served.
 * Thread: the loop's thread only. Nothing blocks.
 */
#include "base/status.h"
#include "event/loop.h"
#include "gateway/grpc_session.h"
#include "gateway/tls_credentials.h"
#include "http/http_session.h"

#include <uv.h>

struct connections;

/* What http_call_peer says of clients of the Unix socket; of others it says the address. */
#define CONNECTIONS_UNIX_PEER "unix"

struct connections_config {
	struct loop *loop;
	/* The configuration of each session, except on_wake and other members of the connection's
	 * own. Its pointers are borrowed until destroy. */
	struct grpc_session_config grpc;
	struct http_session_config http;
	struct limit_counts *limits;	/* borrowed; NULL: nobody counts */
	uint64_t stall_ns;	/* time limit for a client to take output; 0: none */
	unsigned max;		/* see admission.h */
	unsigned max_per_peer;
	unsigned preface_ms;
	unsigned idle_ms;	/* 0: no limit */
};

must_check enum sc_status connections_create(const struct connections_config *config,
					     struct connections **connections_out);
/* Closes all connections. Their memory is freed in the loop's next turns. Accepts NULL. */
void connections_destroy(struct connections *connections);

/* Serves a client that has come. Takes its socket. */
void connections_accept(struct connections *connections, int fd, bool is_unix);

/* Clients that come over TCP from now on must speak TLS with these credentials. Refs credentials;
 * NULL: TCP is without TLS. */
void connections_set_tls(struct connections *connections, struct tls_credentials *credentials);

/* Tells the clients that the server is ending. Calls in progress continue. */
void connections_drain(struct connections *connections);

unsigned connections_count(const struct connections *connections);

#endif
