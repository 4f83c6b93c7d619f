/* SPDX-License-Identifier: Apache-2.0 */
/* The way between a connection and its session: finds out what the client speaks, makes the
 * session, and carries bytes to it and from it. */
#include "gateway/connections_private.h"

#include "gateway/http_session_ops.h"
#include "gateway/stranger.h"

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
	config.peer = connection->peer;
	if (connection->handle.type != UV_TCP)
		config.gate = NULL;
	if (grpc_session_create(&config, &session) != SC_OK)
		return SC_E_NOMEM;
	connection->session = (struct session){ .ops = &grpc_session_ops, .self = session };
	return SC_OK;
}

static enum sc_status open_http(struct connection *connection)
{
	struct http_session_config config = connection->owner->config.http;
	struct http_session *session;

	config.on_wake = on_wake;
	config.is_restricted = is_restricted;
	config.arg = connection;
	config.client = ++connection->owner->last_client;
	config.peer = connection->peer;
	if (connection->handle.type != UV_TCP)
		config.gate = NULL;
	if (http_session_create(&config, &session) != SC_OK)
		return SC_E_NOMEM;
	connection->session = (struct session){ .ops = &http_session_ops, .self = session };
	return SC_OK;
}

static enum sc_status open_session(struct connection *connection, struct error *err)
{
	const enum drain drain = connection->owner->drain;

	if ((connection->speaks == SPEAKS_HTTP2 ? open_grpc : open_http)(connection) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	if (drain >= DRAIN_ANNOUNCE)
		session_announce_end(&connection->session);
	if (drain >= DRAIN_REFUSE)
		session_refuse_calls(&connection->session);
	return SC_OK;
}

/* --- strangers --- */

static enum sc_status refuse_stranger(const struct connection *connection, struct error *err)
{
	return error_set(err, SC_E_PROTOCOL, "the client speaks %s, this port gRPC (HTTP/2) and "
			 "HTTP/1.1 without TLS", connection->speaks == SPEAKS_TLS ? "TLS" :
			 "no HTTP");
}

static enum sc_status answer_stranger(struct connection *connection)
{
	if (connection->is_answered || connection->speaks == SPEAKS_UNKNOWN || connection->tls)
		return SC_OK;
	connection->is_answered = true;
	return stranger_answer(connection->speaks, connection->demands_tls, &connection->output);
}

/* --- bytes --- */

static enum sc_status receive(struct connection *connection, const void *bytes, size_t n_bytes,
			      struct error *err)
{
	const uint64_t now_ns = loop_now_ns(connection->owner->config.loop);
	const struct session *session = &connection->session;

	return session->ops->receive(session->self, bytes, n_bytes, now_ns, err);
}

/* Bytes of the protocol, out of TLS where there is TLS. */
static enum sc_status take(struct connection *connection, const char *bytes, size_t n_bytes,
			   struct error *err)
{
	const size_t n_held = connection->first.n;
	enum sc_status status = SC_OK;

	if (connection->speaks == SPEAKS_UNKNOWN) {
		connection->speaks = first_bytes_add(&connection->first, bytes, n_bytes);
		if (connection->speaks == SPEAKS_UNKNOWN)
			return SC_OK;
		if (connection->speaks != SPEAKS_HTTP2 && connection->speaks != SPEAKS_HTTP1)
			return refuse_stranger(connection, err);
		status = open_session(connection, err);
		if (status == SC_OK && n_held)
			status = receive(connection, connection->first.bytes, n_held, err);
	}
	if (status == SC_OK)
		status = receive(connection, bytes, n_bytes, err);
	return status;
}

/* A client that agreed on HTTP/2 in TLS may wait for our settings before it says anything. */
static enum sc_status follow_alpn(struct connection *connection, struct error *err)
{
	if (connection->speaks != SPEAKS_UNKNOWN || !connection->tls ||
	    !tls_filter_is_secure(connection->tls) ||
	    tls_filter_alpn(connection->tls) != TLS_ALPN_HTTP2)
		return SC_OK;
	connection->speaks = SPEAKS_HTTP2;
	return open_session(connection, err);
}

enum sc_status connection_take(struct connection *connection, const char *bytes, size_t n_bytes,
			       struct error *err)
{
	enum sc_status status;

	if (!connection->demands_tls)
		return take(connection, bytes, n_bytes, err);
	status = connection_take_sealed(connection, bytes, n_bytes, err);
	return status == SC_OK ? follow_alpn(connection, err) : status;
}

enum sc_status connection_take_plain(struct connection *connection, size_t n_max,
				     struct error *err)
{
	struct buf *plain = &connection->plain;
	const size_t n = plain->length < n_max ? plain->length : n_max;
	enum sc_status status = take(connection, plain->data, n, err);

	buf_consume(plain, n);
	if (plain->length)
		return status;
	buf_deinit(plain);
	if (status == SC_OK && connection->has_heard_bye)
		return error_set(err, SC_E_CLOSED, "the client has ended TLS");
	return status;
}

static enum sc_status gather(struct connection *connection)
{
	const struct session *session = &connection->session;
	const uint64_t now_ns = loop_now_ns(connection->owner->config.loop);
	struct buf *output = &connection->output;
	enum sc_status status = SC_OK;

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

enum sc_status connection_gather(struct connection *connection)
{
	enum sc_status status;

	buf_truncate(&connection->output, 0);
	status = gather(connection);
	return status == SC_OK && connection->tls ? connection_seal(connection) : status;
}
