/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/marks.h"

#include "base/buf.h"
#include "chat/chat.h"

#include <string.h>

/* DeepSeek writes U+FF5C for | and U+2581 for _. */
#define DS(name) "<\uFF5C" name "\uFF5C>"

static const char *const texts[N_MARKS] = {
	[MARK_THINK] = "<think>", [MARK_THINK_END] = "</think>",
	[MARK_THINK_TOKEN] = "[THINK]", [MARK_THINK_TOKEN_END] = "[/THINK]",
	[MARK_START_THINKING] = "<|START_THINKING|>", [MARK_END_THINKING] = "<|END_THINKING|>",
	[MARK_THOUGHT] = "Here is my thought process:", [MARK_RESPONSE] = "Here is my response:",
	[MARK_SEED_THINK] = "<seed:think>", [MARK_SEED_THINK_END] = "</seed:think>",
	[MARK_RESPONSE_TAG] = "<response>", [MARK_RESPONSE_TAG_END] = "</response>",
	[MARK_START_RESPONSE] = "<|START_RESPONSE|>", [MARK_END_RESPONSE] = "<|END_RESPONSE|>",
	[MARK_TOOL_CALL] = "<tool_call>", [MARK_TOOL_CALL_END] = "</tool_call>",
	[MARK_SEED_CALL] = "<seed:tool_call>", [MARK_SEED_CALL_END] = "</seed:tool_call>",
	[MARK_MINIMAX_CALL] = "<minimax:tool_call>",
	[MARK_MINIMAX_CALL_END] = "</minimax:tool_call>",
	[MARK_INVOKE] = "<invoke name=\"", [MARK_INVOKE_END] = "</invoke>",
	[MARK_NAMED_PARAMETER] = "<parameter name=\"",
	[MARK_CALL_LIST] = "<TOOLCALL>", [MARK_CALL_LIST_END] = "</TOOLCALL>",
	[MARK_CALLS_TAG] = "<tool_calls>", [MARK_CALLS_TAG_END] = "</tool_calls>",
	[MARK_LFM_CALL] = "<|tool_call_start|>", [MARK_LFM_CALL_END] = "<|tool_call_end|>",
	[MARK_FUNCTION] = "<function=", [MARK_FUNCTION_END] = "</function>",
	[MARK_PARAMETER] = "<parameter=", [MARK_PARAMETER_END] = "</parameter>",
	[MARK_ARG_KEY] = "<arg_key>", [MARK_ARG_KEY_END] = "</arg_key>",
	[MARK_ARG_VALUE] = "<arg_value>", [MARK_ARG_VALUE_END] = "</arg_value>",
	[MARK_BAR_TOOL_CALL] = "<|tool_call|>", [MARK_BAR_TOOL_CALL_END] = "<|/tool_call|>",
	[MARK_FUNCTOOLS] = "functools[",
	[MARK_PYTHON_TAG] = "<|python_tag|>",
	[MARK_PYTHON_START] = "<|python_start|>", [MARK_PYTHON_END] = "<|python_end|>",
	[MARK_TOOL_CALLS] = "[TOOL_CALLS]", [MARK_CALL_ID] = "[CALL_ID]", [MARK_ARGS] = "[ARGS]",
	[MARK_DS_CALLS] = DS("tool\u2581calls\u2581begin"),
	[MARK_DS_CALLS_END] = DS("tool\u2581calls\u2581end"),
	[MARK_DS_CALL] = DS("tool\u2581call\u2581begin"),
	[MARK_DS_CALL_END] = DS("tool\u2581call\u2581end"),
	[MARK_DS_SEP] = DS("tool\u2581sep"),
	[MARK_KIMI_CALLS] = "<|tool_calls_section_begin|>",
	[MARK_KIMI_CALLS_END] = "<|tool_calls_section_end|>",
	[MARK_KIMI_CALL] = "<|tool_call_begin|>", [MARK_KIMI_CALL_END] = "<|tool_call_end|>",
	[MARK_KIMI_SEP] = "<|tool_call_argument_begin|>",
	[MARK_ACTION] = "Action:",
	[MARK_START_ACTION] = "<|START_ACTION|>", [MARK_END_ACTION] = "<|END_ACTION|>",
	[MARK_START] = "<|start|>", [MARK_CHANNEL] = "<|channel|>", [MARK_MESSAGE] = "<|message|>",
	[MARK_CONSTRAIN] = "<|constrain|>", [MARK_END] = "<|end|>", [MARK_CALL] = "<|call|>",
	[MARK_RETURN] = "<|return|>",
};

