/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_CALL_H
#define STAGECOACH_HTTP_HTTP_CALL_H
/*
 * http_call - one HTTP/1 request as a service sees it: a whole request in, then an answer, at once
 * or as a stream.
 * Ownership: the session owns calls. A service keeps its own state in a call and frees it in close.
 * Flow control: streams are pulled. The session asks for more only when the client has taken what
 * there was, so a slow client costs at most HTTP_CALL_ROOM bytes and one event.
 * Thread: the session's only. Nothing blocks.
 */
#include "base/buf.h"
#include "base/error.h"
#include "config/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget;
struct http_call;
struct http_error;

#define HTTP_CALL_ROOM ((size_t)16 << 10)

/* One bit each, so that a route can name several. */
enum http_method {
	HTTP_GET = 1,
	HTTP_HEAD = 2,
	HTTP_POST = 4,
	HTTP_PUT = 8,
	HTTP_DELETE = 16,
	HTTP_OPTIONS = 32,
	HTTP_OTHER = 64,	/* no route has this one */
};

struct http_call_ops {
	/* Called with the whole request. Answers at once, keeps state and answers later, or
	 * suspends the call. */
	void (*start)(struct http_call *call);
	/* Adds to the stream while there is room, or ends it. NULL: there is no stream. */
	void (*pull)(struct http_call *call);
	/* The call is over, whoever ended it: frees the service's state. NULL: there is none.
	 * Called exactly once after start, and never without it. */
	void (*close)(struct http_call *call);
};

struct http_route {
	const char *path;	/* "/v1/models". A "*" at the end stands for any text, at least
				 * one byte. A request may have a slash more at its end */
	unsigned methods;	/* enum http_method; HEAD comes with GET */
	const struct http_call_ops *ops;
	bool is_public;		/* needs no key */
	bool is_vital;		/* also served in a restricted session */
};

/* The routes of one layer. */
struct http_routes {
	const struct http_route *routes;	/* [n] */
	size_t n;
	void *context;				/* for http_call_context */
};

/* The context of the call's routes, and the service's state (initially NULL). */
void *http_call_context(const struct http_call *call);
void *http_call_state(const struct http_call *call);
void http_call_set_state(struct http_call *call, void *state);

/* --- the request; strings are borrowed until close --- */

enum http_method http_call_method(const struct http_call *call);
const char *http_call_path(const struct http_call *call);	/* decoded, without the query */
const char *http_call_query(const struct http_call *call);	/* not decoded; "" without one */
/* The value of a header field, without white space around it. The name is in lower case. NULL: the
 * request has none. Values of several fields of one name are joined with ", ". */
const char *http_call_header(const struct http_call *call, const char *name);
const char *http_call_body(const struct http_call *call, size_t *n_bytes_out);
/* Takes the body's bytes. They live on in the caller's buffer; the session no longer counts them in
 * the budget. */
struct buf http_call_take_body(struct http_call *call);

/* The request's id: the client's X-Request-Id if that is short and printable, else one made here.
 * Every answer carries it in X-Request-Id. */
const char *http_call_id(const struct http_call *call);
/* Identifies the client: jobs of one client share its turns. */
uint64_t http_call_client(const struct http_call *call);
/* Name of the key that the client came with; "" without keys. For logs. */
const char *http_call_key_name(const struct http_call *call);

/* The client's address, as the owner of the connection has it. "" if it has none. */
const char *http_call_peer(const struct http_call *call);
/* For the access log and metrics: tokens of prompts and of outputs. */
void http_call_note_tokens(struct http_call *call, uint64_t n_prompt, uint64_t n_output);

/* The memory that all calls of the server share; counters of refusals, or NULL; and the session's
 * time as of its last call. */
struct budget *http_call_budget(const struct http_call *call);
struct limit_counts *http_call_limits(const struct http_call *call);
uint64_t http_call_now_ns(const struct http_call *call);

/* --- waiting --- */

/* Inside start: sends nothing to the client before http_call_resume. If the call ends first,
 * on_close is called once, and fn of http_call_resume is not. */
void http_call_suspend(struct http_call *call, void (*on_close)(void *arg), void *arg);
/* Continues a suspended call: fn answers, or keeps state and answers later. If the call has ended
 * in the meantime, on_close is called instead. */
void http_call_resume(struct http_call *call, uint64_t now_ns, void (*fn)(void *arg), void *arg);
/* Call when there may be something to pull. It never pulls at once, so it may be called from
 * anywhere. */
void http_call_wake(struct http_call *call);

/* --- the answer --- */

/* Adds a header field to the answer, before it begins. Both strings are copied. SC_E_INVALID: they
 * have control characters. */
must_check enum sc_status http_call_add_header(struct http_call *call, const char *name,
					       const char *value);

/* The whole answer, copied. status: 200 and so on. Only the first answer counts. Without memory for
 * it the client gets 500. */
void http_call_answer(struct http_call *call, unsigned status, const char *content_type,
		      const void *body, size_t n_bytes);

/* Begins an answer of unknown length; then http_call_add while there is room, and http_call_end. To
 * HEAD the answer is complete with that. */
must_check enum sc_status http_call_begin(struct http_call *call, unsigned status,
					  const char *content_type);
bool http_call_has_begun(const struct http_call *call);
/* Returns true if there is room for another event. */
bool http_call_has_room(const struct http_call *call);
/* SC_E_NOMEM. SC_E_OVERLOADED: more than HTTP_CALL_ROOM while other answers that clients have not
 * taken use up the memory. */
must_check enum sc_status http_call_add(struct http_call *call, const void *bytes, size_t n_bytes);
void http_call_end(struct http_call *call);
/* Ends an answer that has begun and cannot go on: closes the connection, so that the client sees
 * that it is incomplete. */
void http_call_break(struct http_call *call);

/* Answers with an error object, {"error": {message, type, param, code}}, see http_error.h; breaks
 * an answer that has begun. param may be NULL. */
void http_call_refuse(struct http_call *call, unsigned status, const char *message,
		      const char *param);
/* The same with all that an error object may say, for example the code of an overlong prompt. */
void http_call_refuse_as(struct http_call *call, const struct http_error *error);
/* The same for a failure: its status gives the HTTP status (SC_E_INVALID 400, SC_E_OVERLOADED 429
 * and so on). */
void http_call_fail(struct http_call *call, enum sc_status status, const struct error *err);

#endif
