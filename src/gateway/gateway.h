/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GATEWAY_H
#define STAGECOACH_GATEWAY_GATEWAY_H
/*
 * gateway - the gRPC front door: stagecoach.v1 and grpc.health.v1 over TCP and a Unix socket.
 * Owns sockets, HTTP/2 sessions and RPCs; holds jobs only as a watcher of the coordinator's.
 * Thread: the loop's thread alone; nothing blocks.
 */
#include "base/error.h"
#include "event/loop.h"

#include <stdbool.h>
#include <stddef.h>

/* A client must have shown by then that it speaks HTTP/2. */
#define GATEWAY_PREFACE_MS 10000
/* Whatever max_bytes says, so many of the largest requests have room together. */
#define GATEWAY_BUDGET_MESSAGES 8

struct coordinator;
struct gateway;

struct gateway_config {
	struct loop *loop;
	struct coordinator *coordinator;	/* borrowed until destroy */
	const char *listen;		/* as listener.h has it; port 0: any free one;
					 * NULL or "": none */
	const char *socket_path;	/* NULL or "": none */
	unsigned max_connections;
	unsigned max_peer_connections;	/* of one address; 0: half of max_connections */
	unsigned idle_ms;		/* of a connection without calls; 0: any time */
	unsigned max_streams;		/* of one connection */
	size_t max_message;		/* bytes of a request message */
	unsigned request_ms;		/* for a request to arrive; 0: any time */
	unsigned stall_ms;		/* for a client to take some of its answers; 0: any time */
	size_t max_bytes;		/* of requests and answers of all clients together */
};

/* Binds and listens at once; requests are answered from then on (UNAVAILABLE while loading).
 * SC_E_IO: err says which address and why ("127.0.0.1:8080: Address already in use"). A Unix
 * socket left behind by a dead process is replaced, a live one is not. SC_E_INVALID: an address
 * that makes no sense. From then on the process ignores SIGPIPE. */
must_check enum sc_status gateway_create(const struct gateway_config *config,
					 struct gateway **gateway_out, struct error *err);
/* Closes everything: calls under way end with UNAVAILABLE, attached jobs are cancelled. Accepts
 * NULL. */
void gateway_destroy(struct gateway *gateway);

/* The coordinator takes no more jobs: health answers NOT_SERVING from now on. Everything else is
 * answered as before, to new clients too, so that the end can be watched. */
void gateway_drain(struct gateway *gateway);

/* The last jobs are over: close the listeners, tell the clients to go. Calls under way go on. */
void gateway_close(struct gateway *gateway);

/* The phase of the coordinator changed: tells who watches health. */
void gateway_phase_changed(struct gateway *gateway);

/* "127.0.0.1:8080" as bound, "" without TCP. Borrowed. */
const char *gateway_address(const struct gateway *gateway);

/* May other machines reach the TCP address? The gateway asks nobody for a password. */
bool gateway_is_exposed(const struct gateway *gateway);

#endif
