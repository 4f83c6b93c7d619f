/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a connection: what the client speaks, and what is said to clients that do not
 * speak HTTP/2. */
#include "gateway/connections_private.h"

#include "net/net_address.h"

#include <stdio.h>

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

enum sc_status connection_answer_stranger(struct connection *connection)
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

enum sc_status connection_take(struct connection *connection, const char *bytes, size_t n_bytes,
			       struct error *err)
{
	const size_t n_held = connection->first.n;
	const uint64_t now_ns = loop_now_ns(connection->owner->config.loop);
	enum sc_status status = SC_OK;

	if (connection->speaks == SPEAKS_UNKNOWN) {
		connection->speaks = first_bytes_add(&connection->first, bytes, n_bytes);
		if (connection->speaks == SPEAKS_UNKNOWN)
			return SC_OK;
		if (connection->speaks != SPEAKS_HTTP2)
			return refuse_stranger(connection, err);
		if (n_held)
			status = grpc_session_receive(connection->session, connection->first.bytes,
						      n_held, now_ns, err);
	}
	if (status == SC_OK)
		status = grpc_session_receive(connection->session, bytes, n_bytes, now_ns, err);
	return status;
}
