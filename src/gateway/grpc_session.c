/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_session.h"

#include "base/clock.h"
#include "gateway/grpc_header.h"
#include "gateway/grpc_session_private.h"

#include <stdlib.h>
#include <string.h>

/* Flow-control windows for clients: a prompt of ordinary size never waits for an update. */
#define STREAM_WINDOW (1 << 20)
#define CONNECTION_WINDOW (4 << 20)
/* Credit that a client earns (frame_meter.h): for a call that was served, and for a frame of output
 * that it took, which it may answer with window updates. */
#define CALL_EARNS (16 * FRAME_METER_COST)
#define OUTPUT_EARNS (3 * FRAME_METER_COST)

/* Ends the connection from inside a callback. receive returns err's text. */
static int refuse(struct grpc_session *session, enum limit limit, const char *text)
{
	limit_refuse(session->config.limits, limit);
	error_set(&session->refusal, SC_E_PROTOCOL, "HTTP/2: %s", text);
	(void)nghttp2_session_terminate_session(session->http, NGHTTP2_ENHANCE_YOUR_CALM);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void forget_key(struct grpc_session *session)
{
	explicit_bzero(session->authorization, sizeof session->authorization);
	explicit_bzero(session->api_key, sizeof session->api_key);
}

static void keep_field(char field[GRPC_MAX_KEY_FIELD], const uint8_t *value, size_t n_bytes)
{
	/* No key has such a byte. */
	if (n_bytes >= GRPC_MAX_KEY_FIELD)
		value = (const uint8_t *)"\1", n_bytes = 1;
	memcpy(field, value, n_bytes);
	field[n_bytes] = '\0';
}

static int on_begin_headers(nghttp2_session *http, const nghttp2_frame *frame, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call;

	session->n_header_bytes = 0;
	forget_key(session);
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = call_create(session, frame->hd.stream_id);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(http, frame->hd.stream_id, call);
	return 0;
}

static bool is_text(const uint8_t *bytes, size_t n_bytes, const char *text)
{
	return strlen(text) == n_bytes && memcmp(bytes, text, n_bytes) == 0;
}

static const struct grpc_method *find_method(const struct grpc_session *session,
					     const uint8_t *path, size_t n_bytes)
{
	for (size_t i = 0; i < session->config.n_methods; i++)
		if (is_text(path, n_bytes, session->config.methods[i].path))
			return &session->config.methods[i];
	return NULL;
}

static void set_timeout(struct grpc_call *call, const char *value, size_t n_bytes)
{
	uint64_t now_ns = call->session->now_ns;
	uint64_t timeout_ns;

	if (!grpc_parse_timeout(value, n_bytes, &timeout_ns)) {
		call->headers |= CALL_HAS_BAD_TIMEOUT;
	} else if (timeout_ns < UINT64_MAX - now_ns) {
		call->timeout_ns = timeout_ns;
		call->deadline_ns = now_ns + timeout_ns;
	}
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
		     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);

	(void)flags;
	session->n_header_bytes += n_name + n_value + 32;
	if (session->n_header_bytes > GRPC_MAX_HEADER_BYTES)
		return refuse(session, LIMIT_HEADER_LIST, "the header list is over 16 KiB");
	if (!call || frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (is_text(name, n_name, ":path"))
		call->method = find_method(session, value, n_value);
	else if (is_text(name, n_name, ":method") && is_text(value, n_value, "POST"))
		call->headers |= CALL_HAS_POST;
	else if (is_text(name, n_name, "content-type") &&
		 grpc_is_content_type((const char *)value, n_value))
		call->headers |= CALL_HAS_GRPC_TYPE;
	else if (is_text(name, n_name, "grpc-timeout"))
		set_timeout(call, (const char *)value, n_value);
	else if (is_text(name, n_name, "authorization"))
		keep_field(session->authorization, value, n_value);
	else if (is_text(name, n_name, "x-api-key"))
		keep_field(session->api_key, value, n_value);
	else if (is_text(name, n_name, "x-request-id"))
		call_note_request_id(call, (const char *)value, n_value);
	else if (is_text(name, n_name, "traceparent"))
		call_note_traceparent(call, (const char *)value, n_value);
	return 0;
}

static bool is_restricted(const struct grpc_session *session)
{
	return session->config.is_restricted && session->config.is_restricted(session->config.arg);
}

static void refuse_restricted(struct grpc_call *call)
{
	limit_refuse(call->session->config.limits, LIMIT_RESERVE);
	grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "too many connections are open: this one "
			 "may only ask for status and health. Retry later, or raise the server's "
			 "max-connections or max-peer-connections");
}

