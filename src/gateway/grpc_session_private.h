/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_GRPC_SESSION_PRIVATE_H
#define STAGECOACH_GATEWAY_GRPC_SESSION_PRIVATE_H
/* grpc_session_private - shared by the session, its calls and the callbacks from nghttp2. */
#include "base/buf.h"
#include "base/list.h"
#include "gateway/frame_meter.h"
#include "gateway/gate.h"
#include "gateway/grpc_message.h"
#include "gateway/grpc_session.h"
#include "http/request_id.h"
#include "http/trace_id.h"

#include <nghttp2/nghttp2.h>

/* Fields with a key: a scheme, and at most KEY_TEXT_MAX bytes of key. */
#define GRPC_MAX_KEY_FIELD 300

struct grpc_session {
	struct grpc_session_config config;
	nghttp2_session *http;
	struct list calls;
	unsigned n_calls;
	size_t n_request_bytes;	/* held by all calls together */
	size_t n_header_bytes;	/* size of the header block that is being received */
	uint64_t now_ns;	/* the time as of the last call */
	unsigned n_background;	/* calls that do not keep the connection in use */
	uint64_t used_ns;	/* when a call last started or ended; 0: never */
	struct frame_meter meter;
	struct error refusal;	/* why a callback ended the connection; SC_OK: none did */
	unsigned depth;		/* > 0: inside receive, send or expire */
	bool is_established;
	/* Of the header block that is being received; "\1" stands for what is too long. Overwritten
	 * when the block is complete. */
	char authorization[GRPC_MAX_KEY_FIELD];
	char api_key[GRPC_MAX_KEY_FIELD];
};

/* Bits that the headers of a request set. */
enum call_header {
	CALL_HAS_POST = 1,
	CALL_HAS_GRPC_TYPE = 2,
	CALL_HAS_BAD_TIMEOUT = 4,
};

/* For logs and metrics. */
struct grpc_record {
	char id[REQUEST_ID_MAX + 1];	/* of the request; "" without an observer */
	struct trace_id trace;
	uint64_t begin_ns;
	uint64_t n_bytes_in, n_bytes_out;	/* of messages, with their prefixes */
};

struct grpc_call {
	struct list node;		/* in session->calls */
	struct grpc_session *session;
	const struct grpc_method *method;	/* NULL: there is no method of that path */
	int32_t stream_id;
	void *state;			/* the service's */
	void (*on_close)(void *arg);	/* set while the call is suspended */
	void *on_close_arg;

	unsigned headers;		/* enum call_header */
	uint64_t deadline_ns;		/* UINT64_MAX: none */
	uint64_t timeout_ns;		/* time from the headers to deadline_ns */
	uint64_t arrive_by_ns;		/* time limit for the request;
					 * UINT64_MAX: none, or it is complete */
	uint64_t taken_ns;		/* when the client last took output; 0: not set yet */
	size_t n_taken;			/* bytes of output taken since then */
	struct grpc_reader reader;

	struct buf output;
	size_t n_output_taken;		/* bytes of output taken by nghttp2 */
	size_t n_charged;		/* bytes charged to the budget for reader and output */

	struct gate_pass pass;		/* what the call was let in with */
	unsigned retry_s;		/* when to try again; 0: not said */
	struct grpc_record record;
	enum grpc_status status;
	char *text;			/* percent-encoded, or NULL */
	bool is_request_ended;		/* END_STREAM came */
	bool is_started;		/* ops->start was called, and close must be */
	bool is_in_service;		/* start or pull is on the stack */
	bool is_background;		/* counts in the session's n_background */
	bool is_suspended;		/* between suspend and resume */
	bool is_answered;		/* response headers were submitted */
	bool is_body_open;		/* nghttp2 may still ask for output */
	bool is_deferred;		/* nghttp2 waits for nghttp2_session_resume_data */
	bool is_finished;
	bool is_ended_by_client;	/* it was over before it was finished */
};

struct grpc_call *call_create(struct grpc_session *session, int32_t stream_id);
/* Also calls the service's close. Accepts NULL. */
void call_destroy(struct grpc_call *call);

/* The request is complete or broken; or its deadline has passed. */
void call_start(struct grpc_call *call);
void call_expire(struct grpc_call *call);
/* The client has not sent the request in time; or it takes nothing of the answer. */
void call_end_late_request(struct grpc_call *call);
void call_end_stalled(struct grpc_call *call);
/* Returns true if output is ready that the client does not take. */
bool call_waits_for_client(const struct grpc_call *call);
/* Answers requests that are not gRPC with an HTTP error and without a gRPC status. */
void call_refuse_http(struct grpc_call *call, const char *http_status);
/* The method is known: bounds the size of its request. */
void call_limit_request(struct grpc_call *call);
/* Receives bytes of the request's body. */
void call_receive(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes);

/* --- grpc_record.c --- */

void call_note_begin(struct grpc_call *call);
/* Values of header fields; what is malformed counts as absent. */
void call_note_request_id(struct grpc_call *call, const char *value, size_t n_bytes);
void call_note_traceparent(struct grpc_call *call, const char *value, size_t n_bytes);
/* Around every function of a service: sets is_in_service, and what the log says of the request. */
void call_enter_service(struct grpc_call *call);
void call_leave_service(struct grpc_call *call);
void call_tell_done(const struct grpc_call *call);

/* A name-value pair for nghttp2, which copies both. */
nghttp2_nv call_header(const char *name, const char *value);

#endif
