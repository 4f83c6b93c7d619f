/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/family.h"

#include "chat/format.h"
#include "chat/parser.h"
#include "model/tokenizer.h"

#include <string.h>

/* DeepSeek writes U+FF5C for | and U+2581 for _. */
#define DS(name) "<\uFF5C" name "\uFF5C>"
#define DS_BEGIN DS("tool\u2581calls\u2581begin") DS("tool\u2581call\u2581begin")
#define DS_SEP DS("tool\u2581sep")
#define DS_END DS("tool\u2581call\u2581end") DS("tool\u2581calls\u2581end")

const struct chat_family family_plain = { .name = "plain" };

const struct chat_family family_hermes = {
	.name = "hermes", .opens = { MARK_TOOL_CALL }, .on_open = json_calls_open,
	.prefill = "<tool_call>\n{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}\n</tool_call>",
};
const struct chat_family family_qwen_coder = {
	.name = "qwen3-coder", .opens = { MARK_TOOL_CALL, MARK_FUNCTION },
	.on_open = qwen_coder_open,
	.prefill = "<tool_call>\n<function=", .prefill_arguments = ">\n",
};
const struct chat_family family_seed = {
	.name = "seed", .opens = { MARK_SEED_CALL }, .on_open = qwen_coder_open,
	.prefill = "<seed:tool_call>\n<function=", .prefill_arguments = ">\n",
};
const struct chat_family family_minimax = {
	.name = "minimax-m2", .opens = { MARK_MINIMAX_CALL }, .on_open = qwen_coder_open,
	.prefill = "<minimax:tool_call>\n<invoke name=\"", .prefill_arguments = "\">\n",
};
const struct chat_family family_nemotron = {
	.name = "nemotron-nano", .opens = { MARK_CALL_LIST }, .on_open = json_calls_open,
	.prefill = "<TOOLCALL>[{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}]</TOOLCALL>",
};
const struct chat_family family_apriel = {
	.name = "apriel", .opens = { MARK_CALLS_TAG }, .on_open = json_calls_open,
	.prefill = "<tool_calls>[{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}]</tool_calls>",
};
const struct chat_family family_lfm2 = {
	.name = "lfm2", .opens = { MARK_LFM_CALL }, .on_open = llama4_open,
	.prefill = "<|tool_call_start|>[", .prefill_arguments = "(",
};
const struct chat_family family_glm45 = {
	.name = "glm-4.5", .opens = { MARK_TOOL_CALL }, .on_open = glm45_open,
	.prefill = "<tool_call>", .prefill_arguments = "\n",
};
const struct chat_family family_llama3 = {
	.name = "llama3", .opens = { MARK_PYTHON_TAG }, .on_open = llama3_python_open,
	.on_start = json_calls_bare,
	.prefill = "{\"name\": \"", .prefill_arguments = "\", \"parameters\": ",
	.suffix = "}",
};
const struct chat_family family_llama4 = {
	.name = "llama4", .opens = { MARK_PYTHON_START }, .on_open = llama4_open,
	.on_start = llama4_bare,
	.prefill = "{\"name\": \"", .prefill_arguments = "\", \"parameters\": ",
	.suffix = "}",
};
const struct chat_family family_llama4_pythonic = {
	.name = "llama4-pythonic", .opens = { MARK_PYTHON_START }, .on_open = llama4_open,
	.on_start = llama4_bare,
	.prefill = "[", .prefill_arguments = "(",
};
const struct chat_family family_mistral = {
	.name = "mistral", .opens = { MARK_TOOL_CALLS }, .on_open = mistral_open,
	.prefill = "[TOOL_CALLS][{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}]",
};
/* Templates of the oldest of these models have a blank there. */
const struct chat_family family_mistral_blank = {
	.name = "mistral", .opens = { MARK_TOOL_CALLS }, .on_open = mistral_open,
	.prefill = "[TOOL_CALLS] [{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}]",
};
const struct chat_family family_mistral_args = {
	.name = "mistral-args", .opens = { MARK_TOOL_CALLS }, .on_open = mistral_open,
	.prefill = "[TOOL_CALLS]", .prefill_arguments = "[ARGS]",
	.suffix = "",
};
const struct chat_family family_deepseek = {
	.name = "deepseek-v3", .opens = { MARK_DS_CALLS, MARK_DS_CALL },
	.drops = { MARK_DS_CALLS_END }, .on_open = deepseek_open,
	.prefill = DS_BEGIN "function" DS_SEP, .prefill_arguments = "\n```json\n",
	.suffix = "\n```" DS_END,
};
const struct chat_family family_deepseek31 = {
	.name = "deepseek-v3.1", .opens = { MARK_DS_CALLS, MARK_DS_CALL },
	.drops = { MARK_DS_CALLS_END }, .on_open = deepseek_open,
	.prefill = DS_BEGIN, .prefill_arguments = DS_SEP,
	.suffix = DS_END,
};
const struct chat_family family_kimi = {
	.name = "kimi-k2", .opens = { MARK_KIMI_CALLS, MARK_KIMI_CALL },
	.drops = { MARK_KIMI_CALLS_END }, .on_open = kimi_open,
	.prefill = "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
	.prefill_arguments = ":0<|tool_call_argument_begin|>",
	.suffix = "<|tool_call_end|><|tool_calls_section_end|>",
};
const struct chat_family family_command_r = {
	.name = "command-r", .opens = { MARK_ACTION }, .on_open = json_calls_action,
	.prefill = "Action: ```json\n[\n    {\n        \"tool_name\": \"",
	.prefill_arguments = "\",\n        \"parameters\": ",
	.suffix = "\n    }\n]```",
};
const struct chat_family family_command_r7b = {
	.name = "command-r7b", .opens = { MARK_START_ACTION },
	.drops = { MARK_START_RESPONSE, MARK_END_RESPONSE }, .on_open = json_calls_open,
	.prefill = "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"",
	.prefill_arguments = "\", \"parameters\": ",
	.suffix = "}\n]<|END_ACTION|>",
};
const struct chat_family family_harmony = {
	.name = "harmony", .first = harmony_first,
	.prefill = "<|channel|>commentary to=functions.",
	.prefill_arguments = " <|constrain|>json<|message|>",
};
const struct chat_family family_granite = {
	.name = "granite", .opens = { MARK_BAR_TOOL_CALL, MARK_TOOL_CALL },
	.drops = { MARK_RESPONSE_TAG, MARK_RESPONSE_TAG_END }, .drops_follow_reasoning = true,
	.on_open = json_calls_open,
	.prefill = "<|tool_call|>[{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}]",
};
const struct chat_family family_phi4 = {
	.name = "phi-4-mini", .opens = { MARK_BAR_TOOL_CALL, MARK_FUNCTOOLS },
	.on_open = json_calls_open,
	.prefill = "<|tool_call|>[{\"name\": \"", .prefill_arguments = "\", \"arguments\": ",
	.suffix = "}]<|/tool_call|>",
};
const struct chat_family family_glm4 = {
	.name = "glm-4", .on_start = glm4_bare,
	.prefill = "", .prefill_arguments = "\n",
	.suffix = "",
};

