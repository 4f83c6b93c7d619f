/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gate_http.h"

#include "gateway/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of fields that are repeated in the answer, so that all fields fit into http_pass. */
#define MAX_ORIGIN 256
#define MAX_LIST 512
/* How long a browser may keep the answer to a preflight. */
#define PREFLIGHT_AGE_S "600"

static void add_field(struct http_pass *pass, const char *name, const char *value)
{
	const size_t n = strlen(pass->headers);

	if (n + strlen(name) + strlen(value) + 5 <= sizeof pass->headers)
		snprintf(pass->headers + n, sizeof pass->headers - n, "%s: %s\r\n", name, value);
}

static bool refuse(struct http_pass *pass, unsigned status, const char *message)
{
	pass->status = status;
	snprintf(pass->message, sizeof pass->message, "%s", message);
	return false;
}

/* --- where the request comes from --- */

static bool is_preflight(const struct http_head *head)
{
	return head->method == HTTP_OPTIONS &&
	       http_head_value(head, "access-control-request-method");
}

/* Lets the browser show the answer to the page. */
static void allow_origin(const struct gate *gate, const char *origin, struct http_pass *pass)
{
	const bool is_any = !strcmp(gate_cors_origins(gate), "*");

	add_field(pass, "Access-Control-Allow-Origin", is_any ? "*" : origin);
	if (!is_any)
		add_field(pass, "Vary", "Origin");
	add_field(pass, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
}

static bool answer_preflight(const struct http_head *head, struct http_pass *pass)
{
	const char *fields = http_head_value(head, "access-control-request-headers");

	add_field(pass, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
	if (fields && strlen(fields) <= MAX_LIST && is_header_list(fields))
		add_field(pass, "Access-Control-Allow-Headers", fields);
	/* A page of a public address asks for a server of a private network. */
	if (http_head_value(head, "access-control-request-private-network"))
		add_field(pass, "Access-Control-Allow-Private-Network", "true");
	add_field(pass, "Access-Control-Max-Age", PREFLIGHT_AGE_S);
	pass->status = 204;
	return false;
}

/* Returns false if the request ends here. */
static bool check_origin(struct gate *gate, const struct http_head *head, struct http_pass *pass)
{
	const char *origin = http_head_value(head, "origin");
	const char *host = http_head_value(head, "host");

	if (!origin || origin_is_host(origin, host ? host : ""))
		return true;
	if (strlen(origin) <= MAX_ORIGIN && origin_is_listed(origin, gate_cors_origins(gate))) {
		allow_origin(gate, origin, pass);
		return is_preflight(head) ? answer_preflight(head, pass) : true;
	}
	if (!is_preflight(head) &&
	    (head->method != HTTP_POST ||
	     !content_type_is_simple(http_head_value(head, "content-type"))))
		return true;	/* the browser keeps the answer from the page */
	limit_refuse(gate_limits(gate), LIMIT_ORIGIN);
	return refuse(pass, 403, is_preflight(head) ?
		      "web pages of this origin may not use this server. Its setting cors-origins "
		      "names the origins that may" :
		      "a web page of another origin may not send this. Send Content-Type: "
		      "application/json; the server's setting cors-origins names the origins that "
		      "may use it");
}

static bool check_host(struct gate *gate, const struct http_head *head, struct http_pass *pass)
{
	const char *host = http_head_value(head, "host");

	if (!gate_checks_hosts(gate) || !host ||
	    host_is_allowed(host, gate_allowed_hosts(gate)))
		return true;
	limit_refuse(gate_limits(gate), LIMIT_ORIGIN);
	return refuse(pass, 403, "this server listens on loopback and does not go by the name in "
		      "the Host field. Its setting allowed-hosts adds names");
}

/* --- the key --- */

static bool check_key(struct gate *gate, const struct http_head *head,
		      const struct http_route *route, uint64_t now_ns, struct http_pass *pass)
{
	const struct gate_request request = {
		.authorization = http_head_value(head, "authorization"),
		.api_key = http_head_value(head, "x-api-key"),
		.is_light = route && route->is_vital,
	};
	struct gate_pass *ticket = calloc(1, sizeof *ticket);
	struct gate_refusal refusal;
	enum gate_answer answer;

	if (!ticket)
		return refuse(pass, 503, "out of memory");
	answer = gate_enter(gate, &request, now_ns, ticket, &refusal);
	if (answer == GATE_OPEN) {
		pass->client = gate_pass_client(ticket, 0);
		pass->key_name = gate_pass_name(ticket);
		pass->ticket = ticket;
		return true;
	}
	free(ticket);
	pass->retry_after_s = refusal.retry_s;
	if (answer == GATE_LIMITED)
		return refuse(pass, 429, refusal.text);
	add_field(pass, "WWW-Authenticate", "Bearer");
	return refuse(pass, 401, refusal.text);
}

static bool enter(void *arg, const struct http_head *head, const struct http_route *route,
		  uint64_t now_ns, struct http_pass *pass)
{
	struct gate *gate = arg;

	if (!check_host(gate, head, pass) || !check_origin(gate, head, pass))
		return false;
	if (!gate_has_keys(gate) || head->method == HTTP_OPTIONS || (route && route->is_public))
		return true;
	return check_key(gate, head, route, now_ns, pass);
}

static void leave(void *arg, void *ticket)
{
	(void)arg;
	gate_leave(ticket);
	free(ticket);
}

struct http_gate gate_http(struct gate *gate)
{
	return (struct http_gate){ .enter = enter, .leave = leave, .arg = gate };
}
