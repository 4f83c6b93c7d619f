/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as bytes through an http_session to the endpoints, over an engine and a chat format that
 * only pretend. */
#include "event/manual_clock.h"
#include "event/work.h"
#include "openai/api_request.h"
#include "openai/openai.h"
#include "tests/gateway/fake_engine.h"
#include "tests/http/peer.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PING_MS = 1000, MAX_QUEUE = 8 };

struct fixture {
	struct manual_clock *clock;
	struct loop *loop;
	struct engine *engine;
	struct work_pool *pool;
	struct openai *openai;
	struct http_routes routes;
	struct peer peer;
	json_t *json;		/* the last one that was read */
};

static void set_up_with(struct fixture *f, const char *names)
{
	const struct fake_config engine = { .token_ms = 1000000, .max_queue = MAX_QUEUE };
	struct fake_config config = engine;
	struct openai_config openai = { .names = names, .ping_ms = PING_MS, .n_slots = 4,
					.chat = (const struct chat_format *)f };
	struct error err;

	memset(f, 0, sizeof *f);
	assert_int_equal(manual_clock_create(&f->clock), SC_OK);
	assert_int_equal(loop_create_on(f->clock, &f->loop), SC_OK);
	config.loop = f->loop;
	f->engine = fake_create(&config);
	openai.loop = f->loop;
	openai.engine = f->engine;
	assert_int_equal(openai_create(&openai, &f->openai, &err), SC_OK);
	f->routes = (struct http_routes){ openai_routes, openai_n_routes, f->openai };
	peer_init(&f->peer, &f->routes, 1);
	peer_open(&f->peer);
}

static void set_up(struct fixture *f)
{
	set_up_with(f, NULL);
}

static void use_pool(struct fixture *f)
{
	const struct work_limits limits = { .max_items = 4, .max_bytes = 1 << 20 };

	assert_int_equal(work_pool_create(f->loop, &limits, &f->pool), SC_OK);
	openai_use_pool(f->openai, f->pool);
}

static void tear_down(struct fixture *f)
{
	http_session_destroy(f->peer.session);
	f->peer.session = NULL;
	work_pool_destroy(f->pool);
	peer_close(&f->peer);
	openai_destroy(f->openai);
	fake_destroy(f->engine);
	loop_destroy(f->loop);
	manual_clock_destroy(f->clock);
	json_decref(f->json);
}

/* --- asking --- */

static void post(struct fixture *f, const char *path, const char *body)
{
	size_t n = strlen(body) + strlen(path) + 200;
	char *request = malloc(n);

	assert_non_null(request);
	snprintf(request, n, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n\r\n%s", path, strlen(body), body);
	peer_forget(&f->peer);
	peer_send(&f->peer, request);
	free(request);
}

static void get(struct fixture *f, const char *path)
{
	char request[256];

	snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	peer_forget(&f->peer);
	peer_send(&f->peer, request);
}

/* Lets the engine make n tokens for each sequence, and takes what is sent. */
static void tick(struct fixture *f, unsigned n)
{
	while (n--) {
		fake_tick(f->engine);
		peer_take(&f->peer);
	}
}

/* The body of the answer, as JSON. */
static json_t *answer_of(struct fixture *f, unsigned status)
{
	const char *body = strstr(f->peer.answer.data, "\r\n\r\n");
	json_error_t fault;

	peer_expect_status(&f->peer, status);
	assert_non_null(body);
	json_decref(f->json);
	f->json = json_loads(body + 4, 0, &fault);
	if (!f->json)
		fail_msg("%s: %s", fault.text, body);
	return f->json;
}

/* A value by a path like "choices.0.text". */
static const json_t *at(const json_t *value, const char *path)
{
	char parts[128];
	char *save = NULL;

	snprintf(parts, sizeof parts, "%s", path);
	for (char *part = strtok_r(parts, ".", &save); part; part = strtok_r(NULL, ".", &save))
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(part))
					     : json_object_get(value, part);
	if (!value)
		fail_msg("no %s", path);
	return value;
}

static const char *text_at(const json_t *value, const char *path)
{
	const char *text = json_string_value(at(value, path));

	if (!text)
		fail_msg("%s is no string", path);
	return text;
}

static int number_at(const json_t *value, const char *path)
{
	return (int)json_integer_value(at(value, path));
}

/* Asks, and expects an error object. */
static void expect_error(struct fixture *f, const char *path, const char *body, unsigned status,
			 const char *param, const char *message)
{
	const json_t *answer;

	post(f, path, body);
	answer = answer_of(f, status);
	if (param)
		assert_string_equal(text_at(answer, "error.param"), param);
	if (!strstr(text_at(answer, "error.message"), message))
		fail_msg("expected %s in %s", message, text_at(answer, "error.message"));
}

/* --- events --- */

/* Takes the next "data: " line of what was sent, from *at_in_out on, out of chunks. NULL: there is
 * none. The caller frees. */
static char *next_event(const char **at_in_out)
{
	const char *begin = strstr(*at_in_out, "data: ");
	const char *end = begin ? strstr(begin, "\n\n") : NULL;

	if (!end)
		return NULL;
	*at_in_out = end + 2;
	return strndup(begin + 6, (size_t)(end - begin - 6));
}

struct events {
	json_t *items[600];
	unsigned n;
	bool is_done;
};

static void read_events(struct fixture *f, struct events *events)
{
	const char *place = f->peer.answer.data;
	char *text;

	memset(events, 0, sizeof *events);
	while ((text = next_event(&place))) {
		if (strcmp(text, "[DONE]") == 0)
			events->is_done = true;
		else
			events->items[events->n++] = json_loads(text, 0, NULL);
		if (!events->is_done && !events->items[events->n - 1])
			fail_msg("no JSON: %s", text);
		free(text);
		assert_true(events->n < 600);
	}
}

