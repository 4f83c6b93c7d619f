/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/chat/conversation.h"

#define ASK "'messages': [{'role': 'user', 'content': 'a'}]"
#define F "{'type': 'function', 'function': {'name': 'f'}}"
#define G "{'type': 'function', 'function': {'name': 'g', 'parameters': {}}}"
#define NAMES "{% for t in tools or [] %}({{ t.function.name }}){% endfor %}"
#define BODY "{% for m in messages %}{{ m.content }};{% endfor %}"
#define CALLS "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments }}" \
	      "{% endfor %}{{ m.content }};{% endfor %}"
/* A comment tells the family. */
#define HERMES "{# <tool_call> #}" NAMES CALLS

static void tools_are_shown_where_the_template_looks(void **state)
{
	(void)state;
	expect_prompt(HERMES, "{" ASK ", 'tools': [" F ", " G "]}", "(f)(g)a;");
	expect_prompt(HERMES, "{" ASK ", 'tools': [" F "], 'tool_choice': 'none'}", "a;");
	expect_prompt(HERMES, "{" ASK ", 'tools': [], 'tool_choice': 'auto'}", "a;");
	/* In the system message: as a list, or as text. */
	expect_prompt("{# <|observation|> #}{% for m in messages %}{% for t in m.tools or [] %}"
		      "({{ t.function.name }}){% endfor %}{{ m.content }};{% endfor %}",
		      "{" ASK ", 'tools': [" F "]}", "(f);a;");
	expect_prompt("{# <|tool|><|/tool|> #}{% for m in messages %}{% if m.tools is string %}"
		      "{{ m.tools }}{% endif %}{{ m.content }};{% endfor %}",
		      "{" ASK ", 'tools': [" F "]}",
		      "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}];a;");
	/* Nowhere: the system message describes them. */
	expect_prompt("{# <tool_call> #}" BODY,
		      "{'messages': [{'role': 'system', 'content': 's'}], 'tools': [" F "]}",
		      "s\n\nYou can call these functions:\n\n{\"type\": \"function\", "
		      "\"function\": "
		      "{\"name\": \"f\"}}\n\nTo call one, write nothing but this, with the name "
		      "of the "
		      "function and its arguments as JSON:\n\n<tool_call>\n{\"name\": \"NAME\", "
		      "\"arguments\": {\"ARGUMENT\": VALUE}}\n</tool_call>;");
}

static void calls_are_content_where_the_template_leaves_them_out(void **state)
{
	(void)state;
	expect_prompt("{# <tool_call> #}" NAMES BODY,
		      "{'messages': [{'role': 'assistant', 'content': null, 'tool_calls': [{"
		      "'function': {'name': 'f', 'arguments': '{}'}}]}]}",
		      "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>;");
}

static void wrong_tools_are_refused(void **state)
{
	(void)state;
	expect_prompt(NAMES BODY, "{" ASK ", 'tools': [" F "]}",
		      "ERROR[tools]: tools: the form of this model's tool calls is not known "
		      "(family "
		      "plain), so they could not be told from text: leave the tools out");
	expect_prompt("{# <tool_call><arg_key> #}" BODY, "{" ASK ", 'tools': [" F "]}",
		      "ERROR[tools]: tools: the model's chat template does not show them to the "
		      "model "
		      "(family glm-4.5): leave them out, or use a template that does");
	expect_prompt(HERMES, "{" ASK ", 'tools': [{'type': 'function', 'function': {'name': "
			      "'<|im_end|>'}}]}",
		      "ERROR[tools]: tools[0].function.name: expected 1 to 128 letters, digits, "
		      "'_', "
		      "'-', '.', ':' or '/'");
	expect_prompt(HERMES, "{" ASK ", 'tools': [{'type': 'browser'}]}",
		      "ERROR[tools]: tools[0].type: expected 'function', found 'browser'");
	expect_prompt(HERMES, "{" ASK ", 'tools': {}}", "ERROR[tools]: tools: expected a list");
	expect_prompt(HERMES, "{" ASK ", 'tools': [" F "], 'tool_choice': {'name': 'h'}}",
		      "ERROR[tools]: tool_choice: the request has no tool 'h'");
	expect_prompt(HERMES, "{" ASK ", 'tool_choice': 'required'}",
		      "ERROR[tools]: tool_choice \"required\": the request has no tools");
}

