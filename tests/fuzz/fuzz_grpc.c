/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's bytes. The first byte chooses: one of the methods, which gets the rest as the body of
 * a well-formed call; or, beyond those, the rest is what comes out of the socket.
 */
#include "tests/fuzz/fuzz.h"

#include "base/clock.h"
#include "gateway/grpc_session.h"
#include "gateway/service.h"
#include "tests/gateway/fake_engine.h"
#include "tests/gateway/memory_client.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 4096
/* What a session may hold or say at one time, whatever the client does. */
#define MAX_OUTPUT (16 << 20)

static struct loop *loop;

static struct grpc_session *open_session(struct service *service)
{
	static struct budget budget = { .max_bytes = MAX_OUTPUT };
	const struct grpc_session_config config = {
		.methods = service_methods,
		.n_methods = service_n_methods,
		.context = service,
		.budget = &budget,
		.max_streams = 8,
		.max_message = MAX_MESSAGE,
	};
	struct grpc_session *session;

	if (grpc_session_create(&config, &session) != SC_OK)
		abort();
	return session;
}

/* Take all that the server says to a client that is not there. */
static void drain_output(struct grpc_session *session)
{
	size_t total = 0;
	size_t n = 1;

	while (n) {
		const uint8_t *bytes;

		n = 0;
		if (grpc_session_send(session, 1, &bytes, &n, NULL) != SC_OK)
			return;
		total += n;
		if (total > MAX_OUTPUT)
			abort();
	}
}

static void run_bytes(struct grpc_session *session, const uint8_t *bytes, size_t n_bytes)
{
	for (size_t at = 0; at < n_bytes; at += 61) {
		size_t n = n_bytes - at < 61 ? n_bytes - at : 61;
		struct error err = { .status = SC_OK };
		enum sc_status status = grpc_session_receive(session, bytes + at, n, 1, &err);

		drain_output(session);
		if (status != SC_OK && (status != err.status || !err.text[0]))
			abort();
		if (status != SC_OK)
			return;
	}
}

static void run_call(struct grpc_session *session, struct engine *engine,
		     const char *path, const uint8_t *message, size_t n_bytes)
{
	struct memory_client client;
	struct memory_call call = { 0 };
	struct buf body = BUF_INIT;

	memory_client_init(&client, session);
	memory_body(&body, message, n_bytes);
	memory_call_open(&client, &call, path, NULL, body.data, body.length);
	memory_client_run(&client);
	for (unsigned i = 0; i < 3; i++) {
		fake_tick(engine);
		memory_client_run(&client);
	}
	/* Streams wait for tokens or news; every other call is answered at once. */
	if (!call.is_closed && !strstr(path, "Watch") && !strstr(path, "Generate"))
		abort();
	if (call.is_closed && call.grpc_status < 0)
		abort();
	memory_client_deinit(&client);
	memory_call_deinit(&call);
	buf_deinit(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake_config config = { .token_ms = 1, .max_queue = 4 };
	struct engine *engine;
	struct grpc_session *session;
	struct service service;

	if (!size || (!loop && loop_create(&loop) != SC_OK))
		return 0;
	config.loop = loop;
	engine = fake_create(&config);
	service_init(&service, engine);
	/* fake_chat.c looks at no format. */
	service.chat_format = (const struct chat_format *)&"a format";
	session = open_session(&service);
	if (data[0] < service_n_methods && size - 1 <= MAX_MESSAGE)
		run_call(session, engine, service_methods[data[0]].path, data + 1, size - 1);
	else
		run_bytes(session, data + 1, size - 1);
	fake_tick(engine);
	grpc_session_expire(session, UINT64_MAX - 1);
	drain_output(session);
	grpc_session_announce_end(session);
	grpc_session_refuse_calls(session);
	drain_output(session);
	grpc_session_destroy(session);
	if (!list_is_empty(&service.health_watchers))
		abort();
	fake_destroy(engine);
	loop_turn(loop, false);
	return 0;
}

static void add_generate(struct buf *seed)
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Sampling sampling = STAGECOACH__V1__SAMPLING__INIT;
	char stop[] = "end";
	char *stops[] = { stop, stop };
	char text[] = "burst of words";
	size_t n_bytes;

	sampling._top_p_case = STAGECOACH__V1__SAMPLING___TOP_P_TOP_P;
	sampling.top_p = 0.5f;
	sampling._seed_case = STAGECOACH__V1__SAMPLING___SEED_SEED;
	sampling.seed = 7;
	request.sampling = &sampling;
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	request.text = text;
	request._max_tokens_case = STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
	request.max_tokens = 3;
	request.stop = stops;
	request.n_stop = 2;
	request.n = 2;
	n_bytes = stagecoach__v1__generate_request__get_packed_size(&request);
	if (buf_reserve(seed, n_bytes) != SC_OK)
		abort();
	seed->length += stagecoach__v1__generate_request__pack(
		&request, (uint8_t *)seed->data + seed->length);
}