static void note_background(struct grpc_call *call)
{
	call->is_background = call->method && call->method->ops->is_background;
	call->session->n_background += call->is_background;
}

/* Ends the call if the gate does not let it in. */
static bool is_refused(struct grpc_call *call)
{
	struct grpc_session *session = call->session;
	const struct grpc_call_ops *ops = call->method ? call->method->ops : NULL;
	const struct gate_request request = {
		.authorization = session->authorization[0] ? session->authorization : NULL,
		.api_key = session->api_key[0] ? session->api_key : NULL,
		.is_light = ops && ops->is_light,
	};
	struct gate_refusal refusal;
	enum gate_answer answer;

	if (!session->config.gate || (ops && ops->is_public))
		return false;
	answer = gate_enter(session->config.gate, &request, session->now_ns, &call->pass,
			    &refusal);
	if (answer == GATE_OPEN)
		return false;
	call->retry_s = refusal.retry_s;
	grpc_call_finish(call, answer == GATE_LIMITED ? GRPC_RESOURCE_EXHAUSTED :
			 GRPC_UNAUTHENTICATED, refusal.text);
	return true;
}

/* All headers are complete: checks that this is a known call, and that it may be made. */
static void check_headers(struct grpc_call *call)
{
	if (!(call->headers & CALL_HAS_POST))
		call_refuse_http(call, "405");
	else if (!(call->headers & CALL_HAS_GRPC_TYPE))
		call_refuse_http(call, "415");
	else if (is_refused(call))
		return;
	else if (!call->method)
		grpc_call_finish(call, GRPC_UNIMPLEMENTED, "no such method: see the .proto files "
				 "of this version");
	else if (!call->method->ops->is_vital && is_restricted(call->session))
		refuse_restricted(call);
	else if (call->headers & CALL_HAS_BAD_TIMEOUT)
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT,
				 "grpc-timeout: expected up to 8 digits and one of HMSmun");
}

static int on_frame_recv(nghttp2_session *http, const nghttp2_frame *frame, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_SETTINGS)
		session->is_established = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
	if (!call)
		return 0;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		call->is_request_ended = true;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		note_background(call);
		call_limit_request(call);
		check_headers(call);
		forget_key(session);
	}
	if (call->is_request_ended)
		call_start(call);
	return 0;
}

/* Over max_streams. While the client may not know the limit yet, only the stream is refused. A
 * client that has acknowledged the limit broke the protocol, and its connection ends. */
static int on_invalid_frame(nghttp2_session *http, const nghttp2_frame *frame, int error,
			    void *arg)
{
	struct grpc_session *session = arg;
	bool is_request = frame->hd.type == NGHTTP2_HEADERS &&
			  frame->headers.cat == NGHTTP2_HCAT_REQUEST;

	(void)http;
	if (error == NGHTTP2_ERR_REFUSED_STREAM ||
	    (error == NGHTTP2_ERR_PROTO && is_request &&
	     session->n_calls >= session->config.max_streams))
		limit_refuse(session->config.limits, LIMIT_STREAMS);
	return 0;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
		   size_t n_bytes, void *arg)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)flags;
	(void)arg;
	if (call)
		call_receive(call, bytes, n_bytes);
	return 0;
}

