/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/parser.h"

#include "chat/call_id.h"
#include "chat/tool_choice.h"

#include <stdlib.h>
#include <string.h>

static void note_marks(struct chat_parser *parser, const enum mark_id *ids)
{
	for (size_t i = 0; i < FAMILY_MAX_MARKS && ids[i]; i++)
		parser->begins[(uint8_t)parser->format->marks[ids[i]].text[0]] = true;
}

/* The part of the prompt behind the last mark of a message's beginning. Harmony's prompts end
 * within a header, or behind one when an answer is continued. */
static size_t find_header(const struct chat_prompt *prompt, size_t *end_out)
{
	static const char start[] = "<|start|>assistant", message[] = "<|message|>";
	const size_t n_start = sizeof start - 1;
	const char *text = prompt->text.data, *end;
	size_t at = prompt->text.length;

	*end_out = at;
	while (at-- > 0) {
		if (strncmp(text + at, start, n_start) || !prompt->from_template.data[at])
			continue;
		end = strstr(text + at, message);
		if (end)
			*end_out = (size_t)(end - text) + sizeof message - 1;
		return at + n_start;
	}
	return prompt->text.length;
}

/* What was put into the prompt belongs to the answer: it is read like output. */
static enum sc_status add_prefill(struct chat_parser *parser, const struct chat_request *request,
				  const struct chat_prompt *prompt)
{
	const struct chat_format *format = parser->format;
	struct buf text = BUF_INIT;
	enum sc_status status;
	size_t end, start;

	if (format->family == &family_harmony) {
		start = find_header(prompt, &end);
		return marks_frame(format->marks, prompt->text.data + start, end - start,
				   &parser->pending);
	}
	status = parser->tools ? tool_choice_prefill(format, request, &text, NULL) : SC_OK;
	if (!status)
		status = marks_frame(format->marks, text.data, text.length, &parser->pending);
	buf_deinit(&text);
	return status;
}

enum sc_status chat_parser_create(const struct chat_format *format,
				  const struct chat_request *request,
				  const struct chat_prompt *prompt, chat_delta_fn *fn, void *arg,
				  struct chat_parser **parser_out)
{
	const struct chat_family *family = format->family;
	struct chat_parser *parser = calloc(1, sizeof *parser);
	bool has_tools = json_array_size(request->tools) &&
			 request->tool_choice != CHAT_TOOLS_NONE;
	enum sc_status status;

	if (!parser)
		return SC_E_NOMEM;
	buf_init(&parser->pending);
	buf_init(&parser->written);
	parser->format = format;
	parser->tools = has_tools && family->prefill ? request->tools : NULL;
	parser->fn = fn;
	parser->arg = arg;
	parser->id_seed = call_id_seed(request->id_seed, prompt->text.data, prompt->text.length);
	parser->may_reason = format->reasoning_open != MARK_NONE;
	parser->state = prompt->starts_in_reasoning ? parse_reasoning : parse_start;
	if (family->first)
		parser->state = family->first;
	if (parser->tools)
		note_marks(parser, family->opens);
	note_marks(parser, family->drops);
	status = add_prefill(parser, request, prompt);
	if (status) {
		chat_parser_destroy(parser);
		return status;
	}
	if (parser->pending.length && !family->first)
		parser->state = parse_start;
	*parser_out = parser;
	return SC_OK;
}

void chat_parser_destroy(struct chat_parser *parser)
{
	if (!parser)
		return;
	buf_deinit(&parser->pending);
	buf_deinit(&parser->written);
	free(parser);
}

static void run(struct chat_parser *parser)
{
	while (!parser->status && parser->state(parser) == PROGRESS_ON)
		;
}

enum sc_status chat_parser_add(struct chat_parser *parser, const char *text, size_t n_bytes)
{
	if (!parser->status)
		parser->status = mark_filter_add(&parser->filter, parser->format->marks, text,
						 n_bytes, &parser->pending);
	run(parser);
	/* What waits is little, or waits for long without moving. */
	buf_consume(&parser->pending, parser->at);
	parser->scan -= parser->at;
	parser->reject_to -= parser->reject_to < parser->at ? parser->reject_to : parser->at;
	parser->at = 0;
	return parser->status;
}

enum sc_status chat_parser_finish(struct chat_parser *parser)
{
	parser->is_final = true;
	run(parser);
	/* A state that wants more text holds the rest: of a call that has begun, nothing is left to
	 * say; anything else was no call. Each turn takes at least the mark of a call. */
	while (!parser->status && !parser->is_in_call && parser->at < parser->pending.length) {
		(void)parser_reject(parser);
		run(parser);
	}
	return parser->status;
}

uint32_t chat_parser_n_tool_calls(const struct chat_parser *parser)
{
	return parser->n_calls;
}

bool parser_skip_space(struct chat_parser *parser)
{
	const struct buf *pending = &parser->pending;

	while (parser->scan < pending->length && is_json_space(pending->data[parser->scan]))
		parser->scan++;
	return parser->scan < pending->length;
}

