/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tls_session.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GnuTLS wants a signature algorithm with TLS 1.3, although nothing is signed. */
#define PRIORITIES "NONE:+VERS-TLS1.3:+AES-128-GCM:+AEAD:+ECDHE-PSK:+GROUP-X25519:" \
		   "+SIGN-EDDSA-ED25519"
#define HANDSHAKE_RECORD 0x16	/* the first byte of what either side may begin with */
#define READ_BYTES 16384	/* the largest record */
#define IDENTITY_MAX (sizeof TLS_IDENTITY_PREFIX + CLUSTER_KEY_ID_MAX)

struct tls_context {
	unsigned n_users;	/* the creator, until destroy, and sessions */
	struct cluster_keys keys;
	struct cluster_key decoy;	/* random: what an unknown key id is checked against */
	gnutls_priority_t priorities;
	gnutls_psk_server_credentials_t server;
	gnutls_psk_client_credentials_t clients[CLUSTER_MAX_KEYS];
};

struct tls_session {
	struct tls_context *context;
	gnutls_session_t tls;
	enum tls_role role;
	const struct cluster_key *key;	/* that the dialler offers, or offered; NULL: none yet */
	bool is_secure;
	bool is_over;		/* failed, or the peer said goodbye */
	size_t n_handshake;	/* bytes that the peer has sent before the end of the handshake */
	const uint8_t *in;	/* during tls_session_receive: what GnuTLS has not read yet */
	size_t n_in;
	struct buf output;
	bool is_out_of_memory;
};

/* --- context --- */

static void unref(struct tls_context *context)
{
	if (--context->n_users)
		return;
	for (unsigned i = 0; i < CLUSTER_MAX_KEYS; i++)
		if (context->clients[i])
			gnutls_psk_free_client_credentials(context->clients[i]);
	if (context->server)
		gnutls_psk_free_server_credentials(context->server);
	if (context->priorities)
		gnutls_priority_deinit(context->priorities);
	cluster_keys_wipe(&context->keys);
	explicit_bzero(&context->decoy, sizeof context->decoy);
	free(context);
}

void tls_context_destroy(struct tls_context *context)
{
	if (context)
		unref(context);
}

static const struct cluster_key *find_key(const struct tls_context *context,
					  const gnutls_datum_t *identity)
{
	const size_t n_prefix = sizeof TLS_IDENTITY_PREFIX - 1;

	if (identity->size < n_prefix || memcmp(identity->data, TLS_IDENTITY_PREFIX, n_prefix))
		return NULL;
	for (unsigned i = 0; i < context->keys.n_keys; i++) {
		const struct cluster_key *key = &context->keys.keys[i];

		if (strlen(key->id) == identity->size - n_prefix &&
		    !memcmp(key->id, identity->data + n_prefix, identity->size - n_prefix))
			return key;
	}
	return NULL;
}

/* GnuTLS asks for the secret of an identity. An unknown one is checked against the decoy, so that it
 * fails in the same place and in the same way as a wrong key. */
static int give_secret(gnutls_session_t tls, const gnutls_datum_t *identity, gnutls_datum_t *secret)
{
	struct tls_session *session = gnutls_session_get_ptr(tls);
	const struct cluster_key *key = find_key(session->context, identity);

	session->key = key;
	if (!key)
		key = &session->context->decoy;
	secret->data = gnutls_malloc(key->n_bytes);
	if (!secret->data)
		return -1;
	memcpy(secret->data, key->secret, key->n_bytes);
	secret->size = (unsigned)key->n_bytes;
	return 0;
}

static int open_client(struct tls_context *context, unsigned i)
{
	struct cluster_key *key = &context->keys.keys[i];
	gnutls_datum_t secret = { key->secret, (unsigned)key->n_bytes };
	char text[IDENTITY_MAX];
	gnutls_datum_t identity = { (unsigned char *)text, 0 };
	int rc = gnutls_psk_allocate_client_credentials(&context->clients[i]);

	if (rc < 0)
		return rc;
	identity.size = (unsigned)snprintf(text, sizeof text, TLS_IDENTITY_PREFIX "%s", key->id);
	return gnutls_psk_set_client_credentials2(context->clients[i], &identity, &secret,
						  GNUTLS_PSK_KEY_RAW);
}

