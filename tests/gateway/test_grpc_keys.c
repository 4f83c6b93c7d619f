/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC session with a gate: which calls are let in, and what the others are told. */
#include "gateway/grpc_session.h"

#include "base/clock.h"
#include "gateway/gate.h"
#include "tests/gateway/memory_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define ALICE "alice-0123456789abcdef"
#define BOB "bob-0123456789abcdef"
#define CONNECTION 7

struct context {
	unsigned n_started;
	uint64_t client;	/* of the last call */
	char key_name[64];
	bool keeps_open;
};

static void note_start(struct grpc_call *call, const uint8_t *request, size_t n_bytes)
{
	struct context *context = grpc_call_context(call);

	(void)request;
	(void)n_bytes;
	context->n_started++;
	context->client = grpc_call_client(call);
	snprintf(context->key_name, sizeof context->key_name, "%s", grpc_call_key_name(call));
	if (!context->keeps_open)
		grpc_call_finish(call, GRPC_OK, NULL);
}

static const struct grpc_call_ops work_ops = { .start = note_start };
static const struct grpc_call_ops health_ops = { .start = note_start, .is_public = true };
static const struct grpc_call_ops status_ops = { .start = note_start, .is_light = true };
static const struct grpc_method methods[] = {
	{ "/t.T/Work", &work_ops },
	{ "/t.T/Health", &health_ops },
	{ "/t.T/Status", &status_ops },
};

struct fixture {
	struct budget budget;
	struct context context;
	struct limit_counts limits;
	struct gate *gate;
	struct grpc_session *session;
	struct memory_client client;
	struct buf body;
};

static void load(struct fixture *f, const char *keys)
{
	char path[] = "/tmp/stagecoach-grpc-keys.XXXXXX";
	int fd = mkstemp(path);
	const struct gate_settings settings = { .api_key = "", .api_key_file = path,
						.allowed_hosts = "", .cors_origins = "" };
	struct error err = { .text = "" };

	assert_true(fd >= 0);
	assert_int_equal(write(fd, keys, strlen(keys)), strlen(keys));
	close(fd);
	if (gate_load(f->gate, &settings, &err) != SC_OK)
		fail_msg("%s", err.text);
	unlink(path);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct grpc_session_config config = {
		.methods = methods,
		.n_methods = sizeof methods / sizeof methods[0],
		.max_streams = 10,
		.max_message = 1000,
		.client = CONNECTION,
	};

	assert_non_null(f);
	f->budget = (struct budget){ .max_bytes = 1 << 20 };
	assert_int_equal(gate_create(&f->limits, &f->gate), SC_OK);
	config.context = &f->context;
	config.budget = &f->budget;
	config.gate = f->gate;
	assert_int_equal(grpc_session_create(&config, &f->session), SC_OK);
	memory_client_init(&f->client, f->session);
	buf_init(&f->body);
	memory_body(&f->body, "x", 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	grpc_session_destroy(f->session);
	gate_destroy(f->gate);
	memory_client_deinit(&f->client);
	buf_deinit(&f->body);
	free(f);
	return 0;
}

static void open_call(struct fixture *f, struct memory_call *call, const char *path,
		      const char *field, const char *value)
{
	const struct memory_header extra[] = { { field, value }, { NULL, NULL } };

	memset(call, 0, sizeof *call);
	buf_init(&call->body);
	buf_init(&call->request);
	memory_call_open(&f->client, call, path, extra, f->body.data, f->body.length);
	memory_client_run(&f->client);
}

/* The status of a call, and its words. */
static int ask(struct fixture *f, const char *path, const char *field, const char *value,
	       char words[512])
{
	struct memory_call call;
	int status;

	open_call(f, &call, path, field, value);
	assert_true(call.is_closed);
	status = call.grpc_status;
	if (words)
		snprintf(words, 512, "%s", call.grpc_message);
	memory_call_deinit(&call);
	return status;
}

static void a_call_without_a_good_key_does_not_start(void **state)
{
	struct fixture *f = *state;
	char words[512], much[1000];

	load(f, "alice " ALICE "\n");
	assert_int_equal(ask(f, "/t.T/Work", NULL, NULL, words), GRPC_UNAUTHENTICATED);
	assert_non_null(strstr(words, "Authorization: Bearer KEY"));
	assert_int_equal(ask(f, "/t.T/Work", "authorization", "Bearer " BOB, words),
			 GRPC_UNAUTHENTICATED);
	assert_null(strstr(words, BOB));
	assert_int_equal(ask(f, "/t.T/Work", "authorization", ALICE, NULL), GRPC_UNAUTHENTICATED);
	assert_int_equal(ask(f, "/t.T/Status", "authorization", "Bearer x", NULL),
			 GRPC_UNAUTHENTICATED);
	/* Nobody without a key learns which methods there are. */
	assert_int_equal(ask(f, "/t.T/None", NULL, NULL, NULL), GRPC_UNAUTHENTICATED);
	memset(much, 'x', sizeof much);
	memcpy(much, "Bearer ", 7);
	much[sizeof much - 1] = '\0';
	assert_int_equal(ask(f, "/t.T/Work", "authorization", much, NULL), GRPC_UNAUTHENTICATED);
	assert_int_equal(f->context.n_started, 0);
	assert_int_equal(f->limits.n[LIMIT_KEY], 6);
}

static void a_good_key_lets_in_and_names_its_owner(void **state)
{
	struct fixture *f = *state;
	uint64_t client;

	load(f, "alice " ALICE "\nbob " BOB "\n");
	assert_int_equal(ask(f, "/t.T/Work", "authorization", "Bearer " ALICE, NULL), GRPC_OK);
	assert_string_equal(f->context.key_name, "alice");
	client = f->context.client;
	assert_true(client != CONNECTION);
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, NULL), GRPC_OK);
	assert_string_equal(f->context.key_name, "bob");
	assert_true(f->context.client != client);
	/* The key of one call does not hold for the next. */
	assert_int_equal(ask(f, "/t.T/Work", NULL, NULL, NULL), GRPC_UNAUTHENTICATED);
	assert_int_equal(ask(f, "/t.T/None", "x-api-key", BOB, NULL), GRPC_UNIMPLEMENTED);
	assert_int_equal(f->context.n_started, 2);
}