/* The first row whose words all are in the template's text. */
static const struct {
	const struct chat_family *family;
	const char *words[2];
} rows[] = {
	{ &family_harmony, { "<|channel|>", "<|message|>" } },
	{ &family_command_r7b, { "<|START_ACTION|>" } },
	{ &family_deepseek, { DS("tool\u2581sep"), "```json" } },
	{ &family_deepseek31, { DS("tool\u2581sep") } },
	{ &family_kimi, { "<|tool_call_argument_begin|>" } },
	{ &family_mistral_args, { "[TOOL_CALLS]", "[ARGS]" } },
	{ &family_mistral_blank, { "[TOOL_CALLS] [" } },
	{ &family_mistral, { "[TOOL_CALLS]" } },
	{ &family_granite, { "<|tool_call|>", "<|start_of_role|>" } },
	{ &family_phi4, { "<|tool|>", "<|/tool|>" } },
	{ &family_phi4, { "<|tool_call|>" } },
	{ &family_phi4, { "functools[" } },
	{ &family_seed, { "<seed:tool_call>" } },
	{ &family_minimax, { "<minimax:tool_call>" } },
	{ &family_lfm2, { "<|tool_call_start|>" } },
	{ &family_nemotron, { "<TOOLCALL>" } },
	{ &family_apriel, { "<tool_calls>[" } },
	{ &family_glm45, { "<tool_call>", "<arg_key>" } },
	{ &family_qwen_coder, { "<function=", "<parameter=" } },
	{ &family_hermes, { "<tool_call>" } },
	{ &family_llama4, { "<|header_start|>", "\"parameters\"" } },
	{ &family_llama4_pythonic, { "<|header_start|>" } },
	{ &family_llama3, { "<|start_header_id|>", "ipython" } },
	{ &family_llama3, { "<|python_tag|>" } },
	{ &family_command_r, { "<|START_OF_TURN_TOKEN|>", "Action:" } },
	{ &family_glm4, { "<|observation|>" } },
};

