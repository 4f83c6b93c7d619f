/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_SESSION_H
#define STAGECOACH_HTTP_HTTP_SESSION_H
/*
 * http_session - the server's end of one HTTP/1.1 or HTTP/1.0 connection: bytes in, bytes out.
 * Knows no sockets and no monotonic clock: the owner of the connection moves the bytes and passes
 * the time. Requests are answered one after the other, in their order; input behind a request
 * waits, at most about HTTP_MAX_HELD bytes of it. Memory per client is bounded: the head, the
 * body, HTTP_CALL_ROOM of output. Memory of all clients together is bounded by the budget.
 * Thread: one at a time. Nothing blocks.
 */
#include "base/budget.h"
#include "base/error.h"
#include "config/limits.h"
#include "http/http_call.h"
#include "http/http_head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_session;

/* Input that waits behind a request being answered. */
#define HTTP_MAX_HELD 16384

/* What a gate says of a request. Zeroed before the gate is asked. */
struct http_pass {
	/* if the request may go on */
	uint64_t client;	/* for http_call_client; 0: the session's */
	const char *key_name;	/* for http_call_key_name, borrowed until leave; NULL: none */
	void *ticket;		/* for leave; NULL: leave is not called */
	/* if not */
	unsigned status;	/* 204 (an answer to a preflight), 401 and so on */
	char message[240];	/* of the error object */
	unsigned retry_after_s;	/* Retry-After; 0: 1 s if the status is 429 or 503 */
	/* Fields of the answer in both cases: "Name: value\r\n" each. */
	char headers[1024];
};

/* One request that is over. All strings are borrowed for the call of on_done. */
struct http_log {
	const struct http_head *head;	/* may be incomplete if the request was refused */
	const struct http_route *route;	/* NULL: there is none */
	const char *id;
	const char *trace_id;	/* of the field traceparent; "" without one */
	const char *key_name;	/* "" without one */
	const char *peer;	/* the client's address, as the session has it */
	unsigned status;	/* of the answer; 0: the client left before there was one */
	bool is_complete;	/* the whole answer was given to the connection */
	uint64_t n_bytes_in, n_bytes_out;
	uint64_t begin_ns, end_ns;
	uint64_t n_prompt_tokens, n_output_tokens;
};

/* Decides which requests may go on. */
struct http_gate {
	/* The head is complete, the body is not yet read. route: NULL if there is none. Returns
	 * true to go on; else the request is refused as pass_out says. */
	bool (*enter)(void *arg, const struct http_head *head, const struct http_route *route,
		      uint64_t now_ns, struct http_pass *pass_out);
	/* The call is over for which enter gave a ticket. Called once for each ticket. */
	void (*leave)(void *arg, void *ticket);
	void *arg;
};

/* Is told of every request that is over. */
struct http_observer {
	void (*on_done)(void *arg, const struct http_log *record);
	void *arg;
};

struct http_session_config {
	const struct http_routes *routes;	/* [n_routes], borrowed; the first match counts */
	size_t n_routes;
	const struct http_gate *gate;		/* borrowed; NULL: all requests may go on */
	const struct http_observer *observer;	/* borrowed; NULL: none */
	/* Borrowed. Memory for requests and answers, shared by all sessions. If it is used up,
	 * large requests and answers are refused with 429; small requests and one event per stream
	 * still pass. */
	struct budget *budget;
	struct limit_counts *limits;		/* borrowed; NULL: nobody counts */
	uint64_t client;			/* id of the connection, for http_call_client */
	const char *peer;			/* for http_call_peer, borrowed; NULL: "" */
	size_t max_message;			/* bytes of a body */
	uint64_t request_ns;			/* time limit for a request to arrive; 0: none */
	/* Called when http_session_send has something to do because of events outside of receive,
	 * send and expire. */
	void (*on_wake)(void *arg);
	/* Asked for each request whose route is not vital: returns true if the request must be
	 * refused because the server is full. NULL: no request is refused. */
	bool (*is_restricted)(void *arg);
	void *arg;				/* argument of both callbacks */
};

must_check enum sc_status http_session_create(const struct http_session_config *config,
					      struct http_session **session_out);
/* Closes the open call. Accepts NULL. */
void http_session_destroy(struct http_session *session);

/* Processes bytes from the client. What breaks the protocol is answered; the session is done when
 * that is sent, and later bytes are dropped. SC_E_NOMEM. */
must_check enum sc_status http_session_receive(struct http_session *session, const void *bytes,
					       size_t n_bytes, uint64_t now_ns,
					       struct error *err);
/* Returns false while enough input waits behind a request: the owner stops reading. */
bool http_session_wants_input(const struct http_session *session);

/* Gives the next bytes for the client, borrowed until the next call. *n_bytes_out is 0 if there are
 * none now. */
must_check enum sc_status http_session_send(struct http_session *session, uint64_t now_ns,
					    const uint8_t **bytes_out, size_t *n_bytes_out,
					    struct error *err);

/* When a request must have arrived (UINT64_MAX: none is arriving), and what to call then. */
uint64_t http_session_deadline_ns(const struct http_session *session);
void http_session_expire(struct http_session *session, uint64_t now_ns);

/* Returns true if the client has sent the line of a request. */
bool http_session_is_established(const struct http_session *session);

/* The time at which the last call ended. 0: there was no call yet. UINT64_MAX: a request arrives,
 * or is being answered. */
uint64_t http_session_idle_since_ns(const struct http_session *session);

/* Returns true if nothing is left to read or to send: the connection can be closed. */
bool http_session_is_done(const struct http_session *session);

/* Draining: answers from now on say that the connection closes; then the session is done when no
 * request is being received or answered. */
void http_session_announce_end(struct http_session *session);
void http_session_refuse_calls(struct http_session *session);

/* Answers the call, if there is one, with 503 and text, or breaks off its answer, because the
 * server stops. http_session_send gives the rest. */
void http_session_end_calls(struct http_session *session, const char *text);

#endif