static void health_needs_no_key(void **state)
{
	struct fixture *f = *state;

	load(f, "alice " ALICE "\n");
	assert_int_equal(ask(f, "/t.T/Health", NULL, NULL, NULL), GRPC_OK);
	assert_int_equal(ask(f, "/t.T/Health", "authorization", "Bearer nonsense", NULL), GRPC_OK);
	assert_string_equal(f->context.key_name, "");
	assert_true(f->context.client == CONNECTION);
}

static void without_keys_all_calls_are_let_in(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, "/t.T/Work", NULL, NULL, NULL), GRPC_OK);
	assert_true(f->context.client == CONNECTION);
	assert_int_equal(ask(f, "/t.T/Work", "authorization", "Bearer " BOB, NULL), GRPC_OK);
}

static void limits_of_a_key_hold_for_its_calls_together(void **state)
{
	struct fixture *f = *state;
	struct memory_call open;
	char words[512];

	load(f, "bob " BOB " concurrent=1 rate=3/h\n");
	f->context.keeps_open = true;
	open_call(f, &open, "/t.T/Work", "x-api-key", BOB);
	assert_int_equal(f->context.n_started, 1);
	f->context.keeps_open = false;
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, words), GRPC_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(words, "'bob' allows 1 request at the same time"));
	assert_int_equal(ask(f, "/t.T/Status", "x-api-key", BOB, NULL), GRPC_OK);
	memory_call_cancel(&f->client, &open);
	memory_client_run(&f->client);
	memory_call_deinit(&open);
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, NULL), GRPC_OK);
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, NULL), GRPC_OK);
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, words), GRPC_RESOURCE_EXHAUSTED);
	assert_non_null(strstr(words, "'bob' allows 3 requests per hour. Retry after 1200 s"));
	f->client.now_ns += 1200 * NS_PER_SECOND;
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, NULL), GRPC_OK);
}

static void calls_outlive_the_keys_that_let_them_in(void **state)
{
	struct fixture *f = *state;
	struct memory_call open;

	load(f, "bob " BOB "\n");
	f->context.keeps_open = true;
	open_call(f, &open, "/t.T/Work", "x-api-key", BOB);
	load(f, "alice " ALICE "\n");
	f->context.keeps_open = false;
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", BOB, NULL), GRPC_UNAUTHENTICATED);
	assert_int_equal(ask(f, "/t.T/Work", "x-api-key", ALICE, NULL), GRPC_OK);
	memory_call_cancel(&f->client, &open);
	memory_client_run(&f->client);
	memory_call_deinit(&open);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_without_a_good_key_does_not_start, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_good_key_lets_in_and_names_its_owner, setup,
						teardown),
		cmocka_unit_test_setup_teardown(health_needs_no_key, setup, teardown),
		cmocka_unit_test_setup_teardown(without_keys_all_calls_are_let_in, setup,
						teardown),
		cmocka_unit_test_setup_teardown(limits_of_a_key_hold_for_its_calls_together,
						setup, teardown),
		cmocka_unit_test_setup_teardown(calls_outlive_the_keys_that_let_them_in, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