static int open_context(struct tls_context *context)
{
	int rc = gnutls_priority_init(&context->priorities, PRIORITIES, NULL);

	if (rc >= 0)
		rc = gnutls_psk_allocate_server_credentials(&context->server);
	for (unsigned i = 0; rc >= 0 && i < context->keys.n_keys; i++)
		rc = open_client(context, i);
	if (rc >= 0) {
		gnutls_psk_set_server_credentials_function2(context->server, give_secret);
		context->decoy.n_bytes = context->keys.keys[0].n_bytes;
		rc = gnutls_rnd(GNUTLS_RND_KEY, context->decoy.secret, context->decoy.n_bytes);
	}
	return rc;
}

enum sc_status tls_context_create(const struct cluster_keys *keys,
				  struct tls_context **context_out, struct error *err)
{
	struct tls_context *context = calloc(1, sizeof *context);
	int rc;

	assert(keys->n_keys >= 1 && keys->n_keys <= CLUSTER_MAX_KEYS);
	if (!context)
		return error_set(err, SC_E_NOMEM, "TLS: out of memory");
	context->n_users = 1;
	context->keys = *keys;
	rc = open_context(context);
	if (rc < 0) {
		unref(context);
		return error_set(err, rc == GNUTLS_E_MEMORY_ERROR ? SC_E_NOMEM : SC_E_INTERNAL,
				 "TLS by GnuTLS %s: %s", tls_library_version(),
				 gnutls_strerror(rc));
	}
	*context_out = context;
	return SC_OK;
}

unsigned tls_context_n_keys(const struct tls_context *context)
{
	return context->keys.n_keys;
}

const char *tls_context_key_id(const struct tls_context *context, unsigned key)
{
	return context->keys.keys[key].id;
}

/* --- bytes in and out --- */

static ssize_t push(gnutls_transport_ptr_t arg, const void *bytes, size_t n_bytes)
{
	struct tls_session *session = arg;

	if (buf_add(&session->output, bytes, n_bytes) == SC_OK)
		return (ssize_t)n_bytes;
	session->is_out_of_memory = true;
	gnutls_transport_set_errno(session->tls, ENOMEM);
	return -1;
}

/* Bytes that GnuTLS may still have. */
static size_t n_available(const struct tls_session *session)
{
	size_t n_left = TLS_MAX_HANDSHAKE_BYTES - session->n_handshake;

	return session->is_secure || session->n_in < n_left ? session->n_in : n_left;
}

static ssize_t pull(gnutls_transport_ptr_t arg, void *bytes, size_t n_bytes)
{
	struct tls_session *session = arg;
	size_t n = n_available(session);

	if (!n) {
		gnutls_transport_set_errno(session->tls, EAGAIN);
		return -1;
	}
	if (n > n_bytes)
		n = n_bytes;
	memcpy(bytes, session->in, n);
	session->in += n;
	session->n_in -= n;
	if (!session->is_secure)
		session->n_handshake += n;
	return (ssize_t)n;
}

static int pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	(void)ms;
	return n_available(arg) > 0;
}

/* --- session --- */

/* A HelloRetryRequest asks for a second ClientHello. Our own diallers never need one; refusing to
 * ask keeps strangers away from that part of the library (CVE-2025-6395). */
static int refuse_retry(gnutls_session_t tls, unsigned type, unsigned when, unsigned is_incoming,
			const gnutls_datum_t *message)
{
	(void)tls;
	(void)type;
	(void)when;
	(void)is_incoming;
	(void)message;
	return GNUTLS_E_UNWANTED_ALGORITHM;
}

