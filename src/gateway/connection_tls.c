/* SPDX-License-Identifier: Apache-2.0 */
/* TLS between the socket of a connection and its session. */
#include "gateway/connections_private.h"

#include "base/log.h"

/* A buffer of a connection that is empty keeps at most this much memory. */
#define KEPT_BYTES 4096

static enum sc_status open_tls(struct connection *connection)
{
	struct connections *owner = connection->owner;

	/* The settings may have changed since the client came. */
	if (!owner->credentials)
		return SC_E_CLOSED;
	return tls_filter_serve(owner->credentials, &connection->tls);
}

static enum sc_status unseal(struct connection *connection, const void *bytes, size_t n_bytes,
			     struct error *err)
{
	enum sc_status status = tls_filter_receive(connection->tls, bytes, n_bytes,
						   &connection->plain, err);

	if (!connection->plain.length)
		buf_deinit(&connection->plain);
	if (status == SC_E_CLOSED && connection->plain.length) {
		connection->has_heard_bye = true;
		return SC_OK;
	}
	if (status == SC_E_PROTOCOL && !tls_filter_is_secure(connection->tls)) {
		limit_refuse(connection->owner->config.limits, LIMIT_TLS);
		log_debug("gateway: the TLS handshake of %s failed: %s", connection->peer,
			  err->text);
	}
	return status;
}

enum sc_status connection_take_sealed(struct connection *connection, const void *bytes,
				      size_t n_bytes, struct error *err)
{
	struct first_bytes *first = &connection->first;
	const size_t n_held = first->n;
	enum sc_status status = SC_OK;

	if (connection->tls)
		return unseal(connection, bytes, n_bytes, err);
	connection->speaks = first_bytes_add(first, bytes, n_bytes);
	if (connection->speaks == SPEAKS_UNKNOWN)
		return SC_OK;
	if (connection->speaks != SPEAKS_TLS)
		return error_set(err, SC_E_PROTOCOL, "the client speaks no TLS, which this port "
				 "demands");
	status = open_tls(connection);
	if (status != SC_OK)
		return error_set(err, status, "TLS cannot begin");
	if (n_held)
		status = unseal(connection, first->bytes, n_held, err);
	/* What the client speaks inside of TLS is not known yet. */
	first->n = 0;
	connection->speaks = SPEAKS_UNKNOWN;
	return status == SC_OK ? unseal(connection, bytes, n_bytes, err) : status;
}

enum sc_status connection_seal(struct connection *connection)
{
	struct buf *output = &connection->output;
	struct buf *sealed = tls_filter_output(connection->tls);
	struct buf swap;

	/* A client that has ended TLS gets nothing more, but for the alert that is sealed. */
	if (output->length &&
	    tls_filter_send(connection->tls, output->data, output->length) == SC_E_NOMEM)
		return SC_E_NOMEM;
	swap = *output;
	*output = *sealed;
	*sealed = swap;
	buf_truncate(sealed, 0);
	if (sealed->capacity > KEPT_BYTES)
		buf_deinit(sealed);
	return SC_OK;
}

bool connection_says_bye(struct connection *connection)
{
	if (!connection->tls || !connection->is_ending || connection->has_said_bye)
		return false;
	connection->has_said_bye = true;
	tls_filter_say_bye(connection->tls);
	return tls_filter_output(connection->tls)->length;
}
