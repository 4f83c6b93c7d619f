/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Harmony (gpt-oss): an answer is messages, each with a header: <|channel|> and the channel's name,
 * perhaps to=functions.NAME, and <|message|> before the text.
 * - analysis is reasoning; final, and commentary to nobody, are content.
 * - A message to a function of the request is a call, whatever its channel; one to a tool that the
 *   request does not have (the model knows a browser and an interpreter) is reasoning.
 */
#include "chat/parser.h"

#include <string.h>

#define MAX_HEADER 512

static parser_state harmony_header, harmony_body;

static const enum mark_id all_marks[] = {
	MARK_START, MARK_CHANNEL, MARK_MESSAGE, MARK_END, MARK_CALL, MARK_RETURN,
};
#define N_ALL (sizeof all_marks / sizeof *all_marks)

static enum progress go_on(struct chat_parser *parser, parser_state *state)
{
	parser_commit(parser);
	return parser_go(parser, state);
}

static enum progress begin_body(struct chat_parser *parser, enum chat_delta_kind kind)
{
	parser->harmony.kind = kind;
	parser->harmony.is_first = true;
	return go_on(parser, harmony_body);
}

/* An answer begins with a header; a model that forgets it writes content. */
enum progress harmony_first(struct chat_parser *parser)
{
	const size_t start = parser->scan;
	enum mark_match to, match;
	enum mark_id id;
	bool is_mark;

	if (start == parser->pending.length)
		return PROGRESS_MORE;
	is_mark = parser_find_mark(parser, all_marks, N_ALL, &match, &id) == start;
	to = parser_match_text(parser, " to=");
	parser->scan = start;
	if (to == MARK_MATCHES || (is_mark && match == MARK_MATCHES))
		return parser_go(parser, harmony_header);
	if (!parser->is_final && (to == MARK_BEGINS || (is_mark && match == MARK_BEGINS)))
		return PROGRESS_MORE;
	return begin_body(parser, CHAT_CONTENT);
}

/* The text behind `key` in the header, up to white space or a mark. */
static size_t find_word(const char *header, size_t n, const char *key, size_t n_key,
			const char **word_out)
{
	for (size_t i = 0; i + n_key <= n; i++) {
		size_t length = 0;

		if (memcmp(header + i, key, n_key))
			continue;
		*word_out = header + i + n_key;
		n -= i + n_key;
		while (length < n && !is_json_space((*word_out)[length]) &&
		       (*word_out)[length] != '<' && (*word_out)[length] != CHAT_MARK_BEGIN)
			length++;
		return length;
	}
	return 0;
}

static bool is_word(const char *word, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(word, text, n);
}

/* Sets the parser's name if the message is a call. */
static enum chat_delta_kind find_kind(struct chat_parser *parser, const char *header, size_t n)
{
	static const char prefix[] = "functions.";
	const size_t n_prefix = sizeof prefix - 1;
	const struct mark *channel_mark = &parser->format->marks[MARK_CHANNEL];
	const char *to = NULL, *channel = NULL;
	size_t n_to = find_word(header, n, "to=", 3, &to);
	size_t n_channel = find_word(header, n, channel_mark->text, channel_mark->n_bytes,
				     &channel);
	bool is_function = n_to > n_prefix && !memcmp(to, prefix, n_prefix);

	if (n_to && parser->tools) {
		size_t skipped = is_function ? n_prefix : 0;

		if (parser_set_name(parser, to + skipped, n_to - skipped) &&
		    (is_function || parser_find_tool(parser)))
			return CHAT_TOOL_BEGIN;
		return CHAT_REASONING;
	}
	return is_word(channel, n_channel, "analysis") ? CHAT_REASONING : CHAT_CONTENT;
}

static enum progress harmony_header(struct chat_parser *parser)
{
	const char *header = parser->pending.data + parser->at;
	enum mark_match match;
	enum mark_id id;
	size_t n;

	for (;;) {
		parser->scan = parser_find_mark(parser, all_marks, N_ALL, &match, &id);
		n = parser->scan - parser->at;
		if (n > MAX_HEADER)
			return begin_body(parser, CHAT_REASONING);
		if (match != MARK_MATCHES) {
			parser->scan = parser->at;
			if (parser->is_final)
				parser->at = parser->pending.length;
			return PROGRESS_MORE;
		}
		parser->scan += parser->format->marks[id].n_bytes;
		if (id == MARK_MESSAGE)
			break;
		/* The header belongs to nothing: another one follows. */
		if (id != MARK_CHANNEL)
			return go_on(parser, harmony_header);
	}
	switch (find_kind(parser, header, n)) {
	case CHAT_TOOL_BEGIN:
		if (!parser_begin_call(parser))
			return begin_body(parser, CHAT_CONTENT);
		return begin_body(parser, CHAT_TOOL_ARGUMENTS);
	case CHAT_REASONING:
		return begin_body(parser, CHAT_REASONING);
	default:
		return begin_body(parser, CHAT_CONTENT);
	}
}

static void emit(struct chat_parser *parser, const char *text, size_t n)
{
	struct harmony *harmony = &parser->harmony;
	bool *had = harmony->kind == CHAT_TOOL_ARGUMENTS
		    ? NULL : &harmony->had[harmony->kind == CHAT_REASONING];

	if (!n)
		return;
	if (had && harmony->is_first) {
		if (*had)
			parser_emit(parser, harmony->kind, "\n\n", 2);
		*had = true;
	}
	harmony->is_first = false;
	parser_emit(parser, harmony->kind, text, n);
}

static enum progress harmony_body(struct chat_parser *parser)
{
	enum mark_match match;
	enum mark_id id;
	size_t end = parser_find_mark(parser, all_marks, N_ALL, &match, &id);

	if (parser->is_final && match == MARK_BEGINS)
		end = parser->pending.length;
	emit(parser, parser->pending.data + parser->scan, end - parser->scan);
	parser->scan = end;
	parser_commit(parser);
	if (match != MARK_MATCHES || end == parser->pending.length)
		return PROGRESS_MORE;
	parser->is_in_call = false;
	/* A mark that begins a header is part of it. */
	if (id != MARK_CHANNEL)
		parser->scan += parser->format->marks[id].n_bytes;
	return go_on(parser, harmony_header);
}
