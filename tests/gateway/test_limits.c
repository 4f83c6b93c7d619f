/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of calls and requests: what is refused is counted, under the name that it has in
 * `status`; and the manual gives the values that the code has. The services are the real ones, on an
 * engine that pretends. */
#include "gateway/admission.h"
#include "gateway/frame_meter.h"
#include "gateway/gateway.h"
#include "gateway/proto_message.h"
#include "gateway/request.h"
#include "gateway/service.h"
#include "event/manual_clock.h"
#include "tests/gateway/fake_engine.h"
#include "tests/gateway/memory_client.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SERVICE "/stagecoach.v1.Stagecoach/"
#define MAX_MESSAGE ((size_t)1 << 16)
#define MAX_STREAMS 1200

struct fixture {
	struct manual_clock *clock;
	struct loop *loop;
	struct engine *engine;
	struct service service;
	struct budget budget;
	struct grpc_session *session;
	struct memory_client client;
	struct memory_call call;
	struct memory_call unfinished[GRPC_REQUESTS_AT_ONCE + 1];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct fake_config fake = { .token_ms = 1, .max_queue = 100 };
	struct grpc_session_config config = {
		.methods = service_methods,
		.n_methods = service_n_methods,
		.max_streams = MAX_STREAMS,
		.max_message = MAX_MESSAGE,
	};

	assert_non_null(f);
	f->budget.max_bytes = 64 << 20;
	assert_int_equal(manual_clock_create(&f->clock), SC_OK);
	assert_int_equal(loop_create_on(f->clock, &f->loop), SC_OK);
	fake.loop = f->loop;
	f->engine = fake_create(&fake);
	service_init(&f->service, f->engine);
	f->service.loop = f->loop;
	config.context = &f->service;
	config.budget = &f->budget;
	config.limits = engine_limits(f->engine);
	assert_int_equal(grpc_session_create(&config, &f->session), SC_OK);
	memory_client_init(&f->client, f->session);
	buf_init(&f->call.body);
	buf_init(&f->call.request);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	memory_call_deinit(&f->call);
	grpc_session_destroy(f->session);
	memory_client_deinit(&f->client);
	for (unsigned i = 0; i <= GRPC_REQUESTS_AT_ONCE; i++)
		memory_call_deinit(&f->unfinished[i]);
	work_pool_destroy(f->service.pool);
	assert_int_equal(f->budget.n_bytes, 0);
	fake_destroy(f->engine);
	loop_destroy(f->loop);
	manual_clock_destroy(f->clock);
	free(f);
	return 0;
}

/* Returns the status of the call, -1: it has not ended. */
static int call_with(struct fixture *f, struct memory_call *call, const char *path,
		     const void *bytes, size_t n_bytes)
{
	struct buf body = BUF_INIT;

	memory_body(&body, bytes, n_bytes);
	memory_call_deinit(call);
	memory_call_open(&f->client, call, path, NULL, body.data, body.length);
	buf_deinit(&body);
	memory_client_run(&f->client);
	return call->grpc_status;
}

static int ask(struct fixture *f, const char *path, const ProtobufCMessage *message)
{
	size_t n_bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(n_bytes + 1);
	int status;

	assert_non_null(bytes);
	protobuf_c_message_pack(message, bytes);
	status = call_with(f, &f->call, path, bytes, n_bytes);
	free(bytes);
	return status;
}

/* A job of n_sequences that has made n_tokens of each, and its id. */
static void make_job(struct fixture *f, unsigned n_sequences, unsigned n_tokens, char id[64])
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Job *job;

	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = (char *)(uintptr_t)"burst";
	request.n = n_sequences;
	request._max_tokens_case = STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
	request.max_tokens = n_tokens;
	assert_int_equal(ask(f, SERVICE "Submit", &request.base), GRPC_OK);
	job = stagecoach__v1__job__unpack(NULL, f->call.body.length - 5,
					  (const uint8_t *)f->call.body.data + 5);
	assert_non_null(job);
	snprintf(id, 64, "%s", job->id);
	stagecoach__v1__job__free_unpacked(job, NULL);
	while (fake_n_alive(f->engine))
		manual_clock_pass(f->clock, 1);
}

