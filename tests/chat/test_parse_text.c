/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "chat/call_id.h"
#include "tests/chat/answer.h"

#include <stdio.h>

#define QWEN .template = "<tool_call></think>"
#define HARMONY .template = "<|channel|><|message|>"
#define GRANITE .template = "<|tool_call|><|start_of_role|>Here is my thought process:"
#define ANALYSIS "<|channel|>analysis<|message|>"
#define FINAL "<|start|>assistant<|channel|>final<|message|>"

static void check(const struct answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_answer(&answers[i]);
}
#define CHECK(answers) check(answers, sizeof answers / sizeof *answers)

static void reasoning_stands_at_the_start(void **state)
{
	static const struct answer answers[] = {
		{ QWEN, .output = "<think>\nA <b>\n\nB\n</think>\n\nC <think>d</think>",
		  .expected = "R{A <b>\n\nB} C{C <think>d</think>}",
		  .expected_control = "R{A <b>\n\nB} C{C d}" },
		{ QWEN, .output = "\n<think>\n\n</think>\n\nYes", .expected = "C{Yes}" },
		{ QWEN, .output = "<think>cut off </thi", .expected = "R{cut off </thi}" },
		{ QWEN, .output = " <thin", .expected = "C{ <thin}" },
		{ QWEN, .starts_in_reasoning = true, .output = "A </think> "
							       "B", .expected = "R{A} C{B}" },
		{ QWEN, .starts_in_reasoning = true, .output = "\n A", .expected = "R{A}" },
		{ QWEN, .output = "<think>x</think><tool_call>{\"name\": \"get_time\"}</tool_call>",
		  .expected = "R{x} get_time{{}}" },
		{ QWEN, .output = "<think>x <tool_call>{\"name\": \"get_time\"}</tool_call>",
		  .expected = "R{x <tool_call>{\"name\": \"get_time\"}</tool_call>}",
		  .expected_control = "R{x} get_time{{}}" },
		{ GRANITE, .output = "Here is my thought process: a\nHere is my response: b",
		  .expected = "R{a} C{b}" },
		{ .template = "<|tool_call|><|start_of_role|><think>",
		  .output = "<think>a</think><response>b</response>", .expected = "R{a} C{b}" },
		{ .template = "<|tool_call|><|start_of_role|><think>",
		  .output = "<response>b</response>", .expected = "C{<response>b</response>}",
		  .expected_control = "C{b}" },
		{ GRANITE, .output = "Here is my cat", .expected = "C{Here is my cat}" },
	};

	(void)state;
	CHECK(answers);
}

static void harmony_has_channels(void **state)
{
	static const struct answer answers[] = {
		{ HARMONY, .output = ANALYSIS "Hm." "<|end|>" FINAL "Yes.<|return|>",
		  .expected = "R{Hm.} C{Yes.}" },
		{ HARMONY, .output = ANALYSIS "A<|end|><|start|>assistant" ANALYSIS "B<|end|>"
				     FINAL "C",
		  .expected = "R{A\n\nB} C{C}" },
		{ HARMONY, .output = ANALYSIS "Hm.<|end|><|start|>assistant<|channel|>commentary "
				     "to=functions.get_weather "
				     "<|constrain|>json<|message|>{\"city\": "
				     "\"x\"}<|call|>",
		  .expected = "R{Hm.} get_weather{{\"city\": \"x\"}}" },
		{ HARMONY, .output = " to=functions.get_time<|channel|>commentary json<|message|>{}"
				     "<|call|>", .expected = "get_time{{}}" },
		{ HARMONY, .output = "<|channel|>commentary<|message|>I "
				     "will.<|end|><|start|>assistant"
				     "<|channel|>commentary to=functions.get_time<|message|>{}",
		  .expected = "C{I will.} get_time{{}}" },
		{ HARMONY, .output = "<|channel|>analysis to=python code<|message|>1+1<|call|>",
		  .expected = "R{1+1}" },
		{ HARMONY, .has_no_tools = true,
		  .output = "<|channel|>commentary "
			    "to=functions.x<|message|>{}", .expected = "C{{}}" },
		{ HARMONY, .output = "No header", .expected = "C{No header}" },
		{ HARMONY, .output = FINAL "Hi<|end|><|start|>assi", .expected = "C{Hi}" },
		{ HARMONY, .output = ANALYSIS "a<|e", .expected = "R{a<|e}" },
	};

	(void)state;
	CHECK(answers);
}

static void harmony_goes_on_where_the_prompt_ends(void **state)
{
	static const struct answer answers[] = {
		{ HARMONY, .prompt = "x<|start|>assistant", .output = ANALYSIS "a",
		  .expected = "R{a}" },
		{ HARMONY, .prompt = "x<|start|>assistant<|channel|>final<|message|>Once",
		  .output = " upon",
		  .expected = "C{ upon}" },
		{ HARMONY, .prompt = "x<|start|>assistant<|channel|>commentary to=functions.",
		  .output = "get_time <|constrain|>json<|message|>{}<|call|>",
		  .expected = "get_time{{}}" },
		{ HARMONY, .prompt = "<|start|>assistant<|channel|>commentary "
				     "to=functions.get_time "
				     "<|constrain|>json<|message|>", .output = "{}",
		  .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void long_white_space_does_not_wait_for_ever(void **state)
{
	struct answer answer = { QWEN };
	char output[10000], expected[10100];

	(void)state;
	memset(output, ' ', sizeof output - 1);
	output[sizeof output - 1] = '\0';
	answer.output = output;
	answer.expected = expected;
	snprintf(expected, sizeof expected, "C{%s}", output);
	expect_answer(&answer);
	output[0] = 'a';
	strcpy(output + 9950, "<tool_call>{\"name\": \"get_time\"}");
	snprintf(expected, sizeof expected, "C{%.8193s} get_time{{}}", output);
	expect_answer(&answer);
}

static void ids_repeat_with_the_same_seed_and_prompt(void **state)
{
	char first[10], second[10], other[10];

	(void)state;
	call_id_write(call_id_seed(1, "prompt", 6), 0, first);
	call_id_write(call_id_seed(1, "prompt", 6), 0, second);
	assert_string_equal(first, second);
	assert_true(call_id_is_plain(first));
	call_id_write(call_id_seed(1, "prompt", 6), 1, other);
	assert_string_not_equal(first, other);
	call_id_write(call_id_seed(2, "prompt", 6), 0, other);
	assert_string_not_equal(first, other);
	call_id_write(call_id_seed(1, "prompts", 7), 0, other);
	assert_string_not_equal(first, other);
	assert_false(call_id_is_plain("call_1234"));
	assert_false(call_id_is_plain("12345678"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasoning_stands_at_the_start),
		cmocka_unit_test(harmony_has_channels),
		cmocka_unit_test(harmony_goes_on_where_the_prompt_ends),
		cmocka_unit_test(long_white_space_does_not_wait_for_ever),
		cmocka_unit_test(ids_repeat_with_the_same_seed_and_prompt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
