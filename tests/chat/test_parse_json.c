/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/chat/answer.h"

#define HERMES .template = "<tool_call>"
#define LLAMA3 .template = "<|start_header_id|>ipython"
#define MISTRAL .template = "[TOOL_CALLS]"
#define GRANITE .template = "<|tool_call|><|start_of_role|>"
#define COMMAND_R .template = "<|START_OF_TURN_TOKEN|>Action:"
#define R7B .template = "<|START_THINKING|><|START_ACTION|>"

static void check(const struct answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_answer(&answers[i]);
}
#define CHECK(answers) check(answers, sizeof answers / sizeof *answers)

static void marked_json_is_a_call(void **state)
{
	static const struct answer answers[] = {
		{ HERMES, .output = "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": "
				    "{\"city\": \"Oslo\"}}\n</tool_call>",
		  .expected = "get_weather{{\"city\": \"Oslo\"}}" },
		{ HERMES, .output = "Let me see.\n\n<tool_call>\n{\"name\": \"get_weather\", "
				    "\"arguments\": {\"city\": \"a\"}}\n</tool_call>\n<tool_call>\n"
				    "{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>\n",
		  .expected = "C{Let me see.} get_weather{{\"city\": \"a\"}} get_time{{}}" },
		/* Braces, quotes and marks in strings; nested arrays of objects. */
		{ HERMES, .output = "<tool_call>{\"name\":\"get_weather\",\"arguments\":{\"a\":\""
				    "}]\\\""
				    "</tool_call>\",\"b\":[{\"c\":[1,{}]},[]]}}</tool_call>done",
		  .expected = "get_weather{{\"a\":\"}]\\\"</tool_call>\",\"b\":[{\"c\":[1,{}]},[]"
			      "]}} "
			      "C{done}",
		  .expected_control = "get_weather{{\"a\":\"}]\\\"} "
				      "C{\",\"b\":[{\"c\":[1,{}]},[]]}}"
				      "done}" },
		/* Other orders and keys. */
		{ HERMES, .output = "<tool_call>{\"arguments\": {\"x\": 1}, \"id\": 7, \"name\": "
				    "\"get_time\"}</tool_call>",
		  .expected = "get_time{{\"x\": 1}}" },
		{ HERMES, .output = "<tool_call>{\"type\": \"function\", \"function\": {\"name\": "
				    "\"get_time\", \"arguments\": {\"x\": [1]}}}</tool_call>",
		  .expected = "get_time{{\"x\": [1]}}" },
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\"}</tool_call>",
		  .expected = "get_time{{}}" },
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\", \"arguments\": null}"
				    "</tool_call>", .expected = "get_time{{}}" },
		/* A string with JSON in it. */
		{ HERMES, .output = "<tool_call>[{\"name\": \"get_time\", \"arguments\": "
				    "\"{\\\"x\\\": \\\"\\u00e9\\ud83d\\ude00\\\"}\"},{\"name\":"
				    "\"get_time\",\"arguments\":{}}]</tool_call>",
		  .expected = "get_time{{\"x\": \"\u00e9\U0001F600\"}} get_time{{}}" },
		/* The model knows a name that the request does not have: the client decides. */
		{ HERMES, .output = "<tool_call>{\"name\": \"other\", \"arguments\": "
				    "{}}</tool_call>",
		  .expected = "other{{}}" },
		/* One bracket too many. */
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\", \"arguments\": {}}}"
				    "</tool_call>!", .expected = "get_time{{}} C{!}" },
	};

	(void)state;
	CHECK(answers);
}

/* Each beginning reads on to the end of the text, which shows that it is none. Behind enough of that
 * even a whole call is content. */
static void beginnings_without_end_are_given_up(void **state)
{
	static const char beginning[] = "<tool_call>{\"a\":1";
	static const char call[] = "}<tool_call>{\"name\": \"get_time\", \"arguments\": {}}"
				   "</tool_call>";
	static const unsigned counts[] = { 50, 2000 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t n = counts[i] * strlen(beginning);
		char *output = malloc(n + sizeof call), *expected = malloc(n + sizeof call + 4);
		struct answer answer = { HERMES, .output = output, .expected = expected };
		char *end = output;
		struct buf text;

		assert_non_null(output);
		assert_non_null(expected);
		for (unsigned k = 0; k < counts[i]; k++)
			end = stpcpy(end, beginning);
		stpcpy(end, call);
		if (i)
			sprintf(expected, "C{%s}", output);
		else
			sprintf(expected, "C{%.*s}} get_time{{}}", (int)n, output);
		for (uint64_t pieces = 0; pieces < 3; pieces++) {
			text = read_answer(&answer, pieces, false);
			assert_string_equal(text.data, expected);
			buf_deinit(&text);
		}
		free(output);
		free(expected);
	}
}