const char *mark_text(enum mark_id id)
{
	return id == MARK_NONE ? "" : texts[id];
}

static enum sc_status is_control_token(const struct tokenizer *tokenizer, const char *text,
				       bool *is_control_out)
{
	struct token_list ids = { 0 };
	enum sc_status status = SC_OK;

	if (tokenizer)
		status = tokenizer_encode(tokenizer, text, strlen(text), TOKENIZE_PARSE_SPECIAL,
					  &ids, NULL);
	if (!status)
		*is_control_out = ids.n == 1 && tokenizer_is_special(tokenizer, ids.ids[0]);
	token_list_deinit(&ids);
	return status;
}

enum sc_status marks_init(struct mark *marks, const struct tokenizer *tokenizer)
{
	marks[MARK_NONE] = (struct mark){ 0 };
	for (size_t i = 1; i < N_MARKS; i++) {
		struct mark *mark = &marks[i];
		size_t n = strlen(texts[i]), at = 0;
		enum sc_status status = is_control_token(tokenizer, texts[i], &mark->is_control);

		if (status)
			return status;
		if (mark->is_control)
			mark->text[at++] = CHAT_MARK_BEGIN;
		memcpy(mark->text + at, texts[i], n);
		at += n;
		if (mark->is_control)
			mark->text[at++] = CHAT_MARK_END;
		mark->n_bytes = (uint8_t)at;
	}
	return SC_OK;
}

enum mark_match mark_compare(const struct mark *mark, const char *text, size_t n)
{
	if (n < mark->n_bytes)
		return memcmp(mark->text, text, n) ? MARK_DIFFERS : MARK_BEGINS;
	return memcmp(mark->text, text, mark->n_bytes) ? MARK_DIFFERS : MARK_MATCHES;
}

enum sc_status marks_frame(const struct mark *marks, const char *text, size_t n_bytes,
			   struct buf *out)
{
	enum sc_status status = SC_OK;

	for (size_t at = 0, n = 1; at < n_bytes && !status; at += n) {
		const struct mark *found = NULL;

		for (size_t i = 1; i < N_MARKS && !found; i++) {
			n = strlen(texts[i]);
			if (marks[i].is_control && n <= n_bytes - at &&
			    !memcmp(texts[i], text + at, n))
				found = &marks[i];
		}
		if (!found)
			n = 1;
		status = found ? buf_add(out, found->text, found->n_bytes)
			       : buf_add(out, text + at, 1);
	}
	return status;
}

/* The token's name is complete: only marks go on. */
static enum sc_status end_name(struct mark_filter *filter, const struct mark *marks,
			       struct buf *out)
{
	filter->is_inside = false;
	for (size_t i = 1; i < N_MARKS; i++)
		if (marks[i].is_control && marks[i].n_bytes == filter->n_name + 2 &&
		    !memcmp(marks[i].text + 1, filter->name, filter->n_name))
			return buf_add(out, marks[i].text, marks[i].n_bytes);
	return SC_OK;
}

/* The first byte of a mark's frame in n bytes of text, or n. */
static size_t find_frame(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == CHAT_MARK_BEGIN || text[i] == CHAT_MARK_END)
			return i;
	return n;
}

enum sc_status mark_filter_add(struct mark_filter *filter, const struct mark *marks,
			       const char *text, size_t n_bytes, struct buf *out)
{
	size_t at = 0;

	while (at < n_bytes) {
		size_t n = find_frame(text + at, n_bytes - at);
		enum sc_status status = SC_OK;

		if (!filter->is_inside)
			status = buf_add(out, text + at, n);
		else if (filter->n_name + n <= sizeof filter->name)
			memcpy(filter->name + filter->n_name, text + at, n);
		filter->n_name += n;
		if (status)
			return status;
		at += n;
		if (at == n_bytes)
			break;
		if (text[at] == CHAT_MARK_END && filter->is_inside &&
		    filter->n_name <= sizeof filter->name)
			status = end_name(filter, marks, out);
		filter->is_inside = text[at++] == CHAT_MARK_BEGIN;
		filter->n_name = 0;
		if (status)
			return status;
	}
	return SC_OK;
}
