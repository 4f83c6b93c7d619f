/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tls_filter.h"

#include "gateway/tls_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES 16384	/* the largest record */
/* What the first byte of either side may be: a handshake or an alert. */
#define RECORD_ALERT 21
#define RECORD_HANDSHAKE 22
#define HOST_MAX 256

struct tls_filter {
	struct tls_credentials *credentials;
	gnutls_session_t tls;
	bool is_secure;
	bool is_over;		/* failed, or the peer said goodbye */
	bool has_spoken;	/* the peer */
	size_t n_handshake;	/* bytes of the peer before the end of the handshake */
	const uint8_t *in;	/* during tls_filter_receive: what GnuTLS has not read yet */
	size_t n_in;
	struct buf output;
	bool is_out_of_memory;
	char host[HOST_MAX];	/* of a client: whom it wants to reach */
	gnutls_typed_vdata_st wanted[2];	/* what the peer's certificate must be for */
};

/* --- bytes in and out --- */

static ssize_t push(gnutls_transport_ptr_t arg, const void *bytes, size_t n_bytes)
{
	struct tls_filter *filter = arg;

	if (buf_add(&filter->output, bytes, n_bytes) == SC_OK)
		return (ssize_t)n_bytes;
	filter->is_out_of_memory = true;
	gnutls_transport_set_errno(filter->tls, ENOMEM);
	return -1;
}

/* Bytes that GnuTLS may still have. */
static size_t n_available(const struct tls_filter *filter)
{
	size_t n_left = TLS_FILTER_MAX_HANDSHAKE - filter->n_handshake;

	return filter->is_secure || filter->n_in < n_left ? filter->n_in : n_left;
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *bytes, size_t n_bytes)
{
	struct tls_filter *filter = arg;
	size_t n = n_available(filter);

	if (!n) {
		gnutls_transport_set_errno(filter->tls, EAGAIN);
		return -1;
	}
	if (n > n_bytes)
		n = n_bytes;
	memcpy(bytes, filter->in, n);
	filter->in += n;
	filter->n_in -= n;
	if (!filter->is_secure)
		filter->n_handshake += n;
	return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	(void)ms;
	return n_available(arg) > 0;
}

/* --- start and end --- */

static int set_protocols(struct tls_filter *filter)
{
	static unsigned char http1[] = "http/1.1", http2[] = "h2";
	const gnutls_datum_t protocols[] = {
		{ http1, sizeof http1 - 1 }, { http2, sizeof http2 - 1 },
	};

	if (filter->credentials->is_server)
		return gnutls_alpn_set_protocols(filter->tls, protocols, 2,
						 GNUTLS_ALPN_SERVER_PRECEDENCE);
	return gnutls_alpn_set_protocols(filter->tls, protocols + 1, 1, 0);
}

static bool is_address(const char *host)
{
	uint8_t address[16];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static int demand_certificate(struct tls_filter *filter)
{
	static const char client[] = GNUTLS_KP_TLS_WWW_CLIENT, server[] = GNUTLS_KP_TLS_WWW_SERVER;
	const char *purpose = filter->credentials->is_server ? client : server;
	unsigned n = 0;

	filter->wanted[n++] = (gnutls_typed_vdata_st){
		GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)purpose, 0,
	};
	if (filter->host[0])
		filter->wanted[n++] = (gnutls_typed_vdata_st){
			GNUTLS_DT_DNS_HOSTNAME, (unsigned char *)filter->host, 0,
		};
	if (filter->credentials->is_server)
		gnutls_certificate_server_set_request(filter->tls, GNUTLS_CERT_REQUIRE);
	gnutls_session_set_verify_cert2(filter->tls, filter->wanted, n, 0);
	if (filter->host[0] && !is_address(filter->host))
		return gnutls_server_name_set(filter->tls, GNUTLS_NAME_DNS, filter->host,
					      strlen(filter->host));
	return 0;
}

