/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_call.h"

#include "base/clock.h"
#include "gateway/grpc_header.h"
#include "gateway/grpc_session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A client that takes less than this of an answer within stall_ns counts as stalled. */
#define STALL_BYTES 4096
/* Requests up to this size are accepted even if the budget is spent. */
#define SMALL_REQUEST 4096

struct grpc_call *call_create(struct grpc_session *session, int32_t stream_id)
{
	struct grpc_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	call->session = session;
	call->stream_id = stream_id;
	call->deadline_ns = UINT64_MAX;
	call->arrive_by_ns = UINT64_MAX;
	if (session->config.request_ns)
		call->arrive_by_ns = session->now_ns + session->config.request_ns;
	grpc_reader_init(&call->reader, session->config.max_message);
	buf_init(&call->output);
	list_append(&session->calls, &call->node);
	session->used_ns = session->now_ns;
	session->n_calls++;
	call_note_begin(call);
	return call;
}

/* Call whenever the call's memory has grown or shrunk. */
static void charge(struct grpc_call *call)
{
	size_t n_held = call->reader.message.capacity + call->output.capacity;

	call->session->config.budget->n_bytes += n_held - call->n_charged;
	call->n_charged = n_held;
}

static bool is_affordable(const struct grpc_call *call, size_t n_bytes)
{
	return budget_has(call->session->config.budget, n_bytes);
}

static void drop_request(struct grpc_call *call)
{
	call->session->n_request_bytes -= call->reader.message.length;
	grpc_reader_deinit(&call->reader);
	charge(call);
}

static bool takes_stream(const struct grpc_call *call)
{
	return call->method && call->method->ops->message;
}

void call_limit_request(struct grpc_call *call)
{
	if (takes_stream(call) && call->reader.max_message > GRPC_STREAM_REQUEST)
		call->reader.max_message = GRPC_STREAM_REQUEST;
}

static void close_service(struct grpc_call *call)
{
	if (!call->is_started)
		return;
	call->is_started = false;
	if (call->is_suspended) {
		call->is_suspended = false;
		call->on_close(call->on_close_arg);
	}
	if (call->method->ops->close)
		call->method->ops->close(call);
}

void call_destroy(struct grpc_call *call)
{
	if (!call)
		return;
	call->is_ended_by_client = !call->is_finished;
	call->is_finished = true;
	close_service(call);
	call_tell_done(call);
	buf_deinit(&call->output);
	drop_request(call);
	list_remove(&call->node);
	call->session->n_calls--;
	call->session->n_background -= call->is_background;
	call->session->used_ns = call->session->now_ns;
	gate_leave(&call->pass);
	free(call->text);
	free(call);
}

nghttp2_nv call_header(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
		.flags = NGHTTP2_NV_FLAG_NONE,
	};
}

/* Fills nv with grpc-status and, if there is a text, grpc-message. Returns their number. */
static size_t status_headers(const struct grpc_call *call, char number[16], nghttp2_nv nv[2])
{
	snprintf(number, 16, "%d", call->status);
	nv[0] = call_header("grpc-status", number);
	if (!call->text || !call->text[0])
		return 1;
	nv[1] = call_header("grpc-message", call->text);
	return 2;
}

/* Answers an error before any message: a single HEADERS frame. */
static void answer_trailers_only(struct grpc_call *call)
{
	char number[16];
	char retry[16];
	nghttp2_nv nv[5] = {
		call_header(":status", "200"),
		call_header("content-type", "application/grpc"),
	};
	size_t n = 2 + status_headers(call, number, nv + 2);

	if (call->retry_s) {
		snprintf(retry, sizeof retry, "%u", call->retry_s);
		nv[n++] = call_header("retry-after", retry);
	}
	call->is_answered = true;
	/* Fails only if memory runs out; the stream then ends with its connection. */
	(void)nghttp2_submit_response(call->session->http, call->stream_id, nv, n, NULL);
}

void call_refuse_http(struct grpc_call *call, const char *http_status)
{
	nghttp2_nv nv[1] = { call_header(":status", http_status) };

	call->is_finished = true;
	call->is_answered = true;
	(void)nghttp2_submit_response(call->session->http, call->stream_id, nv, 1, NULL);
}

static void submit_trailers(struct grpc_call *call)
{
	char number[16];
	nghttp2_nv nv[2];
	size_t n = status_headers(call, number, nv);

	(void)nghttp2_submit_trailer(call->session->http, call->stream_id, nv, n);
}

