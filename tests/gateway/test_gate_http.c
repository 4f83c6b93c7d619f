/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gate_http.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ALICE "alice-0123456789abcdef"
#define ORIGIN "https://chat.example"

static const struct http_route public_route = { .path = "/health", .is_public = true };
static const struct http_route vital_route = { .path = "/metrics", .is_vital = true };
static const struct http_route work_route = { .path = "/v1/completions" };

static struct limit_counts limits;
static struct http_pass pass;

static struct gate *make(const char *api_key, const char *hosts, const char *origins)
{
	const struct gate_settings settings = { .api_key = api_key, .api_key_file = "",
						.allowed_hosts = hosts, .cors_origins = origins };
	struct error err = { .text = "" };
	struct gate *gate;

	memset(&limits, 0, sizeof limits);
	assert_int_equal(gate_create(&limits, &gate), SC_OK);
	if (gate_load(gate, &settings, &err) != SC_OK)
		fail_msg("%s", err.text);
	gate_check_hosts(gate, true);
	return gate;
}

/* The status that a request gets; 0: it may go on. line is "POST /x"; each field ends in CRLF. */
static unsigned ask(struct gate *gate, const char *line, const char *fields,
		    const struct http_route *route)
{
	const struct http_gate http = gate_http(gate);
	struct http_head head;
	struct http_fault fault;
	const uint8_t *bytes;
	char text[4096];
	size_t n;
	bool goes_on;

	n = (size_t)snprintf(text, sizeof text, "%s HTTP/1.1\r\n%s\r\n", line, fields);
	bytes = (const uint8_t *)text;
	http_head_init(&head);
	assert_int_equal(http_head_feed(&head, &bytes, &n, &fault), SC_OK);
	pass = (struct http_pass){ 0 };
	goes_on = http.enter(http.arg, &head, route, NS_PER_SECOND, &pass);
	if (goes_on && pass.ticket)
		http.leave(http.arg, pass.ticket);
	assert_true(goes_on || !pass.ticket);
	http_head_deinit(&head);
	return goes_on ? 0 : pass.status;
}

static bool has_field(const char *field)
{
	return strstr(pass.headers, field);
}

#define LOCAL "Host: localhost:8080\r\n"
#define JSON "Content-Type: application/json\r\n"

static void a_request_needs_a_key_unless_it_is_public(void **state)
{
	struct gate *gate = make(ALICE, "", "");

	(void)state;
	assert_int_equal(ask(gate, "GET /x", LOCAL, NULL), 401);
	assert_true(has_field("WWW-Authenticate: Bearer\r\n"));
	assert_non_null(strstr(pass.message, "Authorization: Bearer KEY"));
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL JSON, &work_route), 401);
	assert_int_equal(ask(gate, "GET /metrics", LOCAL, &vital_route), 401);
	assert_int_equal(ask(gate, "GET /health", LOCAL, &public_route), 0);
	assert_int_equal(ask(gate, "OPTIONS /v1/completions", LOCAL, &work_route), 0);
	assert_int_equal(ask(gate, "GET /x", LOCAL "Authorization: Bearer sk-nonsense\r\n", NULL),
			 401);
	assert_null(strstr(pass.message, "sk-nonsense"));
	assert_int_equal(ask(gate, "GET /x", LOCAL "Authorization: Bearer " ALICE "\r\n", NULL), 0);
	assert_int_equal(ask(gate, "GET /x", LOCAL "X-Api-Key: " ALICE "\r\n", NULL), 0);
	assert_true(pass.client);
	/* Two fields are one with a comma: no key. */
	assert_int_equal(ask(gate, "GET /x", LOCAL "X-Api-Key: " ALICE "\r\nX-Api-Key: b\r\n", NULL),
			 401);
	gate_destroy(gate);
}

static void without_keys_everything_goes_on(void **state)
{
	struct gate *gate = make("", "", "");

	(void)state;
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL JSON, &work_route), 0);
	assert_int_equal(ask(gate, "GET /x", LOCAL "Authorization: Bearer EMPTY\r\n", NULL), 0);
	assert_null(pass.ticket);
	assert_string_equal(pass.headers, "");
	gate_destroy(gate);
}

static void a_foreign_host_is_refused_on_loopback_only(void **state)
{
	struct gate *gate = make("", "model.example", "");

	(void)state;
	assert_int_equal(ask(gate, "GET /x", "Host: evil.example:8080\r\n", NULL), 403);
	assert_non_null(strstr(pass.message, "allowed-hosts"));
	assert_int_equal(ask(gate, "GET /health", "Host: evil.example\r\n", &public_route), 403);
	assert_int_equal(limits.n[LIMIT_ORIGIN], 2);
	assert_int_equal(ask(gate, "GET /x", "Host: model.example\r\n", NULL), 0);
	assert_int_equal(ask(gate, "GET /x", LOCAL, NULL), 0);
	gate_check_hosts(gate, false);
	assert_int_equal(ask(gate, "GET /x", "Host: evil.example\r\n", NULL), 0);
	gate_destroy(gate);
}