static int open_tls(struct tls_filter *filter)
{
	const struct tls_credentials *credentials = filter->credentials;
	int rc = gnutls_init(&filter->tls,
			     (credentials->is_server ? GNUTLS_SERVER : GNUTLS_CLIENT) |
			     GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL);

	if (rc < 0) {
		filter->tls = NULL;
		return rc;
	}
	gnutls_transport_set_ptr(filter->tls, filter);
	gnutls_transport_set_push_function(filter->tls, push);
	gnutls_transport_set_pull_function(filter->tls, pull);
	gnutls_transport_set_pull_timeout_function(filter->tls, pull_timeout);
	gnutls_handshake_set_max_packet_length(filter->tls, TLS_FILTER_MAX_HANDSHAKE);
	rc = gnutls_priority_set(filter->tls, credentials->priorities);
	if (rc >= 0)
		rc = gnutls_credentials_set(filter->tls, GNUTLS_CRD_CERTIFICATE, credentials->x509);
	if (rc >= 0)
		rc = set_protocols(filter);
	if (rc >= 0 && credentials->demands_certificate)
		rc = demand_certificate(filter);
	return rc;
}

static enum sc_status create(struct tls_credentials *credentials, const char *host,
			     struct tls_filter **filter_out)
{
	struct tls_filter *filter = calloc(1, sizeof *filter);

	if (!filter)
		return SC_E_NOMEM;
	filter->credentials = credentials;
	tls_credentials_ref(credentials);
	buf_init(&filter->output);
	snprintf(filter->host, sizeof filter->host, "%s", host);
	if (open_tls(filter) < 0) {
		tls_filter_destroy(filter);
		return SC_E_NOMEM;
	}
	*filter_out = filter;
	return SC_OK;
}

enum sc_status tls_filter_serve(struct tls_credentials *credentials,
				struct tls_filter **filter_out)
{
	assert(credentials->is_server);
	return create(credentials, "", filter_out);
}

enum sc_status tls_filter_dial(struct tls_credentials *credentials, const char *host,
			       struct tls_filter **filter_out)
{
	enum sc_status status = create(credentials, host, filter_out);

	assert(!credentials->is_server);
	/* A client speaks first. */
	if (status == SC_OK && gnutls_handshake((*filter_out)->tls) != GNUTLS_E_AGAIN) {
		tls_filter_destroy(*filter_out);
		status = SC_E_NOMEM;
	}
	return status;
}

void tls_filter_destroy(struct tls_filter *filter)
{
	if (!filter)
		return;
	if (filter->tls)
		gnutls_deinit(filter->tls);
	buf_deinit(&filter->output);
	tls_credentials_unref(filter->credentials);
	free(filter);
}

/* --- failures in words --- */

static enum sc_status fail(struct tls_filter *filter, enum sc_status status, struct error *err,
			   const char *why)
{
	filter->is_over = true;
	if (filter->is_out_of_memory)
		return error_set(err, SC_E_NOMEM, "TLS: out of memory");
	return error_set(err, status, "%s", why);
}

/* The names of the peer's certificate, with commas between them. */
static void list_names(const struct tls_filter *filter, char *text, size_t n_bytes)
{
	unsigned n_certificates = 0;
	const gnutls_datum_t *raw = gnutls_certificate_get_peers(filter->tls, &n_certificates);
	gnutls_x509_crt_t certificate;
	size_t length = 0;
	char name[HOST_MAX];

	text[0] = '\0';
	if (!raw || !n_certificates || gnutls_x509_crt_init(&certificate) < 0)
		return;
	if (gnutls_x509_crt_import(certificate, raw, GNUTLS_X509_FMT_DER) >= 0) {
		for (unsigned i = 0; length < n_bytes; i++) {
			size_t n = sizeof name - 1;
			int rc = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &n,
								      NULL);

			if (rc == GNUTLS_SAN_DNSNAME && n < sizeof name) {
				name[n] = '\0';
				length += (size_t)snprintf(text + length, n_bytes - length, "%s%s",
							   length ? ", " : "", name);
			} else if (rc < 0 && rc != GNUTLS_E_SHORT_MEMORY_BUFFER) {
				break;
			}
		}
	}
	gnutls_x509_crt_deinit(certificate);
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static enum sc_status refuse_name(struct tls_filter *filter, struct error *err)
{
	char names[200];

	list_names(filter, names, sizeof names);
	filter->is_over = true;
	return error_set(err, SC_E_PROTOCOL, "the server's certificate is not for '%s'%s%s. Give "
			 "as --host a name that the certificate has", filter->host,
			 names[0] ? " but for " : "", names);
}