static void free_events(struct events *events)
{
	for (unsigned i = 0; i < events->n; i++)
		json_decref(events->items[i]);
}

/* --- models and status --- */

static void models_are_listed_with_what_clients_read(void **state)
{
	static const char *const paths[] = { "/v1/models", "/models", "/v1/models/" };
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < 3; i++) {
		const json_t *answer;

		get(&f, paths[i]);
		answer = answer_of(&f, 200);
		assert_string_equal(text_at(answer, "object"), "list");
		assert_string_equal(text_at(answer, "data.0.id"), "fake model");
		assert_string_equal(text_at(answer, "data.0.object"), "model");
		assert_string_equal(text_at(answer, "data.0.root"), "fake model");
		assert_int_equal(number_at(answer, "data.0.max_model_len"), 4096);
		assert_int_equal(number_at(answer, "data.0.meta.n_params"), 3500000);
	}
	tear_down(&f);
}

static void a_model_goes_by_its_aliases(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up_with(&f, "gpt-4o, org/mine");
	get(&f, "/v1/models");
	answer = answer_of(&f, 200);
	assert_int_equal(json_array_size(at(answer, "data")), 2);
	assert_string_equal(text_at(answer, "data.0.id"), "gpt-4o");
	get(&f, "/v1/models/org/mine");
	assert_string_equal(text_at(answer_of(&f, 200), "id"), "org/mine");
	get(&f, "/v1/models/fake");
	answer_of(&f, 200);
	get(&f, "/v1/models/gpt-5");
	assert_string_equal(text_at(answer_of(&f, 404), "error.type"), "not_found_error");
	tear_down(&f);
}

static void another_model_is_not_found(void **state)
{
	static const char *const good[] = { "fake model", "fake.gguf", "fake", "default", "" };
	struct fixture f;
	char body[128];

	(void)state;
	set_up(&f);
	expect_error(&f, "/v1/completions", "{\"model\":\"gpt-5\",\"prompt\":\"a\"}", 404, "model",
		     "this server has \"fake model\"");
	assert_string_equal(text_at(f.json, "error.code"), "model_not_found");
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		snprintf(body, sizeof body, "{\"model\":\"%s\",\"prompt\":\"a\",\"max_tokens\":1}",
			 good[i]);
		post(&f, "/v1/completions", body);
		tick(&f, 1);
		answer_of(&f, 200);
	}
	tear_down(&f);
}

static void health_tells_ready_from_loading(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	get(&f, "/health");
	assert_string_equal(text_at(answer_of(&f, 200), "status"), "ok");
	fake_set_phase(f.engine, COORDINATOR_LOADING);
	get(&f, "/health");
	assert_string_equal(text_at(answer_of(&f, 503), "error.type"), "unavailable_error");
	peer_expect(&f.peer, "Retry-After:");
	peer_forget(&f.peer);
	peer_send(&f.peer, "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
	peer_expect_status(&f.peer, 503);
	peer_expect_not(&f.peer, "{");
	get(&f, "/livez");
	answer_of(&f, 200);
	fake_set_phase(f.engine, COORDINATOR_FAILED);
	get(&f, "/livez");
	answer_of(&f, 503);
	fake_set_phase(f.engine, COORDINATOR_READY);
	openai_drain(f.openai);
	get(&f, "/v1/health");
	answer_of(&f, 503);
	tear_down(&f);
}

static void props_and_tokenizer_info_tell_of_the_model(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	get(&f, "/props");
	answer = answer_of(&f, 200);
	assert_int_equal(number_at(answer, "total_slots"), 4);
	assert_int_equal(number_at(answer, "default_generation_settings.n_ctx"), 4096);
	assert_int_equal(number_at(answer, "default_generation_settings.params.top_k"), 40);
	assert_int_equal(json_array_size(at(answer, "default_generation_settings.params.samplers")),
			 9);
	assert_string_equal(text_at(answer, "chat_template"), "{{ fake }}");
	get(&f, "/tokenizer_info");
	assert_string_equal(text_at(answer_of(&f, 200), "eos_token"), "<257>");
	get(&f, "/version");
	text_at(answer_of(&f, 200), "version");
	tear_down(&f);
}

static void what_is_not_there_says_so(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/embeddings", "{}");
	assert_string_equal(text_at(answer_of(&f, 501), "error.type"), "not_supported_error");
	get(&f, "/v1/responses/abc");
	answer_of(&f, 501);
	tear_down(&f);
}

/* --- completions --- */

static void a_completion_has_text_usage_and_timings(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"abc\",\"max_tokens\":3}");
	assert_string_equal(f.peer.answer.data, "");
	tick(&f, 3);
	answer = answer_of(&f, 200);
	assert_string_equal(text_at(answer, "object"), "text_completion");
	assert_string_equal(text_at(answer, "id"), "cmpl-fake-1");
	assert_string_equal(text_at(answer, "model"), "fake model");
	assert_string_equal(text_at(answer, "choices.0.text"), "w0 w1 w2 ");
	assert_string_equal(text_at(answer, "choices.0.finish_reason"), "length");
	assert_true(json_is_null(at(answer, "choices.0.logprobs")));
	assert_int_equal(number_at(answer, "usage.prompt_tokens"), 4);	/* with BOS */
	assert_int_equal(number_at(answer, "usage.completion_tokens"), 3);
	assert_int_equal(number_at(answer, "usage.total_tokens"), 7);
	assert_int_equal(number_at(answer, "usage.prompt_tokens_details.cached_tokens"), 0);
	assert_int_equal(number_at(answer, "timings.predicted_n"), 3);
	tear_down(&f);
}

