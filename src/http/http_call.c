/* SPDX-License-Identifier: Apache-2.0 */
/* What services see of a request, and how they answer it. */
#include "http/http_call.h"

#include "base/log.h"
#include "http/http_session_private.h"

#include <stdio.h>
#include <string.h>

/* --- the request --- */

void *http_call_context(const struct http_call *call)
{
	return call->context;
}

void *http_call_state(const struct http_call *call)
{
	return call->state;
}

void http_call_set_state(struct http_call *call, void *state)
{
	call->state = state;
}

enum http_method http_call_method(const struct http_call *call)
{
	return call->head.method;
}

const char *http_call_path(const struct http_call *call)
{
	return http_head_path(&call->head);
}

const char *http_call_query(const struct http_call *call)
{
	return http_head_query(&call->head);
}

const char *http_call_header(const struct http_call *call, const char *name)
{
	return http_head_value(&call->head, name);
}

const char *http_call_body(const struct http_call *call, size_t *n_bytes_out)
{
	*n_bytes_out = call->body.length;
	return call->body.data;
}

struct buf http_call_take_body(struct http_call *call)
{
	struct buf body = call->body;

	buf_init(&call->body);
	http_call_charge(call);
	return body;
}

const char *http_call_id(const struct http_call *call)
{
	return call->id;
}

uint64_t http_call_client(const struct http_call *call)
{
	return call->pass.client ? call->pass.client : call->session->config.client;
}

const char *http_call_key_name(const struct http_call *call)
{
	return call->pass.key_name ? call->pass.key_name : "";
}

const char *http_call_peer(const struct http_call *call)
{
	return call->session->config.peer ? call->session->config.peer : "";
}

void http_call_note_tokens(struct http_call *call, uint64_t n_prompt, uint64_t n_output)
{
	call->record.n_prompt_tokens = n_prompt;
	call->record.n_output_tokens = n_output;
}

struct budget *http_call_budget(const struct http_call *call)
{
	return call->session->config.budget;
}

struct limit_counts *http_call_limits(const struct http_call *call)
{
	return call->session->config.limits;
}

uint64_t http_call_now_ns(const struct http_call *call)
{
	return call->session->now_ns;
}

/* --- waiting --- */

void http_call_enter_service(struct http_call *call)
{
	call->is_in_service = true;
	log_set_request(call->id, call->trace.text);
}

void http_call_leave_service(struct http_call *call)
{
	call->is_in_service = false;
	log_set_request(NULL, NULL);
}

void http_call_suspend(struct http_call *call, void (*on_close)(void *arg), void *arg)
{
	call->is_suspended = true;
	call->on_close = on_close;
	call->on_close_arg = arg;
}

void http_call_resume(struct http_call *call, uint64_t now_ns, void (*fn)(void *arg), void *arg)
{
	call->is_suspended = false;
	if (call->is_finished) {
		call->on_close(call->on_close_arg);
		return;
	}
	call->session->now_ns = now_ns;
	http_call_enter_service(call);
	fn(arg);
	http_call_leave_service(call);
	http_call_wake(call);
}

void http_call_wake(struct http_call *call)
{
	struct http_session *session = call->session;

	if (!call->is_in_service && !session->depth && session->config.on_wake)
		session->config.on_wake(session->config.arg);
}

void http_call_pull(struct http_call *call)
{
	const struct http_call_ops *ops;

	if (!call->is_started || call->is_finished || call->is_suspended)
		return;
	ops = call->route->ops;
	if (!ops->pull)
		return;
	http_call_enter_service(call);
	ops->pull(call);
	http_call_leave_service(call);
}

/* --- the answer --- */

