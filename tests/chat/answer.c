/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/chat/answer.h"

#include <stdlib.h>
#include <string.h>

const char answer_tools[] =
	"[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": {"
	"\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}, "
	"\"days\": {\"type\": \"integer\"}, \"flags\": {\"$ref\": \"#/$defs/Flags\"}, "
	"\"exact\": {\"type\": \"boolean\"}, "
	"\"units\": {\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}}, "
	"\"$defs\": {\"Flags\": {\"properties\": {}}}}}}, "
	"{\"type\": \"function\", \"function\": {\"name\": \"get_time\"}}]";

struct recorder {
	struct buf text;
	enum chat_delta_kind last;
	bool is_open;
	uint32_t n_calls;
};

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void open_part(struct recorder *recorder, enum chat_delta_kind kind, const char *name)
{
	if (recorder->is_open && recorder->last == kind && kind != CHAT_TOOL_BEGIN)
		return;
	if (recorder->is_open && !(kind == CHAT_TOOL_ARGUMENTS &&
				   recorder->last == CHAT_TOOL_BEGIN))
		must(!buf_add_string(&recorder->text, "} "));
	if (kind != CHAT_TOOL_ARGUMENTS)
		must(!buf_add_format(&recorder->text, "%s{", name));
	recorder->is_open = true;
	recorder->last = kind;
}

static enum sc_status record(void *arg, const struct chat_delta *delta)
{
	struct recorder *recorder = arg;
	static const char *const names[] = { "C", "R" };

	if (delta->kind == CHAT_TOOL_BEGIN) {
		must(strlen(delta->id) == 9 && delta->name[0]);
		must(delta->index == recorder->n_calls++);
		open_part(recorder, delta->kind, delta->name);
		return SC_OK;
	}
	must(delta->n_bytes);
	if (delta->kind == CHAT_TOOL_ARGUMENTS) {
		must(delta->index + 1 == recorder->n_calls);
		must(recorder->last == CHAT_TOOL_BEGIN || recorder->last == CHAT_TOOL_ARGUMENTS);
		open_part(recorder, delta->kind, NULL);
	} else {
		open_part(recorder, delta->kind, names[delta->kind]);
	}
	must(!buf_add(&recorder->text, delta->text, delta->n_bytes));
	return SC_OK;
}

struct mark answer_control_mark(enum mark_id id)
{
	static const enum mark_id texts[] = {
		MARK_NONE, MARK_THOUGHT, MARK_RESPONSE, MARK_FUNCTION, MARK_PARAMETER, MARK_ACTION,
		MARK_FUNCTOOLS,
	};
	const char *text = mark_text(id);
	const size_t n = strlen(text);
	struct mark mark = { .is_control = true };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (texts[i] == id)
			mark.is_control = false;
	if (mark.is_control)
		mark.text[mark.n_bytes++] = CHAT_MARK_BEGIN;
	memcpy(mark.text + mark.n_bytes, text, n);
	mark.n_bytes = (uint8_t)(mark.n_bytes + n);
	if (mark.is_control)
		mark.text[mark.n_bytes++] = CHAT_MARK_END;
	return mark;
}

static void make_control(struct mark *marks)
{
	for (size_t i = 0; i < N_MARKS; i++)
		marks[i] = answer_control_mark((enum mark_id)i);
}

static size_t piece(uint64_t *pieces, size_t left)
{
	size_t n;

	if (*pieces <= 1)
		return *pieces ? 1 : left;
	*pieces = *pieces * 6364136223846793005u + 1442695040888963407u;
	n = 1 + (*pieces >> 33) % 7;
	return n < left ? n : left;
}

static void feed(struct chat_parser *parser, const struct buf *output, uint64_t pieces)
{
	for (size_t at = 0, n; at < output->length; at += n) {
		n = piece(&pieces, output->length - at);
		/* A copy of exactly n bytes, so that sanitizers see more being read. */
		char *copy = malloc(n);

		must(copy);
		memcpy(copy, output->data + at, n);
		must(!chat_parser_add(parser, copy, n));
		free(copy);
	}
	must(!chat_parser_finish(parser));
}

struct buf read_output(const struct answer *answer, const struct buf *output, uint64_t pieces,
		       bool with_control)
{
	struct chat_format format = { 0 };
	json_t *tools = json_loads(answer->tools ? answer->tools : answer_tools, 0, NULL);
	const char *prompt_text = answer->prompt ? answer->prompt : "";
	struct chat_request request = {
		.tools = answer->has_no_tools ? NULL : tools, .tool_choice = answer->choice,
		.tool_name = answer->tool_name,
	};
	struct chat_prompt prompt = {
		.text = BUF_INIT, .from_template = BUF_INIT, .prefill_text = BUF_INIT,
		.starts_in_reasoning = answer->starts_in_reasoning, .prefill = "",
	};
	struct recorder recorder = { .text = BUF_INIT };
	struct chat_parser *parser;

	must(tools && !buf_add_string(&prompt.text, prompt_text) &&
	     !buf_add_string(&prompt.from_template, prompt_text));
	must(!format_find_family(&format, answer->template, NULL));
	if (with_control)
		make_control(format.marks);
	must(!chat_parser_create(&format, &request, &prompt, record, &recorder, &parser));
	feed(parser, output, pieces);
	must(chat_parser_n_tool_calls(parser) == recorder.n_calls);
	if (recorder.is_open)
		must(!buf_add_string(&recorder.text, "}"));
	chat_parser_destroy(parser);
	json_decref(tools);
	buf_deinit(&prompt.text);
	buf_deinit(&prompt.from_template);
	return recorder.text;
}

struct buf read_answer(const struct answer *answer, uint64_t pieces, bool with_control)
{
	struct chat_format format = { 0 };
	struct buf output = BUF_INIT, found;

	must(!format_find_family(&format, answer->template, NULL));
	if (with_control)
		make_control(format.marks);
	must(!marks_frame(format.marks, answer->output, strlen(answer->output), &output));
	found = read_output(answer, &output, pieces, with_control);
	buf_deinit(&output);
	return found;
}