static void max_tokens_is_16_if_nobody_says(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/completions", "{\"prompt\":[97,98]}");
	tick(&f, 16);
	assert_int_equal(number_at(answer_of(&f, 200), "usage.completion_tokens"), 16);
	tear_down(&f);
}

static void prompts_times_n_give_choices_in_order(void **state)
{
	static const char body[] = "{\"prompt\":[\"a\",[98],\"c\"],\"n\":2,\"max_tokens\":1,"
				   "\"echo\":true}";
	static const char *const texts[] = { "aw0 ", "aw0 ", "bw0 ", "bw0 ", "cw0 ", "cw0 " };
	struct fixture f;
	const json_t *answer;
	char path[32];

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", body);
	tick(&f, 1);
	answer = answer_of(&f, 200);
	assert_int_equal(json_array_size(at(answer, "choices")), 6);
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "choices.%d.index", i);
		assert_int_equal(number_at(answer, path), i);
		snprintf(path, sizeof path, "choices.%d.text", i);
		assert_string_equal(text_at(answer, path), texts[i]);
	}
	tear_down(&f);
}

static void best_of_gives_n_choices_and_counts_all(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"a\",\"best_of\":4,\"n\":2,\"max_tokens\":2}");
	tick(&f, 2);
	answer = answer_of(&f, 200);
	assert_int_equal(json_array_size(at(answer, "choices")), 2);
	assert_int_equal(number_at(answer, "choices.1.index"), 1);
	assert_true(json_is_null(at(answer, "choices.0.logprobs")));
	assert_int_equal(number_at(answer, "usage.completion_tokens"), 8);
	tear_down(&f);
}

static void logprobs_of_completions_have_four_arrays(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"ab\",\"logprobs\":0,\"max_tokens\":2,"
	     "\"echo\":true}");
	tick(&f, 2);
	answer = answer_of(&f, 200);
	assert_string_equal(text_at(answer, "choices.0.text"), "abw0 w1 ");
	assert_int_equal(json_array_size(at(answer, "choices.0.logprobs.tokens")), 5);
	assert_int_equal(json_array_size(at(answer, "choices.0.logprobs.token_logprobs")), 5);
	assert_int_equal(json_array_size(at(answer, "choices.0.logprobs.top_logprobs")), 5);
	assert_true(json_is_null(at(answer, "choices.0.logprobs.token_logprobs.0")));
	assert_true(json_real_value(at(answer, "choices.0.logprobs.token_logprobs.3")) == -0.5);
	assert_int_equal(number_at(answer, "choices.0.logprobs.text_offset.3"), 2);
	assert_int_equal(number_at(answer, "choices.0.logprobs.text_offset.4"), 5);
	tear_down(&f);
}

static void the_end_of_a_completion_is_a_stop(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"stop\",\"max_tokens\":9}");
	tick(&f, 3);
	assert_string_equal(text_at(answer_of(&f, 200), "choices.0.finish_reason"), "stop");
	tear_down(&f);
}

/* --- streams --- */

static void a_stream_tells_each_token_then_finish_usage_and_done(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"abc\",\"max_tokens\":2,\"stream\":true,"
	     "\"stream_options\":{\"include_usage\":true}}");
	peer_expect_status(&f.peer, 200);
	peer_expect(&f.peer, "text/event-stream");
	tick(&f, 2);
	read_events(&f, &events);
	assert_true(events.is_done);
	assert_int_equal(events.n, 4);
	assert_string_equal(text_at(events.items[0], "choices.0.text"), "w0 ");
	assert_true(json_is_null(at(events.items[0], "choices.0.finish_reason")));
	assert_true(json_is_null(at(events.items[0], "usage")));
	assert_string_equal(text_at(events.items[1], "choices.0.text"), "w1 ");
	assert_string_equal(text_at(events.items[2], "choices.0.text"), "");
	assert_string_equal(text_at(events.items[2], "choices.0.finish_reason"), "length");
	at(events.items[2], "timings");
	assert_int_equal(json_array_size(at(events.items[3], "choices")), 0);
	assert_int_equal(number_at(events.items[3], "usage.completion_tokens"), 2);
	for (unsigned i = 0; i < events.n; i++) {
		assert_string_equal(text_at(events.items[i], "id"), "cmpl-fake-1");
		assert_true(number_at(events.items[i], "created") ==
			    number_at(events.items[0], "created"));
	}
	free_events(&events);
	/* The connection goes on. */
	get(&f, "/health");
	answer_of(&f, 200);
	tear_down(&f);
}

static void a_stream_without_the_option_has_no_usage(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"abc\",\"max_tokens\":2,\"stream\":true}");
	tick(&f, 2);
	peer_expect(&f.peer, "[DONE]");
	peer_expect_not(&f.peer, "usage");
	tear_down(&f);
}

static void an_echo_comes_first_in_a_stream(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"abc\",\"max_tokens\":1,\"stream\":true,"
	     "\"echo\":true}");
	read_events(&f, &events);
	assert_int_equal(events.n, 1);
	assert_string_equal(text_at(events.items[0], "choices.0.text"), "abc");
	free_events(&events);
	tick(&f, 1);
	tear_down(&f);
}

