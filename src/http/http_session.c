/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the requests of one connection. */
#include "http/http_session.h"

#include "base/random.h"
#include "http/http_session_private.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of an answer that send gives at once. */
#define SEND_BYTES 16384
/* Input that may be held even if the budget is spent. */
#define SMALL_HELD 4096

enum sc_status http_session_create(const struct http_session_config *config,
				   struct http_session **session_out)
{
	struct http_session *session = calloc(1, sizeof *session);

	if (!session)
		return SC_E_NOMEM;
	session->config = *config;
	session->id_seed = random_id();
	buf_init(&session->held);
	*session_out = session;
	return SC_OK;
}

/* Call whenever held has grown or shrunk. */
static void charge(struct http_session *session)
{
	session->config.budget->n_bytes += session->held.capacity - session->n_charged;
	session->n_charged = session->held.capacity;
}

static void drop_held(struct http_session *session)
{
	buf_deinit(&session->held);
	session->n_held_taken = 0;
	charge(session);
}

static void end_call(struct http_session *session)
{
	struct http_call *call = session->call;

	session->call = NULL;
	session->used_ns = session->now_ns;
	http_call_destroy(call);
}

void http_session_destroy(struct http_session *session)
{
	if (!session)
		return;
	session->depth++;
	if (session->call)
		end_call(session);
	drop_held(session);
	free(session);
}

/* --- input --- */

/* Some clients send an empty line behind a body. One may come before a request (RFC 9112, 2.2). */
static void skip_blank(struct http_session *session, const uint8_t **bytes, size_t *n_bytes)
{
	while (*n_bytes && session->n_blank < 2 && **bytes == "\r\n"[session->n_blank]) {
		session->n_blank++;
		++*bytes;
		--*n_bytes;
	}
}

/* Takes bytes up to the end of a request: of the one that is arriving, or of the next one. */
static enum sc_status take(struct http_session *session, const uint8_t **bytes, size_t *n_bytes)
{
	if (!session->call) {
		skip_blank(session, bytes, n_bytes);
		if (!*n_bytes)
			return SC_OK;
		session->call = http_call_create(session);
		if (!session->call)
			return SC_E_NOMEM;
		/* A CR that no LF follows begins no request. */
		if (session->n_blank == 1)
			http_call_refuse_closing(session->call, 400, "expected LF after CR");
		session->n_blank = 0;
	}
	return http_call_receive(session->call, bytes, n_bytes);
}

static bool is_answering(const struct http_session *session)
{
	return session->call && session->call->input == INPUT_DONE;
}

static enum sc_status hold(struct http_session *session, const uint8_t *bytes, size_t n_bytes)
{
	enum sc_status status;

	/* A client that is always a request ahead never empties held. */
	buf_consume(&session->held, session->n_held_taken);
	session->n_held_taken = 0;
	status = buf_add(&session->held, bytes, n_bytes);
	charge(session);
	return status;
}

/* Processes what waits behind the last request. */
static enum sc_status take_held(struct http_session *session)
{
	struct buf *held = &session->held;
	enum sc_status status = SC_OK;

	while (status == SC_OK && session->n_held_taken < held->length &&
	       !session->is_closing && !session->refuses && !is_answering(session)) {
		const uint8_t *bytes = (const uint8_t *)held->data + session->n_held_taken;
		size_t n = held->length - session->n_held_taken;

		status = take(session, &bytes, &n);
		session->n_held_taken = held->length - n;
	}
	if (session->is_closing || session->n_held_taken == held->length)
		drop_held(session);
	return status;
}

enum sc_status http_session_receive(struct http_session *session, const void *bytes,
				    size_t n_bytes, uint64_t now_ns, struct error *err)
{
	const uint8_t *at = bytes;
	enum sc_status status = SC_OK;

	session->now_ns = now_ns;
	session->depth++;
	while (n_bytes && status == SC_OK && !session->is_closing) {
		if (session->held.length || is_answering(session)) {
			status = hold(session, at, n_bytes);
			break;
		}
		if (session->refuses && !session->call)
			break;
		status = take(session, &at, &n_bytes);
	}
	session->depth--;
	return status == SC_OK ? SC_OK : error_set(err, status, "HTTP/1: out of memory");
}

