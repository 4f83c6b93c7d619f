/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/chat/answer.h"

#define CODER .template = "<function=<parameter=</think>"
#define SEED .template = "<seed:tool_call><seed:think>"
#define MINIMAX .template = "<minimax:tool_call>"
#define GLM .template = "<tool_call><arg_key></think>"

static void check(const struct answer *answers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_answer(&answers[i]);
}
#define CHECK(answers) check(answers, sizeof answers / sizeof *answers)

static void values_get_the_types_of_the_schema(void **state)
{
	static const struct answer answers[] = {
		{ CODER, .output = "<tool_call>\n<function=get_weather>\n<parameter=city>\n12\n"
				   "</parameter>\n<parameter=days>\n3\n</parameter>\n"
				   "<parameter=exact>\nTrue\n</parameter>\n<parameter=flags>\n"
				   "{\"a\": [1]}\n</parameter>\n<parameter=units>\nNone\n"
				   "</parameter>\n<parameter=other>\n5\n</parameter>\n</function>\n"
				   "</tool_call>",
		  .expected = "get_weather{{\"city\": \"12\", \"days\": 3, \"exact\": true, "
			      "\"flags\": {\"a\": [1]}, \"units\": null, \"other\": \"5\"}}" },
		{ CODER, .output = "<tool_call>\n<function=get_weather>\n<parameter=days>\nsoon\n"
				   "</parameter>\n<parameter=units>\nnullable \"x\"\n</parameter>\n"
				   "<parameter=flags>\n{broken\n</parameter>\n</function>\n"
				   "</tool_call>",
		  .expected = "get_weather{{\"days\": \"soon\", \"units\": \"nullable \\\"x\\\"\", "
			      "\"flags\": \"{broken\"}}" },
		{ GLM, .output = "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value> "
				 "O\n\\"
				 "</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n"
				 "</tool_call>",
		  .expected = "get_weather{{\"city\": \" O\\n\\\\\", \"days\": 2}}" },
	};

	(void)state;
	CHECK(answers);
}

/* Requests bring schemas of any size, and each argument asks for its type. */
static void long_schemas_are_not_read_to_their_end(void **state)
{
	static const char before[] = "[{\"type\": \"function\", \"function\": {\"name\": \"f\", "
				     "\"parameters\": {\"properties\": {\"p\": {\"enum\": [";
	char tools[4096], *end = stpcpy(tools, before);
	struct answer answer = {
		CODER, .tools = tools, .expected = "f{{\"p\": \"5\"}}",
		.output = "<tool_call><function=f><parameter=p>5</parameter></function></tool_call>",
	};

	(void)state;
	for (int i = 0; i < 300; i++)
		end = stpcpy(end, "\"a\", ");
	stpcpy(end, "5]}}}}}]");
	expect_answer(&answer);
}

