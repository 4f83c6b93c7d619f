/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation over gRPC: from the message to a prompt, and from the output to the events of a
 * stream and to a message again. The chat format is tests/openai/fake_chat.c: the output's first
 * word is reasoning if there is a reasoning_effort, and the others are arguments if there are
 * tools.
 */
#include "gateway/generate_request.h"
#include "gateway/job_events.h"
#include "gateway/job_message.h"

#include "base/json_measure.h"
#include "event/loop.h"
#include "tests/gateway/fake_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_MESSAGES 4

/* fake_chat.c looks at no format. */
static const struct chat_format *const format = (const struct chat_format *)&"a format";

static char tool[] = "{\"type\": \"function\", \"function\": {\"name\": \"look\"}}";

static struct {
	struct loop *loop;
	struct engine *engine;
	struct job *job;
	struct job_events *events;
	struct buf story;
	Stagecoach__V1__GenerateRequest message;
	Stagecoach__V1__Chat chat;
	Stagecoach__V1__ChatMessage messages[MAX_MESSAGES];
	Stagecoach__V1__ChatMessage *list[MAX_MESSAGES];
	char *tools[2];
	struct generate_request request;
	struct error err;
} t;

static int setup(void **state)
{
	/* Tokens come from fake_tick alone. */
	struct fake_config config = { .token_ms = 3600000, .max_queue = 8 };

	(void)state;
	memset(&t, 0, sizeof t);
	assert_int_equal(loop_create(&t.loop), SC_OK);
	config.loop = t.loop;
	t.engine = fake_create(&config);
	buf_init(&t.story);
	stagecoach__v1__generate_request__init(&t.message);
	stagecoach__v1__chat__init(&t.chat);
	t.message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_CHAT;
	t.message.chat = &t.chat;
	t.chat.messages = t.list;
	t.chat.tools = t.tools;
	t.tools[0] = tool;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	generate_request_deinit(&t.request);
	job_events_destroy(t.events);
	if (t.job)
		job_release(t.job);
	fake_destroy(t.engine);
	loop_destroy(t.loop);
	buf_deinit(&t.story);
	return 0;
}

static Stagecoach__V1__ChatMessage *say(const char *role, const char *content)
{
	Stagecoach__V1__ChatMessage *message = &t.messages[t.chat.n_messages];

	stagecoach__v1__chat_message__init(message);
	message->role = (char *)(uintptr_t)role;
	message->content = (char *)(uintptr_t)content;
	t.list[t.chat.n_messages++] = message;
	return message;
}

static enum sc_status read_request(const struct chat_format *with)
{
	return generate_request_read(&t.message, with, false, &t.request, &t.err);
}

static void submit(uint32_t max_tokens, uint32_t n)
{
	assert_int_equal(read_request(format), SC_OK);
	t.request.job.max_tokens = max_tokens;
	t.request.job.n_sequences = n;
	t.request.job.seed = 7;
	assert_int_equal(engine_submit(t.engine, &t.request.job, &t.job, &t.err), SC_OK);
	job_chat_settle(t.request.chat);
	t.request.chat = NULL;
}

static void listen(bool from_now)
{
	job_events_destroy(t.events);
	assert_int_equal(job_events_create(t.job, from_now, &t.events), SC_OK);
	buf_truncate(&t.story, 0);
}

/* "c1:w0 |": content of sequence 1. r: reasoning; b: a call begins; a: its arguments; t: a token;
 * F: the end. */
static enum sc_status note_event(void *arg, const Stagecoach__V1__GenerateResponse *event,
				 struct error *err)
{
	const Stagecoach__V1__ChatDelta *delta = event->chat_delta;

	(void)arg;
	(void)err;
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN)
		return buf_add_string(&t.story, "t|");
	if (event->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED)
		return buf_add_string(&t.story, "F|");
	if (event->event_case != STAGECOACH__V1__GENERATE_RESPONSE__EVENT_CHAT_DELTA)
		return SC_OK;
	switch ((int)delta->delta_case) {
	case STAGECOACH__V1__CHAT_DELTA__DELTA_CONTENT:
		return buf_add_format(&t.story, "c%u:%s|", delta->sequence, delta->content);
	case STAGECOACH__V1__CHAT_DELTA__DELTA_REASONING:
		return buf_add_format(&t.story, "r%u:%s|", delta->sequence, delta->reasoning);
	case STAGECOACH__V1__CHAT_DELTA__DELTA_TOOL_CALL:
		if (delta->tool_call->name[0])
			return buf_add_format(&t.story, "b%u:%u %s %s|", delta->sequence,
					      delta->tool_call->index, delta->tool_call->id,
					      delta->tool_call->name);
		return buf_add_format(&t.story, "a%u:%s|", delta->sequence,
				      delta->tool_call->arguments);
	}
	return SC_E_INVALID;
}

static void expect(const char *story)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK && !job_events_are_over(t.events))
		status = job_events_next(t.events, note_event, NULL, &t.err);
	assert_true(status == SC_OK || status == SC_AGAIN);
	assert_string_equal(t.story.data, story);
}

static void tick(unsigned n)
{
	while (n--)
		fake_tick(t.engine);
}

static void an_answer_comes_in_parts_behind_its_tokens(void **state)
{
	(void)state;
	say("user", "hello");
	submit(2, 1);
	listen(false);
	tick(1);
	expect("t|c0:w0 |");
	tick(2);
	expect("t|c0:w0 |t|c0:w1 |F|");
}