static void what_is_no_call_stays_as_it_is(void **state)
{
	static const struct answer answers[] = {
		{ HERMES, .output = "a < b <tool <tool_cats> {\"name\": 1}\n ",
		  .expected = "C{a < b <tool <tool_cats> {\"name\": 1}\n }" },
		{ HERMES, .output = " <tool_call> is a mark",
		  .expected = "C{ <tool_call> is a mark}", .expected_control = "C{  is a mark}" },
		{ HERMES, .output = "<tool_call>{\"name\": \"get_wea",
		  .expected = "C{<tool_call>{\"name\": \"get_wea}",
		  .expected_control = "C{{\"name\": \"get_wea}" },
		{ HERMES, .output = "<tool_call>{\"city\": 1}</tool_call>",
		  .expected = "C{<tool_call>{\"city\": 1}</tool_call>}",
		  .expected_control = "C{{\"city\": 1}}" },
		{ HERMES, .has_no_tools = true,
		  .output = "<tool_call>{\"name\": \"get_time\"}</tool_call> ",
		  .expected = "C{<tool_call>{\"name\": \"get_time\"}</tool_call> }",
		  .expected_control = "C{{\"name\": \"get_time\"} }" },
		{ HERMES, .choice = CHAT_TOOLS_NONE, .output = "<tool_call>{\"name\": "
							       "\"get_time\"}",
		  .expected = "C{<tool_call>{\"name\": \"get_time\"}}",
		  .expected_control = "C{{\"name\": \"get_time\"}}" },
		{ HERMES, .output = "", .expected = "" },
		{ .template = "", .output = "<tool_call> \n", .expected = "C{<tool_call> \n}",
		  .expected_control = "C{ \n}" },
	};

	(void)state;
	CHECK(answers);
}