/* White space and visible characters. */
static bool is_clean(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

enum sc_status http_call_add_header(struct http_call *call, const char *name, const char *value)
{
	enum sc_status status;

	if (!is_clean(name) || !is_clean(value))
		return SC_E_INVALID;
	status = buf_add_format(&call->headers, "%s: %s\r\n", name, value);
	http_call_charge(call);
	return status;
}

static void finish(struct http_call *call)
{
	call->is_finished = true;
	if (call->closes)
		call->session->is_closing = true;
	http_call_charge(call);
	http_call_wake(call);
}

/* Ends a call that cannot be answered, or whose answer cannot go on. */
static void break_off(struct http_call *call)
{
	call->is_broken = true;
	call->closes = true;
	finish(call);
}

static bool is_affordable(const struct http_call *call, size_t n_bytes)
{
	return budget_has(call->session->config.budget, n_bytes);
}

static bool can_add(const struct http_call *call, size_t n_bytes)
{
	return n_bytes <= HTTP_CALL_ROOM || is_affordable(call, n_bytes);
}

/* The head and the body of a whole answer. */
static enum sc_status write_answer(struct http_call *call, unsigned status,
				   const char *content_type, const void *body, size_t n_bytes)
{
	const size_t had = call->output.length;

	if (buf_reserve(&call->output, n_bytes + 512) == SC_OK &&
	    http_answer_write_head(call, status, content_type, n_bytes) == SC_OK &&
	    (call->has_no_body || buf_add(&call->output, body, n_bytes) == SC_OK))
		return SC_OK;
	buf_truncate(&call->output, had);
	call->has_begun = false;
	return SC_E_NOMEM;
}

void http_call_answer(struct http_call *call, unsigned status, const char *content_type,
		      const void *body, size_t n_bytes)
{
	if (call->is_finished || call->has_begun)
		return;
	if (!can_add(call, n_bytes)) {
		limit_refuse(call->session->config.limits, LIMIT_BUDGET);
		http_call_refuse(call, 429, "the server's memory for clients is in use: retry "
				 "later", NULL);
	} else if (write_answer(call, status, content_type, body, n_bytes) == SC_OK) {
		finish(call);
	} else if (write_answer(call, 500, NULL, NULL, 0) == SC_OK) {
		finish(call);	/* shorter, so it found memory */
	} else {
		break_off(call);
	}
}

enum sc_status http_call_begin(struct http_call *call, unsigned status, const char *content_type)
{
	enum sc_status rc;

	if (call->is_finished || call->has_begun)
		return SC_OK;
	rc = http_answer_write_head(call, status, content_type, LENGTH_UNKNOWN);
	http_call_charge(call);
	if (rc == SC_OK && call->has_no_body)
		finish(call);
	else if (rc == SC_OK)
		http_call_wake(call);
	return rc;
}

bool http_call_has_begun(const struct http_call *call)
{
	return call->has_begun;
}

bool http_call_has_room(const struct http_call *call)
{
	const size_t n_waiting = call->output.length - call->n_output_taken;

	return !call->is_finished && n_waiting < HTTP_CALL_ROOM &&
	       (!n_waiting || is_affordable(call, HTTP_CALL_ROOM));
}

/* One write for the chunk's size, its content and its end. */
static enum sc_status add_chunk(struct http_call *call, const void *bytes, size_t n_bytes)
{
	struct buf *output = &call->output;
	char size[24];
	const int n = snprintf(size, sizeof size, "%zx\r\n", n_bytes);

	if (buf_reserve(output, n_bytes + sizeof size) != SC_OK ||
	    buf_add(output, size, (size_t)n) != SC_OK ||
	    buf_add(output, bytes, n_bytes) != SC_OK)
		return SC_E_NOMEM;
	return buf_add(output, "\r\n", 2);
}

enum sc_status http_call_add(struct http_call *call, const void *bytes, size_t n_bytes)
{
	enum sc_status status;

	if (call->is_finished || !n_bytes)
		return SC_OK;
	if (!can_add(call, n_bytes)) {
		limit_refuse(call->session->config.limits, LIMIT_BUDGET);
		return SC_E_OVERLOADED;
	}
	status = call->is_chunked ? add_chunk(call, bytes, n_bytes) :
				    buf_add(&call->output, bytes, n_bytes);
	http_call_charge(call);
	if (status == SC_OK)
		http_call_wake(call);
	return status;
}

void http_call_end(struct http_call *call)
{
	if (call->is_finished)
		return;
	if (!call->has_begun) {
		http_call_answer(call, 500, NULL, NULL, 0);
		return;
	}
	if (call->is_chunked && buf_add_string(&call->output, "0\r\n\r\n") != SC_OK)
		break_off(call);
	else
		finish(call);
}

void http_call_break(struct http_call *call)
{
	if (!call->is_finished)
		break_off(call);
}

void http_call_refuse_as(struct http_call *call, const struct http_error *error)
{
	struct buf body = BUF_INIT;

	if (call->is_finished)
		return;
	if (call->has_begun)
		break_off(call);
	else if (http_error_write(error, &body) == SC_OK)
		http_call_answer(call, error->status, "application/json", body.data, body.length);
	else
		http_call_answer(call, 500, NULL, NULL, 0);
	buf_deinit(&body);
}

void http_call_refuse(struct http_call *call, unsigned status, const char *message,
		      const char *param)
{
	http_call_refuse_as(call, &(struct http_error){
		.status = status, .message = message, .param = param,
	});
}

void http_call_fail(struct http_call *call, enum sc_status status, const struct error *err)
{
	const bool has_text = err && err->status == status && err->text[0];

	http_call_refuse(call, http_status_of(status),
			 has_text ? err->text : sc_status_name(status), NULL);
}

void http_call_refuse_closing(struct http_call *call, unsigned status, const char *message)
{
	call->drops_body = true;
	call->closes = true;
	call->session->is_closing = true;
	call->arrive_by_ns = UINT64_MAX;
	http_call_refuse(call, status, message, NULL);
}