/* The event that tells them is made at once, on the loop's thread. */
static void a_stream_tells_few_log_probabilities_of_a_prompt(void **state)
{
	enum { N_TOKENS = 1000 };
	static const char end[] = "],\"max_tokens\":1,\"echo\":true,\"stream\":true,\"logprobs\":";
	struct fixture f;
	char body[4 * N_TOKENS + 100] = "{\"prompt\":[65";
	char *at = body + strlen(body);

	(void)state;
	set_up(&f);
	for (unsigned i = 1; i < N_TOKENS; i++)
		at = stpcpy(at, ",66");
	at = stpcpy(at, end);
	strcpy(at, "20}");
	expect_error(&f, "/v1/completions", body, 400, "stream", "21000");
	assert_int_equal(fake_n_alive(f.engine), 0);
	strcpy(at, "0}");
	post(&f, "/v1/completions", body);
	peer_expect_status(&f.peer, 200);
	tear_down(&f);
}

static void a_failure_in_a_stream_is_an_event(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"fail\",\"max_tokens\":9,\"stream\":true}");
	tick(&f, 3);
	read_events(&f, &events);
	assert_int_equal(events.n, 4);
	assert_non_null(strstr(text_at(events.items[3], "error.message"), "link closed"));
	assert_string_equal(text_at(events.items[3], "error.type"), "unavailable_error");
	assert_false(events.is_done);
	free_events(&events);
	tear_down(&f);
}

static void a_failure_before_the_answer_has_a_status(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":[\"fail\",\"stall\"],\"max_tokens\":9}");
	tick(&f, 3);
	assert_non_null(strstr(text_at(answer_of(&f, 503), "error.message"), "link closed"));
	/* The other prompt's job does not go on. */
	assert_int_equal(fake_n_alive(f.engine), 0);
	tear_down(&f);
}

static void a_client_that_leaves_cancels_its_jobs(void **state)
{
	static const char *const bodies[] = {
		"{\"prompt\":\"stall\",\"stream\":true}", "{\"prompt\":[\"stall\",\"b\"]}",
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;

		set_up(&f);
		post(&f, "/v1/completions", bodies[i]);
		assert_true(fake_n_alive(f.engine) > 0);
		http_session_destroy(f.peer.session);
		f.peer.session = NULL;
		assert_int_equal(fake_n_alive(f.engine), 0);
		tear_down(&f);
	}
}

static void silence_is_broken_by_comments(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"stall\",\"stream\":true}");
	manual_clock_pass(f.clock, PING_MS - 1);
	peer_take(&f.peer);
	peer_expect_not(&f.peer, ": keep-alive");
	manual_clock_pass(f.clock, 1);
	peer_take(&f.peer);
	peer_expect(&f.peer, ": keep-alive\n\n");
	peer_forget(&f.peer);
	manual_clock_pass(f.clock, PING_MS);
	peer_take(&f.peer);
	peer_expect(&f.peer, ": keep-alive\n\n");
	tear_down(&f);
}

/* vLLM's benchmark joins a comment that came alone to what comes next. */
static void a_comment_precedes_the_event_after_a_silence(void **state)
{
	struct fixture f;
	const char *comment;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":9,\"stream\":true}");
	manual_clock_pass(f.clock, PING_MS);
	peer_take(&f.peer);
	peer_expect(&f.peer, ": keep-alive\n\n");
	peer_forget(&f.peer);
	tick(&f, 1);
	comment = strstr(f.peer.answer.data, ": keep-alive\n\n");
	assert_non_null(comment);
	assert_true(comment < strstr(f.peer.answer.data, "data: "));
	peer_forget(&f.peer);
	tick(&f, 1);
	peer_expect(&f.peer, "data: ");
	peer_expect_not(&f.peer, ": keep-alive");
	tear_down(&f);
}

static void progress_of_the_prompt_is_told_on_request(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"stall\",\"stream\":true,"
	     "\"return_progress\":true}");
	tick(&f, 3);
	manual_clock_pass(f.clock, 500);
	peer_take(&f.peer);
	read_events(&f, &events);
	assert_int_equal(events.n, 1);
	assert_int_equal(number_at(events.items[0], "prompt_progress.total"), 6);
	assert_int_equal(number_at(events.items[0], "prompt_progress.processed"), 3);
	assert_int_equal(json_array_size(at(events.items[0], "choices")), 1);
	free_events(&events);
	tear_down(&f);
}

/* A client that reads nothing gets no more than there is room for, and the rest later. */
static void a_slow_reader_gets_everything_in_the_end(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"burst\",\"max_tokens\":512,\"stream\":true}");
	fake_tick(f.engine);
	fake_tick(f.engine);
	peer_take(&f.peer);
	read_events(&f, &events);
	assert_int_equal(events.n, 513);
	assert_true(events.is_done);
	free_events(&events);
	tear_down(&f);
}

/* --- chat --- */

#define USER(text) "{\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]"

static void the_role_comes_before_the_prompt_is_computed(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("stall") ",\"stream\":true,\"n\":2}");
	read_events(&f, &events);
	assert_int_equal(events.n, 2);
	assert_string_equal(text_at(events.items[0], "object"), "chat.completion.chunk");
	assert_string_equal(text_at(events.items[0], "choices.0.delta.role"), "assistant");
	assert_int_equal(number_at(events.items[1], "choices.0.index"), 1);
	free_events(&events);
	tear_down(&f);
}

static void reasoning_is_a_part_of_content_on_request(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("a") ",\"max_tokens\":2,"
	     "\"reasoning_effort\":\"low\",\"reasoning_format\":\"none\"}");
	tick(&f, 3);
	assert_string_equal(text_at(answer_of(&f, 200), "choices.0.message.content"),
			    "<think>\nw0 \n</think>\n\nw1 ");
	assert_null(json_object_get(at(answer_of(&f, 200), "choices.0.message"),
				    "reasoning_content"));
	tear_down(&f);
}