static enum sc_status refuse_certificate(struct tls_filter *filter, struct error *err)
{
	const unsigned faults = gnutls_session_get_verify_cert_status(filter->tls);
	const bool is_server = filter->credentials->is_server;

	if (faults & GNUTLS_CERT_EXPIRED)
		return fail(filter, SC_E_PROTOCOL, err, is_server ?
			    "the client's certificate has expired" :
			    "the server's certificate has expired: it must get a new one");
	if (faults & GNUTLS_CERT_NOT_ACTIVATED)
		return fail(filter, SC_E_PROTOCOL, err, is_server ?
			    "the client's certificate is not valid yet" :
			    "the server's certificate is not valid yet: compare the clocks of "
			    "both machines");
	if (faults & GNUTLS_CERT_PURPOSE_MISMATCH)
		return fail(filter, SC_E_PROTOCOL, err, is_server ?
			    "the client's certificate is not meant for TLS clients" :
			    "the server's certificate is not meant for TLS servers");
	if (faults & GNUTLS_CERT_UNEXPECTED_OWNER)
		return refuse_name(filter, err);
	if (is_server)
		return fail(filter, SC_E_PROTOCOL, err, "the client's certificate is not signed "
			    "by an authority of tls-client-ca");
	return fail(filter, SC_E_PROTOCOL, err, filter->credentials->trusts_system ?
		    "the server's certificate is not signed by an authority that this machine "
		    "trusts. Give with --ca FILE the certificate of its authority, or of the "
		    "server itself" :
		    "the server's certificate is not signed by an authority of the --ca file");
}

static enum sc_status tell_alert(struct tls_filter *filter, struct error *err)
{
	const gnutls_alert_description_t alert = gnutls_alert_get(filter->tls);
	const char *name = gnutls_alert_get_name(alert);

	filter->is_over = true;
	if (!filter->credentials->is_server && alert == GNUTLS_A_CERTIFICATE_REQUIRED)
		return error_set(err, SC_E_PROTOCOL, "the server refused TLS: it demands a "
				 "certificate of its clients. Give one with --cert and --cert-key");
	return error_set(err, SC_E_PROTOCOL, "the %s refused TLS: %s",
			 filter->credentials->is_server ? "client" : "server",
			 name ? name : "an unknown alert");
}

/* Before the handshake is done, or after it. */
static enum sc_status tell_fault(struct tls_filter *filter, int rc, struct error *err)
{
	if (rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return tell_alert(filter, err);
	/* Tells the peer why. Without memory for an alert the connection closes without one. */
	(void)gnutls_alert_send_appropriate(filter->tls, rc);
	if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		return refuse_certificate(filter, err);
	if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND || rc == GNUTLS_E_CERTIFICATE_REQUIRED)
		return fail(filter, SC_E_PROTOCOL, err, "the client shows no certificate that "
			    "an authority of tls-client-ca has signed");
	return fail(filter, SC_E_PROTOCOL, err, gnutls_strerror(rc));
}

/* --- handshake and records --- */

static enum sc_status shake_hands(struct tls_filter *filter, struct error *err)
{
	int rc;

	do
		rc = gnutls_handshake(filter->tls);
	while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (rc == GNUTLS_E_AGAIN && filter->n_handshake < TLS_FILTER_MAX_HANDSHAKE)
		return SC_OK;
	if (rc == GNUTLS_E_AGAIN)
		return fail(filter, SC_E_PROTOCOL, err, "the TLS handshake has over 64 KiB");
	if (rc < 0)
		return tell_fault(filter, rc, err);
	filter->is_secure = true;
	return SC_OK;
}