static int get(struct fixture *f, char *id)
{
	Stagecoach__V1__GetRequest request = STAGECOACH__V1__GET_REQUEST__INIT;

	request.id = id;
	return ask(f, SERVICE "Get", &request.base);
}

/* --- what is refused is counted --- */

/* Two bytes, again and again: an unknown field, which costs dozens of bytes in memory. */
static int send_unknown_fields(struct fixture *f)
{
	static char bytes[20000];

	for (size_t i = 0; i < sizeof bytes; i += 2)
		bytes[i] = 15 << 3;
	return call_with(f, &f->call, SERVICE "Cancel", bytes, sizeof bytes);
}

static int send_too_large(struct fixture *f)
{
	static const char bytes[MAX_MESSAGE + 1];

	return call_with(f, &f->call, SERVICE "Cancel", bytes, sizeof bytes);
}

/* Requests that do not end hold what one connection may send at once. */
static int send_too_much_at_once(struct fixture *f)
{
	static const char zeros[60000];
	int status = -1;

	for (unsigned i = 0; i <= GRPC_REQUESTS_AT_ONCE; i++) {
		f->unfinished[i].keeps_open = true;
		status = call_with(f, &f->unfinished[i], SERVICE "Cancel", zeros, sizeof zeros);
	}
	return status;
}

static int send_on_a_spent_budget(struct fixture *f)
{
	static const char zeros[10000];
	int status;

	f->budget.n_bytes += f->budget.max_bytes;
	status = call_with(f, &f->call, SERVICE "Cancel", zeros, sizeof zeros);
	f->budget.n_bytes -= f->budget.max_bytes;
	return status;
}

static int get_on_a_spent_budget(struct fixture *f)
{
	char id[64];
	int status;

	make_job(f, 8, 512, id);
	f->budget.n_bytes += f->budget.max_bytes;
	status = get(f, id);
	f->budget.n_bytes -= f->budget.max_bytes;
	return status;
}

static int get_too_large(struct fixture *f)
{
	char id[64];

	make_job(f, 64, 24000, id);
	return get(f, id);
}

static int list_too_many(struct fixture *f)
{
	Stagecoach__V1__ListRequest request = STAGECOACH__V1__LIST_REQUEST__INIT;

	request.limit = SERVICE_MAX_LIST + 1;
	return ask(f, SERVICE "List", &request.base);
}

static int submit_too_long(struct fixture *f)
{
	static char text[20001];
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;

	memset(text, 'x', sizeof text - 1);
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = text;
	return ask(f, SERVICE "Submit", &request.base);
}

static int submit_with_too_many_stops(struct fixture *f)
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	char *stops[JOB_MAX_STOPS + 1];

	for (unsigned i = 0; i <= JOB_MAX_STOPS; i++)
		stops[i] = (char *)(uintptr_t)"stop";
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = (char *)(uintptr_t)"x";
	request.stop = stops;
	request.n_stop = JOB_MAX_STOPS + 1;
	return ask(f, SERVICE "Submit", &request.base);
}

/* While the helper threads are held up by a text that does not get tokenized. */
static int fill_the_helper_threads(struct fixture *f)
{
	Stagecoach__V1__TokenizeRequest request = STAGECOACH__V1__TOKENIZE_REQUEST__INIT;
	struct memory_call *calls = calloc(REQUEST_MAX_ITEMS + 1, sizeof *calls);
	static char text[5001];
	uint8_t bytes[6000];
	size_t n_bytes;
	int status = -1;

	assert_non_null(calls);
	memset(text, 'x', sizeof text - 1);
	memcpy(text, "hold", 4);
	request.input_case = STAGECOACH__V1__TOKENIZE_REQUEST__INPUT_TEXT;
	request.text = text;
	n_bytes = stagecoach__v1__tokenize_request__pack(&request, bytes);
	fake_hold_tokenizer();
	assert_int_equal(request_pool_create(f->loop, MAX_MESSAGE, &f->service.pool), SC_OK);
	for (unsigned i = 0; i <= REQUEST_MAX_ITEMS && status == -1; i++)
		status = call_with(f, &calls[i], SERVICE "Tokenize", bytes, n_bytes);
	fake_release_tokenizer();
	for (unsigned i = 0; i <= REQUEST_MAX_ITEMS; i++) {
		if (calls[i].stream_id && !calls[i].is_closed)
			memory_call_cancel(&f->client, &calls[i]);
	}
	memory_client_run(&f->client);
	for (unsigned i = 0; i <= REQUEST_MAX_ITEMS; i++)
		memory_call_deinit(&calls[i]);
	free(calls);
	return status;
}