static void a_chat_stream_tells_reasoning_then_content(void **state)
{
	struct fixture f;
	struct events events;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("stop") ",\"stream\":true,"
	     "\"reasoning_effort\":\"high\"}");
	tick(&f, 3);
	read_events(&f, &events);
	assert_int_equal(events.n, 5);
	assert_string_equal(text_at(events.items[1], "choices.0.delta.reasoning_content"), "w0 ");
	assert_null(json_object_get(at(events.items[1], "choices.0.delta"), "content"));
	assert_string_equal(text_at(events.items[2], "choices.0.delta.content"), "w1 ");
	assert_true(json_is_null(at(events.items[3], "choices.0.finish_reason")));
	assert_int_equal(json_object_size(at(events.items[4], "choices.0.delta")), 0);
	assert_string_equal(text_at(events.items[4], "choices.0.finish_reason"), "stop");
	assert_true(events.is_done);
	free_events(&events);
	tear_down(&f);
}

static void a_tool_call_is_named_once_and_then_continued(void **state)
{
	struct fixture f;
	struct events events;
	const json_t *call;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("stop") TOOLS ",\"stream\":true}");
	tick(&f, 3);
	read_events(&f, &events);
	assert_int_equal(events.n, 5);
	call = at(events.items[2], "choices.0.delta.tool_calls.0");
	assert_int_equal(number_at(call, "index"), 0);
	assert_int_equal(strlen(text_at(call, "id")), 9);
	assert_string_equal(text_at(call, "type"), "function");
	assert_string_equal(text_at(call, "function.name"), "look");
	assert_string_equal(text_at(call, "function.arguments"), "w1 ");
	call = at(events.items[3], "choices.0.delta.tool_calls.0");
	assert_int_equal(json_object_size(call), 2);
	assert_int_equal(json_object_size(at(call, "function")), 1);
	assert_string_equal(text_at(call, "function.arguments"), "w2 ");
	assert_string_equal(text_at(events.items[4], "choices.0.finish_reason"), "tool_calls");
	free_events(&events);
	tear_down(&f);
}

static void calls_of_two_choices_have_different_ids(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("stop") TOOLS ",\"n\":2}");
	tick(&f, 3);
	answer = answer_of(&f, 200);
	assert_string_not_equal(text_at(answer, "choices.0.message.tool_calls.0.id"),
				text_at(answer, "choices.1.message.tool_calls.0.id"));
	tear_down(&f);
}

static void a_whole_chat_answer_has_a_message(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("stop") TOOLS ",\"reasoning_effort\":\"low\"}");
	tick(&f, 3);
	answer = answer_of(&f, 200);
	assert_string_equal(text_at(answer, "object"), "chat.completion");
	assert_string_equal(text_at(answer, "choices.0.message.role"), "assistant");
	assert_true(json_is_null(at(answer, "choices.0.message.content")));
	assert_string_equal(text_at(answer, "choices.0.message.reasoning_content"), "w0 ");
	assert_string_equal(text_at(answer, "choices.0.message.tool_calls.0.function.arguments"),
			    "w1 w2 ");
	assert_string_equal(text_at(answer, "choices.0.finish_reason"), "tool_calls");
	tear_down(&f);
}

/* Also for a named tool, because agents wait for "tool_calls". */
static void a_cut_call_is_reported_as_length(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("a") TOOLS ",\"max_tokens\":2}");
	tick(&f, 2);
	assert_string_equal(text_at(answer_of(&f, 200), "choices.0.finish_reason"), "length");
	post(&f, "/v1/chat/completions", USER("stop") TOOLS ",\"tool_choice\":{\"type\":"
	     "\"function\",\"function\":{\"name\":\"look\"}}}");
	tick(&f, 3);
	assert_string_equal(text_at(answer_of(&f, 200), "choices.0.finish_reason"), "tool_calls");
	tear_down(&f);
}

static void a_chat_goes_on_until_the_context_is_full(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("burst") "}");
	tick(&f, 8);
	assert_int_equal(number_at(answer_of(&f, 200), "usage.completion_tokens"), 4096);
	tear_down(&f);
}

static void logprobs_of_chat_have_bytes(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("a") ",\"max_tokens\":2,\"logprobs\":true}");
	tick(&f, 2);
	answer = answer_of(&f, 200);
	assert_int_equal(json_array_size(at(answer, "choices.0.logprobs.content")), 2);
	assert_string_equal(text_at(answer, "choices.0.logprobs.content.1.token"), "<1>");
	assert_int_equal(number_at(answer, "choices.0.logprobs.content.1.bytes.0"), '<');
	assert_int_equal(json_array_size(at(answer, "choices.0.logprobs.content.0.top_logprobs")),
			 0);
	tear_down(&f);
}

/* --- faults --- */

