/* SPDX-License-Identifier: Apache-2.0 */
/* A request arrives: its head and body, what it is refused for, and the life of its call. */
#include "http/http_session_private.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bodies up to this size are accepted even if the budget is spent. */
#define SMALL_REQUEST 4096
/* The body of a refused request is read up to this size, so that the connection can be kept. */
#define MAX_DROPPED 65536

/* --- life --- */

/* An id that no other request has, unless the kernel's random numbers repeat. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct http_call *http_call_create(struct http_session *session)
{
	struct http_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	call->session = session;
	http_head_init(&call->head);
	buf_init(&call->body);
	buf_init(&call->headers);
	buf_init(&call->output);
	/* Until the head says something else: answers to what is no request. */
	call->head.minor = 1;
	call->closes = true;
	call->arrive_by_ns = UINT64_MAX;
	if (session->config.request_ns)
		call->arrive_by_ns = session->now_ns + session->config.request_ns;
	call->record.begin_ns = session->now_ns;
	snprintf(call->id, sizeof call->id, "%016llx", (unsigned long long)
		 mix(session->id_seed + ++session->n_requests * UINT64_C(0x9e3779b97f4a7c15)));
	return call;
}

void http_call_charge(struct http_call *call)
{
	const size_t n_held = call->head.text.capacity + call->body.capacity +
			      call->output.capacity + call->headers.capacity;

	call->session->config.budget->n_bytes += n_held - call->n_charged;
	call->n_charged = n_held;
}

static void close_service(struct http_call *call)
{
	if (!call->is_started)
		return;
	call->is_started = false;
	if (call->is_suspended) {
		call->is_suspended = false;
		call->on_close(call->on_close_arg);
	}
	if (call->route->ops->close)
		call->route->ops->close(call);
}

static void tell_done(struct http_call *call)
{
	const struct http_observer *observer = call->session->config.observer;
	struct http_log *record = &call->record;

	if (!observer || !call->head.n_bytes)
		return;
	record->head = &call->head;
	record->route = call->route;
	record->id = call->id;
	record->trace_id = call->trace.text;
	record->key_name = http_call_key_name(call);
	record->peer = http_call_peer(call);
	record->is_complete = call->is_finished && !call->is_broken &&
			      call->n_output_taken == call->output.length;
	record->end_ns = call->session->now_ns;
	observer->on_done(observer->arg, record);
}

void http_call_destroy(struct http_call *call)
{
	const struct http_gate *gate;

	if (!call)
		return;
	gate = call->session->config.gate;
	close_service(call);
	tell_done(call);
	if (call->pass.ticket)
		gate->leave(gate->arg, call->pass.ticket);
	http_head_deinit(&call->head);
	buf_deinit(&call->body);
	buf_deinit(&call->headers);
	buf_deinit(&call->output);
	http_call_charge(call);
	free(call);
}

/* --- refusals --- */

/* Refuses the request before its body: the connection is kept if the body is short. A client that
 * expects 100 may send the body or not, so that nobody knows where the next request begins. */
static void refuse(struct http_call *call, unsigned status, const char *message)
{
	const struct http_head *head = &call->head;

	call->drops_body = true;
	if (head->expects_continue || head->is_chunked || head->n_body > MAX_DROPPED)
		http_call_refuse_closing(call, status, message);
	else
		http_call_refuse(call, status, message, NULL);
}

