/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls whose arguments are marked one by one, without quotes:
 * - Qwen3-Coder, Seed: <function=NAME> <parameter=KEY> VALUE </parameter> ... </function>, with a
 *   line break on either side of a value. </parameter> may be missing.
 * - MiniMax-M2: <invoke name="NAME"> <parameter name="KEY">VALUE</parameter> ... </invoke>.
 * - GLM-4.5: NAME <arg_key>KEY</arg_key> <arg_value>VALUE</arg_value> ...
 * The arguments are written as JSON, with types from the tool's schema. A string is passed on as it
 * comes; any other value when it is complete.
 */
#include "chat/parser.h"

#include <string.h>

struct tag_style {
	enum mark_id open;		/* before a name, which '>' ends; MARK_NONE: the name stands
					 * behind the outer mark */
	enum mark_id key, value_end;
	enum mark_id key_end, value;	/* MARK_NONE: ">" ends a key, and the value follows */
	enum mark_id end;		/* of the arguments */
	enum mark_id outer_end;		/* behind that; may be missing */
	bool has_lines;			/* line breaks around a value are not part of it */
};

static const struct tag_style coder_style = {
	.open = MARK_FUNCTION, .key = MARK_PARAMETER, .value_end = MARK_PARAMETER_END,
	.end = MARK_FUNCTION_END, .outer_end = MARK_TOOL_CALL_END, .has_lines = true,
};
static const struct tag_style seed_style = {
	.open = MARK_FUNCTION, .key = MARK_PARAMETER, .value_end = MARK_PARAMETER_END,
	.end = MARK_FUNCTION_END, .outer_end = MARK_SEED_CALL_END, .has_lines = true,
};
static const struct tag_style minimax_style = {
	.open = MARK_INVOKE, .key = MARK_NAMED_PARAMETER, .value_end = MARK_PARAMETER_END,
	.end = MARK_INVOKE_END, .outer_end = MARK_MINIMAX_CALL_END,
};
static const struct tag_style glm_style = {
	.key = MARK_ARG_KEY, .key_end = MARK_ARG_KEY_END, .value = MARK_ARG_VALUE,
	.value_end = MARK_ARG_VALUE_END, .end = MARK_TOOL_CALL_END,
};

static parser_state tags_open, tags_name, tags_next, tags_key, tags_value_start, tags_value,
	tags_close;

static enum progress begin(struct chat_parser *parser, const struct tag_style *style)
{
	if (!parser_begin_call(parser))
		return parser_reject(parser);
	parser->tagged.style = style;
	parser->tagged.is_first = true;
	parser_write(parser, "{");
	parser_flush(parser);
	return parser_go(parser, tags_next);
}

/* Between arguments. */
static enum progress tags_next(struct chat_parser *parser)
{
	const struct tag_style *style = parser->tagged.style;
	enum mark_match key, end, outer = MARK_DIFFERS;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	key = parser_match(parser, style->key);
	if (key == MARK_MATCHES)
		return parser_go(parser, tags_key);
	end = parser_match(parser, style->end);
	if (end != MARK_MATCHES && style->outer_end)
		outer = parser_match(parser, style->outer_end);
	if (end != MARK_MATCHES && outer != MARK_MATCHES &&
	    (key == MARK_BEGINS || end == MARK_BEGINS || outer == MARK_BEGINS))
		return PROGRESS_MORE;
	/* Anything else ends the call, too: what is there is content. */
	parser_write(parser, "}");
	parser_flush(parser);
	parser_commit(parser);
	return end == MARK_MATCHES ? parser_go(parser, tags_close) : parser_end_call(parser);
}

/* Behind the end of the arguments: the outer end, or another call. */
static enum progress tags_close(struct chat_parser *parser)
{
	const struct tag_style *style = parser->tagged.style;
	enum mark_match end, open = MARK_DIFFERS;

	if (!style->outer_end)
		return parser_end_call(parser);
	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	end = parser_match(parser, style->outer_end);
	if (end == MARK_DIFFERS)
		open = parser_match(parser, style->open);
	if (end == MARK_BEGINS || open == MARK_BEGINS)
		return PROGRESS_MORE;
	if (open == MARK_MATCHES) {
		parser->is_in_call = false;
		parser->reject_to = parser->scan;
		return parser_go(parser, tags_name);
	}
	if (end == MARK_DIFFERS)
		parser->scan = parser->at;	/* white space before content */
	return parser_end_call(parser);
}

