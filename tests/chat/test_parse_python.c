/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/chat/answer.h"

#define LLAMA4 .template = "<|header_start|>"
#define LFM2 .template = "<|tool_call_start|>"
#define LLAMA3 .template = "<|start_header_id|>ipython"

static void check(const struct answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_answer(&answers[i]);
}
#define CHECK(answers) check(answers, sizeof answers / sizeof *answers)

static void calls_in_a_list_become_json(void **state)
{
	static const struct answer answers[] = {
		{ LLAMA4, .output = "[get_weather(city=\"Oslo\", days=3), get_time()]",
		  .expected = "get_weather{{\"city\": \"Oslo\", \"days\": 3}} get_time{{}}" },
		{ LLAMA4, .output = " [get_time(a='it\\'s \"x\"', b=[1, 2.5,], c={'k': True, "
				    "'l': {}, "
				    "3: None}, d=(1,), e=-1e5, f=[], g=some.name)]",
		  .expected = "get_time{{\"a\": \"it's \\\"x\\\"\", \"b\": [1, 2.5], \"c\": "
			      "{\"k\": "
			      "true, \"l\": {}, \"3\": null}, \"d\": [1], \"e\": -1e5, \"f\": [], "
			      "\"g\": \"some.name\"}}" },
		{ LLAMA4, .output = "[get_time(a='\\n\\x41\\u00e9\\U0001F600\\q\t')]",
		  .expected = "get_time{{\"a\": \"\\n\\u0041\\u00e9\\ud83d\\ude00\\\\q\\t\"}}" },
		{ LLAMA4, .output = "Now <|python_start|>[get_time()]<|python_end|> then",
		  .expected = "C{Now} get_time{{}} C{ then}" },
		{ LFM2, .output = "<|tool_call_start|>[get_time(a=1)]<|tool_call_end|>Now",
		  .expected = "get_time{{\"a\": 1}} C{Now}" },
		{ LLAMA4, .output = "{\"name\": \"get_time\", \"parameters\": {}}",
		  .expected = "get_time{{}}" },
		{ LLAMA4, .output = "<|python_start|>{\"name\": \"get_time\", \"parameters\": {}}"
				    "<|python_end|>", .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void other_brackets_are_content(void **state)
{
	static const struct answer answers[] = {
		{ LLAMA4, .output = "[link](http://x)", .expected = "C{[link](http://x)}" },
		{ LLAMA4, .output = "[1, 2]", .expected = "C{[1, 2]}" },
		{ LLAMA4, .output = "[other(a=1)]", .expected = "C{[other(a=1)]}" },
		{ LLAMA4, .output = "[get_ti", .expected = "C{[get_ti}" },
		{ LLAMA4, .output = "Use [get_time()]", .expected = "C{Use [get_time()]}" },
	};

	(void)state;
	CHECK(answers);
}

static void broken_python(void **state)
{
	static const struct answer answers[] = {
		{ LLAMA4, .output = "[get_time(a='x", .expected = "get_time{{\"a\": \"x}" },
		{ LLAMA4, .output = "[get_time('x')]", .expected = "get_time{{} C{'x')]}" },
		{ LLAMA4, .output = "[get_time(a=[1}, b=2)]",
		  .expected = "get_time{{\"a\": [1} C{}, b=2)]}" },
		{ LLAMA4, .output = "[get_time(), oth", .expected = "get_time{{}} C{oth}" },
	};

	(void)state;
	CHECK(answers);
}

static void llama3_calls_its_own_tools_in_python(void **state)
{
	static const struct answer answers[] = {
		{ LLAMA3, .output = "<|python_tag|>get_weather.call(city=\"Oslo\")",
		  .expected = "get_weather{{\"city\": \"Oslo\"}}" },
		{ LLAMA3, .output = "<|python_tag|>print(1)",
		  .expected = "C{<|python_tag|>print(1)}", .expected_control = "C{print(1)}" },
		{ LLAMA3, .tools = "[{\"function\": {\"name\": \"python\"}}]",
		  .output = "<|python_tag|>x = \"a\"\nprint(x)",
		  .expected = "python{{\"code\": \"x = \\\"a\\\"\\nprint(x)\"}}" },
		{ LLAMA3, .tools = "[{\"function\": {\"name\": \"python\"}}]",
		  .output = "<|python_tag|>x", .expected = "python{{\"code\": \"x\"}}" },
	};

	(void)state;
	CHECK(answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_in_a_list_become_json),
		cmocka_unit_test(other_brackets_are_content),
		cmocka_unit_test(broken_python),
		cmocka_unit_test(llama3_calls_its_own_tools_in_python),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