static void refuse_method(struct http_call *call, unsigned methods)
{
	static const char *const names[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS" };
	char allowed[80] = "", text[200];

	if (methods & HTTP_GET)
		methods |= HTTP_HEAD;
	methods |= HTTP_OPTIONS;
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (methods & 1u << i) {
			strcat(allowed, allowed[0] ? ", " : "");
			strcat(allowed, names[i]);
		}
	if (http_call_add_header(call, "Allow", allowed) != SC_OK)
		call->closes = true;
	if (call->head.method == HTTP_OPTIONS) {
		http_call_answer(call, 204, NULL, NULL, 0);
		call->drops_body = true;
		return;
	}
	snprintf(text, sizeof text, "this path does not take %s: use one of %s",
		 http_head_method(&call->head), allowed);
	refuse(call, call->head.method == HTTP_OTHER ? 501 : 405, text);
}

static bool is_restricted(const struct http_call *call)
{
	const struct http_session_config *config = &call->session->config;

	return !call->route->is_vital && config->is_restricted &&
	       config->is_restricted(config->arg);
}

/* --- routes --- */

static bool matches(const char *pattern, const char *path)
{
	const size_t n = strlen(pattern);
	size_t n_path = strlen(path);

	if (pattern[n - 1] == '*')
		return n_path >= n && !memcmp(pattern, path, n - 1);
	if (n_path > 1 && path[n_path - 1] == '/')
		n_path--;
	return n == n_path && !memcmp(pattern, path, n);
}

/* Sets the route, and its context. Returns the methods that the path takes; 0: there is no such
 * path. */
static unsigned find_route(struct http_call *call)
{
	const struct http_session_config *config = &call->session->config;
	const char *path = http_head_path(&call->head);
	const enum http_method method = call->head.method == HTTP_HEAD ? HTTP_GET :
					call->head.method;
	unsigned methods = 0;

	for (size_t t = 0; t < config->n_routes; t++)
		for (size_t i = 0; i < config->routes[t].n; i++) {
			const struct http_route *route = &config->routes[t].routes[i];

			if (!matches(route->path, path))
				continue;
			methods |= route->methods;
			if (call->route || !(route->methods & method))
				continue;
			call->route = route;
			call->context = config->routes[t].context;
		}
	return methods;
}

/* Returns true if the gate, if there is one, lets the request pass. */
static bool pass_gate(struct http_call *call)
{
	const struct http_gate *gate = call->session->config.gate;
	struct http_pass *pass = &call->pass;

	if (!gate ||
	    gate->enter(gate->arg, &call->head, call->route, call->session->now_ns, pass))
		return true;
	pass->ticket = NULL;
	if (pass->status == 204) {
		call->drops_body = true;
		http_call_answer(call, 204, NULL, NULL, 0);
	} else {
		refuse(call, pass->status ? pass->status : 403, pass->message);
	}
	return false;
}

/* --- the head --- */

/* The client's id if it is short and harmless in a header and in a log. */
static void take_id(struct http_call *call)
{
	const char *id = http_head_value(&call->head, "x-request-id");

	if (id)
		request_id_copy(call->id, id, strlen(id));
	trace_id_parse(http_head_value(&call->head, "traceparent"), &call->trace);
}

static void check_size(struct http_call *call)
{
	const size_t max = call->session->config.max_message;
	char text[160];

	if (call->head.n_body <= max)
		return;
	limit_refuse(call->session->config.limits, LIMIT_MESSAGE);
	snprintf(text, sizeof text, "the body has %llu bytes, at most %zu are allowed: send less, "
		 "or raise the server's max-message", (unsigned long long)call->head.n_body, max);
	refuse(call, 413, text);
}

/* Bodies are read as they come. */
static bool is_coded(const struct http_head *head)
{
	const char *coding = http_head_value(head, "content-encoding");

	return coding && (head->is_chunked || head->n_body) && strcasecmp(coding, "identity");
}

/* Answers what can be refused by the head alone. */
static void check_head(struct http_call *call)
{
	const unsigned methods = find_route(call);
	char text[200];

	if (!pass_gate(call))
		return;
	if (!call->route && !methods && strcmp(http_head_path(&call->head), "*")) {
		snprintf(text, sizeof text, "there is nothing at %.120s",
			 http_head_path(&call->head));
		refuse(call, call->head.method == HTTP_OTHER ? 501 : 404, text);
	} else if (!call->route) {
		refuse_method(call, methods);
	} else if (is_restricted(call)) {
		limit_refuse(call->session->config.limits, LIMIT_RESERVE);
		refuse(call, 503, "too many connections are open: this one may only ask for "
		       "status and health. Retry later, or raise the server's max-connections or "
		       "max-peer-connections");
	} else if (call->head.has_other_expectation) {
		refuse(call, 417, "the only expectation of this server is 100-continue");
	} else if (is_coded(&call->head)) {
		refuse(call, 415, "the body has a Content-Encoding, and this server decodes none: "
		       "send the body as it is");
	} else {
		check_size(call);
	}
}

static enum sc_status ask_for_body(struct http_call *call)
{
	if (!call->head.expects_continue || call->has_begun)
		return SC_OK;
	return buf_add_string(&call->output, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void start(struct http_call *call)
{
	call->input = INPUT_DONE;
	call->arrive_by_ns = UINT64_MAX;
	if (call->is_finished)
		return;
	call->is_started = true;
	http_call_enter_service(call);
	call->route->ops->start(call);
	http_call_leave_service(call);
	http_call_charge(call);
}

static enum sc_status end_head(struct http_call *call)
{
	const struct http_head *head = &call->head;

	call->closes = !head->is_persistent;
	http_call_charge(call);
	take_id(call);
	check_head(call);
	if (call->session->is_closing)
		return SC_OK;
	if (!head->is_chunked && !head->n_body) {
		start(call);
		return SC_OK;
	}
	call->input = INPUT_BODY;
	call->n_body_left = head->n_body;
	http_chunked_init(&call->chunked);
	return ask_for_body(call);
}

static enum sc_status receive_head(struct http_call *call, const uint8_t **bytes, size_t *n_bytes)
{
	struct http_session *session = call->session;
	struct http_fault fault;
	enum sc_status status = http_head_feed(&call->head, bytes, n_bytes, &fault);

	if (call->head.has_request_line)
		session->is_established = true;
	if (status == SC_OK)
		return end_head(call);
	if (status != SC_E_INVALID)
		return status == SC_AGAIN ? SC_OK : status;
	if (fault.status == 414 || fault.status == 431)
		limit_refuse(session->config.limits, LIMIT_HEADER_LIST);
	http_call_refuse_closing(call, fault.status, fault.text);
	return SC_OK;
}

/* --- the body --- */

static bool has_room(struct http_call *call, size_t n_bytes)
{
	const struct http_session_config *config = &call->session->config;
	char text[160];

	if (n_bytes > config->max_message - call->body.length) {
		limit_refuse(config->limits, LIMIT_MESSAGE);
		snprintf(text, sizeof text, "the body has more than %zu bytes: send less, or raise "
			 "the server's max-message", config->max_message);
		http_call_refuse_closing(call, 413, text);
		return false;
	}
	if (call->body.length + n_bytes > SMALL_REQUEST && !budget_has(config->budget, n_bytes)) {
		limit_refuse(config->limits, LIMIT_BUDGET);
		http_call_refuse_closing(call, 429, "the server's memory for clients is in use: "
					 "retry later");
		return false;
	}
	return true;
}

static enum sc_status add_body(struct http_call *call, const uint8_t *bytes, size_t n_bytes)
{
	enum sc_status status;

	if (call->drops_body || !n_bytes || !has_room(call, n_bytes))
		return SC_OK;
	status = buf_add(&call->body, bytes, n_bytes);
	http_call_charge(call);
	return status;
}

static enum sc_status receive_fixed(struct http_call *call, const uint8_t **bytes,
				    size_t *n_bytes)
{
	const size_t n = *n_bytes < call->n_body_left ? *n_bytes : (size_t)call->n_body_left;
	enum sc_status status = add_body(call, *bytes, n);

	*bytes += n;
	*n_bytes -= n;
	call->n_body_left -= n;
	if (status == SC_OK && !call->n_body_left && !call->session->is_closing)
		start(call);
	return status;
}

static enum sc_status receive_chunked(struct http_call *call, const uint8_t **bytes,
				      size_t *n_bytes)
{
	const uint8_t *content;
	const char *what;
	char text[160];
	size_t n;
	enum sc_status status = http_chunked_feed(&call->chunked, bytes, n_bytes, &content, &n,
						  &what);

	if (status == SC_OK) {
		start(call);
		return SC_OK;
	}
	if (status == SC_AGAIN)
		return add_body(call, content, n);
	snprintf(text, sizeof text, "the chunked body is broken: expected %s", what);
	http_call_refuse_closing(call, 400, text);
	return SC_OK;
}

enum sc_status http_call_receive(struct http_call *call, const uint8_t **bytes, size_t *n_bytes)
{
	const size_t had = *n_bytes;
	enum sc_status status = SC_OK;

	while (*n_bytes && status == SC_OK && call->input != INPUT_DONE &&
	       !call->session->is_closing) {
		if (call->input == INPUT_HEAD)
			status = receive_head(call, bytes, n_bytes);
		else if (call->head.is_chunked)
			status = receive_chunked(call, bytes, n_bytes);
		else
			status = receive_fixed(call, bytes, n_bytes);
	}
	call->record.n_bytes_in += had - *n_bytes;
	return status;
}

void http_call_end_late_request(struct http_call *call)
{
	char text[120];

	call->arrive_by_ns = UINT64_MAX;
	limit_refuse(call->session->config.limits, LIMIT_REQUEST_TIME);
	snprintf(text, sizeof text, "the request did not arrive within %.3g s: send it faster, or "
		 "raise the server's request-ms", clock_seconds(call->session->config.request_ns));
	http_call_refuse_closing(call, 408, text);
}