static int open_tls(struct tls_session *session, unsigned key)
{
	const struct tls_context *context = session->context;
	const bool listens = session->role == TLS_LISTENS;
	int rc = gnutls_init(&session->tls, (listens ? GNUTLS_SERVER : GNUTLS_CLIENT) |
			     GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);

	if (rc < 0) {
		session->tls = NULL;
		return rc;
	}
	gnutls_session_set_ptr(session->tls, session);
	gnutls_transport_set_ptr(session->tls, session);
	gnutls_transport_set_push_function(session->tls, push);
	gnutls_transport_set_pull_function(session->tls, pull);
	gnutls_transport_set_pull_timeout_function(session->tls, pull_timeout);
	gnutls_handshake_set_max_packet_length(session->tls, TLS_MAX_HANDSHAKE_BYTES);
	gnutls_handshake_set_hook_function(session->tls, GNUTLS_HANDSHAKE_HELLO_RETRY_REQUEST,
					   GNUTLS_HOOK_BOTH, refuse_retry);
	rc = gnutls_priority_set(session->tls, context->priorities);
	if (rc < 0)
		return rc;
	if (!listens)
		session->key = &context->keys.keys[key];
	return gnutls_credentials_set(session->tls, GNUTLS_CRD_PSK,
				      listens ? (void *)context->server
					      : (void *)context->clients[key]);
}

enum sc_status tls_session_create(struct tls_context *context, enum tls_role role, unsigned key,
				  struct tls_session **session_out)
{
	struct tls_session *session = calloc(1, sizeof *session);

	assert(role == TLS_LISTENS || key < context->keys.n_keys);
	if (!session)
		return SC_E_NOMEM;
	session->context = context;
	context->n_users++;
	session->role = role;
	buf_init(&session->output);
	if (open_tls(session, key) < 0)
		goto fail;
	/* A dialler speaks first. */
	if (role == TLS_DIALS && gnutls_handshake(session->tls) != GNUTLS_E_AGAIN)
		goto fail;
	*session_out = session;
	return SC_OK;
fail:
	tls_session_destroy(session);
	return SC_E_NOMEM;
}

void tls_session_destroy(struct tls_session *session)
{
	if (!session)
		return;
	if (session->tls)
		gnutls_deinit(session->tls);
	buf_deinit(&session->output);
	unref(session->context);
	free(session);
}

/* The session is over: what GnuTLS would still say, such as half a flight, is not sent. */
static enum sc_status fail(struct tls_session *session, enum sc_status status, struct error *err,
			   const char *what, const char *why)
{
	session->is_over = true;
	buf_truncate(&session->output, 0);
	if (session->is_out_of_memory)
		return error_set(err, SC_E_NOMEM, "TLS: out of memory");
	return error_set(err, status, "%s: %s", what, why);
}

/* Is the identity that GnuTLS settled on the one whose secret it was given? */
static bool is_key_of_peer(const struct tls_session *session)
{
	gnutls_datum_t identity;

	if (!session->key)
		return false;
	if (session->role == TLS_DIALS)
		return true;
	return gnutls_psk_server_get_username2(session->tls, &identity) >= 0 &&
	       find_key(session->context, &identity) == session->key;
}

/* What GnuTLS has agreed to, checked once more: no message may be read unless it is all of this. */
static bool is_as_demanded(const struct tls_session *session)
{
	return gnutls_protocol_get_version(session->tls) == GNUTLS_TLS1_3 &&
	       gnutls_auth_get_type(session->tls) == GNUTLS_CRD_PSK &&
	       gnutls_kx_get(session->tls) == GNUTLS_KX_ECDHE_PSK &&
	       gnutls_cipher_get(session->tls) == GNUTLS_CIPHER_AES_128_GCM &&
	       is_key_of_peer(session);
}

static const char *handshake_fault(const struct tls_session *session, int rc)
{
	if (rc == GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER && session->role == TLS_LISTENS)
		return session->key ? "its key is not ours, although the key ids are equal"
				    : "its key id is not in our key file";
	return gnutls_strerror(rc);
}