static void pull(struct grpc_call *call)
{
	const struct grpc_call_ops *ops = call->method->ops;

	if (call->is_finished || !call->is_started || !ops->pull)
		return;
	call_enter_service(call);
	ops->pull(call);
	call_leave_service(call);
}

/* Counts bytes that the client takes. Taking them one at a time does not count as progress. */
static void note_taken(struct grpc_call *call, size_t n_bytes)
{
	call->n_taken += n_bytes;
	if (call->n_taken < STALL_BYTES)
		return;
	call->n_taken = 0;
	call->taken_ns = call->session->now_ns;
}

static ssize_t read_output(nghttp2_session *http, int32_t stream_id, uint8_t *buffer,
			   size_t n_max, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct grpc_call *call = source->ptr;
	size_t n;

	(void)http;
	(void)stream_id;
	(void)arg;
	if (call->n_output_taken == call->output.length) {
		buf_truncate(&call->output, 0);
		call->n_output_taken = 0;
		pull(call);
	}
	n = call->output.length - call->n_output_taken;
	if (n > n_max)
		n = n_max;
	if (!n && !call->is_finished) {
		call->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	memcpy(buffer, call->output.data + call->n_output_taken, n);
	call->n_output_taken += n;
	call->record.n_bytes_out += n;
	note_taken(call, n);
	if (call->is_finished && call->n_output_taken == call->output.length) {
		call->is_body_open = false;
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		submit_trailers(call);
	}
	return (ssize_t)n;
}

static void answer(struct grpc_call *call)
{
	nghttp2_nv nv[] = {
		call_header(":status", "200"),
		call_header("content-type", "application/grpc"),
		call_header("grpc-accept-encoding", "identity"),
	};
	nghttp2_data_provider provider = {
		.source.ptr = call,
		.read_callback = read_output,
	};

	if (call->is_answered)
		return;
	if (call->is_finished && !call->output.length && call->status != GRPC_OK) {
		answer_trailers_only(call);
		return;
	}
	call->is_answered = true;
	call->is_body_open = true;
	(void)nghttp2_submit_response(call->session->http, call->stream_id, nv,
				      sizeof nv / sizeof nv[0], &provider);
}

static enum sc_status check_room(const struct grpc_call *call, size_t n_bytes, struct error *err)
{
	const struct grpc_session *session = call->session;
	size_t max_bytes = GRPC_REQUESTS_AT_ONCE *
			   (session->config.max_message + GRPC_PREFIX_BYTES);

	if (session->n_request_bytes + n_bytes > max_bytes) {
		limit_refuse(session->config.limits, LIMIT_REQUEST_BYTES);
		return error_set(err, SC_E_OVERLOADED,
				 "unfinished requests of this connection have more than %zu bytes: "
				 "complete some of them first", max_bytes);
	}
	if (call->reader.message.length + n_bytes > SMALL_REQUEST &&
	    !is_affordable(call, n_bytes)) {
		limit_refuse(session->config.limits, LIMIT_BUDGET);
		return error_set(err, SC_E_OVERLOADED,
				 "the server's memory for clients is in use: retry later");
	}
	return SC_OK;
}

static enum sc_status feed(struct grpc_call *call, const uint8_t **bytes, size_t *n_bytes,
			   struct error *err)
{
	enum sc_status status = grpc_reader_feed(&call->reader, bytes, n_bytes, err);

	if (status == SC_E_OVERLOADED)
		limit_refuse(call->session->config.limits, LIMIT_MESSAGE);
	return status;
}

/* Reads at most to the end of a message. SC_AGAIN: it is not complete. */
static enum sc_status receive_part(struct grpc_call *call, const uint8_t **bytes, size_t *n_bytes,
				   struct error *err)
{
	struct grpc_session *session = call->session;
	size_t had = call->reader.message.length;
	size_t n_offered = *n_bytes;
	enum sc_status status = check_room(call, n_offered, err);

	if (status == SC_OK)
		status = feed(call, bytes, n_bytes, err);
	frame_meter_earn(&session->meter, n_offered - *n_bytes);
	session->n_request_bytes += call->reader.message.length - had;
	charge(call);
	return status;
}

/* Gives a complete message of a stream to the service. */
static void give_message(struct grpc_call *call)
{
	const struct grpc_reader *reader = &call->reader;

	call->arrive_by_ns = UINT64_MAX;
	call->is_started = true;
	call_enter_service(call);
	call->method->ops->message(call, (const uint8_t *)reader->message.data,
				   reader->message.length);
	call_leave_service(call);
	drop_request(call);
	answer(call);
	grpc_call_wake(call);
}

void call_receive(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct error err;

	call->record.n_bytes_in += n_bytes;
	while (n_bytes && !call->is_finished) {
		enum sc_status status = receive_part(call, &bytes, &n_bytes, &err);

		if (status == SC_OK && takes_stream(call))
			give_message(call);
		else if (status == SC_OK && n_bytes)
			status = error_set(&err, SC_E_INVALID,
					   "expected one request message, found more");
		if (status != SC_OK && status != SC_AGAIN) {
			grpc_call_fail(call, status, &err);
			drop_request(call);
		}
	}
}

/* The client sends no more requests of a stream. */
static void end_requests(struct grpc_call *call)
{
	if (!grpc_reader_is_between(&call->reader)) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT,
				 "the request ended inside its message");
		drop_request(call);
		return;
	}
	call->is_started = true;
	call_enter_service(call);
	call->method->ops->end(call);
	call_leave_service(call);
	answer(call);
	grpc_call_wake(call);
}

