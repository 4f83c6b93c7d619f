/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a request over HTTP. The first byte chooses the endpoint; the rest is the body. The
 * answer must be complete and JSON, or a stream of JSON, whatever the body is.
 */
#include "tests/fuzz/fuzz.h"

#include "event/loop.h"
#include "http/http_session.h"
#include "openai/openai.h"
#include "tests/gateway/fake_engine.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BODY 8192

static const char *const paths[] = {
	"/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize", "/apply-template",
};
enum { N_PATHS = sizeof paths / sizeof paths[0] };

struct rig {
	struct engine *engine;
	struct openai *openai;
	struct budget budget;
	struct http_session *session;
	struct buf answer;
};

static struct loop *loop;

static void on_wake(void *arg)
{
	(void)arg;
}

static void take(struct rig *rig)
{
	const uint8_t *bytes;
	size_t n = 1;

	while (n) {
		if (http_session_send(rig->session, 1, &bytes, &n, NULL) != SC_OK)
			abort();
		if (buf_add(&rig->answer, bytes, n) != SC_OK)
			abort();
	}
}

static void check_json(const char *text, size_t n)
{
	json_t *value = json_loadb(text, n, JSON_ALLOW_NUL, NULL);

	if (!value)
		abort();
	json_decref(value);
}

/* Chunks of HTTP end between events. */
static void check_events(const char *text)
{
	const char *begin;

	while ((begin = strstr(text, "data: "))) {
		const char *end = strstr(begin, "\n\n");

		if (!end)
			return;
		if (strncmp(begin, "data: [DONE]", 12) != 0)
			check_json(begin + 6, (size_t)(end - begin - 6));
		text = end;
	}
}

static void check_answer(const struct rig *rig)
{
	const char *body = strstr(rig->answer.data, "\r\n\r\n");

	if (strncmp(rig->answer.data, "HTTP/1.1 ", 9) != 0 || !body)
		abort();
	if (strstr(rig->answer.data, "text/event-stream"))
		check_events(body + 4);
	else
		check_json(body + 4, rig->answer.length - (size_t)(body + 4 - rig->answer.data));
}

static void open_rig(struct rig *rig, struct http_routes *routes)
{
	const struct fake_config engine = { .loop = loop, .token_ms = 1000000, .max_queue = 80 };
	struct http_session_config session = {
		.routes = routes, .n_routes = 1, .budget = &rig->budget, .max_message = MAX_BODY,
		.on_wake = on_wake,
	};
	struct openai_config openai = {
		.loop = loop, .ping_ms = 1000, .chat = (const struct chat_format *)rig,
	};

	memset(rig, 0, sizeof *rig);
	buf_init(&rig->answer);
	rig->budget.max_bytes = 64 << 20;
	rig->engine = fake_create(&engine);
	openai.engine = rig->engine;
	if (openai_create(&openai, &rig->openai, NULL) != SC_OK)
		abort();
	*routes = (struct http_routes){ openai_routes, openai_n_routes, rig->openai };
	if (http_session_create(&session, &rig->session) != SC_OK)
		abort();
}

static void close_rig(struct rig *rig)
{
	http_session_destroy(rig->session);
	if (rig->budget.n_bytes || fake_n_alive(rig->engine))
		abort();
	openai_destroy(rig->openai);
	fake_destroy(rig->engine);
	buf_deinit(&rig->answer);
}

static void ask(struct rig *rig, const char *path, const uint8_t *body, size_t n)
{
	char head[256];
	int n_head = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: "
			      "application/json\r\nContent-Length: %zu\r\n\r\n", path, n);
	struct error err;

	if (http_session_receive(rig->session, head, (size_t)n_head, 1, &err) != SC_OK ||
	    (n && http_session_receive(rig->session, body, n, 1, &err) != SC_OK))
		abort();
	take(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_routes routes;
	struct rig rig;

	if (!size || size > MAX_BODY || (!loop && loop_create(&loop) != SC_OK))
		return 0;
	open_rig(&rig, &routes);
	ask(&rig, paths[data[0] % N_PATHS], data + 1, size - 1);
	for (int i = 0; i < 4; i++) {
		fake_tick(rig.engine);
		take(&rig);
	}
	if (rig.answer.length)
		check_answer(&rig);
	else if (!fake_n_alive(rig.engine))
		abort();	/* nobody will answer */
	close_rig(&rig);
	return 0;
}

#define MESSAGES "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\"," \
	"\"content\":[{\"type\":\"text\",\"text\":\"hi \\ud83d\\ude00\"}]}]"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}]"

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char *const seeds[] = {
		"\0{\"model\":\"fake\",\"prompt\":\"abc\",\"max_tokens\":3}",
		"\0{\"prompt\":[1,2,3],\"echo\":true,\"logprobs\":1,\"max_tokens\":1}",
		"\0{\"prompt\":[\"a\",[1,2]],\"n\":2,\"best_of\":3,\"max_tokens\":2}",
		"\0{\"prompt\":\"a\",\"stream\":true,\"stream_options\":{\"include_usage\":true,"
		"\"continuous_usage_stats\":true},\"logprobs\":0,\"max_tokens\":2}",
		"\0{\"prompt\":\"stop\",\"stop\":[\"x\",\"y\"],\"stop_token_ids\":[5,6],"
		"\"logit_bias\":{\"5\":-100,\"ab\":1},\"min_tokens\":1}",
		"\0{\"prompt\":\"fail\",\"stream\":true,\"timings_per_token\":true,"
		"\"return_progress\":true}",
		"\0{\"prompt\":\"a\",\"temperature\":0.5,\"top_k\":-1,\"top_p\":0.5,\"min_p\":0.1,"
		"\"typical_p\":0.9,\"top_n_sigma\":1,\"xtc_probability\":0.5,\"xtc_threshold\":0.1,"
		"\"dynatemp_range\":0.5,\"dynatemp_exponent\":1,\"repeat_penalty\":1.1,"
		"\"repeat_last_n\":-1,\"presence_penalty\":1,\"frequency_penalty\":1,"
		"\"dry_multiplier\":0.8,\"dry_base\":1.75,\"dry_allowed_length\":2,"
		"\"dry_penalty_last_n\":-1,\"dry_sequence_breakers\":[\"\\n\"],\"seed\":5,"
		"\"samplers\":[\"top_k\",\"temperature\"],\"logit_bias\":[[5,false],[\"a\",1]]}",
		"\1" MESSAGES "}",
		"\1" MESSAGES ",\"stream\":true,\"n\":2,\"reasoning_effort\":\"low\"}",
		"\1" MESSAGES TOOLS ",\"tool_choice\":\"auto\",\"stream\":true,\"logprobs\":true,"
		"\"top_logprobs\":3}",
		"\1" MESSAGES TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\""
		":\"f\"}},\"chat_template_kwargs\":{\"enable_thinking\":false},\"max_tokens\":3}",
		"\1" MESSAGES ",\"response_format\":{\"type\":\"json_object\"}}",
		"\2{\"prompt\":\"abc\",\"add_special_tokens\":false,\"return_token_strs\":true}",
		"\2{\"content\":\"abc\",\"add_special\":true,\"with_pieces\":true}",
		"\2" MESSAGES ",\"add_generation_prompt\":false}",
		"\3{\"tokens\":[97,98,99]}",
		"\4" MESSAGES "}",
		"\0\xff\xfe{",
	};
	const char *text;

	if (i >= sizeof seeds / sizeof seeds[0])
		return false;
	text = seeds[i];
	return buf_add(seed, text, 1) == SC_OK && buf_add_string(seed, text + 1) == SC_OK;
}