static void a_wanted_call_is_begun_in_the_prompt(void **state)
{
	(void)state;
	expect_prompt(HERMES, "{" ASK ", 'tools': [" F ", " G "], 'tool_choice': 'required'}",
		      "(f)(g)a;<tool_call>\n{\"name\": \"");
	expect_prompt(HERMES, "{" ASK ", 'tools': [" F ", " G "], 'tool_choice': {'name': 'g'}}",
		      "(f)(g)a;<tool_call>\n{\"name\": \"g\", \"arguments\": ");
	expect_prompt(HERMES, "{" ASK ", 'tools': [" F "], 'tool_choice': 'required'}",
		      "(f)a;<tool_call>\n{\"name\": \"f\", \"arguments\": ");
	/* Reasoning that the template opened is closed first. */
	expect_prompt("{# <tool_call> #}" NAMES "{{ '<think>\n' }}",
		      "{" ASK ", 'tools': [" F "], 'tool_choice': 'required'}",
		      "(f)<think>\n\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": ");
	expect_prompt("{# <|observation|> #}" NAMES BODY,
		      "{" ASK ", 'tools': [" F ", " G "], 'tool_choice': {'name': 'g'}}",
		      "(f)(g)a;g\n");
	expect_prompt("{# <|observation|> #}" NAMES BODY,
		      "{" ASK ", 'tools': [" F ", " G "], 'tool_choice': 'required'}",
		      "ERROR[tool_choice]: tool_choice \"required\": calls of the model's family "
		      "(glm-4) begin with the name of the tool, and the request has several "
		      "tools: name "
		      "one, or use \"auto\"");
}

static void the_named_template_serves_requests_with_tools(void **state)
{
	struct conversation chat;

	(void)state;
	conversation_init(&chat, BODY, "{# <tool_call> #}T:{% for t in tools %}"
				       "{{ t.function.name }}{% endfor %}");
	assert_true(chat_format_has_tools(chat.format));
	assert_string_equal(chat_format_name(chat.format), "hermes");
	assert_int_equal(conversation_render(&chat, "{" ASK "}"), SC_OK);
	assert_string_equal(chat.prompt.text.data, "a;");
	assert_int_equal(conversation_render(&chat, "{" ASK ", 'tools': [" F "]}"), SC_OK);
	assert_string_equal(chat.prompt.text.data, "T:f");
	conversation_deinit(&chat);
}

static enum sc_status record(void *arg, const struct chat_delta *delta)
{
	struct buf *text = arg;

	if (delta->kind == CHAT_TOOL_BEGIN)
		return buf_add_format(text, "%s:", delta->name);
	return buf_add(text, delta->text, delta->n_bytes);
}

/* The mark is a control token here: in the prompt, and in the answer. */
static void prompt_and_answer_fit_together(void **state)
{
	struct conversation chat;
	struct chat_parser *parser;
	struct buf text = BUF_INIT;
	size_t n_marks = 0;

	(void)state;
	conversation_init(&chat, "{# [TOOL_CALLS] #}" NAMES CALLS, NULL);
	assert_int_equal(conversation_render(&chat, "{" ASK ", 'tools': [" F "], 'tool_choice': "
					     "'required'}"), SC_OK);
	assert_string_equal(chat.prompt.prefill,
			    "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": ");
	for (size_t i = 0; i < chat.prompt.tokens.n; i++)
		n_marks += chat.prompt.tokens.ids[i] == TINY_BPE_FIRST + 4;
	assert_int_equal(n_marks, 1);
	assert_int_equal(chat_parser_create(chat.format, &chat.request, &chat.prompt, record, &text,
					    &parser), SC_OK);
	assert_int_equal(chat_parser_add(parser, "{\"x\": 1}}]\xff</s>\xfe", 15), SC_OK);
	assert_int_equal(chat_parser_finish(parser), SC_OK);
	assert_string_equal(text.data, "f:{\"x\": 1}");
	assert_int_equal(chat_parser_n_tool_calls(parser), 1);
	chat_parser_destroy(parser);
	buf_deinit(&text);
	conversation_deinit(&chat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tools_are_shown_where_the_template_looks),
		cmocka_unit_test(calls_are_content_where_the_template_leaves_them_out),
		cmocka_unit_test(wrong_tools_are_refused),
		cmocka_unit_test(a_wanted_call_is_begun_in_the_prompt),
		cmocka_unit_test(the_named_template_serves_requests_with_tools),
		cmocka_unit_test(prompt_and_answer_fit_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