void call_start(struct grpc_call *call)
{
	struct grpc_reader *reader = &call->reader;

	call->arrive_by_ns = UINT64_MAX;
	if (call->is_finished)
		return;
	if (takes_stream(call)) {
		end_requests(call);
		return;
	}
	if (call->is_started)
		return;
	if (reader->n_prefix < GRPC_PREFIX_BYTES || reader->message.length < reader->length) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT,
				 grpc_reader_is_between(reader) ?
				 "expected one request message, found none" :
				 "the request ended inside its message");
		return;
	}
	call->is_started = true;
	call_enter_service(call);
	call->method->ops->start(call, (const uint8_t *)reader->message.data,
				 reader->message.length);
	call_leave_service(call);
	drop_request(call);
	if (!call->is_suspended)
		answer(call);
}

struct buf grpc_call_take_request(struct grpc_call *call)
{
	struct buf request = call->reader.message;

	call->session->n_request_bytes -= request.length;
	buf_init(&call->reader.message);
	charge(call);
	return request;
}

void grpc_call_suspend(struct grpc_call *call, void (*on_close)(void *arg), void *arg)
{
	call->is_suspended = true;
	call->on_close = on_close;
	call->on_close_arg = arg;
}

void grpc_call_resume(struct grpc_call *call, uint64_t now_ns, void (*fn)(void *arg), void *arg)
{
	call->is_suspended = false;
	if (call->is_finished) {
		call->on_close(call->on_close_arg);
		return;
	}
	call->session->now_ns = now_ns;
	call_enter_service(call);
	fn(arg);
	call_leave_service(call);
	answer(call);
	grpc_call_wake(call);
}

void call_expire(struct grpc_call *call)
{
	char text[80];

	call->deadline_ns = UINT64_MAX;
	if (call->is_finished)
		return;
	/* Output that the client has not taken is too late. */
	if (!call->n_output_taken)
		buf_truncate(&call->output, 0);
	snprintf(text, sizeof text, "the call's time limit of %.3g s (grpc-timeout) expired",
		 clock_seconds(call->timeout_ns));
	grpc_call_finish(call, GRPC_DEADLINE_EXCEEDED, text);
	close_service(call);
	drop_request(call);
}

void call_end_late_request(struct grpc_call *call)
{
	char text[120];

	call->arrive_by_ns = UINT64_MAX;
	if (call->is_finished)
		return;
	limit_refuse(call->session->config.limits, LIMIT_REQUEST_TIME);
	snprintf(text, sizeof text, "the request did not arrive within %.3g s: send it faster, or "
		 "raise the server's request-ms", clock_seconds(call->session->config.request_ns));
	grpc_call_finish(call, GRPC_DEADLINE_EXCEEDED, text);
	drop_request(call);
}

bool call_waits_for_client(const struct grpc_call *call)
{
	return call->is_body_open && !call->is_deferred;
}