/* Finds the end of a short text: a mark, or '>' without one. Returns its length, or SIZE_MAX:
 * not there yet, or too far away. */
static size_t find_key_end(const struct chat_parser *parser, enum mark_id id, size_t *n_end_out)
{
	size_t n;
	const char *text = parser_view(parser, &n);

	if (n > PARSER_MAX_NAME + MARK_MAX_BYTES)
		n = PARSER_MAX_NAME + MARK_MAX_BYTES;
	for (size_t i = 0; i < n; i++) {
		*n_end_out = id ? parser->format->marks[id].n_bytes : 1;
		if (id ? mark_compare(&parser->format->marks[id], text + i, n - i) == MARK_MATCHES
		       : text[i] == '>')
			return i;
	}
	return SIZE_MAX;
}

/* <parameter name="KEY"> */
static size_t without_quote(const char *text, size_t n)
{
	return n && text[n - 1] == '"' ? n - 1 : n;
}

static bool is_far(const struct chat_parser *parser)
{
	return parser->pending.length - parser->scan >= PARSER_MAX_NAME + MARK_MAX_BYTES;
}

/* Writes ", " and the key, and finds out its type. */
static void begin_argument(struct chat_parser *parser, const char *key, size_t n)
{
	struct tagged_arguments *tagged = &parser->tagged;

	tagged->types = argument_types(parser_find_tool(parser), key, n);
	parser_write(parser, tagged->is_first ? "\"" : ", \"");
	parser_write_escaped(parser, key, n);
	parser_write(parser, "\": ");
	tagged->is_first = false;
	tagged->is_text = false;
	tagged->n_searched = 0;
}

static enum progress tags_key(struct chat_parser *parser)
{
	const struct tag_style *style = parser->tagged.style;
	size_t n_end, n = find_key_end(parser, style->key_end, &n_end);
	const char *key;

	if (n == SIZE_MAX)
		return is_far(parser) ? parser_end_call(parser) : PROGRESS_MORE;
	key = parser->pending.data + parser->scan;
	begin_argument(parser, key, without_quote(key, n));
	parser->scan += n + n_end;
	return parser_go(parser, tags_value_start);
}

/* Before the value: its mark, or one line break. */
static enum progress tags_value_start(struct chat_parser *parser)
{
	const struct tag_style *style = parser->tagged.style;

	if (style->value) {
		enum mark_match match;

		if (!parser_skip_space(parser))
			return PROGRESS_MORE;
		match = parser_match(parser, style->value);
		if (match == MARK_BEGINS)
			return PROGRESS_MORE;
		if (match == MARK_DIFFERS) {
			buf_truncate(&parser->written, 0);
			return parser_end_call(parser);
		}
	} else if (style->has_lines) {
		if (parser->scan == parser->pending.length)
			return PROGRESS_MORE;
		parser->scan += parser->pending.data[parser->scan] == '\n';
	}
	parser_commit(parser);
	return parser_go(parser, tags_value);
}

/* Whether a value ends at text: how, and how many bytes of the mark to take. */
static enum mark_match match_end(const struct chat_parser *parser, const char *text, size_t n,
				 size_t *n_taken_out)
{
	const struct tag_style *style = parser->tagged.style;
	const struct mark *marks = parser->format->marks;
	const enum mark_id others[] = { style->key, style->end };
	size_t n_line = style->has_lines && *text == '\n';
	enum mark_match match, best = MARK_DIFFERS;

	if (n == n_line)
		return MARK_BEGINS;
	match = mark_compare(&marks[style->value_end], text + n_line, n - n_line);
	*n_taken_out = n_line + marks[style->value_end].n_bytes;
	if (match == MARK_MATCHES)
		return match;
	best = match;
	/* A missing end: the next mark at the start of a line. */
	for (size_t i = 0; i < 2 && n_line; i++) {
		match = mark_compare(&marks[others[i]], text + n_line, n - n_line);
		*n_taken_out = n_line;
		if (match == MARK_MATCHES)
			return match;
		if (match == MARK_BEGINS)
			best = match;
	}
	return best;
}

/* The bytes at scan that certainly belong to the value. *match_out: what is behind them. */
static size_t value_length(struct chat_parser *parser, enum mark_match *match_out,
			   size_t *n_taken_out)
{
	size_t n;
	const char *text = parser_view(parser, &n);
	size_t i = parser->tagged.n_searched;

	for (*match_out = MARK_DIFFERS; i < n; i++) {
		if (text[i] != '\n' && text[i] != '<' && text[i] != CHAT_MARK_BEGIN)
			continue;
		*match_out = match_end(parser, text + i, n - i, n_taken_out);
		if (*match_out != MARK_DIFFERS)
			break;
	}
	parser->tagged.n_searched = i;
	return i;
}

