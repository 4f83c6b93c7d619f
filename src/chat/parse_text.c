/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content and reasoning: what is around tool calls.
 * - Reasoning begins only at the start of an answer, because an answer may quote the marks.
 * - White space between a mark of reasoning and the text beside it belongs to neither.
 * - White space before a tool call is dropped, so it waits until it is known what follows.
 */
#include "chat/parser.h"

#include <string.h>

/* The bytes at the end of n bytes of text that are white space and wait; whole portions of
 * PARSER_MAX_SPACE do not wait. */
static size_t waiting_space(const char *text, size_t n)
{
	size_t n_space = 0;

	while (n_space < n && is_json_space(text[n - 1 - n_space]))
		n_space++;
	return n_space % PARSER_MAX_SPACE;
}

static bool is_open(const struct chat_parser *parser, enum mark_id id)
{
	const enum mark_id *opens = parser->format->family->opens;

	for (size_t i = 0; i < FAMILY_MAX_MARKS && opens[i]; i++)
		if (opens[i] == id)
			return true;
	return false;
}

/* The mark at text, of those that matter in content. */
static enum mark_match match_any(const struct chat_parser *parser, const char *text, size_t n,
				 enum mark_id *id_out)
{
	const struct chat_family *family = parser->format->family;
	enum mark_match best = MARK_DIFFERS;

	for (size_t i = 0; i < 2 * FAMILY_MAX_MARKS; i++) {
		bool opens = i < FAMILY_MAX_MARKS;
		enum mark_id id = opens ? family->opens[i] : family->drops[i - FAMILY_MAX_MARKS];
		enum mark_match match;

		if (!id || (opens && !parser->tools) ||
		    (!opens && family->drops_follow_reasoning && !parser->follows_reasoning))
			continue;
		match = mark_compare(&parser->format->marks[id], text, n);
		if (match == MARK_MATCHES) {
			*id_out = id;
			return match;
		}
		if (match == MARK_BEGINS)
			best = match;
	}
	return best;
}

/* The first place where a mark is, or may begin; n if there is none. */
static size_t find_any(const struct chat_parser *parser, const char *text, size_t n,
		       enum mark_match *match_out, enum mark_id *id_out)
{
	for (size_t i = 0; i < n; i++) {
		if (!parser->begins[(uint8_t)text[i]])
			continue;
		*match_out = match_any(parser, text + i, n - i, id_out);
		if (*match_out != MARK_DIFFERS)
			return i;
	}
	*match_out = MARK_DIFFERS;
	return n;
}

static void emit_content(struct chat_parser *parser, size_t n)
{
	parser_emit(parser, CHAT_CONTENT, parser->pending.data + parser->at, n);
	parser->at += n;
	parser->scan = parser->at;
}

enum progress parse_content(struct chat_parser *parser)
{
	const char *text;
	size_t n, n_text;
	enum mark_match match;
	enum mark_id id = MARK_NONE;

	parser->scan = parser->at;
	text = parser_view(parser, &n);
	n_text = find_any(parser, text, n, &match, &id);
	if (parser->is_final && match == MARK_BEGINS) {
		n_text = n;
		match = MARK_DIFFERS;
	}
	if (match == MARK_MATCHES && !is_open(parser, id)) {
		emit_content(parser, n_text);
		parser->at += parser->format->marks[id].n_bytes;
		return PROGRESS_ON;
	}
	if (parser->tools && !(parser->is_final && match == MARK_DIFFERS && !parser->n_calls))
		emit_content(parser, n_text - waiting_space(text, n_text));
	else
		emit_content(parser, n_text);
	if (match != MARK_MATCHES) {
		if (parser->is_final)
			parser->at = parser->scan = parser->pending.length;
		return PROGRESS_MORE;
	}
	parser->scan += waiting_space(text, n_text) + parser->format->marks[id].n_bytes;
	parser->reject_to = parser->scan;
	parser->opened = id;
	return parser_go(parser, parser->format->family->on_open);
}

/* Takes white space at `at`, if it is no part of the answer. */
static bool drop_space(struct chat_parser *parser)
{
	bool is_more = parser_skip_space(parser);

	parser_commit(parser);
	return is_more;
}

/* The start of an answer, or of what follows reasoning. */
enum progress parse_start(struct chat_parser *parser)
{
	parser_state *on_start = parser->tools ? parser->format->family->on_start : NULL;
	bool is_more;

	parser->scan = parser->at;
	if (parser->follows_reasoning && !drop_space(parser))
		return PROGRESS_MORE;
	is_more = parser_skip_space(parser);
	if (parser->scan - parser->at >= PARSER_MAX_SPACE || (!is_more && parser->is_final))
		return parser_go(parser, parse_content);
	if (!is_more)
		return PROGRESS_MORE;
	if (parser->may_reason) {
		enum mark_match match = parser_match(parser, parser->format->reasoning_open);

		if (match == MARK_BEGINS && !parser->is_final)
			return PROGRESS_MORE;
		if (match == MARK_MATCHES) {
			parser_commit(parser);
			return parser_go(parser, parse_reasoning);
		}
	}
	parser->may_reason = false;
	parser->reject_to = parser->at;
	return parser_go(parser, on_start ? on_start : parse_content);
}

/* A tool call that is a control token ends reasoning that was not closed. */
static size_t find_end(const struct chat_parser *parser, const char *text, size_t n,
		       enum mark_match *match_out, bool *is_close_out)
{
	const struct mark *marks = parser->format->marks;
	const enum mark_id *opens = parser->format->family->opens;

	for (size_t i = 0; i < n; i++) {
		*is_close_out = true;
		*match_out = mark_compare(&marks[parser->format->reasoning_close], text + i, n - i);
		if (*match_out != MARK_DIFFERS)
			return i;
		*is_close_out = false;
		if (!parser->tools || text[i] != CHAT_MARK_BEGIN)
			continue;
		for (size_t k = 0; k < FAMILY_MAX_MARKS && opens[k]; k++) {
			*match_out = mark_compare(&marks[opens[k]], text + i, n - i);
			if (*match_out == MARK_MATCHES)
				return i;
		}
	}
	*match_out = MARK_DIFFERS;
	return n;
}

enum progress parse_reasoning(struct chat_parser *parser)
{
	const char *text;
	size_t n, n_text;
	enum mark_match match;
	bool is_close;

	parser->scan = parser->at;
	if (parser->may_reason && !drop_space(parser))
		return PROGRESS_MORE;
	parser->may_reason = false;
	text = parser_view(parser, &n);
	n_text = find_end(parser, text, n, &match, &is_close);
	if (match == MARK_BEGINS && parser->is_final)
		n_text = n;
	n_text -= waiting_space(text, n_text);
	parser_emit(parser, CHAT_REASONING, text, n_text);
	parser->at += n_text;
	parser->scan = parser->at;
	if (match != MARK_MATCHES) {
		if (parser->is_final)
			parser->at = parser->scan = parser->pending.length;
		return PROGRESS_MORE;
	}
	(void)drop_space(parser);
	if (is_close)
		parser->at += parser->format->marks[parser->format->reasoning_close].n_bytes;
	parser->follows_reasoning = true;
	return parser_go(parser, parse_start);
}
