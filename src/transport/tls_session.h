/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_TLS_SESSION_H
#define STAGECOACH_TRANSPORT_TLS_SESSION_H
/*
 * tls_session - TLS between two processes of a cluster, as bytes in and bytes out: no sockets, no
 * time. Both sides prove that they have a cluster key (cluster_keys.h) before either side sees a
 * byte of the other's messages.
 *
 * TLS 1.3 only, with a pre-shared key and an ephemeral X25519 exchange (a key that is stolen later
 * does not open recorded traffic), TLS_AES_128_GCM_SHA256 only. No certificates, tickets, early
 * data or second ClientHello. The dialler is the TLS client; the identity that it offers is
 * "stagecoach/1/" and the key's id.
 *
 * What a stranger can do: tls_session_receive fails after TLS_MAX_HANDSHAKE_BYTES, and a session
 * whose handshake failed has no output. So an unknown key id, a wrong key and junk look alike from
 * outside: a silent close. (No alert is sent.)
 * Thread: one; sessions of one tls_context share its keys, so they share its thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "transport/cluster_keys.h"

#include <stdbool.h>

/* Bytes that a peer may send before its handshake is done. */
#define TLS_MAX_HANDSHAKE_BYTES 16384
#define TLS_IDENTITY_PREFIX "stagecoach/1/"

struct tls_context;
struct tls_session;

enum tls_role {
	TLS_LISTENS,
	TLS_DIALS,
};

/* Copies keys. SC_E_NOMEM, SC_E_INTERNAL: err names what the TLS library refuses. */
must_check enum sc_status tls_context_create(const struct cluster_keys *keys,
					     struct tls_context **context_out, struct error *err);
/* Sessions keep the context alive. Accepts NULL. */
void tls_context_destroy(struct tls_context *context);
unsigned tls_context_n_keys(const struct tls_context *context);
const char *tls_context_key_id(const struct tls_context *context, unsigned key);

/* key: the number of the key that a dialler offers; ignored for TLS_LISTENS. A dialler has output
 * at once. SC_E_NOMEM. */
must_check enum sc_status tls_session_create(struct tls_context *context, enum tls_role role,
					     unsigned key, struct tls_session **session_out);
/* Accepts NULL. */
void tls_session_destroy(struct tls_session *session);

/* Takes bytes of the peer, and appends what they hold to plain_out; nothing before the handshake is
 * done. There may be new output. Any status but SC_OK ends the session.
 * SC_E_CLOSED: the peer has said that it sends no more. SC_E_PROTOCOL: the handshake failed, or the
 * bytes are damaged; err says why, for the log of this side. SC_E_NOMEM. */
must_check enum sc_status tls_session_receive(struct tls_session *session, const void *bytes,
					      size_t n_bytes, struct buf *plain_out,
					      struct error *err);

/* Has the peer proved that it has a key? */
bool tls_session_is_secure(const struct tls_session *session);
/* The id of the key that both sides have. Only when the session is secure. */
const char *tls_session_key_id(const struct tls_session *session);

/* Encrypts bytes into the output. Only when the session is secure. SC_E_NOMEM, SC_E_INTERNAL: the
 * session is spoilt. */
must_check enum sc_status tls_session_send(struct tls_session *session, const void *bytes,
					   size_t n_bytes);
/* Says in the output that nothing more is sent. */
void tls_session_say_bye(struct tls_session *session);

/* What must be sent to the peer. The caller consumes it. */
struct buf *tls_session_output(struct tls_session *session);

/* The version of GnuTLS that this process runs: "3.7.9". */
const char *tls_library_version(void);

#endif