const struct chat_family *family_find(const char *text)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strstr(text, rows[i].words[0]) &&
		    (!rows[i].words[1] || strstr(text, rows[i].words[1])))
			return rows[i].family;
	return &family_plain;
}

enum sc_status family_write_call(const struct chat_family *family, const char *name,
				 const char *arguments, struct buf *text)
{
	return buf_add_format(text, "%s%s%s%s%s", family->prefill, name,
			      family->prefill_arguments, arguments, family->suffix);
}

/* The marks of reasoning, by the template's text: the first that it has. */
static const struct {
	enum mark_id open, close;
} reasonings[] = {
	{ MARK_START_THINKING, MARK_END_THINKING },
	{ MARK_THINK_TOKEN, MARK_THINK_TOKEN_END },
	{ MARK_SEED_THINK, MARK_SEED_THINK_END },
	{ MARK_THINK, MARK_THINK_END },
	{ MARK_THOUGHT, MARK_RESPONSE },
};

static enum sc_status is_one_token(const struct tokenizer *tokenizer, const char *text,
				   bool *is_out)
{
	struct token_list ids = { 0 };
	enum sc_status status = tokenizer_encode(tokenizer, text, strlen(text),
						 TOKENIZE_PARSE_SPECIAL, &ids, NULL);

	*is_out = ids.n == 1;
	token_list_deinit(&ids);
	return status;
}

/* A model that reasons has tokens for it, also if the operator gave it a template that does not
 * say so. */
static enum sc_status find_reasoning_tokens(struct chat_format *format,
					    const struct tokenizer *tokenizer)
{
	bool has_open, has_close = false;
	enum sc_status status = is_one_token(tokenizer, mark_text(MARK_THINK), &has_open);

	if (!status)
		status = is_one_token(tokenizer, mark_text(MARK_THINK_END), &has_close);
	if (!status && has_open && has_close) {
		format->reasoning_open = MARK_THINK;
		format->reasoning_close = MARK_THINK_END;
	}
	return status;
}

static void find_reasoning(struct chat_format *format, const char *text)
{
	format->reasoning_open = format->reasoning_close = MARK_NONE;
	if (format->family == &family_harmony)
		return;
	for (size_t i = 0; i < sizeof reasonings / sizeof *reasonings; i++) {
		if (!strstr(text, mark_text(reasonings[i].open)) &&
		    !strstr(text, mark_text(reasonings[i].close)))
			continue;
		format->reasoning_open = reasonings[i].open;
		format->reasoning_close = reasonings[i].close;
		return;
	}
}

enum sc_status format_find_family(struct chat_format *format, const char *text,
				  const struct tokenizer *tokenizer)
{
	enum sc_status status = SC_OK;

	format->family = family_find(text);
	find_reasoning(format, text);
	if (tokenizer && !format->reasoning_open && format->family != &family_harmony)
		status = find_reasoning_tokens(format, tokenizer);
	return status ? status : marks_init(format->marks, tokenizer);
}