/* A conversation with a tool and a call of it. */
static void add_chat(struct buf *seed)
{
	Stagecoach__V1__GenerateRequest request = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Chat chat = STAGECOACH__V1__CHAT__INIT;
	Stagecoach__V1__ChatMessage messages[2];
	Stagecoach__V1__ChatMessage *list[2] = { &messages[0], &messages[1] };
	Stagecoach__V1__ToolCall call = STAGECOACH__V1__TOOL_CALL__INIT, *calls = &call;
	char user[] = "user", assistant[] = "assistant", text[] = "burst", name[] = "look";
	char tool[] = "{\"function\":{\"name\":\"look\"}}", kwargs[] = "{\"a\":[1]}";
	char *tools[] = { tool };
	size_t n_bytes;

	stagecoach__v1__chat_message__init(&messages[0]);
	messages[0].role = user;
	messages[0].content = text;
	stagecoach__v1__chat_message__init(&messages[1]);
	messages[1].role = assistant;
	messages[1].reasoning_content = text;
	messages[1].tool_calls = &calls;
	messages[1].n_tool_calls = 1;
	call.name = name;
	call.arguments = kwargs;
	chat.messages = list;
	chat.n_messages = 2;
	chat.tools = tools;
	chat.n_tools = 1;
	chat.tool_choice = name;
	chat.template_kwargs = kwargs;
	chat.reasoning_effort = text;
	request.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_CHAT;
	request.chat = &chat;
	n_bytes = stagecoach__v1__generate_request__get_packed_size(&request);
	if (buf_reserve(seed, n_bytes) != SC_OK)
		abort();
	seed->length += stagecoach__v1__generate_request__pack(
		&request, (uint8_t *)seed->data + seed->length);
}

/* A whole connection: two calls, one of them cancelled. */
static void add_connection(struct buf *seed, const char *path)
{
	static const struct memory_header extra[] = {
		{ "grpc-timeout", "5S" }, { "user-agent", "seed" }, { NULL, NULL },
	};
	struct memory_client client;
	struct memory_call calls[2] = { { 0 }, { .keeps_open = true } };
	struct buf message = BUF_INIT;
	struct buf body = BUF_INIT;

	add_generate(&message);
	memory_body(&body, message.data, message.length);
	memory_client_init(&client, NULL);
	memory_call_open(&client, &calls[0], path, NULL, body.data, body.length);
	memory_call_open(&client, &calls[1], path, extra, body.data, body.length);
	memory_client_take(&client, seed);
	memory_call_cancel(&client, &calls[1]);
	nghttp2_submit_ping(client.http, NGHTTP2_FLAG_NONE, NULL);
	memory_client_take(&client, seed);
	memory_client_deinit(&client);
	memory_call_deinit(&calls[0]);
	memory_call_deinit(&calls[1]);
	buf_deinit(&body);
	buf_deinit(&message);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char text[] = "\x0a\x05hello\x1a\x03\x01\x02\x03";
	char method = (char)i;

	if (i >= 2 * service_n_methods + 2)
		return false;
	if (i >= service_n_methods)
		method = (char)0xff;
	if (i >= 2 * service_n_methods)	/* Generate and Submit again */
		method = (char)(i - 2 * service_n_methods);
	if (buf_add(seed, &method, 1) != SC_OK)
		abort();
	if (i >= 2 * service_n_methods)
		add_chat(seed);
	else if (i >= service_n_methods)
		add_connection(seed, service_methods[i - service_n_methods].path);
	else if (i < 2)
		add_generate(seed);
	else if (buf_add(seed, text, sizeof text - 1) != SC_OK)
		abort();
	return true;
}