bool http_session_wants_input(const struct http_session *session)
{
	const size_t n = session->held.length - session->n_held_taken;

	if (session->is_closing || !n)
		return true;
	return n < HTTP_MAX_HELD &&
	       (n < SMALL_HELD || budget_has(session->config.budget, HTTP_MAX_HELD));
}

/* --- output --- */

static bool has_output(const struct http_call *call)
{
	return call->n_output_taken < call->output.length;
}

/* Ends the call if its answer is taken and its request is read. Returns false if it goes on. */
static bool end_if_over(struct http_session *session)
{
	const struct http_call *call = session->call;

	if (!call->is_finished || (call->input != INPUT_DONE && !session->is_closing))
		return false;
	end_call(session);
	return true;
}

/* Finds the next call with output. Returns false if there is none now. */
static bool find_output(struct http_session *session, enum sc_status *status)
{
	for (;;) {
		*status = take_held(session);
		if (*status != SC_OK || !session->call)
			return false;
		if (has_output(session->call))
			return true;
		if (end_if_over(session))
			continue;
		buf_truncate(&session->call->output, 0);
		session->call->n_output_taken = 0;
		http_call_pull(session->call);
		if (has_output(session->call))
			return true;
		if (!end_if_over(session))
			return false;
	}
}

enum sc_status http_session_send(struct http_session *session, uint64_t now_ns,
				 const uint8_t **bytes_out, size_t *n_bytes_out,
				 struct error *err)
{
	enum sc_status status;
	struct http_call *call;
	size_t n;

	session->now_ns = now_ns;
	session->depth++;
	*n_bytes_out = 0;
	if (find_output(session, &status)) {
		call = session->call;
		n = call->output.length - call->n_output_taken;
		n = n < SEND_BYTES ? n : SEND_BYTES;
		*bytes_out = (const uint8_t *)call->output.data + call->n_output_taken;
		*n_bytes_out = n;
		call->n_output_taken += n;
		call->record.n_bytes_out += n;
	}
	session->depth--;
	return status == SC_OK ? SC_OK : error_set(err, status, "HTTP/1: out of memory");
}

/* --- time and state --- */

uint64_t http_session_deadline_ns(const struct http_session *session)
{
	return session->call ? session->call->arrive_by_ns : UINT64_MAX;
}

void http_session_expire(struct http_session *session, uint64_t now_ns)
{
	session->now_ns = now_ns;
	session->depth++;
	if (session->call && session->call->arrive_by_ns <= now_ns)
		http_call_end_late_request(session->call);
	session->depth--;
}

bool http_session_is_established(const struct http_session *session)
{
	return session->is_established;
}

/* Returns true if there is a request, or a good part of one. */
static bool is_in_use(const struct http_session *session)
{
	return session->call && session->call->head.has_request_line;
}

uint64_t http_session_idle_since_ns(const struct http_session *session)
{
	return is_in_use(session) ? UINT64_MAX : session->used_ns;
}

bool http_session_is_done(const struct http_session *session)
{
	if (session->is_closing)
		return !session->call;
	return session->refuses && !is_in_use(session);
}

void http_session_announce_end(struct http_session *session)
{
	session->is_draining = true;
}

void http_session_refuse_calls(struct http_session *session)
{
	session->is_draining = true;
	session->refuses = true;
}

void http_session_end_calls(struct http_session *session, const char *text)
{
	struct http_call *call = session->call;

	session->depth++;
	session->is_draining = true;
	session->refuses = true;
	if (call && call->head.has_request_line)
		http_call_refuse_closing(call, 503, text);
	session->depth--;
}
