/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_SESSION_PRIVATE_H
#define STAGECOACH_HTTP_HTTP_SESSION_PRIVATE_H
/* http_session_private - shared by the session (the order of requests), http_request.c (a request
 * arrives), http_call.c (what services do) and http_answer.c (bytes of answers). */
#include "http/http_chunked.h"
#include "http/http_error.h"
#include "http/http_session.h"
#include "http/request_id.h"
#include "http/trace_id.h"

struct http_session {
	struct http_session_config config;
	struct http_call *call;	/* NULL: between two requests */
	struct buf held;	/* input behind the call's request */
	size_t n_held_taken;	/* bytes of held that were processed */
	size_t n_charged;	/* bytes of held charged to the budget */
	uint64_t now_ns;	/* the time as of the last call */
	uint64_t used_ns;	/* when a request last began or a call ended; 0: never */
	uint64_t id_seed;
	uint64_t n_requests;
	unsigned depth;		/* > 0: inside receive, send or expire */
	unsigned n_blank;	/* bytes of an empty line that came between two requests */
	int64_t date_s;		/* of date */
	char date[32];		/* a Date field */
	bool is_established;
	bool is_draining;
	bool refuses;		/* takes no further request */
	bool is_closing;	/* reads nothing more: the client's bytes cannot be understood, or
				 * the answer said that the connection closes */
};

enum http_input {
	INPUT_HEAD,
	INPUT_BODY,
	INPUT_DONE,
};

/* One request and its answer. */
struct http_call {
	struct http_session *session;
	struct http_head head;
	const struct http_route *route;	/* NULL: none, or the head is incomplete */
	void *context;
	void *state;			/* the service's */
	void (*on_close)(void *arg);	/* set while the call is suspended */
	void *on_close_arg;

	enum http_input input;
	struct http_chunked chunked;
	uint64_t n_body_left;
	struct buf body;
	uint64_t arrive_by_ns;		/* time limit for the request; UINT64_MAX: none */

	char id[REQUEST_ID_MAX + 1];
	struct trace_id trace;
	struct http_pass pass;
	struct buf headers;		/* the service's fields of the answer */
	struct buf output;
	size_t n_output_taken;
	size_t n_charged;		/* bytes charged to the budget */
	struct http_log record;

	bool is_started;		/* ops->start was called, and close must be */
	bool is_in_service;		/* start or pull is on the stack */
	bool is_suspended;		/* between suspend and resume */
	bool has_begun;			/* the answer's head is in output */
	bool has_no_body;		/* of the answer: HEAD, 204, 304 */
	bool is_chunked;		/* the answer's body is */
	bool is_finished;		/* the answer is complete, or broken off */
	bool is_broken;
	bool drops_body;		/* the request is refused: its body is read and dropped */
	bool closes;			/* the connection closes after this answer */
};

/* --- http_request.c --- */

/* NULL if memory runs out. The request begins now. */
struct http_call *http_call_create(struct http_session *session);
/* Also calls the service's close and the hooks. Accepts NULL. */
void http_call_destroy(struct http_call *call);
/* Takes bytes of the request, until it is complete: advances *bytes and *n_bytes. SC_E_NOMEM. */
must_check enum sc_status http_call_receive(struct http_call *call, const uint8_t **bytes,
					    size_t *n_bytes);
/* The client has not sent the request in time. */
void http_call_end_late_request(struct http_call *call);
/* Call whenever the call's memory has grown or shrunk. */
void http_call_charge(struct http_call *call);

/* --- http_call.c --- */

/* Asks the service for output. */
void http_call_pull(struct http_call *call);
/* Answers with an error object and closes the connection after it. */
void http_call_refuse_closing(struct http_call *call, unsigned status, const char *message);

/* --- http_answer.c --- */

#define LENGTH_UNKNOWN UINT64_MAX

/* Appends the answer's head to output. */
must_check enum sc_status http_answer_write_head(struct http_call *call, unsigned status,
						 const char *content_type, uint64_t n_body);

/* Around every function of a service: sets is_in_service, and what the log says of the request. */
void http_call_enter_service(struct http_call *call);
void http_call_leave_service(struct http_call *call);

#endif
