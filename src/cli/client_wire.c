/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_wire.h"

#include "base/clock.h"
#include "cli/client_signal.h"
#include "gateway/tls_filter.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
/* Output is encrypted when less than this waits for the socket. */
#define SEALED_BYTES 65536

struct client_wire {
	const struct client_target *target;
	int fd;
	struct tls_filter *tls;		/* NULL: without TLS */
	struct buf plain;		/* out of tls */
	bool is_given;			/* plain is the caller's until the next call */
	uint8_t first;			/* byte of the server; 0: none yet */
	uint8_t bytes[READ_BYTES];
};

int client_wire_fd(const struct client_wire *wire)
{
	return wire->fd;
}

static enum sc_status closed(struct error *err)
{
	err->text[0] = '\0';
	return err->status = SC_E_CLOSED;
}

static enum sc_status send_some(struct client_wire *wire, struct buf *output, struct error *err)
{
	while (output->length) {
		ssize_t n = send(wire->fd, output->data, output->length, MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return SC_OK;
		if (n < 0)
			return closed(err);
		buf_consume(output, (size_t)n);
	}
	return SC_OK;
}

enum sc_status client_wire_send(struct client_wire *wire, struct buf *output, struct error *err)
{
	enum sc_status status;
	struct buf *sealed;

	if (!wire->tls)
		return send_some(wire, output, err);
	sealed = tls_filter_output(wire->tls);
	if (output->length && sealed->length < SEALED_BYTES) {
		status = tls_filter_send(wire->tls, output->data, output->length);
		if (status == SC_E_NOMEM)
			return error_set(err, status, "out of memory");
		if (status != SC_OK)
			return closed(err);
		buf_truncate(output, 0);
	}
	return send_some(wire, sealed, err);
}

bool client_wire_has_output(struct client_wire *wire)
{
	return wire->tls && tls_filter_output(wire->tls)->length;
}

/* The target's name in front of what TLS says. */
static enum sc_status name_server(const struct client_wire *wire, struct error *err)
{
	enum sc_status status = err->status;

	if (status == SC_E_CLOSED)
		return closed(err);
	error_prefix(err, "%s", wire->target->name);
	return err->status = status;
}

static enum sc_status read_some(struct client_wire *wire, size_t *n_bytes_out, struct error *err)
{
	ssize_t n = recv(wire->fd, wire->bytes, sizeof wire->bytes, 0);

	*n_bytes_out = 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return SC_OK;
	if (n <= 0)
		return closed(err);
	if (!wire->first)
		wire->first = wire->bytes[0];
	*n_bytes_out = (size_t)n;
	return SC_OK;
}

/* Reads, and adds to plain what the bytes hold. */
static enum sc_status unseal(struct client_wire *wire, struct error *err)
{
	size_t n_bytes;
	enum sc_status status = read_some(wire, &n_bytes, err);

	if (wire->is_given)
		buf_truncate(&wire->plain, 0);
	wire->is_given = false;
	if (status != SC_OK || !n_bytes)
		return status;
	/* What came before the end of TLS still counts; the next call tells the end. */
	if (tls_filter_receive(wire->tls, wire->bytes, n_bytes, &wire->plain, err) != SC_OK &&
	    !wire->plain.length)
		return name_server(wire, err);
	return SC_OK;
}

bool client_wire_has_input(const struct client_wire *wire)
{
	return wire->plain.length && !wire->is_given;
}

enum sc_status client_wire_receive(struct client_wire *wire, const void **bytes_out,
				   size_t *n_bytes_out, struct error *err)
{
	enum sc_status status = SC_OK;

	*n_bytes_out = 0;
	if (wire->tls) {
		if (!client_wire_has_input(wire))
			status = unseal(wire, err);
		wire->is_given = true;
		*bytes_out = wire->plain.data;
		*n_bytes_out = wire->plain.length;
		return status;
	}
	status = read_some(wire, n_bytes_out, err);
	*bytes_out = wire->bytes;
	return status;
}

/* --- opening --- */

static bool has_heard_tls(const struct client_wire *wire)
{
	return wire->first == 22 || wire->first == 21;	/* a handshake, or an alert */
}

static enum sc_status explain_handshake(const struct client_wire *wire, struct error *err)
{
	if (wire->first && !has_heard_tls(wire))
		return error_set(err, SC_E_PROTOCOL, "%s: the server does not speak TLS. Leave out "
				 "--tls and --ca", wire->target->name);
	if (err->status == SC_E_CLOSED)
		return error_set(err, SC_E_PROTOCOL, "%s: the server closed the connection during "
				 "the TLS handshake. If it has no TLS, leave out --tls and --ca",
				 wire->target->name);
	return err->status;
}

/* Waits until the socket is ready for what the handshake needs. */
static enum sc_status wait_ready(struct client_wire *wire, uint64_t end_ns, struct error *err)
{
	struct pollfd poll_fd = { .fd = wire->fd, .events = POLLIN };
	uint64_t now_ns = clock_ns();
	uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;
	const struct timespec left = { (time_t)(left_ns / NS_PER_SECOND),
				       (long)(left_ns % NS_PER_SECOND) };
	int n;

