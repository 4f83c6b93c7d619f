/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model wrote, read by the parser of every family. Input: the family, flags, a seed for
 * pieces, then the output, which may be any bytes. In one piece, byte by byte and in random pieces
 * the same must come out.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/chat/answer.h"

#include <stdlib.h>
#include <string.h>

#define DS_SEP "<\uFF5Ctool\u2581sep\uFF5C>"
#define DS_CALL "<\uFF5Ctool\u2581call\u2581begin\uFF5C>"

/* Words of a template, and a text of the family. */
static const struct {
	const char *template, *output;
} families[] = {
	{ "</think>", "<think>\nHm\n</think>\n\nYes" },
	{ "<tool_call></think>", "<think>a</think>b <tool_call>\n{\"name\": \"get_time\", "
				 "\"arguments\": {\"a\": [\"\\\"\"]}}\n</tool_call> c" },
	{ "<function=<parameter=", "<tool_call>\n<function=get_weather>\n<parameter=days>\n1\n"
				   "</parameter>\n<parameter=city>\nx\n</parameter>\n</function>"
				   "\n</tool_call>" },
	{ "<tool_call><arg_key>", "<tool_call>get_weather\n<arg_key>units</arg_key>\n<arg_value>"
				  "null</arg_value>\n</tool_call>" },
	{ "<seed:tool_call>", "<seed:tool_call><function=get_time></function></seed:tool_call>" },
	{ "<|python_tag|>", "{\"name\": \"get_time\", \"parameters\": {}}; {\"name\"" },
	{ "<|python_tag|>", "<|python_tag|>get_time.call(a=\"b\")" },
	{ "<|header_start|>", "[get_time(a='\\x41', b={'c': (1, None)}), get_time()]" },
	{ "[TOOL_CALLS]", "a [TOOL_CALLS] [{\"name\": \"get_time\", \"arguments\": "
			  "\"{\\u00e9\"}, {\"arguments\": {}, \"name\": \"get_time\"}]" },
	{ "[TOOL_CALLS][ARGS]", "[TOOL_CALLS]get_time[CALL_ID]1[ARGS]{\"a\": 1}" },
	{ DS_SEP, DS_CALL "function" DS_SEP "get_time\n```json\n{}\n```" },
	{ DS_SEP, DS_CALL "get_time" DS_SEP "{\"a\": {}}" },
	{ "<|tool_call_argument_begin|>", "<|tool_call_begin|>functions.get_time:0"
					  "<|tool_call_argument_begin|>{}<|tool_call_end|>" },
	{ "<|START_OF_TURN_TOKEN|>Action:", "Action: ```json\n[{\"tool_name\": \"get_time\", "
					    "\"parameters\": {}}, {\"tool_name\": "
					    "\"directly_answer\"}]```" },
	{ "<|START_THINKING|><|START_ACTION|>", "<|START_ACTION|>[{\"tool_name\": \"get_time\", "
						"\"parameters\": {}}]<|END_ACTION|>" },
	{ "<|channel|><|message|>", "<|channel|>analysis<|message|>a<|end|><|start|>assistant to="
				    "functions.get_time<|channel|>commentary<|message|>{}<|call|>" },
	{ "<|tool_call|><|start_of_role|>", "<response>a</response><|tool_call|>[{\"name\": "
					    "\"get_time\"}]" },
	{ "<|tool|><|/tool|>", "functools[{\"name\": \"get_time\", \"arguments\": {}}]" },
	{ "<minimax:tool_call>", "<minimax:tool_call><invoke name=\"get_time\"><parameter "
				 "name=\"a\">"
				 "b</parameter></invoke></minimax:tool_call>" },
	{ "<|observation|>", "get_time\n{\"a\": 1}" },
};
#define N_FAMILIES (sizeof families / sizeof *families)

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void compare(const struct answer *answer, const struct buf *output, uint64_t pieces,
		    bool with_control)
{
	struct buf whole = read_output(answer, output, 0, with_control);
	struct buf cut = read_output(answer, output, pieces, with_control);

	require(whole.length == cut.length && !memcmp(whole.data, cut.data, cut.length));
	buf_deinit(&whole);
	buf_deinit(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer answer = { 0 };
	struct buf output = BUF_INIT;

	if (size < 3)
		return 0;
	answer.template = families[data[0] % N_FAMILIES].template;
	answer.has_no_tools = data[1] & 2;
	answer.starts_in_reasoning = data[1] & 4;
	answer.choice = data[1] & 8 ? CHAT_TOOLS_NAMED : CHAT_TOOLS_AUTO;
	answer.tool_name = "get_weather";
	require(!buf_add(&output, data + 3, size - 3));
	compare(&answer, &output, 1, data[1] & 1);
	compare(&answer, &output, 2 + data[2], data[1] & 1);
	buf_deinit(&output);
	return 0;
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	const uint8_t head[] = { (uint8_t)(i / 2), i & 1, 7 };
	struct answer answer = { 0 };
	struct chat_format format = { 0 };

	if (i >= 2 * N_FAMILIES)
		return false;
	answer.output = families[i / 2].output;
	require(!buf_add(seed, head, sizeof head));
	require(!format_find_family(&format, families[i / 2].template, NULL));
	/* The second seed of a family has control tokens. */
	for (size_t k = 0; k < N_MARKS && i & 1; k++)
		format.marks[k] = answer_control_mark((enum mark_id)k);
	require(!marks_frame(format.marks, answer.output, strlen(answer.output), seed));
	return true;
}
