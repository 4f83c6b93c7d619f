/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_SESSION_H
#define STAGECOACH_GATEWAY_GRPC_SESSION_H
/*
 * grpc_session - the server's end of one HTTP/2 connection that carries gRPC: bytes in, bytes out.
 * Knows no sockets and no clock: the owner of the connection moves the bytes and passes the time.
 * Owns its calls. Memory per client is bounded: streams, header bytes, request bytes, and
 * GRPC_CALL_ROOM of output per call. Memory of all clients together is bounded by the budget.
 * Thread: one at a time. Nothing blocks.
 */
#include "base/budget.h"
#include "base/error.h"
#include "config/limits.h"
#include "gateway/grpc_call.h"
#include "gateway/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate;
struct grpc_session;

/* All header fields of one request, counted as HTTP/2 does (name + value + 32 each). */
#define GRPC_MAX_HEADER_BYTES 16384

/* The requests that one connection is sending may hold this many times max_message together. */
#define GRPC_REQUESTS_AT_ONCE 4

/* The most frames of one connection that wait to be sent: a few per stream, plus room for refusals
 * and acknowledgements. A client that causes more without reading any is closed. */
#define GRPC_FRAMES_PER_STREAM 4
#define GRPC_FRAMES_BESIDES 1000

/* One gRPC call that is over. Strings are borrowed. */
struct grpc_log {
	const char *path;	/* NULL: there is no such method */
	const char *id;		/* of the request, "" without one */
	const char *trace_id;
	const char *key_name;
	const char *peer;
	enum grpc_status status;
	uint64_t n_bytes_in, n_bytes_out;
	uint64_t begin_ns, end_ns;
};

/* Is told of every call that is over. */
struct grpc_observer {
	void (*on_done)(void *arg, const struct grpc_log *record);
	void *arg;
};

struct grpc_session_config {
	const struct grpc_method *methods;	/* [n_methods], borrowed */
	size_t n_methods;
	void *context;				/* for the services */
	/* Borrowed. Memory for requests and answers, shared by all sessions. If it is used up,
	 * large requests and answers are refused with RESOURCE_EXHAUSTED; small requests and one
	 * message per stream still pass. */
	struct budget *budget;
	struct gate *gate;			/* borrowed; asked for each call
						 * that is not public; NULL: all may pass */
	uint64_t client;			/* id of the connection, for grpc_call_client */
	const struct grpc_observer *observer;	/* borrowed; NULL: none */
	const char *peer;			/* for logs, borrowed; NULL: "" */
	unsigned max_streams;
	size_t max_message;			/* bytes of a request */
	uint64_t request_ns;			/* time limit for a request to arrive; 0: none */
	uint64_t stall_ns;			/* time limit for a client to
						 * take ready output; 0: none */
	struct limit_counts *limits;		/* borrowed; NULL: nobody counts */
	/* Called when grpc_session_send has something to do because of events outside of receive,
	 * send and expire. */
	void (*on_wake)(void *arg);
	/* Asked for each call of a method that is not vital: returns true if the call must be
	 * refused because the server is full. NULL: no call is refused. */
	bool (*is_restricted)(void *arg);
	void *arg;					/* argument of both callbacks */
};

must_check enum sc_status grpc_session_create(const struct grpc_session_config *config,
					      struct grpc_session **session_out);
/* Closes the open calls. Accepts NULL. */
void grpc_session_destroy(struct grpc_session *session);

/* Processes bytes from the client. SC_E_PROTOCOL: this is not HTTP/2, or the client breaks its
 * rules or floods the server. The owner then sends what grpc_session_send still gives and closes
 * the connection. SC_E_NOMEM. */
must_check enum sc_status grpc_session_receive(struct grpc_session *session, const void *bytes,
					       size_t n_bytes, uint64_t now_ns,
					       struct error *err);

/* Gives the next bytes for the client, borrowed until the next call. *n_bytes_out is 0 if there are
 * none now. */
must_check enum sc_status grpc_session_send(struct grpc_session *session,
					    uint64_t now_ns, const uint8_t **bytes_out,
					    size_t *n_bytes_out, struct error *err);

/* The time of the next time limit (UINT64_MAX: none), and what to call then. It may be a call's
 * deadline, a request that does not arrive, or an answer that is not taken. */
uint64_t grpc_session_deadline_ns(struct grpc_session *session);
void grpc_session_expire(struct grpc_session *session, uint64_t now_ns);

/* Returns true if the client has proved that it speaks HTTP/2. */
bool grpc_session_is_established(const struct grpc_session *session);

/* The time at which the last call ended. 0: there was no call yet. UINT64_MAX: a call is open. */
uint64_t grpc_session_idle_since_ns(const struct grpc_session *session);

/* Returns true if nothing is left to read or to send: the connection can be closed. */
bool grpc_session_is_done(const struct grpc_session *session);

/* Draining takes two steps, a round trip apart, so that no call on its way is lost: announce the
 * end, then refuse new calls. Calls in progress continue; the session is done when they have
 * ended. */
void grpc_session_announce_end(struct grpc_session *session);
void grpc_session_refuse_calls(struct grpc_session *session);

/* Ends all calls with status and text, because the server stops. grpc_session_send gives the
 * rest. */
void grpc_session_end_calls(struct grpc_session *session, enum grpc_status status,
			    const char *text);

unsigned grpc_session_n_calls(const struct grpc_session *session);

/* The functions above as those of a session. */
extern const struct session_ops grpc_session_ops;

#endif