static const struct refusal {
	enum limit limit;
	int (*provoke)(struct fixture *f);	/* returns the status of the call that meets it */
	int status;
} refusals[] = {
	{ LIMIT_MESSAGE, send_too_large, GRPC_RESOURCE_EXHAUSTED },
	{ LIMIT_REQUEST_BYTES, send_too_much_at_once, GRPC_RESOURCE_EXHAUSTED },
	{ LIMIT_REQUEST_MEMORY, send_unknown_fields, GRPC_INVALID_ARGUMENT },
	{ LIMIT_LONG_REQUESTS, fill_the_helper_threads, GRPC_RESOURCE_EXHAUSTED },
	{ LIMIT_BUDGET, send_on_a_spent_budget, GRPC_RESOURCE_EXHAUSTED },
	{ LIMIT_BUDGET, get_on_a_spent_budget, GRPC_RESOURCE_EXHAUSTED },
	{ LIMIT_REPLY, get_too_large, GRPC_RESOURCE_EXHAUSTED },
	{ LIMIT_LIST, list_too_many, GRPC_OK },
	{ LIMIT_CONTEXT, submit_too_long, GRPC_INVALID_ARGUMENT },
	{ LIMIT_STOPS, submit_with_too_many_stops, GRPC_INVALID_ARGUMENT },
};

static void expect_counted_once(struct fixture *f, const struct refusal *refusal)
{
	const struct limit_counts *counts = engine_limits(f->engine);
	int status = refusal->provoke(f);

	if (status != refusal->status)
		fail_msg("%s: status %d, expected %d: %s", limit_table[refusal->limit].name, status,
			 refusal->status, f->call.grpc_message);
	for (unsigned i = 0; i < N_LIMITS; i++)
		if (counts->n[i] != (i == refusal->limit))
			fail_msg("%s: counted %u for %s", limit_table[refusal->limit].name,
				 (unsigned)counts->n[i], limit_table[i].name);
}

static void what_is_refused_is_counted_once_and_under_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		void *f;

		setup(&f);
		expect_counted_once(f, &refusals[i]);
		teardown(&f);
	}
}

/* --- answers that nobody takes --- */

static void set_window(struct fixture *f, uint32_t n_bytes)
{
	nghttp2_settings_entry window = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, n_bytes };

	assert_int_equal(nghttp2_submit_settings(f->client.http, NGHTTP2_FLAG_NONE, &window, 1),
			 0);
	memory_client_run(&f->client);
}

/* A client without a window costs no memory and no time, however much it asks for. */
static void expect_made_when_taken(struct fixture *f, const char *path,
				   const ProtobufCMessage *message)
{
	set_window(f, 0);
	assert_int_equal(ask(f, path, message), -1);
	assert_int_equal(f->budget.n_bytes, 0);
	set_window(f, 65535);
	assert_int_equal(f->call.grpc_status, GRPC_OK);
	assert_true(f->call.body.length > 5);
}

static void an_answer_to_get_is_made_when_the_client_takes_it(void **state)
{
	struct fixture *f = *state;
	Stagecoach__V1__GetRequest request = STAGECOACH__V1__GET_REQUEST__INIT;
	char id[64];

	make_job(f, 2, 10, id);
	request.id = id;
	expect_made_when_taken(f, SERVICE "Get", &request.base);
}

static void an_answer_to_list_is_made_when_the_client_takes_it(void **state)
{
	struct fixture *f = *state;
	Stagecoach__V1__ListRequest request = STAGECOACH__V1__LIST_REQUEST__INIT;
	char id[64];

	make_job(f, 1, 1, id);
	expect_made_when_taken(f, SERVICE "List", &request.base);
}

/* --- the manual --- */