static void text_around_and_several_calls(void **state)
{
	static const struct answer answers[] = {
		{ CODER, .output = "I look.\n<tool_call>\n<function=get_time>\n</function>\n"
				   "</tool_call>"
				   "\n<tool_call>\n<function=get_time>\n<parameter=a>\nb\n"
				   "</parameter>\n</function>\n</tool_call> ok",
		  .expected = "C{I look.} get_time{{}} get_time{{\"a\": \"b\"}} C{ ok}" },
		{ CODER, .output = "<tool_call><function=get_time></function><function=get_time>"
				   "</function></tool_call>",
		  .expected = "get_time{{}} get_time{{}}" },
		{ MINIMAX, .output = "a <minimax:tool_call>\n<invoke name=\"get_weather\">\n"
				     "<parameter "
				     "name=\"days\">3</parameter>\n</invoke>\n<invoke "
				     "name=\"get_time\">"
				     "\n</invoke>\n</minimax:tool_call>",
		  .expected = "C{a} get_weather{{\"days\": 3}} get_time{{}}" },
		/* Without the outer mark. */
		{ CODER, .output = "<function=get_time>\n</function>", .expected = "get_time{{}}" },
		{ CODER, .output = "<tool_call>{\"name\": \"get_time\", \"arguments\": "
				   "{}}</tool_call>",
		  .expected = "get_time{{}}" },
		{ SEED, .output = "<seed:think>x</seed:think><seed:tool_call><function=get_time>"
				  "<parameter=a>b</parameter></function></seed:tool_call>",
		  .expected = "R{x} get_time{{\"a\": \"b\"}}" },
		{ GLM, .output = "\n<think>Hm</think>\nSo\n<tool_call>get_time</tool_call>"
				 "<tool_call>get_time\n</tool_call>",
		  .expected = "R{Hm} C{So} get_time{{}} get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

static void line_breaks_and_marks_inside_of_values_stay(void **state)
{
	static const struct answer answers[] = {
		{ CODER, .output = "<tool_call>\n<function=get_time>\n<parameter=a>\n\nx < y\n\n"
				   "</para\n\n</parameter>\n</function>\n</tool_call>",
		  .expected = "get_time{{\"a\": \"\\nx < y\\n\\n</para\\n\"}}" },
		{ CODER, .output = "<tool_call>\n<function=get_time>\n<parameter=a>\nif "
				   "<parameter=b>"
				   "\n</parameter>\n</function>\n</tool_call>",
		  .expected = "get_time{{\"a\": \"if <parameter=b>\"}}" },
	};

	(void)state;
	CHECK(answers);
}

static void a_missing_end_of_a_value_is_tolerated(void **state)
{
	static const struct answer answers[] = {
		{ CODER, .output = "<tool_call>\n<function=get_weather>\n<parameter=city>\nx\n"
				   "<parameter=days>\n3\n</function>\n</tool_call>",
		  .expected = "get_weather{{\"city\": \"x\", \"days\": 3}}" },
	};

	(void)state;
	CHECK(answers);
}

static void broken_tags(void **state)
{
	static const struct answer answers[] = {
		{ CODER, .output = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOsl",
		  .expected = "get_weather{{\"city\": \"Osl}" },
		{ CODER, .output = "<tool_call>\n<function=get_weather>\n<parameter=days>\n1",
		  .expected = "get_weather{{}" },
		{ CODER, .output = "<tool_call>\n<function=get_weather>\nnothing",
		  .expected = "get_weather{{}} C{nothing}" },
		{ CODER, .output = "<tool_call>\n<func", .expected = "C{<tool_call>\n<func}",
		  .expected_control = "C{\n<func}" },
		{ GLM, .output = "<tool_call> get_weather and more",
		  .expected = "C{<tool_call> get_weather and more}",
		  .expected_control = "C{ get_weather and more}" },
		{ GLM, .output = "<tool_call>get_weather\n<arg_key>city</arg_key>oops",
		  .expected = "get_weather{{} C{oops}" },
	};

	(void)state;
	CHECK(answers);
}

static void the_beginning_in_the_prompt_belongs_to_the_call(void **state)
{
	static const struct answer answers[] = {
		{ CODER, .choice = CHAT_TOOLS_NAMED, .tool_name = "get_weather",
		  .output = "<parameter=days>\n7\n</parameter>\n</function>\n</tool_call>",
		  .expected = "get_weather{{\"days\": 7}}" },
		{ GLM, .choice = CHAT_TOOLS_REQUIRED, .output = "get_time\n</tool_call>",
		  .expected = "get_time{{}}" },
	};

	(void)state;
	CHECK(answers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_get_the_types_of_the_schema),
		cmocka_unit_test(long_schemas_are_not_read_to_their_end),
		cmocka_unit_test(text_around_and_several_calls),
		cmocka_unit_test(line_breaks_and_marks_inside_of_values_stay),
		cmocka_unit_test(a_missing_end_of_a_value_is_tolerated),
		cmocka_unit_test(broken_tags),
		cmocka_unit_test(the_beginning_in_the_prompt_belongs_to_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