enum mark_match parser_match(struct chat_parser *parser, enum mark_id id)
{
	size_t n;
	const char *text = parser_view(parser, &n);
	enum mark_match match = mark_compare(&parser->format->marks[id], text, n);

	if (match == MARK_MATCHES)
		parser->scan += parser->format->marks[id].n_bytes;
	return match;
}

enum mark_match parser_match_text(struct chat_parser *parser, const char *text)
{
	size_t n, length = strlen(text);
	const char *found = parser_view(parser, &n);

	if (n < length)
		return memcmp(found, text, n) ? MARK_DIFFERS : MARK_BEGINS;
	if (memcmp(found, text, length))
		return MARK_DIFFERS;
	parser->scan += length;
	return MARK_MATCHES;
}

size_t parser_find_mark(const struct chat_parser *parser, const enum mark_id *ids, size_t n_ids,
			enum mark_match *match_out, enum mark_id *id_out)
{
	size_t n;
	const char *text = parser_view(parser, &n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n_ids; k++) {
			*match_out = mark_compare(&parser->format->marks[ids[k]], text + i, n - i);
			if (*match_out == MARK_DIFFERS)
				continue;
			if (id_out)
				*id_out = ids[k];
			return parser->scan + i;
		}
	}
	*match_out = MARK_DIFFERS;
	return parser->pending.length;
}

void parser_commit(struct chat_parser *parser)
{
	parser->at = parser->scan;
}

static void send(struct chat_parser *parser, const struct chat_delta *delta)
{
	if (!parser->status)
		parser->status = parser->fn(parser->arg, delta);
}

void parser_emit(struct chat_parser *parser, enum chat_delta_kind kind, const char *text, size_t n)
{
	struct chat_delta delta = { .kind = kind };

	if (kind == CHAT_TOOL_ARGUMENTS)
		delta.index = parser->n_calls - 1;
	while (n) {
		/* A control token that means nothing here is not shown. */
		const char *frame = memchr(text, CHAT_MARK_BEGIN, n);
		const char *end = frame ? memchr(frame, CHAT_MARK_END,
						 n - (size_t)(frame - text)) : NULL;

		delta.text = text;
		delta.n_bytes = frame ? (size_t)(frame - text) : n;
		if (delta.n_bytes)
			send(parser, &delta);
		if (!end)
			return;
		n -= (size_t)(end + 1 - text);
		text = end + 1;
	}
}

bool parser_set_name(struct chat_parser *parser, const char *name, size_t n)
{
	if (!n || n > PARSER_MAX_NAME || memchr(name, CHAT_MARK_BEGIN, n) || memchr(name, 0, n))
		return false;
	memcpy(parser->name, name, n);
	parser->name[n] = '\0';
	parser->n_name = n;
	return true;
}

const json_t *parser_find_tool(const struct chat_parser *parser)
{
	return tools_find(parser->tools, parser->name, parser->n_name);
}

bool parser_begin_call(struct chat_parser *parser)
{
	struct chat_delta delta = {
		.kind = CHAT_TOOL_BEGIN, .index = parser->n_calls, .id = parser->id,
		.name = parser->name, .text = "",
	};

	if (parser->n_calls == PARSER_MAX_CALLS)
		return false;
	call_id_write(parser->id_seed, parser->n_calls++, parser->id);
	parser->is_in_call = true;
	parser_commit(parser);
	send(parser, &delta);
	return true;
}

void parser_arguments(struct chat_parser *parser, const char *text, size_t n)
{
	parser_emit(parser, CHAT_TOOL_ARGUMENTS, text, n);
}

void parser_keep(struct chat_parser *parser, enum sc_status status)
{
	if (!parser->status)
		parser->status = status;
}

void parser_write_bytes(struct chat_parser *parser, const char *text, size_t n)
{
	parser_keep(parser, buf_add(&parser->written, text, n));
}

void parser_write(struct chat_parser *parser, const char *text)
{
	parser_write_bytes(parser, text, strlen(text));
}

void parser_write_escaped(struct chat_parser *parser, const char *text, size_t n)
{
	parser_keep(parser, json_write_escaped(&parser->written, text, n));
}

void parser_flush(struct chat_parser *parser)
{
	parser_arguments(parser, parser->written.data, parser->written.length);
	buf_truncate(&parser->written, 0);
}

enum progress parser_go(struct chat_parser *parser, parser_state *state)
{
	parser->state = state;
	return PROGRESS_ON;
}

enum progress parser_end_call(struct chat_parser *parser)
{
	parser->is_in_call = false;
	parser_commit(parser);
	return parser_go(parser, parse_content);
}

enum progress parser_reject(struct chat_parser *parser)
{
	size_t to = parser->reject_to > parser->at ? parser->reject_to : parser->at;

	parser->is_in_call = false;
	if (parser->scan > to)
		parser->n_reread += parser->scan - to;
	if (parser->n_reread > PARSER_MAX_REREAD)
		parser->tools = NULL;
	parser_emit(parser, CHAT_CONTENT, parser->pending.data + parser->at, to - parser->at);
	parser->at = parser->scan = to;
	return parser_go(parser, parse_content);
}