static void reasoning_and_calls_are_told_apart(void **state)
{
	static char effort[] = "low";

	(void)state;
	say("user", "hello");
	t.chat.n_tools = 1;
	t.chat.reasoning_effort = effort;
	submit(3, 1);
	listen(false);
	tick(4);
	expect("t|r0:w0 |t|b0:0 000000007 look|a0:w1 |t|a0:w2 |F|");
}

static void each_sequence_has_an_answer_of_its_own(void **state)
{
	(void)state;
	say("user", "hello");
	t.chat.n_tools = 1;
	submit(2, 2);
	listen(false);
	tick(3);
	expect("t|c0:w0 |t|c1:w0 |t|b0:0 000000007 look|a0:w1 |t|b1:0 000000008 look|a1:w1 |F|");
}

static void who_watches_from_now_gets_the_later_parts(void **state)
{
	static char effort[] = "low";

	(void)state;
	say("user", "hello");
	t.chat.reasoning_effort = effort;
	submit(3, 1);
	tick(1);
	listen(true);
	tick(3);
	expect("t|c0:w1 |t|c0:w2 |F|");
	listen(false);
	expect("t|r0:w0 |t|c0:w1 |t|c0:w2 |F|");
}

static void a_jobs_output_is_a_message(void **state)
{
	static char effort[] = "low";
	const Stagecoach__V1__ChatMessage *answer;
	struct job_message message;

	(void)state;
	say("user", "hello");
	t.chat.n_tools = 1;
	t.chat.reasoning_effort = effort;
	submit(3, 1);
	tick(4);
	assert_int_equal(job_message_init(&message, t.job, true), SC_OK);
	assert_string_equal(message.job.outputs[0]->text, "w0 w1 w2 ");
	answer = message.job.outputs[0]->message;
	assert_non_null(answer);
	assert_string_equal(answer->role, "assistant");
	assert_string_equal(answer->content, "");
	assert_string_equal(answer->reasoning_content, "w0 ");
	assert_int_equal(answer->n_tool_calls, 1);
	assert_string_equal(answer->tool_calls[0]->name, "look");
	assert_string_equal(answer->tool_calls[0]->arguments, "w1 w2 ");
	job_message_deinit(&message);
}

static void a_nul_in_an_answer_is_replaced(void **state)
{
	struct job_message message;

	(void)state;
	say("user", "nul");
	submit(1, 1);
	listen(false);
	tick(2);
	expect("t|c0:a\xef\xbf\xbd" "b|F|");
	assert_int_equal(job_message_init(&message, t.job, true), SC_OK);
	assert_string_equal(message.job.outputs[0]->message->content, "a\xef\xbf\xbd" "b");
	job_message_deinit(&message);
}

static void expect_refusal(enum sc_status status, const char *text)
{
	generate_request_deinit(&t.request);
	assert_int_equal(read_request(format), status);
	if (!strstr(t.err.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, t.err.text);
}

static void faulty_chats_are_refused_by_their_field(void **state)
{
	static char list[] = "[1]", broken[] = "{", latin1[] = "caf\xe9";

	(void)state;
	assert_int_equal(read_request(NULL), SC_E_UNSUPPORTED);
	expect_refusal(SC_E_INVALID, "chat.messages: expected at least one");
	say("user", "hello");
	t.chat.template_kwargs = list;
	expect_refusal(SC_E_INVALID, "chat.template_kwargs: expected a JSON object");
	t.chat.template_kwargs = (char *)(uintptr_t)"";
	t.chat.n_tools = 2;
	t.tools[1] = broken;
	expect_refusal(SC_E_INVALID, "chat.tools[1]: expected a JSON object");
	t.chat.n_tools = 0;
	say("user", latin1);
	expect_refusal(SC_E_INVALID, "chat.messages[1].content: expected UTF-8");
	t.messages[1].content = (char *)(uintptr_t)"";
	t.messages[1].role = (char *)(uintptr_t)"bad";
	expect_refusal(SC_E_INVALID, "chat: message 1: a bad role");
}

/* A message of two bytes takes a thousand once it is JSON. */
static void a_chat_that_would_take_too_much_memory_is_refused(void **state)
{
	const size_t n = JSON_MAX_PARSED / 1024;
	Stagecoach__V1__ChatMessage **list = calloc(n, sizeof *list);
	Stagecoach__V1__ChatMessage *message = say("user", "hello");

	(void)state;
	assert_non_null(list);
	for (size_t i = 0; i < n; i++)
		list[i] = message;
	t.chat.messages = list;
	t.chat.n_messages = n;
	expect_refusal(SC_E_TOO_LARGE, "the limit is 64 MiB");
	free(list);
}

static void a_job_of_another_prompt_has_no_answer(void **state)
{
	static char text[] = "hello";
	struct job_message message;

	(void)state;
	t.message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	t.message.text = text;
	assert_int_equal(read_request(format), SC_OK);
	t.request.job.max_tokens = 1;
	assert_int_equal(engine_submit(t.engine, &t.request.job, &t.job, &t.err), SC_OK);
	listen(false);
	tick(2);
	expect("t|F|");
	assert_int_equal(job_message_init(&message, t.job, true), SC_OK);
	assert_null(message.job.outputs[0]->message);
	job_message_deinit(&message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_comes_in_parts_behind_its_tokens),
		TEST(reasoning_and_calls_are_told_apart),
		TEST(each_sequence_has_an_answer_of_its_own),
		TEST(who_watches_from_now_gets_the_later_parts),
		TEST(a_jobs_output_is_a_message),
		TEST(a_nul_in_an_answer_is_replaced),
		TEST(faulty_chats_are_refused_by_their_field),
		TEST(a_chat_that_would_take_too_much_memory_is_refused),
		TEST(a_job_of_another_prompt_has_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