static void faults_of_completions_name_their_field(void **state)
{
	static const struct { const char *fields, *param, *message; } faults[] = {
		{ "\"max_tokens\":-2", "max_tokens", "expected -1 to" },
		{ "\"n\":5000000", "n", "expected 1 to 64" },
		{ "\"n\":0", "n", "expected 1 to 64" },
		{ "\"temperature\":1e9", "temperature", "expected 0 to 100" },
		{ "\"top_p\":-1", "top_p", "expected 0 to 1" },
		{ "\"top_k\":-2", "top_k", "expected -1" },
		{ "\"logprobs\":258", "logprobs", "expected 0 to 20" },
		{ "\"best_of\":2,\"n\":3", "best_of", "at least n" },
		{ "\"best_of\":2,\"stream\":true", "best_of", "stream" },
		{ "\"stop\":[1]", "stop", "expected strings" },
		{ "\"stop\":\"a\\u0000\"", "stop", "NUL" },
		{ "\"stop_token_ids\":[258]", "stop_token_ids", "expected 0 to 257" },
		{ "\"logit_bias\":{\"258\":1}", "logit_bias", "expected 0 to 257" },
		{ "\"logit_bias\":{\"1\":101}", "logit_bias", "from -100 to 100" },
		{ "\"logit_bias\":[[1]]", "logit_bias", "pairs" },
		{ "\"samplers\":[\"top_k\",\"x\"]", "samplers", "expected penalties (e)" },
		{ "\"samplers\":\"kk\"", "samplers", "once" },
		{ "\"repeat_penalty\":0,\"repetition_penalty\":0", "repetition_penalty",
		  "above 0" },
		{ "\"min_tokens\":20", "min_tokens", "at most max_tokens" },
		{ "\"stream_options\":{\"include_usage\":1}", "stream_options", "true or false" },
		{ "\"response_format\":{\"type\":\"json_object\"}", "response_format",
		  "cannot constrain" },
		{ "\"grammar\":\"root ::= x\"", "grammar", "cannot constrain" },
		{ "\"suffix\":\"x\"", "suffix", "suffix" },
	};
	struct fixture f;
	char body[256];

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		snprintf(body, sizeof body, "{\"prompt\":\"a\",%s}", faults[i].fields);
		expect_error(&f, "/v1/completions", body, 400, faults[i].param, faults[i].message);
	}
	assert_int_equal(fake_n_alive(f.engine), 0);
	tear_down(&f);
}

static void what_is_not_supported_has_a_type_of_its_own(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	expect_error(&f, "/v1/completions", "{\"prompt\":\"a\",\"response_format\":{\"type\":"
		     "\"json_schema\"}}", 400, "response_format", "expected type");
	assert_string_equal(text_at(f.json, "error.type"), "not_supported_error");
	tear_down(&f);
}

static void faulty_prompts_are_refused(void **state)
{
	static const struct { const char *body, *message; } faults[] = {
		{ "{}", "missing" },
		{ "{\"prompt\":[]}", "empty" },
		{ "{\"prompt\":5}", "found an integer" },
		{ "{\"prompt\":[1,\"a\"]}", "expected a token id" },
		{ "{\"prompt\":[\"a\",1]}", "found an integer" },
		{ "{\"prompt\":[258]}", "below 258" },
		{ "{\"prompt\":[-1]}", "below 258" },
		{ "{\"prompt\":[1.5]}", "expected a token id" },
		{ "{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":64}", "at most 128" },
		{ "{\"prompt\":\"\\ud83d\"}", "surrogate" },
		{ "{\"prompt\":", "ends inside" },
	};
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		expect_error(&f, "/v1/completions", faults[i].body, 400, NULL, faults[i].message);
	tear_down(&f);
}

static void an_overlong_prompt_has_a_code_and_both_counts(void **state)
{
	struct fixture f;
	char *body = malloc(6000);

	(void)state;
	set_up(&f);
	strcpy(body, "{\"prompt\":\"");
	memset(body + 11, 'x', 5000);
	strcpy(body + 5011, "\"}");
	expect_error(&f, "/v1/completions", body, 400, "prompt", "5000");
	assert_non_null(strstr(text_at(f.json, "error.message"), "4096"));
	assert_string_equal(text_at(f.json, "error.code"), "context_length_exceeded");
	assert_int_equal(f.peer.limits.n[LIMIT_CONTEXT], 1);
	free(body);
	tear_down(&f);
}

static void a_body_that_would_swell_is_413(void **state)
{
	size_t n = 900000;
	char *body = malloc(n + 8);
	struct fixture f;

	(void)state;
	set_up(&f);
	memcpy(body, "{\"a\":[", 6);
	for (size_t i = 6; i < n; i += 3)
		memcpy(body + i, "{},", 4);
	expect_error(&f, "/v1/completions", body, 413, NULL, "too many values");
	assert_int_equal(f.peer.limits.n[LIMIT_REQUEST_MEMORY], 1);
	free(body);
	tear_down(&f);
}

static void faults_of_chats_name_their_field(void **state)
{
	static const struct { const char *body, *param, *message; } faults[] = {
		{ "{}", "messages", "missing" },
		{ "{\"messages\":[]}", "messages", "empty" },
		{ "{\"messages\":\"hi\"}", "messages", "expected an array" },
		{ "{\"messages\":[{\"role\":\"bad\"}]}", "messages", "a bad role" },
		{ USER("a") ",\"tools\":[5]}", "tools", "item 0" },
		{ USER("a") ",\"tool_choice\":\"required\"}", "tool_choice", "no tools" },
		{ USER("a") TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
		  "\"x\"}}}", "tool_choice", "no tool of that name" },
		{ USER("a") TOOLS ",\"tool_choice\":5}", "tool_choice", "expected" },
		{ USER("a") ",\"chat_template\":\"x\"}", "chat_template", "not run" },
		{ USER("a") ",\"chat_template_kwargs\":{\"chat_template\":\"x\"}}",
		  "chat_template_kwargs", "not run" },
		{ USER("a") ",\"top_logprobs\":5}", "top_logprobs", "logprobs to be true" },
		{ USER("a") ",\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs", "0 to 20" },
		{ USER("a") ",\"functions\":[{}]}", "functions", "use tools" },
	};
	struct fixture f;

	(void)state;
	set_up(&f);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		expect_error(&f, "/v1/chat/completions", faults[i].body, 400, faults[i].param,
			     faults[i].message);
	tear_down(&f);
}

