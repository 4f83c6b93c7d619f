/* SPDX-License-Identifier: Apache-2.0 */
/* What a gate decides, and what an observer is told. */
#include "tests/http/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define END "Host: x\r\n\r\n"

struct fixture {
	struct peer peer;
	struct http_routes routes;
	struct http_gate gate;
	struct http_observer observer;
	unsigned n_entered, n_left;	/* with a ticket */
	unsigned n_started;
	uint64_t client;
	char key_name[16];
	unsigned n_done;
	struct http_log record;		/* the last one; its pointers are not kept */
	char seen[256];			/* its texts */
};

static void start(struct http_call *call)
{
	struct fixture *f = http_call_context(call);

	f->n_started++;
	f->client = http_call_client(call);
	snprintf(f->key_name, sizeof f->key_name, "%s", http_call_key_name(call));
	http_call_note_tokens(call, 3, 4);
	http_call_answer(call, 200, "text/plain", "hello", 5);
}

static void wait_start(struct http_call *call)
{
	(void)call;
}

static const struct http_call_ops hello = { .start = start };
static const struct http_call_ops wait_ops = { .start = wait_start };
static const struct http_route routes[] = {
	{ .path = "/hello", .methods = HTTP_GET | HTTP_POST, .ops = &hello },
	{ .path = "/public", .methods = HTTP_GET, .ops = &hello, .is_public = true },
	{ .path = "/wait", .methods = HTTP_GET, .ops = &wait_ops },
};

/* Lets in who has the key "good", and all to public routes; answers preflights. */
static bool enter(void *arg, const struct http_head *head, const struct http_route *route,
		  uint64_t now_ns, struct http_pass *pass)
{
	struct fixture *f = arg;
	const char *key = http_head_value(head, "x-api-key");

	assert_int_equal(now_ns, f->peer.now_ns);
	snprintf(pass->headers, sizeof pass->headers, "Access-Control-Allow-Origin: *\r\n");
	if (head->method == HTTP_OPTIONS) {
		pass->status = 204;
		return false;
	}
	if (route && route->is_public)
		return true;
	if (key && !strcmp(key, "good")) {
		pass->client = 99;
		pass->key_name = "alice";
		pass->ticket = f;
		f->n_entered++;
		return true;
	}
	if (key && !strcmp(key, "busy")) {
		pass->status = 429;
		pass->retry_after_s = 7;
		snprintf(pass->message, sizeof pass->message, "too many");
		return false;
	}
	pass->status = 401;
	snprintf(pass->message, sizeof pass->message, "no key");
	return false;
}

static void leave(void *arg, void *ticket)
{
	struct fixture *f = arg;

	assert_ptr_equal(ticket, f);
	f->n_left++;
}

static void on_done(void *arg, const struct http_log *record)
{
	struct fixture *f = arg;

	f->n_done++;
	f->record = *record;
	snprintf(f->seen, sizeof f->seen, "%s %s %s key=%s id=%s peer=%s",
		 http_head_method(record->head), http_head_path(record->head),
		 record->route ? record->route->path : "-", record->key_name, record->id,
		 record->peer);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->routes = (struct http_routes){ routes, sizeof routes / sizeof routes[0], f };
	f->gate = (struct http_gate){ .enter = enter, .leave = leave, .arg = f };
	f->observer = (struct http_observer){ .on_done = on_done, .arg = f };
	peer_init(&f->peer, &f->routes, 1);
	f->peer.config.gate = &f->gate;
	f->peer.config.observer = &f->observer;
	f->peer.config.peer = "192.0.2.1:5";
	peer_open(&f->peer);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	peer_close(&f->peer);
	assert_int_equal(f->n_entered, f->n_left);
	free(f);
	return 0;
}