static enum sc_status shake_hands(struct tls_session *session, struct error *err)
{
	int rc;

	do {
		rc = gnutls_handshake(session->tls);
	} while (rc == GNUTLS_E_INTERRUPTED || rc == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (rc == GNUTLS_E_AGAIN && session->n_handshake < TLS_MAX_HANDSHAKE_BYTES)
		return SC_OK;
	if (rc == GNUTLS_E_AGAIN)
		return fail(session, SC_E_PROTOCOL, err, "the handshake failed",
			    "over 16 KiB before its end");
	if (rc < 0)
		return fail(session, SC_E_PROTOCOL, err, "the handshake failed",
			    handshake_fault(session, rc));
	if (!is_as_demanded(session))
		return fail(session, SC_E_PROTOCOL, err, "the handshake failed",
			    "not TLS 1.3 with a cluster key");
	session->is_secure = true;
	return SC_OK;
}

static enum sc_status read_records(struct tls_session *session, struct buf *plain_out,
				   struct error *err)
{
	for (;;) {
		enum sc_status status = buf_reserve(plain_out, READ_BYTES);
		ssize_t n;

		if (status != SC_OK)
			return fail(session, status, err, "TLS", "out of memory");
		n = gnutls_record_recv(session->tls, plain_out->data + plain_out->length,
				       READ_BYTES);
		if (n == GNUTLS_E_AGAIN)
			return SC_OK;
		if (n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n == 0)
			return fail(session, SC_E_CLOSED, err, "TLS",
				    "the peer closed the channel");
		if (n < 0)
			return fail(session, SC_E_PROTOCOL, err, "TLS", gnutls_strerror((int)n));
		plain_out->length += (size_t)n;
		plain_out->data[plain_out->length] = '\0';
	}
}

enum sc_status tls_session_receive(struct tls_session *session, const void *bytes, size_t n_bytes,
				   struct buf *plain_out, struct error *err)
{
	enum sc_status status = SC_OK;

	if (session->is_over)
		return error_set(err, SC_E_CLOSED, "TLS: the session is over");
	session->in = bytes;
	session->n_in = n_bytes;
	/* GnuTLS would also read the hello of SSL 2. */
	if (!session->is_secure && !session->n_handshake && n_bytes &&
	    session->in[0] != HANDSHAKE_RECORD)
		return fail(session, SC_E_PROTOCOL, err, "the handshake failed",
			    "these bytes are not TLS");
	if (!session->is_secure)
		status = shake_hands(session, err);
	if (session->is_secure)
		status = read_records(session, plain_out, err);
	session->in = NULL;
	session->n_in = 0;
	return status;
}

bool tls_session_is_secure(const struct tls_session *session)
{
	return session->is_secure;
}

const char *tls_session_key_id(const struct tls_session *session)
{
	assert(session->is_secure);
	return session->key->id;
}

enum sc_status tls_session_send(struct tls_session *session, const void *bytes, size_t n_bytes)
{
	const uint8_t *at = bytes;

	assert(session->is_secure);
	if (session->is_over)
		return SC_E_INTERNAL;
	while (n_bytes) {
		ssize_t n = gnutls_record_send(session->tls, at, n_bytes);

		if (n <= 0) {
			session->is_over = true;
			return session->is_out_of_memory ? SC_E_NOMEM : SC_E_INTERNAL;
		}
		at += n;
		n_bytes -= (size_t)n;
	}
	return SC_OK;
}

void tls_session_say_bye(struct tls_session *session)
{
	if (session->is_secure && !session->is_over)
		(void)gnutls_bye(session->tls, GNUTLS_SHUT_WR);
}

struct buf *tls_session_output(struct tls_session *session)
{
	return &session->output;
}

const char *tls_library_version(void)
{
	return gnutls_check_version(NULL);
}