static void null_none_and_unknown_fields_do_no_harm(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/chat/completions", USER("a") ",\"max_tokens\":1,\"temperature\":null,"
	     "\"top_p\":0,\"tools\":[],\"tool_choice\":\"none\",\"logprobs\":null,\"stop\":null,"
	     "\"response_format\":{\"type\":\"text\"},\"foo\":{\"bar\":1},\"user\":\"me\","
	     "\"stream_options\":null,\"functions\":null,\"seed\":-1,\"cache_prompt\":true,"
	     "\"dry_sequence_breakers\":[\"\",\"x\"],\"logit_bias\":[[5,false],[6,-1.5]],"
	     "\"samplers\":\"edskypmxt\"}");
	tick(&f, 1);
	answer_of(&f, 200);
	tear_down(&f);
}

static void a_full_queue_is_429(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	post(&f, "/v1/completions", "{\"prompt\":[\"stall\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\","
	     "\"h\",\"i\"]}");
	assert_string_equal(text_at(answer_of(&f, 429), "error.type"), "rate_limit_error");
	peer_expect(&f.peer, "Retry-After:");
	assert_int_equal(fake_n_alive(f.engine), 0);
	tear_down(&f);
}

/* --- tokens --- */

static void text_becomes_tokens_and_text_again(void **state)
{
	struct fixture f;
	const json_t *answer;

	(void)state;
	set_up(&f);
	post(&f, "/tokenize", "{\"prompt\":\"ab\",\"return_token_strs\":true}");
	answer = answer_of(&f, 200);
	assert_int_equal(number_at(answer, "count"), 3);
	assert_int_equal(number_at(answer, "tokens.0"), 256);
	assert_int_equal(number_at(answer, "max_model_len"), 4096);
	assert_string_equal(text_at(answer, "token_strs.1"), "<97>");
	post(&f, "/v1/tokenize", "{\"content\":\"ab\",\"with_pieces\":true}");
	answer = answer_of(&f, 200);
	assert_int_equal(number_at(answer, "tokens.0.id"), 'a');
	post(&f, "/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"xyz\"}]}");
	assert_int_equal(number_at(answer_of(&f, 200), "count"), 3);
	post(&f, "/detokenize", "{\"tokens\":[97,98]}");
	answer = answer_of(&f, 200);
	assert_string_equal(text_at(answer, "prompt"), "ab");
	assert_string_equal(text_at(answer, "content"), "ab");
	expect_error(&f, "/detokenize", "{\"tokens\":[258]}", 400, "tokens", "below 258");
	expect_error(&f, "/detokenize", "{}", 400, "tokens", "missing");
	expect_error(&f, "/tokenize", "{}", 400, "prompt", "expected a text");
	post(&f, "/apply-template", USER("hello") "}");
	assert_string_equal(text_at(answer_of(&f, 200), "prompt"), "hello");
	tear_down(&f);
}

/* --- helper threads --- */

static char *long_body(const char *begin)
{
	char *body = malloc(6000);

	assert_non_null(body);
	snprintf(body, 6000, "{\"prompt\":\"%s\",\"max_tokens\":1,\"pad\":\"", begin);
	memset(body + strlen(body), 'x', 4500);
	strcpy(body + strlen("{\"prompt\":\"\",\"max_tokens\":1,\"pad\":\"") + strlen(begin) + 4500,
	       "\"}");
	return body;
}

static void a_long_body_is_read_on_a_helper_thread(void **state)
{
	struct fixture f;
	char *body = long_body("hold");

	(void)state;
	set_up(&f);
	use_pool(&f);
	fake_hold_tokenizer();
	post(&f, "/v1/completions", body);
	while (!fake_is_tokenizer_reached())
		;
	assert_int_equal(fake_n_alive(f.engine), 0);
	fake_release_tokenizer();
	while (!fake_n_alive(f.engine))
		loop_turn(f.loop, true);
	tick(&f, 1);
	answer_of(&f, 200);
	free(body);
	tear_down(&f);
}

/* --- a body that fails --- */

static pthread_t failing_thread, freeing_thread;

static enum sc_status prepare_failing(struct api_request *request)
{
	failing_thread = pthread_self();
	request->body = request;
	return api_request_fail(request, SC_E_INVALID, "pad", "no");
}

static void destroy_failing(struct api_request *request)
{
	assert_ptr_equal(request->body, request);
	freeing_thread = pthread_self();
}

static void start_failing(struct http_call *call)
{
	static const struct api_request_ops ops = {
		.prepare = prepare_failing, .destroy = destroy_failing,
	};

	api_request_start(call, &ops);
}

/* Freeing the values of a body takes time by their number. */
static void a_long_body_that_fails_is_freed_on_the_helper_thread(void **state)
{
	static const struct http_call_ops ops = { .start = start_failing };
	static const struct http_route routes[] = { { "/fail", HTTP_POST, &ops, false, false } };
	struct fixture f;
	char *body = long_body("a");

	(void)state;
	set_up(&f);
	use_pool(&f);
	f.routes.routes = routes;
	f.routes.n = 1;
	post(&f, "/fail", body);
	while (!f.peer.answer.length) {
		loop_turn(f.loop, true);
		peer_take(&f.peer);
	}
	assert_string_equal(text_at(answer_of(&f, 400), "error.param"), "pad");
	assert_true(!pthread_equal(failing_thread, pthread_self()));
	assert_true(pthread_equal(failing_thread, freeing_thread));
	free(body);
	tear_down(&f);
}