static enum sc_status read_records(struct tls_filter *filter, struct buf *plain_out,
				   struct error *err)
{
	for (;;) {
		ssize_t n;

		if (buf_reserve(plain_out, READ_BYTES) != SC_OK)
			return fail(filter, SC_E_NOMEM, err, "TLS: out of memory");
		n = gnutls_record_recv(filter->tls, plain_out->data + plain_out->length,
				       READ_BYTES);
		if (n == GNUTLS_E_AGAIN)
			return SC_OK;
		if (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_WARNING_ALERT_RECEIVED)
			continue;
		if (n == 0)
			return fail(filter, SC_E_CLOSED, err, "the peer closed the connection");
		if (n == GNUTLS_E_REHANDSHAKE)
			return fail(filter, SC_E_PROTOCOL, err,
				    "the peer wants to renegotiate TLS, which is not offered");
		if (n < 0)
			return tell_fault(filter, (int)n, err);
		plain_out->length += (size_t)n;
		plain_out->data[plain_out->length] = '\0';
	}
}

static bool is_tls(uint8_t first)
{
	return first == RECORD_HANDSHAKE || first == RECORD_ALERT;
}

enum sc_status tls_filter_receive(struct tls_filter *filter, const void *bytes, size_t n_bytes,
				  struct buf *plain_out, struct error *err)
{
	const size_t had = filter->output.length;
	enum sc_status status = SC_OK;

	if (filter->is_over)
		return error_set(err, SC_E_CLOSED, "TLS has ended");
	if (!n_bytes)
		return SC_OK;
	/* GnuTLS would also read the hello of SSL 2. */
	if (!filter->has_spoken && !is_tls(*(const uint8_t *)bytes))
		return fail(filter, SC_E_PROTOCOL, err, "the peer does not speak TLS");
	filter->has_spoken = true;
	filter->in = bytes;
	filter->n_in = n_bytes;
	if (!filter->is_secure)
		status = shake_hands(filter, err);
	if (filter->is_secure && status == SC_OK)
		status = read_records(filter, plain_out, err);
	filter->in = NULL;
	filter->n_in = 0;
	if (status == SC_OK && filter->output.length > had &&
	    filter->output.length > TLS_FILTER_MAX_OUTPUT)
		status = fail(filter, SC_E_PROTOCOL, err, "the peer reads no answers of TLS");
	return status;
}

bool tls_filter_is_secure(const struct tls_filter *filter)
{
	return filter->is_secure;
}

enum tls_alpn tls_filter_alpn(const struct tls_filter *filter)
{
	gnutls_datum_t protocol;

	if (gnutls_alpn_get_selected_protocol(filter->tls, &protocol) < 0)
		return TLS_ALPN_NONE;
	return protocol.size == 2 ? TLS_ALPN_HTTP2 : TLS_ALPN_HTTP1;
}

enum sc_status tls_filter_send(struct tls_filter *filter, const void *bytes, size_t n_bytes)
{
	const uint8_t *at = bytes;

	assert(filter->is_secure || !n_bytes);
	while (n_bytes) {
		ssize_t n = filter->is_over ? GNUTLS_E_INVALID_SESSION
					    : gnutls_record_send(filter->tls, at, n_bytes);

		if (n <= 0) {
			filter->is_over = true;
			return filter->is_out_of_memory ? SC_E_NOMEM : SC_E_CLOSED;
		}
		at += n;
		n_bytes -= (size_t)n;
	}
	return SC_OK;
}

void tls_filter_say_bye(struct tls_filter *filter)
{
	if (filter->is_secure && !filter->is_over)
		(void)gnutls_bye(filter->tls, GNUTLS_SHUT_WR);
}

struct buf *tls_filter_output(struct tls_filter *filter)
{
	return &filter->output;
}