static void expect_text(enum limit limit, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void expect_text(enum limit limit, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	assert_string_equal(limit_table[limit].value, text);
}

/* The rest of the constants, those of the least budget, depend on the machine's memory. */
static void the_manual_gives_the_values_of_the_code(void **state)
{
	char least[64];

	(void)state;
	expect_text(LIMIT_RESERVE, "%d and %d", ADMISSION_RESERVE, ADMISSION_RESERVE);
	expect_text(LIMIT_PREFACE, "%d s", GATEWAY_PREFACE_MS / 1000);
	expect_text(LIMIT_HEADER_LIST, "%d KiB", GRPC_MAX_HEADER_BYTES >> 10);
	expect_text(LIMIT_FRAMES, "%d at once, then %d per second", FRAME_METER_BURST,
		     FRAME_METER_PER_SECOND);
	expect_text(LIMIT_QUEUED_FRAMES, "%d, and %d per stream", GRPC_FRAMES_BESIDES,
		     GRPC_FRAMES_PER_STREAM);
	expect_text(LIMIT_REQUEST_BYTES, "%d times max-message", GRPC_REQUESTS_AT_ONCE);
	expect_text(LIMIT_REQUEST_MEMORY, "%d KiB, and %d bytes per byte of the request",
		    PROTO_MEMORY_EXTRA >> 10, PROTO_MEMORY_FACTOR);
	expect_text(LIMIT_LONG_REQUESTS, "%d, and %zu MiB or %d times max-message",
		     REQUEST_MAX_ITEMS, REQUEST_POOL_BYTES >> 20, REQUEST_POOL_MESSAGES);
	expect_text(LIMIT_REPLY, "%zu MiB", PROTO_MAX_REPLY >> 20);
	expect_text(LIMIT_LIST, "%d", SERVICE_MAX_LIST);
	expect_text(LIMIT_SEQUENCES, "%d", JOB_MAX_SEQUENCES);
	expect_text(LIMIT_STOPS, "%d", JOB_MAX_STOPS);
	expect_text(LIMIT_STOP_BYTES, "%d", JOB_MAX_STOP_BYTES);
	expect_text(LIMIT_STOP_TOKENS, "%d", JOB_MAX_STOP_TOKENS);
	expect_text(LIMIT_BIASES, "%d", JOB_MAX_BIASES);
	expect_text(LIMIT_TOP_LOGPROBS, "%d", JOB_MAX_TOP_LOGPROBS);
	expect_text(LIMIT_BREAKERS, "%d", JOB_MAX_DRY_BREAKERS);
	snprintf(least, sizeof least, "at least %d times max-message", GATEWAY_BUDGET_MESSAGES);
	assert_non_null(strstr(limit_table[LIMIT_BUDGET].value, least));
}

/* fake_chat.c does not render the role "slow" at once. */
static void a_slow_template_runs_on_a_helper_thread(void **state)
{
	struct fixture *f = *state;
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Chat chat = STAGECOACH__V1__CHAT__INIT;
	Stagecoach__V1__ChatMessage message = STAGECOACH__V1__CHAT_MESSAGE__INIT;
	Stagecoach__V1__ChatMessage *messages[] = { &message };

	message.role = (char *)(uintptr_t)"slow";
	message.content = (char *)(uintptr_t)"hold";
	chat.messages = messages;
	chat.n_messages = 1;
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_CHAT;
	request.chat = &chat;
	f->service.chat_format = (const struct chat_format *)&"a format";
	assert_int_equal(request_pool_create(f->loop, MAX_MESSAGE, &f->service.pool), SC_OK);
	fake_hold_tokenizer();
	assert_int_equal(ask(f, SERVICE "Submit", &request.base), -1);
	while (!fake_is_tokenizer_reached())
		;
	fake_release_tokenizer();
	while (!f->call.is_closed) {
		loop_turn(f->loop, true);
		memory_client_run(&f->client);
	}
	assert_int_equal(f->call.grpc_status, GRPC_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_refused_is_counted_once_and_under_its_name),
		TEST(an_answer_to_get_is_made_when_the_client_takes_it),
		TEST(an_answer_to_list_is_made_when_the_client_takes_it),
		TEST(a_slow_template_runs_on_a_helper_thread),
		cmocka_unit_test(the_manual_gives_the_values_of_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