/* fake_chat.c does not render the role "slow" at once. */
static void a_slow_template_runs_on_a_helper_thread(void **state)
{
	static const char *const paths[] = { "/v1/chat/completions", "/apply-template",
					     "/tokenize" };

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct fixture f;

		set_up(&f);
		use_pool(&f);
		fake_hold_tokenizer();
		post(&f, paths[i], "{\"messages\":[{\"role\":\"slow\",\"content\":\"hold\"}],"
				   "\"max_tokens\":1}");
		while (!fake_is_tokenizer_reached())
			;
		assert_string_equal(f.peer.answer.data, "");
		fake_release_tokenizer();
		while (!f.peer.answer.length) {
			loop_turn(f.loop, true);
			tick(&f, fake_n_alive(f.engine) ? 1 : 0);
			peer_take(&f.peer);
		}
		answer_of(&f, 200);
		tear_down(&f);
	}
}

static void a_client_may_leave_while_its_body_is_read(void **state)
{
	struct fixture f;
	char *body = long_body("hold");

	(void)state;
	set_up(&f);
	use_pool(&f);
	fake_hold_tokenizer();
	post(&f, "/v1/completions", body);
	while (!fake_is_tokenizer_reached())
		;
	http_session_destroy(f.peer.session);
	f.peer.session = NULL;
	fake_release_tokenizer();
	free(body);
	tear_down(&f);
	/* peer_close has checked that the budget is given back. */
}

static void a_long_answer_is_written_on_a_helper_thread(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	use_pool(&f);
	post(&f, "/v1/completions", "{\"prompt\":\"burst\",\"max_tokens\":4096,\"n\":4}");
	tick(&f, 8);
	assert_string_equal(f.peer.answer.data, "");
	while (!f.peer.answer.length) {
		loop_turn(f.loop, true);
		peer_take(&f.peer);
	}
	assert_int_equal(number_at(answer_of(&f, 200), "usage.completion_tokens"), 4 * 4096);
	post(&f, "/v1/completions", "{\"prompt\":\"burst\",\"max_tokens\":4096,\"n\":4}");
	tick(&f, 8);
	tear_down(&f);	/* the client leaves meanwhile */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_are_listed_with_what_clients_read),
		cmocka_unit_test(a_model_goes_by_its_aliases),
		cmocka_unit_test(another_model_is_not_found),
		cmocka_unit_test(health_tells_ready_from_loading),
		cmocka_unit_test(props_and_tokenizer_info_tell_of_the_model),
		cmocka_unit_test(what_is_not_there_says_so),
		cmocka_unit_test(a_completion_has_text_usage_and_timings),
		cmocka_unit_test(max_tokens_is_16_if_nobody_says),
		cmocka_unit_test(prompts_times_n_give_choices_in_order),
		cmocka_unit_test(best_of_gives_n_choices_and_counts_all),
		cmocka_unit_test(logprobs_of_completions_have_four_arrays),
		cmocka_unit_test(the_end_of_a_completion_is_a_stop),
		cmocka_unit_test(a_stream_tells_each_token_then_finish_usage_and_done),
		cmocka_unit_test(a_stream_without_the_option_has_no_usage),
		cmocka_unit_test(an_echo_comes_first_in_a_stream),
		cmocka_unit_test(a_stream_tells_few_log_probabilities_of_a_prompt),
		cmocka_unit_test(a_failure_in_a_stream_is_an_event),
		cmocka_unit_test(a_failure_before_the_answer_has_a_status),
		cmocka_unit_test(a_client_that_leaves_cancels_its_jobs),
		cmocka_unit_test(silence_is_broken_by_comments),
		cmocka_unit_test(a_comment_precedes_the_event_after_a_silence),
		cmocka_unit_test(progress_of_the_prompt_is_told_on_request),
		cmocka_unit_test(a_slow_reader_gets_everything_in_the_end),
		cmocka_unit_test(the_role_comes_before_the_prompt_is_computed),
		cmocka_unit_test(reasoning_is_a_part_of_content_on_request),
		cmocka_unit_test(a_chat_stream_tells_reasoning_then_content),
		cmocka_unit_test(a_tool_call_is_named_once_and_then_continued),
		cmocka_unit_test(calls_of_two_choices_have_different_ids),
		cmocka_unit_test(a_whole_chat_answer_has_a_message),
		cmocka_unit_test(a_cut_call_is_reported_as_length),
		cmocka_unit_test(a_chat_goes_on_until_the_context_is_full),
		cmocka_unit_test(logprobs_of_chat_have_bytes),
		cmocka_unit_test(faults_of_completions_name_their_field),
		cmocka_unit_test(what_is_not_supported_has_a_type_of_its_own),
		cmocka_unit_test(faulty_prompts_are_refused),
		cmocka_unit_test(an_overlong_prompt_has_a_code_and_both_counts),
		cmocka_unit_test(a_body_that_would_swell_is_413),
		cmocka_unit_test(faults_of_chats_name_their_field),
		cmocka_unit_test(null_none_and_unknown_fields_do_no_harm),
		cmocka_unit_test(a_full_queue_is_429),
		cmocka_unit_test(text_becomes_tokens_and_text_again),
		cmocka_unit_test(a_long_body_is_read_on_a_helper_thread),
		cmocka_unit_test(a_long_body_that_fails_is_freed_on_the_helper_thread),
		cmocka_unit_test(a_slow_template_runs_on_a_helper_thread),
		cmocka_unit_test(a_client_may_leave_while_its_body_is_read),
		cmocka_unit_test(a_long_answer_is_written_on_a_helper_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