static int on_frame_sent(nghttp2_session *http, const nghttp2_frame *frame, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call;

	if (frame->hd.type == NGHTTP2_DATA && frame->hd.length)
		frame_meter_earn(&session->meter, OUTPUT_EARNS);
	/* The answer is complete, but the request is not: tells the client to stop sending. */
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
	if (call && !call->is_request_ended)
		(void)nghttp2_submit_rst_stream(http, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *http, int32_t stream_id, uint32_t code, void *arg)
{
	struct grpc_session *session = arg;
	struct grpc_call *call = nghttp2_session_get_stream_user_data(http, stream_id);

	if (call && call->is_started && call->is_finished && code == NGHTTP2_NO_ERROR)
		frame_meter_earn(&session->meter, CALL_EARNS);
	nghttp2_session_set_stream_user_data(http, stream_id, NULL);
	call_destroy(call);
	return 0;
}

static int create_http(struct grpc_session *session)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option = NULL;
	int rc = nghttp2_session_callbacks_new(&callbacks);

	if (rc != 0)
		return rc;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	rc = nghttp2_option_new(&option);
	if (rc == 0) {
		/* Do not keep ended streams for priorities; they are not used. */
		nghttp2_option_set_no_closed_streams(option, 1);
		rc = nghttp2_session_server_new2(&session->http, callbacks, session, option);
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return rc;
}

static int submit_settings(struct grpc_session *session)
{
	nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, session->config.max_streams },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_MAX_HEADER_BYTES },
	};
	int rc = nghttp2_submit_settings(session->http, NGHTTP2_FLAG_NONE, settings,
					 sizeof settings / sizeof settings[0]);

	if (rc != 0)
		return rc;
	return nghttp2_session_set_local_window_size(session->http, NGHTTP2_FLAG_NONE, 0,
						     CONNECTION_WINDOW);
}

enum sc_status grpc_session_create(const struct grpc_session_config *config,
				   struct grpc_session **session_out)
{
	struct grpc_session *session = calloc(1, sizeof *session);

	if (!session)
		return SC_E_NOMEM;
	session->config = *config;
	list_init(&session->calls);
	frame_meter_init(&session->meter);
	if (create_http(session) != 0 || submit_settings(session) != 0)
		goto fail;
	*session_out = session;
	return SC_OK;
fail:
	grpc_session_destroy(session);
	return SC_E_NOMEM;
}

void grpc_session_destroy(struct grpc_session *session)
{
	if (!session)
		return;
	session->depth++;
	list_for_each(node, &session->calls) {
		struct grpc_call *call = list_entry(node, struct grpc_call, node);

		nghttp2_session_set_stream_user_data(session->http, call->stream_id, NULL);
		call_destroy(call);
	}
	nghttp2_session_del(session->http);
	free(session);
}

static enum sc_status http_error(ssize_t rc, struct error *err)
{
	enum sc_status status = rc == NGHTTP2_ERR_NOMEM ? SC_E_NOMEM : SC_E_PROTOCOL;

	return error_set(err, status, "HTTP/2: %s", nghttp2_strerror((int)rc));
}

static bool is_flooded(const struct grpc_session *session)
{
	return nghttp2_session_get_outbound_queue_size(session->http) >
	       GRPC_FRAMES_BESIDES +
	       GRPC_FRAMES_PER_STREAM * (size_t)session->config.max_streams;
}

static enum sc_status check_flood(struct grpc_session *session, const void *bytes,
				  size_t n_bytes, struct error *err)
{
	if (is_flooded(session))
		(void)refuse(session, LIMIT_QUEUED_FRAMES,
			     "too many answers wait: the client does not read them");
	else if (!frame_meter_take(&session->meter, bytes, n_bytes, session->now_ns))
		(void)refuse(session, LIMIT_FRAMES, "too many frames without effect");
	else
		return SC_OK;
	return error_set(err, SC_E_PROTOCOL, "%s", session->refusal.text);
}

