/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_SESSION_H
#define STAGECOACH_GATEWAY_SESSION_H
/*
 * session - the server's end of one connection, whatever protocol the client speaks: bytes in,
 * bytes out. A connection has none before the first bytes have shown the protocol; the functions
 * below then do nothing, and answer as a client that has not called yet.
 * Thread: the connection's. Nothing blocks.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_ops {
	/* Processes bytes from the client. On failure the owner sends what send still gives, and
	 * closes the connection. */
	enum sc_status (*receive)(void *self, const void *bytes, size_t n_bytes, uint64_t now_ns,
				  struct error *err);
	/* Returns false while enough input waits inside: the owner stops reading. NULL: never. */
	bool (*wants_input)(const void *self);
	/* Gives the next bytes for the client, borrowed until the next call; 0 bytes: none now. */
	enum sc_status (*send)(void *self, uint64_t now_ns, const uint8_t **bytes_out,
			       size_t *n_bytes_out, struct error *err);
	/* The time of the next time limit (UINT64_MAX: none), and what to call then. */
	uint64_t (*deadline_ns)(void *self);
	void (*expire)(void *self, uint64_t now_ns);
	/* Returns true if the client has proved that it speaks the protocol. */
	bool (*is_established)(const void *self);
	/* The time at which the last call ended. 0: there was none. UINT64_MAX: a call is open. */
	uint64_t (*idle_since_ns)(const void *self);
	/* Returns true if nothing is left to read or to send: the connection can be closed. */
	bool (*is_done)(const void *self);
	/* Draining: announce the end, then refuse new calls. Calls in progress continue. */
	void (*announce_end)(void *self);
	void (*refuse_calls)(void *self);
	/* Ends all calls, because the server stops: text says so. */
	void (*end_calls)(void *self, const char *text);
	void (*destroy)(void *self);
};

struct session {
	const struct session_ops *ops;	/* NULL: there is no session yet */
	void *self;
};

static inline bool session_wants_input(const struct session *session)
{
	return !session->ops || !session->ops->wants_input ||
	       session->ops->wants_input(session->self);
}

static inline uint64_t session_deadline_ns(const struct session *session)
{
	return session->ops ? session->ops->deadline_ns(session->self) : UINT64_MAX;
}

static inline void session_expire(const struct session *session, uint64_t now_ns)
{
	if (session->ops)
		session->ops->expire(session->self, now_ns);
}

static inline bool session_is_established(const struct session *session)
{
	return session->ops && session->ops->is_established(session->self);
}

static inline uint64_t session_idle_since_ns(const struct session *session)
{
	return session->ops ? session->ops->idle_since_ns(session->self) : 0;
}

static inline bool session_is_done(const struct session *session)
{
	return session->ops && session->ops->is_done(session->self);
}

static inline void session_announce_end(const struct session *session)
{
	if (session->ops)
		session->ops->announce_end(session->self);
}

static inline void session_refuse_calls(const struct session *session)
{
	if (session->ops)
		session->ops->refuse_calls(session->self);
}

static inline void session_end_calls(const struct session *session, const char *text)
{
	if (session->ops)
		session->ops->end_calls(session->self, text);
}

static inline void session_destroy(struct session *session)
{
	if (session->ops)
		session->ops->destroy(session->self);
	*session = (struct session){ .ops = NULL };
}

#endif
