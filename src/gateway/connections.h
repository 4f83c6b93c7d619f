/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_CONNECTIONS_H
#define STAGECOACH_GATEWAY_CONNECTIONS_H
/*
 * connections - the accepted sockets of a gateway, each with its session.
 * Moves bytes between the two and keeps time: a client that has not shown within
 * CONNECTION_PREFACE_MS that it speaks HTTP/2 is dropped, deadlines of calls are watched. One
 * write per connection is under way at a time, so output is bounded.
 * Thread: the loop's thread alone; nothing blocks.
 */
#include "base/status.h"
#include "gateway/grpc_session.h"

#include <uv.h>

#define CONNECTION_PREFACE_MS 10000

struct connections;

/* max: open at once; one more is closed as soon as it is accepted. The on_wake of session_config
 * is set by each connection; the rest of it is used as it is, borrowed until destroy. */
must_check enum sc_status connections_create(uv_loop_t *uv,
					     const struct grpc_session_config *session_config,
					     unsigned max, struct connections **connections_out);
/* Closes all. Memory is freed in the loop's next turns. Accepts NULL. */
void connections_destroy(struct connections *connections);

/* A client waits at the listening socket. */
void connections_accept(struct connections *connections, uv_stream_t *listener);

/* Tell the clients that this is the end; calls under way go on. */
void connections_drain(struct connections *connections);

unsigned connections_count(const struct connections *connections);

#endif