/* Whether the value may still be null, or is of a type that needs all of it. */
static bool must_wait(const struct chat_parser *parser, const char *text, size_t n)
{
	const unsigned types = parser->tagged.types;
	static const char *const words[] = { "null", "None" };

	if (types & ~(unsigned)(ARGUMENT_STRING | ARGUMENT_NULL))
		return n <= PARSER_MAX_HELD;
	for (size_t i = 0; types & ARGUMENT_NULL && i < 2; i++)
		if (n <= 4 && !memcmp(text, words[i], n))
			return true;
	return false;
}

static void pass_text(struct chat_parser *parser, const char *text, size_t n)
{
	parser_write_escaped(parser, text, n);
	parser->scan += n;
	parser->tagged.n_searched -= n;
	parser_flush(parser);
	parser_commit(parser);
}

static enum progress tags_value(struct chat_parser *parser)
{
	struct tagged_arguments *tagged = &parser->tagged;
	enum mark_match match;
	size_t n_taken = 0, n = value_length(parser, &match, &n_taken);
	const char *text = parser->pending.data + parser->scan;

	if (!tagged->is_text && !must_wait(parser, text, n)) {
		parser_write(parser, "\"");
		tagged->is_text = true;
	}
	if (tagged->is_text)
		pass_text(parser, text, n);
	if (match != MARK_MATCHES)
		return PROGRESS_MORE;
	if (tagged->is_text)
		parser_write(parser, "\"");
	else
		parser_keep(parser, argument_write(&parser->written, tagged->types, text, n));
	parser_flush(parser);
	parser->scan += (tagged->is_text ? 0 : n) + n_taken;
	parser_commit(parser);
	return parser_go(parser, tags_next);
}

/* <function=NAME> or <invoke name="NAME"> */
static enum progress tags_name(struct chat_parser *parser)
{
	size_t n_end, n = find_key_end(parser, MARK_NONE, &n_end);
	const char *name = parser->pending.data + parser->scan;

	if (n == SIZE_MAX)
		return is_far(parser) ? parser_reject(parser) : PROGRESS_MORE;
	if (!parser_set_name(parser, name, without_quote(name, n)))
		return parser_reject(parser);
	parser->scan += n + n_end;
	return begin(parser, parser->tagged.style);
}

/* Behind the outer mark. */
static enum progress tags_open(struct chat_parser *parser)
{
	enum mark_match match;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	match = parser_match(parser, parser->tagged.style->open);
	if (match == MARK_BEGINS)
		return PROGRESS_MORE;
	/* Relatives of these models also write JSON there. */
	return match == MARK_DIFFERS ? json_calls_open(parser) : parser_go(parser, tags_name);
}

enum progress qwen_coder_open(struct chat_parser *parser)
{
	parser->tagged.style = parser->opened == MARK_SEED_CALL ? &seed_style
			       : parser->opened == MARK_MINIMAX_CALL ? &minimax_style
			       : &coder_style;
	return parser_go(parser, parser->opened == MARK_FUNCTION ? tags_name : tags_open);
}

/* The name ends at a line break or at a mark. */
enum progress glm45_open(struct chat_parser *parser)
{
	static const enum mark_id ends[] = { MARK_ARG_KEY, MARK_TOOL_CALL_END };
	size_t n, n_name;
	const char *text;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	text = parser_view(parser, &n);
	if (*text == '{')
		return json_calls_open(parser);
	for (n_name = 0; n_name < n && text[n_name] != '\n'; n_name++) {
		enum mark_match match = MARK_DIFFERS;

		for (size_t i = 0; i < 2 && match == MARK_DIFFERS; i++)
			match = mark_compare(&parser->format->marks[ends[i]], text + n_name,
					     n - n_name);
		if (match == MARK_MATCHES)
			break;
		if (match == MARK_BEGINS)
			return PROGRESS_MORE;
	}
	if (n_name > PARSER_MAX_NAME)
		return parser_reject(parser);
	if (n_name == n)
		return PROGRESS_MORE;
	while (n_name && is_json_space(text[n_name - 1]))
		n_name--;
	if (!parser_set_name(parser, text, n_name))
		return parser_reject(parser);
	parser->scan += n_name;
	return begin(parser, &glm_style);
}
