/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_TLS_FILTER_H
#define STAGECOACH_GATEWAY_TLS_FILTER_H
/*
 * tls_filter - TLS 1.2 and 1.3 with certificates, between the socket and the session of either end:
 * bytes in, bytes out. No sockets and no clock.
 *
 * A stranger can cost little: a handshake ends after TLS_FILTER_MAX_HANDSHAKE bytes, there are no
 * tickets, no early data and no renegotiation, and at most TLS_FILTER_MAX_OUTPUT bytes wait for
 * a peer that reads nothing.
 * Thread: that of its credentials.
 */
#include "base/buf.h"
#include "base/error.h"
#include "gateway/tls_credentials.h"

#include <stdbool.h>
#include <stddef.h>

/* Bytes that a peer may send before its handshake is done: a chain of certificates has some. */
#define TLS_FILTER_MAX_HANDSHAKE 65536
/* Output beside what tls_filter_send adds: handshakes, alerts, new keys. */
#define TLS_FILTER_MAX_OUTPUT 65536

struct tls_filter;

enum tls_alpn {
	TLS_ALPN_NONE,		/* the client named no protocol that we know */
	TLS_ALPN_HTTP1,
	TLS_ALPN_HTTP2,
};

/* The server's end. A client that speaks both protocols gets HTTP/1.1, because HTTP/2 carries
 * nothing but gRPC here. Refs credentials. SC_E_NOMEM. */
must_check enum sc_status tls_filter_serve(struct tls_credentials *credentials,
					   struct tls_filter **filter_out);
/* The client's end, for HTTP/2. The server's certificate must be of host: a name, or an address
 * without brackets. There is output at once. SC_E_NOMEM. */
must_check enum sc_status tls_filter_dial(struct tls_credentials *credentials, const char *host,
					  struct tls_filter **filter_out);
/* Accepts NULL. */
void tls_filter_destroy(struct tls_filter *filter);

/* Takes bytes of the peer, and adds what they hold to plain_out: nothing before the handshake is
 * done. There may be new output, also after a failure: an alert. Any status but SC_OK ends the
 * filter. SC_E_CLOSED: the peer has said that it sends no more. SC_E_PROTOCOL: err says what is
 * wrong, and what can be done. SC_E_NOMEM. */
must_check enum sc_status tls_filter_receive(struct tls_filter *filter, const void *bytes,
					     size_t n_bytes, struct buf *plain_out,
					     struct error *err);

/* Is the handshake done, and the peer's certificate good where one is demanded? */
bool tls_filter_is_secure(const struct tls_filter *filter);
/* Only when the filter is secure. */
enum tls_alpn tls_filter_alpn(const struct tls_filter *filter);

/* Encrypts bytes into the output. Only when the filter is secure. SC_E_NOMEM. SC_E_CLOSED: the
 * filter has ended. */
must_check enum sc_status tls_filter_send(struct tls_filter *filter, const void *bytes,
					  size_t n_bytes);
/* Says in the output that nothing more is sent. */
void tls_filter_say_bye(struct tls_filter *filter);

/* What must be sent to the peer. The caller consumes it. */
struct buf *tls_filter_output(struct tls_filter *filter);

#endif
