/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/chat/answer.h"

/* DeepSeek writes U+FF5C for | and U+2581 for _. */
#define DS(name) "<\uFF5C" name "\uFF5C>"
#define CALLS DS("tool\u2581calls\u2581begin")
#define CALLS_END DS("tool\u2581calls\u2581end")
#define CALL DS("tool\u2581call\u2581begin")
#define CALL_END DS("tool\u2581call\u2581end")
#define SEP DS("tool\u2581sep")
#define V3 .template = SEP "```json</think>"
#define V31 .template = SEP "</think>"
#define MISTRAL .template = "[TOOL_CALLS][ARGS][THINK]"
#define GLM4 .template = "<|observation|>"
#define KIMI .template = "<|tool_call_argument_begin|>"

static void check(const struct answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_answer(&answers[i]);
}
#define CHECK(answers) check(answers, sizeof answers / sizeof *answers)

static void deepseek_v3_has_a_type_and_a_fence(void **state)
{
	static const struct answer answers[] = {
		{ V3, .output = CALLS CALL "function" SEP "get_weather\n```json\n{\"city\": \"x\"}"
				"\n```" CALL_END "\n" CALL "function" SEP "get_time\n```json\n{}"
				"\n```" CALL_END CALLS_END,
		  .expected = "get_weather{{\"city\": \"x\"}} get_time{{}}" },
		{ V3, .starts_in_reasoning = true,
		  .output = "Hm.\n</think>\n\nYes." CALLS CALL "function" SEP "get_time\n```json\n"
			    "{\"a\": \"```\"}\n```" CALL_END CALLS_END,
		  .expected = "R{Hm.} C{Yes.} get_time{{\"a\": \"```\"}}" },
	};

	(void)state;
	CHECK(answers);
}

static void deepseek_v31_has_the_name_first(void **state)
{
	static const struct answer answers[] = {
		{ V31, .output = "A." CALLS CALL "get_weather" SEP "{\"city\": \"x\"}" CALL_END CALL
				 "get_time" SEP "{}" CALL_END CALLS_END "B.",
		  .expected = "C{A.} get_weather{{\"city\": \"x\"}} get_time{{}} C{B.}" },
		/* Which of the two it is, the answer says. */
		{ V3, .output = CALLS CALL "get_time" SEP "{}" CALL_END CALLS_END,
		  .expected = "get_time{{}}" },
		{ V31, .output = CALL "function" SEP "get_time\n```json\n{}\n```" CALL_END,
		  .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void a_broken_separated_call_is_content(void **state)
{
	static const struct answer answers[] = {
		{ V31, .output = CALLS CALL "get_ti", .expected = "C{" CALL "get_ti}",
		  .expected_control = "C{get_ti}" },
		{ V31, .output = CALL "get_time" SEP "{\"a\": ", .expected = "get_time{{\"a\": }" },
		{ V31, .output = "a " CALL "no separator in sight, although the text goes on and "
					   "on and"
				 " on, longer than any name of a tool may be, which ends it at "
				 "some "
				 "point, at the latest here.",
		  .expected = "C{a " CALL "no separator in sight, although the text goes on and "
					  "on and"
			      " on, longer than any name of a tool may be, which ends it at some "
			      "point, at the latest here.}",
		  .expected_control = "C{a no separator in sight, although the text goes on and on "
				      "and on, longer than any name of a tool may be, which ends "
				      "it "
				      "at some point, at the latest here.}" },
	};

	(void)state;
	CHECK(answers);
}

static void kimi_numbers_its_calls(void **state)
{
	static const struct answer answers[] = {
		{ KIMI, .output = "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_t"
				  "ime:0"
				  "<|tool_call_argument_begin|>{\"a\":1}<|tool_call_end|>"
				  "<|tool_call_begin|>functions.get_weather:1"
				  "<|tool_call_argument_begin|>{}<|tool_call_end|>"
				  "<|tool_calls_section_end|>",
		  .expected = "get_time{{\"a\":1}} get_weather{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void mistral_writes_names_behind_its_mark(void **state)
{
	static const struct answer answers[] = {
		{ MISTRAL, .output = "[TOOL_CALLS]get_time[ARGS]{\"a\": "
				     "{}}[TOOL_CALLS]get_weather[ARGS]"
				     "{}",
		  .expected = "get_time{{\"a\": {}}} get_weather{{}}" },
		{ MISTRAL, .output = "[TOOL_CALLS]get_time[CALL_ID]abc123456[ARGS]{}",
		  .expected = "get_time{{}}" },
		{ MISTRAL, .output = "Hi [TOOL_CALLS]get_time{\"a\": \"[ARGS\"}",
		  .expected = "C{Hi} get_time{{\"a\": \"[ARGS\"}}" },
		{ MISTRAL, .output = "[THINK]Well[/THINK]Now [TOOL_CALLS]",
		  .expected = "R{Well} C{Now "
			      "[TOOL_CALLS]}", .expected_control = "R{Well} C{Now }" },
		{ MISTRAL, .output = "[TOOL_CALLS]not a\nname[ARGS]{}",
		  .expected = "C{[TOOL_CALLS]not a\nname[ARGS]{}}",
		  .expected_control = "C{not a\nname{}}" },
		{ MISTRAL, .choice = CHAT_TOOLS_NAMED, .tool_name = "get_time", .output = "{\"b\""
											  ": 2}",
		  .expected = "get_time{{\"b\": 2}}" },
		{ MISTRAL, .choice = CHAT_TOOLS_REQUIRED, .output = "get_weather[ARGS]{}",
		  .expected = "get_weather{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void glm4_writes_the_name_as_the_first_line(void **state)
{
	static const struct answer answers[] = {
		{ GLM4, .output = "\nget_weather\n{\"city\": \"x\"}",
		  .expected = "get_weather{{\"city\": \"x\"}}" },
		{ GLM4, .output = "get_weather", .expected = "C{get_weather}" },
		{ GLM4, .output = "get_weather\nis a tool", .expected = "C{get_weather\nis a "
									"tool}" },
		{ GLM4, .output = "other\n{}", .expected = "C{other\n{}}" },
		{ GLM4, .choice = CHAT_TOOLS_NAMED, .tool_name = "get_time", .output = "{}",
		  .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deepseek_v3_has_a_type_and_a_fence),
		cmocka_unit_test(deepseek_v31_has_the_name_first),
		cmocka_unit_test(a_broken_separated_call_is_content),
		cmocka_unit_test(kimi_numbers_its_calls),
		cmocka_unit_test(mistral_writes_names_behind_its_mark),
		cmocka_unit_test(glm4_writes_the_name_as_the_first_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