static void a_preflight_of_a_listed_origin_is_answered(void **state)
{
	static const char fields[] = LOCAL "Origin: " ORIGIN "\r\n"
		"Access-Control-Request-Method: POST\r\n"
		"Access-Control-Request-Headers: authorization,content-type,x-stainless-os\r\n";
	struct gate *gate = make(ALICE, "", "http://a.example, " ORIGIN);

	(void)state;
	assert_int_equal(ask(gate, "OPTIONS /v1/completions", fields, &work_route), 204);
	assert_true(has_field("Access-Control-Allow-Origin: " ORIGIN "\r\n"));
	assert_true(has_field("Vary: Origin\r\n"));
	assert_true(has_field("Access-Control-Allow-Methods: GET, HEAD, POST"));
	assert_true(has_field("Access-Control-Allow-Headers: "
			      "authorization,content-type,x-stainless-os\r\n"));
	assert_false(has_field("Private-Network"));
	gate_destroy(gate);
	gate = make(ALICE, "", "");
	assert_int_equal(ask(gate, "OPTIONS /v1/completions", fields, &work_route), 403);
	assert_string_equal(pass.headers, "");
	gate_destroy(gate);
	gate = make(ALICE, "", "*");
	assert_int_equal(ask(gate, "OPTIONS /v1/completions", fields, &work_route), 204);
	assert_true(has_field("Access-Control-Allow-Origin: *\r\n"));
	gate_destroy(gate);
}

static void answers_to_a_listed_origin_may_be_read(void **state)
{
	struct gate *gate = make(ALICE, "", ORIGIN);

	(void)state;
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL JSON "Origin: " ORIGIN "\r\n"
			     "X-Api-Key: " ALICE "\r\n", &work_route), 0);
	assert_true(has_field("Access-Control-Allow-Origin: " ORIGIN "\r\n"));
	assert_true(has_field("Access-Control-Expose-Headers: X-Request-Id"));
	/* Also that a key is missing. */
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL JSON "Origin: " ORIGIN "\r\n",
			     &work_route), 401);
	assert_true(has_field("Access-Control-Allow-Origin: " ORIGIN "\r\n"));
	assert_true(has_field("WWW-Authenticate: Bearer\r\n"));
	gate_destroy(gate);
}

static void pages_of_other_origins_cannot_post_without_permission(void **state)
{
	struct gate *gate = make("", "", ORIGIN);

	(void)state;
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL "Content-Type: text/plain\r\n"
			     "Origin: http://evil.example\r\n", &work_route), 403);
	assert_string_equal(pass.headers, "");
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL "Origin: null\r\n", &work_route),
			 403);
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL JSON
			     "Origin: http://evil.example\r\n", &work_route), 0);
	assert_string_equal(pass.headers, "");
	assert_int_equal(ask(gate, "GET /health", LOCAL "Origin: http://evil.example\r\n",
			     &public_route), 0);
	assert_string_equal(pass.headers, "");
	/* The server's own pages, and programs that are no browsers. */
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL "Content-Type: text/plain\r\n"
			     "Origin: http://localhost:8080\r\n", &work_route), 0);
	assert_int_equal(ask(gate, "POST /v1/completions", LOCAL "Content-Type: text/plain\r\n",
			     &work_route), 0);
	gate_destroy(gate);
}

static void fields_that_are_repeated_are_harmless_and_short(void **state)
{
	struct gate *gate = make("", "", "*");
	char fields[3000], much[1000];

	(void)state;
	memset(much, 'x', sizeof much - 1);
	much[sizeof much - 1] = '\0';
	snprintf(fields, sizeof fields, LOCAL "Origin: " ORIGIN "\r\n"
		 "Access-Control-Request-Method: POST\r\n"
		 "Access-Control-Request-Headers: %s\r\n", much);
	assert_int_equal(ask(gate, "OPTIONS /x", fields, NULL), 204);
	assert_false(has_field("Allow-Headers"));
	snprintf(fields, sizeof fields, LOCAL "Origin: http://%s\r\n"
		 "Access-Control-Request-Method: POST\r\n", much);
	assert_int_equal(ask(gate, "OPTIONS /x", fields, NULL), 403);
	assert_int_equal(ask(gate, "OPTIONS /x", LOCAL "Origin: " ORIGIN "\r\n"
			     "Access-Control-Request-Method: POST\r\n"
			     "Access-Control-Request-Private-Network: true\r\n"
			     "Access-Control-Request-Headers: a:b\r\n", NULL), 204);
	assert_false(has_field("Allow-Headers"));
	assert_true(has_field("Access-Control-Allow-Private-Network: true\r\n"));
	gate_destroy(gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_needs_a_key_unless_it_is_public),
		cmocka_unit_test(without_keys_everything_goes_on),
		cmocka_unit_test(a_foreign_host_is_refused_on_loopback_only),
		cmocka_unit_test(a_preflight_of_a_listed_origin_is_answered),
		cmocka_unit_test(answers_to_a_listed_origin_may_be_read),
		cmocka_unit_test(pages_of_other_origins_cannot_post_without_permission),
		cmocka_unit_test(fields_that_are_repeated_are_harmless_and_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