static void who_has_a_key_is_known_by_it(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "GET /hello HTTP/1.1\r\nX-Api-Key: good\r\n" END);
	peer_expect_status(&f->peer, 200);
	peer_expect(&f->peer, "\r\nAccess-Control-Allow-Origin: *\r\n");
	assert_int_equal(f->client, 99);
	assert_string_equal(f->key_name, "alice");
	assert_int_equal(f->n_left, 1);
	peer_ask(&f->peer, "GET /public HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 200);
	assert_int_equal(f->client, 7);
	assert_string_equal(f->key_name, "");
}

static void who_has_none_is_refused_before_the_body(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "POST /hello HTTP/1.1\r\nContent-Length: 3\r\n" END);
	peer_expect_status(&f->peer, 401);
	peer_expect(&f->peer, "\"type\":\"authentication_error\"");
	peer_expect(&f->peer, "\r\nAccess-Control-Allow-Origin: *\r\n");
	/* The body comes, and then a request with a key. */
	peer_ask(&f->peer, "abcGET /hello HTTP/1.1\r\nX-Api-Key: good\r\n" END);
	peer_expect_status(&f->peer, 200);
	peer_ask(&f->peer, "GET /nothing HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 401);
	peer_ask(&f->peer, "GET /hello HTTP/1.1\r\nX-Api-Key: busy\r\n" END);
	peer_expect_status(&f->peer, 429);
	peer_expect(&f->peer, "\r\nRetry-After: 7\r\n");
	peer_expect_not(&f->peer, "Retry-After: 1\r\n");
	assert_int_equal(f->n_started, 1);
}

static void a_preflight_is_answered_by_the_gate(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "OPTIONS /hello HTTP/1.1\r\n" END);
	peer_expect_status(&f->peer, 204);
	peer_expect(&f->peer, "\r\nAccess-Control-Allow-Origin: *\r\n");
	assert_int_equal(f->n_entered, 0);
}

static void a_ticket_is_given_back_however_the_call_ends(void **state)
{
	struct fixture *f = *state;

	peer_ask(&f->peer, "GET /nothing HTTP/1.1\r\nX-Api-Key: good\r\n" END);
	peer_expect_status(&f->peer, 404);
	assert_int_equal(f->n_left, 1);
	peer_ask(&f->peer, "GET /wait HTTP/1.1\r\nX-Api-Key: good\r\n" END);
	assert_int_equal(f->n_left, 1);
	http_session_destroy(f->peer.session);
	assert_int_equal(f->n_left, 2);
	assert_int_equal(f->record.status, 0);
	assert_false(f->record.is_complete);
	peer_open(&f->peer);
}

static void an_observer_is_told_of_each_request(void **state)
{
	struct fixture *f = *state;
	static const char request[] = "POST /hello?x HTTP/1.1\r\nX-Api-Key: good\r\n"
				      "X-Request-Id: r1\r\nContent-Length: 3\r\n" END "abc";

	f->peer.now_ns = 50;
	peer_ask(&f->peer, request);
	assert_int_equal(f->n_done, 1);
	assert_string_equal(f->seen, "POST /hello /hello key=alice id=r1 peer=192.0.2.1:5");
	assert_int_equal(f->record.status, 200);
	assert_true(f->record.is_complete);
	assert_int_equal(f->record.n_bytes_in, sizeof request - 1);
	/* The answer as it was sent, with its Date. */
	assert_int_equal(f->record.n_bytes_out, f->peer.answer.length + 37);
	assert_int_equal(f->record.begin_ns, 50);
	assert_int_equal(f->record.end_ns, 50);
	assert_int_equal(f->record.n_prompt_tokens, 3);
	assert_int_equal(f->record.n_output_tokens, 4);

	peer_ask(&f->peer, "GET /hello\r\n");
	assert_int_equal(f->n_done, 2);
	assert_int_equal(f->record.status, 400);
	assert_int_equal(strncmp(f->seen, "  - key= id=", 12), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_has_a_key_is_known_by_it),
		TEST(who_has_none_is_refused_before_the_body),
		TEST(a_preflight_is_answered_by_the_gate),
		TEST(a_ticket_is_given_back_however_the_call_ends),
		TEST(an_observer_is_told_of_each_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