	if (client_wire_has_output(wire))
		poll_fd.events |= POLLOUT;
	n = ppoll(&poll_fd, 1, &left, client_signal_mask());
	if (client_signal_caught())
		return error_set(err, SC_E_CANCELLED, "interrupted");
	if (n < 0 && errno != EINTR)
		return error_errno(err, SC_E_IO, errno, "%s", wire->target->name);
	if (n == 0)
		return error_set(err, SC_E_UNAVAILABLE, "%s: the TLS handshake got no answer",
				 wire->target->name);
	return SC_OK;
}

static enum sc_status shake_once(struct client_wire *wire, uint64_t end_ns, struct error *err)
{
	struct buf nothing = BUF_INIT;
	enum sc_status status = client_wire_send(wire, &nothing, err);

	if (status == SC_OK)
		status = wait_ready(wire, end_ns, err);
	/* What a server said before it closed tells more. */
	if (status == SC_OK || status == SC_E_CLOSED)
		status = unseal(wire, err);
	if (status != SC_OK) {
		/* An alert tells the server why. Nobody minds if it does not arrive. */
		struct error ignored;

		(void)!client_wire_send(wire, &nothing, &ignored);
		return explain_handshake(wire, err);
	}
	return SC_OK;
}

static enum sc_status shake_hands(struct client_wire *wire, uint64_t end_ns, struct error *err)
{
	while (!tls_filter_is_secure(wire->tls)) {
		enum sc_status status = shake_once(wire, end_ns, err);

		if (status != SC_OK)
			return status;
	}
	if (tls_filter_alpn(wire->tls) == TLS_ALPN_HTTP2)
		return SC_OK;
	return error_set(err, SC_E_PROTOCOL, "%s: what answers there speaks TLS, but no HTTP/2 and "
			 "therefore no gRPC", wire->target->name);
}

static enum sc_status begin_tls(struct client_wire *wire, struct error *err)
{
	const struct client_target *target = wire->target;
	struct tls_credentials *credentials = NULL;
	enum sc_status status = tls_credentials_dial(&target->tls, &credentials, err);

	if (status != SC_OK)
		return status;
	status = tls_filter_dial(credentials, target->address.host, &wire->tls);
	tls_credentials_unref(credentials);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory");
}

enum sc_status client_wire_open(const struct client_target *target, int timeout_ms,
				struct client_wire **wire_out, struct error *err)
{
	struct client_wire *wire = calloc(1, sizeof *wire);
	const bool has_tls = target->uses_tls && !target->is_unix;
	enum sc_status status = SC_OK;

	if (!wire)
		return error_set(err, SC_E_NOMEM, "out of memory");
	wire->target = target;
	wire->fd = -1;
	buf_init(&wire->plain);
	/* First, because a faulty file is no fault of the server. */
	if (has_tls)
		status = begin_tls(wire, err);
	if (status == SC_OK)
		status = client_target_connect(target, timeout_ms, &wire->fd, err);
	if (status == SC_OK && has_tls)
		status = shake_hands(wire, clock_ns() + (uint64_t)timeout_ms * NS_PER_MS, err);
	if (status != SC_OK) {
		client_wire_close(wire);
		return status;
	}
	*wire_out = wire;
	return SC_OK;
}

void client_wire_close(struct client_wire *wire)
{
	if (!wire)
		return;
	if (wire->fd >= 0)
		close(wire->fd);
	tls_filter_destroy(wire->tls);
	buf_deinit(&wire->plain);
	free(wire);
}