enum sc_status grpc_session_receive(struct grpc_session *session, const void *bytes,
				    size_t n_bytes, uint64_t now_ns, struct error *err)
{
	enum sc_status status;
	ssize_t rc;

	session->now_ns = now_ns;
	status = check_flood(session, bytes, n_bytes, err);
	if (status != SC_OK)
		return status;
	session->depth++;
	rc = nghttp2_session_mem_recv(session->http, bytes, n_bytes);
	session->depth--;
	if (rc == NGHTTP2_ERR_CALLBACK_FAILURE && session->refusal.status != SC_OK)
		return error_set(err, session->refusal.status, "%s", session->refusal.text);
	/* nghttp2 has a bound of its own for acknowledgements that wait. */
	if (rc == NGHTTP2_ERR_FLOODED)
		limit_refuse(session->config.limits, LIMIT_QUEUED_FRAMES);
	return rc < 0 ? http_error(rc, err) : SC_OK;
}

enum sc_status grpc_session_send(struct grpc_session *session, uint64_t now_ns,
				 const uint8_t **bytes_out, size_t *n_bytes_out,
				 struct error *err)
{
	ssize_t rc;

	session->now_ns = now_ns;
	session->depth++;
	rc = nghttp2_session_mem_send(session->http, bytes_out);
	session->depth--;
	if (rc < 0)
		return http_error(rc, err);
	*n_bytes_out = (size_t)rc;
	return SC_OK;
}

/* When the client must have taken something; UINT64_MAX: nothing waits for the client. */
static uint64_t stall_end_ns(struct grpc_call *call)
{
	const struct grpc_session *session = call->session;

	if (!session->config.stall_ns || !call_waits_for_client(call))
		return UINT64_MAX;
	if (!call->taken_ns) {
		call->taken_ns = session->now_ns;
		call->n_taken = 0;
	}
	return call->taken_ns + session->config.stall_ns;
}

uint64_t grpc_session_deadline_ns(struct grpc_session *session)
{
	uint64_t deadline_ns = UINT64_MAX;

	list_for_each(node, &session->calls) {
		struct grpc_call *call = list_entry(node, struct grpc_call, node);

		deadline_ns = clock_earlier(deadline_ns, call->deadline_ns);
		deadline_ns = clock_earlier(deadline_ns, call->arrive_by_ns);
		deadline_ns = clock_earlier(deadline_ns, stall_end_ns(call));
	}
	return deadline_ns;
}

void grpc_session_expire(struct grpc_session *session, uint64_t now_ns)
{
	session->now_ns = now_ns;
	session->depth++;
	list_for_each(node, &session->calls) {
		struct grpc_call *call = list_entry(node, struct grpc_call, node);

		if (call->deadline_ns <= now_ns)
			call_expire(call);
		if (call->arrive_by_ns <= now_ns)
			call_end_late_request(call);
		if (stall_end_ns(call) <= now_ns)
			call_end_stalled(call);
	}
	session->depth--;
}

bool grpc_session_is_established(const struct grpc_session *session)
{
	return session->is_established;
}

uint64_t grpc_session_idle_since_ns(const struct grpc_session *session)
{
	return session->n_calls > session->n_background ? UINT64_MAX : session->used_ns;
}

bool grpc_session_is_done(const struct grpc_session *session)
{
	return !nghttp2_session_want_read(session->http) &&
	       !nghttp2_session_want_write(session->http);
}

void grpc_session_announce_end(struct grpc_session *session)
{
	(void)nghttp2_submit_shutdown_notice(session->http);
}

void grpc_session_refuse_calls(struct grpc_session *session)
{
	int32_t last = nghttp2_session_get_last_proc_stream_id(session->http);

	(void)nghttp2_submit_goaway(session->http, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR,
				    NULL, 0);
}

void grpc_session_end_calls(struct grpc_session *session, enum grpc_status status,
			    const char *text)
{
	session->depth++;
	list_for_each(node, &session->calls)
		grpc_call_finish(list_entry(node, struct grpc_call, node), status, text);
	session->depth--;
}

unsigned grpc_session_n_calls(const struct grpc_session *session)
{
	return session->n_calls;
}
