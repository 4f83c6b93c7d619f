/* SPDX-License-Identifier: Apache-2.0 */
/* The way between a connection and its session: finds out what the client speaks, makes the
 * session, and carries bytes to it and from it. */
#include "gateway/connections_private.h"

#include "net/net_address.h"

#include <stdio.h>

#define WRITE_BYTES 65536

/* --- the session --- */

/* A session has something to send. It is not flushed here, because this is called from deep inside
 * a change of a job. */
static void on_wake(void *arg)
{
	struct connection *connection = arg;

	connections_add_dirty(connection->owner, connection);
}

static bool is_restricted(void *arg)
{
	struct connection *connection = arg;

	return connections_is_restricted(connection->owner, connection);
}

static enum sc_status open_grpc(struct connection *connection)
{
	struct grpc_session_config config = connection->owner->config.grpc;
	struct grpc_session *session;

	config.on_wake = on_wake;
	config.is_restricted = is_restricted;
	config.arg = connection;
	config.client = ++connection->owner->last_client;
	if (connection->handle.type != UV_TCP)
		config.gate = NULL;
	if (grpc_session_create(&config, &session) != SC_OK)
		return SC_E_NOMEM;
	connection->session = (struct session){ .ops = &grpc_session_ops, .self = session };
	return SC_OK;
}

static enum sc_status open_session(struct connection *connection, struct error *err)
{
	const enum drain drain = connection->owner->drain;

	if (open_grpc(connection) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	if (drain >= DRAIN_ANNOUNCE)
		session_announce_end(&connection->session);
	if (drain >= DRAIN_REFUSE)
		session_refuse_calls(&connection->session);
	return SC_OK;
}

/* --- strangers --- */

/* Where the client has found this server, and the flag of `stagecoach` that says so. */
static const char *own_address(const struct connection *connection, char *text, size_t n_bytes)
{
	struct sockaddr_storage address;
	int length = sizeof address;
	size_t n = n_bytes - 1;

	if (connection->handle.type == UV_TCP) {
		snprintf(text, n_bytes, "unknown address");
		if (!uv_tcp_getsockname(&connection->tcp, (struct sockaddr *)&address, &length))
			net_address_format((struct sockaddr *)&address, (socklen_t)length, text,
					   n_bytes);
		return "--listen";
	}
	if (uv_pipe_getsockname(&connection->pipe, text, &n))
		n = 0;
	text[n] = '\0';
	return "--socket";
}

/* Adds to the output what a client that does not speak HTTP/2 is told: nothing, but to HTTP/1. */
static enum sc_status answer_stranger(struct connection *connection)
{
	char address[256];
	const char *flag;

	if (connection->speaks != SPEAKS_HTTP1 || connection->is_answered)
		return SC_OK;
	connection->is_answered = true;
	flag = own_address(connection, address, sizeof address);
	return first_bytes_answer(&connection->first, flag, address, &connection->output);
}

static enum sc_status refuse_stranger(const struct connection *connection, struct error *err)
{
	static const char *const names[] = {
		[SPEAKS_HTTP1] = "HTTP/1", [SPEAKS_TLS] = "TLS", [SPEAKS_OTHER] = "no HTTP",
	};

	return error_set(err, SC_E_PROTOCOL, "the client speaks %s, this port gRPC (HTTP/2 without "
			 "TLS)", names[connection->speaks]);
}

/* --- bytes --- */

static enum sc_status receive(struct connection *connection, const void *bytes, size_t n_bytes,
			      struct error *err)
{
	const uint64_t now_ns = loop_now_ns(connection->owner->config.loop);
	const struct session *session = &connection->session;

	return session->ops->receive(session->self, bytes, n_bytes, now_ns, err);
}

enum sc_status connection_take(struct connection *connection, const char *bytes, size_t n_bytes,
			       struct error *err)
{
	const size_t n_held = connection->first.n;
	enum sc_status status = SC_OK;

	if (connection->speaks == SPEAKS_UNKNOWN) {
		connection->speaks = first_bytes_add(&connection->first, bytes, n_bytes);
		if (connection->speaks == SPEAKS_UNKNOWN)
			return SC_OK;
		if (connection->speaks != SPEAKS_HTTP2)
			return refuse_stranger(connection, err);
		status = open_session(connection, err);
		if (status == SC_OK && n_held)
			status = receive(connection, connection->first.bytes, n_held, err);
	}
	if (status == SC_OK)
		status = receive(connection, bytes, n_bytes, err);
	return status;
}

enum sc_status connection_gather(struct connection *connection)
{
	const struct session *session = &connection->session;
	const uint64_t now_ns = loop_now_ns(connection->owner->config.loop);
	struct buf *output = &connection->output;
	enum sc_status status = SC_OK;

	buf_truncate(output, 0);
	if (!session->ops)
		return answer_stranger(connection);
	/* Each iteration may make a whole answer, so do at least one. */
	while (output->length < WRITE_BYTES && status == SC_OK &&
	       !(output->length && connections_is_turn_over(connection->owner))) {
		const uint8_t *bytes;
		size_t n = 0;

		status = session->ops->send(session->self, now_ns, &bytes, &n, NULL);
		if (status == SC_OK && n)
			status = buf_add(output, bytes, n);
		if (!n)
			break;
	}
	return status;
}