static void a_call_that_breaks_off_keeps_its_arguments_so_far(void **state)
{
	static const struct answer answers[] = {
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\", \"arguments\": {\"a\": "
				    "\"b",
		  .expected = "get_time{{\"a\": \"b}" },
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\", \"argum",
		  .expected = "get_time{}" },
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\", \"arguments\": {}}\n"
				    "</tool_",
		  .expected = "get_time{{}}", .expected_control = "get_time{{}} C{</tool_}" },
		{ HERMES, .output = "<tool_call>{\"name\": \"get_time\", \"arguments\": {}} text",
		  .expected = "get_time{{}} C{text}" },
		{ MISTRAL, .output = "[TOOL_CALLS][{\"name\": \"get_time\", \"arguments\": {}}, ",
		  .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void bare_json_is_a_call_only_of_a_known_tool(void **state)
{
	static const struct answer answers[] = {
		{ LLAMA3, .output = "{\"name\": \"get_time\", \"parameters\": {\"a\": 1}}",
		  .expected = "get_time{{\"a\": 1}}" },
		{ LLAMA3, .output = "\n {\"type\": \"function\", \"name\": \"get_time\", "
				    "\"arguments\": {}}",
		  .expected = "get_time{{}}" },
		{ LLAMA3, .output = "{\"name\": \"get_time\", \"parameters\": {}}; {\"name\": "
				    "\"get_weather\", \"parameters\": {\"city\": \"x\"}}",
		  .expected = "get_time{{}} get_weather{{\"city\": \"x\"}}" },
		{ LLAMA3, .output = "<|python_tag|>{\"name\": \"get_time\", \"parameters\": {}}",
		  .expected = "get_time{{}}" },
		/* Ordinary JSON. */
		{ LLAMA3, .output = " {\"name\": \"Ann\", \"parameters\": {}}",
		  .expected = "C{ {\"name\": \"Ann\", \"parameters\": {}}}" },
		{ LLAMA3, .output = "{\"city\": {\"name\": \"get_time\"}}",
		  .expected = "C{{\"city\": {\"name\": \"get_time\"}}}" },
		{ LLAMA3, .output = "{\"name\": \"get_time\"}",
		  .expected = "C{{\"name\": \"get_time\"}}" },
		{ LLAMA3, .output = "{\"name\": \"get_time\", \"parameters\": [1]}",
		  .expected = "C{{\"name\": \"get_time\", \"parameters\": [1]}}" },
		{ LLAMA3, .output = "Sure: {\"name\": \"get_time\", \"parameters\": {}}",
		  .expected = "C{Sure: {\"name\": \"get_time\", \"parameters\": {}}}" },
	};

	(void)state;
	CHECK(answers);
}

static void arrays_hold_several_calls(void **state)
{
	static const struct answer answers[] = {
		{ MISTRAL, .output = "[TOOL_CALLS] [{\"name\": \"get_time\", \"arguments\": "
				     "{\"a\": 1}, "
				     "\"id\": \"123456789\"}, {\"arguments\": {}, \"name\": "
				     "\"get_weather\"}]",
		  .expected = "get_time{{\"a\": 1}} get_weather{{}}" },
		{ GRANITE, .output = "<|tool_call|>[{\"name\": \"get_time\", \"arguments\": {}}]",
		  .expected = "get_time{{}}" },
		{ .template = "<|tool|><|/tool|>",
		  .output = "functools[{\"name\": \"get_time\", \"arguments\": {}}]",
		  .expected = "get_time{{}}" },
		{ .template = "<|tool|><|/tool|>",
		  .output = "<|tool_call|>[{\"name\": \"get_time\", \"arguments\": {}}]"
			    "<|/tool_call|>",
		  .expected = "get_time{{}}" },
		{ .template = "<TOOLCALL>",
		  .output = "a\n<TOOLCALL>[{\"name\": \"get_time\", \"arguments\": {}}]</TOOLCALL>",
		  .expected = "C{a} get_time{{}}" },
		{ .template = "<tool_calls>[",
		  .output = "<tool_calls>[{\"name\": \"get_time\", \"arguments\": "
			    "{}}]</tool_calls>",
		  .expected = "get_time{{}}" },
		{ COMMAND_R, .output = "I look.\nAction: ```json\n[\n    {\n        \"tool_name\": "
				       "\"get_time\",\n        \"parameters\": {}\n    }\n]```",
		  .expected = "C{I look.} get_time{{}}" },
		{ COMMAND_R, .output = "Action: none. Action: ```python",
		  .expected = "C{Action: none. Action: ```python}" },
		{ COMMAND_R, .output = "Action: ```json\n[{\"tool_name\": \"directly_answer\", "
				       "\"parameters\": {}}]```", .expected = "" },
		{ R7B, .output = "<|START_THINKING|>I think.<|END_THINKING|><|START_ACTION|>[\n  "
				 "{\"tool_call_id\": \"0\", \"tool_name\": \"get_time\", "
				 "\"parameters\": {\"a\": [1, 2]}}\n]<|END_ACTION|>",
		  .expected = "R{I think.} get_time{{\"a\": [1, 2]}}" },
		{ R7B, .output = "<|START_RESPONSE|>Hello.<|END_RESPONSE|>",
		  .expected = "C{Hello.}" },
	};

	(void)state;
	CHECK(answers);
}

static void the_beginning_in_the_prompt_belongs_to_the_answer(void **state)
{
	static const struct answer answers[] = {
		{ HERMES, .choice = CHAT_TOOLS_REQUIRED,
		  .output = "get_time\", \"arguments\": {}}\n</tool_call>",
		  .expected = "get_time{{}}" },
		{ HERMES, .choice = CHAT_TOOLS_NAMED, .tool_name = "get_time",
		  .output = "{\"a\": 1}}\n</tool_call>", .expected = "get_time{{\"a\": 1}}" },
		{ LLAMA3, .choice = CHAT_TOOLS_NAMED, .tool_name = "get_time",
		  .output = "{\"a\": 1}}", .expected = "get_time{{\"a\": 1}}" },
		{ MISTRAL, .choice = CHAT_TOOLS_REQUIRED,
		  .output = "get_time\", \"arguments\": {}}]", .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marked_json_is_a_call),
		cmocka_unit_test(beginnings_without_end_are_given_up),
		cmocka_unit_test(what_is_no_call_stays_as_it_is),
		cmocka_unit_test(a_call_that_breaks_off_keeps_its_arguments_so_far),
		cmocka_unit_test(bare_json_is_a_call_only_of_a_known_tool),
		cmocka_unit_test(arrays_hold_several_calls),
		cmocka_unit_test(the_beginning_in_the_prompt_belongs_to_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