/* Releases the call's memory at once, because the reset may have to wait for the socket. */
void call_end_stalled(struct grpc_call *call)
{
	struct grpc_session *session = call->session;

	limit_refuse(session->config.limits, LIMIT_STALL);
	call->is_finished = true;
	call->status = GRPC_CANCELLED;
	call->is_body_open = false;
	call->n_output_taken = 0;
	buf_deinit(&call->output);
	charge(call);
	close_service(call);
	(void)nghttp2_submit_rst_stream(session->http, NGHTTP2_FLAG_NONE, call->stream_id,
					NGHTTP2_CANCEL);
}

void *grpc_call_context(const struct grpc_call *call)
{
	return call->session->config.context;
}

struct budget *grpc_call_budget(const struct grpc_call *call)
{
	return call->session->config.budget;
}

struct limit_counts *grpc_call_limits(const struct grpc_call *call)
{
	return call->session->config.limits;
}

void *grpc_call_state(const struct grpc_call *call)
{
	return call->state;
}

void grpc_call_set_state(struct grpc_call *call, void *state)
{
	call->state = state;
}

uint64_t grpc_call_client(const struct grpc_call *call)
{
	return gate_pass_client(&call->pass, call->session->config.client);
}

bool grpc_call_may_see(const struct grpc_call *call, uint64_t client)
{
	return !call->pass.key || grpc_call_client(call) == client;
}

const char *grpc_call_key_name(const struct grpc_call *call)
{
	return gate_pass_name(&call->pass);
}

uint64_t grpc_call_now_ns(const struct grpc_call *call)
{
	return call->session->now_ns;
}

uint64_t grpc_call_ms_left(const struct grpc_call *call)
{
	uint64_t now_ns = call->session->now_ns;

	if (call->deadline_ns == UINT64_MAX)
		return 0;
	if (call->deadline_ns <= now_ns + NS_PER_MS)
		return 1;
	return (call->deadline_ns - now_ns) / NS_PER_MS;
}

bool grpc_call_has_room(const struct grpc_call *call)
{
	size_t n_waiting = call->output.length - call->n_output_taken;

	return !call->is_finished && n_waiting < GRPC_CALL_ROOM &&
	       (!n_waiting || is_affordable(call, GRPC_CALL_ROOM));
}

bool grpc_call_can_add(const struct grpc_call *call, size_t n_bytes)
{
	return n_bytes <= GRPC_CALL_ROOM || is_affordable(call, n_bytes);
}

enum sc_status grpc_call_add_message(struct grpc_call *call, size_t n_bytes, uint8_t **space_out)
{
	struct buf *output = &call->output;
	enum sc_status status;

	if (n_bytes > UINT32_MAX)
		return SC_E_TOO_LARGE;
	if (!grpc_call_can_add(call, n_bytes)) {
		limit_refuse(call->session->config.limits, LIMIT_BUDGET);
		return SC_E_OVERLOADED;
	}
	status = buf_reserve(output, GRPC_PREFIX_BYTES + n_bytes);
	charge(call);
	if (status != SC_OK)
		return status;
	grpc_write_prefix((uint8_t *)output->data + output->length, (uint32_t)n_bytes);
	*space_out = (uint8_t *)output->data + output->length + GRPC_PREFIX_BYTES;
	output->length += GRPC_PREFIX_BYTES + n_bytes;
	grpc_call_wake(call);
	return SC_OK;
}

void grpc_call_finish(struct grpc_call *call, enum grpc_status status, const char *text)
{
	char encoded[3 * ERROR_TEXT_MAX];

	if (call->is_finished)
		return;
	call->is_finished = true;
	call->status = status;
	if (text && grpc_percent_encode(text, encoded, sizeof encoded))
		call->text = strdup(encoded);	/* NULL if memory runs out: the
						 * status is sent without text */
	/* start sends the answer when it returns, so that a message before the end is not lost. */
	if (!call->is_in_service)
		answer(call);
	grpc_call_wake(call);
}

void grpc_call_fail(struct grpc_call *call, enum sc_status status, const struct error *err)
{
	bool has_text = err && err->status == status && err->text[0];

	grpc_call_finish(call, grpc_status_of(status),
			 has_text ? err->text : sc_status_name(status));
}

void grpc_call_wake(struct grpc_call *call)
{
	struct grpc_session *session = call->session;

	if (call->is_in_service)
		return;
	if (call->is_deferred) {
		call->is_deferred = false;
		call->taken_ns = 0;
		(void)nghttp2_session_resume_data(session->http, call->stream_id);
	}
	if (!session->depth && session->config.on_wake)
		session->config.on_wake(session->config.arg);
}
