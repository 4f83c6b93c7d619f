/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a name and one JSON value:
 * - DeepSeek V3.1: <call> NAME <sep> {...} <end>; V3 and R1: <call> function <sep> NAME, a line
 *   break, {...} in a fence of Markdown, <end>. What is behind <sep> tells the two apart.
 * - Kimi K2: <call> functions.NAME:0 <sep> {...} <end>.
 * - Mistral, newer: [TOOL_CALLS] NAME [CALL_ID] ID [ARGS] {...}, where [CALL_ID] and [ARGS] may be
 *   missing; older: [TOOL_CALLS] and an array of objects.
 * - GLM-4: NAME of a tool as the first line of the answer, then {...}.
 */
#include "chat/parser.h"

#include <string.h>

static parser_state value_start, value_run, value_end;

enum progress parse_value_begin(struct chat_parser *parser, enum mark_id close)
{
	parser->value_close = close;
	parser->value_is_fenced = false;
	return parser_go(parser, value_start);
}

/* Behind the name: perhaps a fence, then an object. */
static enum progress value_start(struct chat_parser *parser)
{
	enum mark_match match;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	match = parser->value_is_fenced ? MARK_DIFFERS : parser_match_text(parser, "```json");
	if (match == MARK_BEGINS)
		return PROGRESS_MORE;
	if (match == MARK_MATCHES) {
		parser->value_is_fenced = true;
		return PROGRESS_ON;
	}
	parser_commit(parser);
	if (parser->pending.data[parser->scan] != '{')
		return parser_end_call(parser);
	parser->value = (struct json_scan){ 0 };
	return parser_go(parser, value_run);
}

static enum progress value_run(struct chat_parser *parser)
{
	const size_t from = parser->scan;
	const char *data = parser->pending.data;
	enum json_scan_end end = JSON_GOES_ON;

	while (parser->scan < parser->pending.length && end == JSON_GOES_ON &&
	       data[parser->scan] != CHAT_MARK_BEGIN)
		end = json_scan_next(&parser->value, data[parser->scan++]);
	parser_arguments(parser, data + from, parser->scan - from);
	parser_commit(parser);
	if (end == JSON_GOES_ON && parser->scan == parser->pending.length)
		return PROGRESS_MORE;
	return parser_go(parser, value_end);
}

/* Behind the object: the fence's end and the closing mark, which may be missing. */
static enum progress value_end(struct chat_parser *parser)
{
	enum mark_match match = MARK_DIFFERS;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	if (parser->value_is_fenced) {
		match = parser_match_text(parser, "```");
		if (match == MARK_BEGINS)
			return PROGRESS_MORE;
		parser->value_is_fenced = false;
		if (match == MARK_MATCHES)
			return PROGRESS_ON;
	}
	if (parser->value_close)
		match = parser_match(parser, parser->value_close);
	return match == MARK_BEGINS ? PROGRESS_MORE : parser_end_call(parser);
}

/* Behind the name, which is certain. */
static enum progress begin(struct chat_parser *parser, enum mark_id close)
{
	if (!parser_begin_call(parser))
		return parser_reject(parser);
	return parse_value_begin(parser, close);
}

/* Sets the name to the text from `from` to `to`, without white space around it. */
static bool take_name(struct chat_parser *parser, size_t from, size_t to)
{
	const char *data = parser->pending.data;

	while (from < to && is_json_space(data[from]))
		from++;
	while (to > from && is_json_space(data[to - 1]))
		to--;
	return parser_set_name(parser, data + from, to - from);
}

/* DeepSeek V3 writes the name behind the separator, in a line of its own. */
static enum progress deepseek_separated(struct chat_parser *parser)
{
	size_t n;
	const char *text, *line_end;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	text = parser_view(parser, &n);
	if (*text == '{')
		return begin(parser, MARK_DS_CALL_END);
	line_end = memchr(text, '\n', n);
	if (!line_end && n <= PARSER_MAX_NAME)
		return PROGRESS_MORE;
	if (!line_end || !take_name(parser, parser->scan,
				    parser->scan + (size_t)(line_end - text)))
		return parser_reject(parser);
	parser->scan += (size_t)(line_end - text);
	return begin(parser, MARK_DS_CALL_END);
}

/* Behind the mark of a call: the name, or a type, up to the separator. */
static enum progress separated_name(struct chat_parser *parser, enum mark_id separator)
{
	enum mark_match match;
	size_t end = parser_find_mark(parser, &separator, 1, &match, NULL);

	if (end - parser->scan > PARSER_MAX_NAME + 16)
		return parser_reject(parser);
	if (match != MARK_MATCHES)
		return PROGRESS_MORE;
	if (!take_name(parser, parser->scan, end))
		return parser_reject(parser);
	parser->scan = end + parser->format->marks[separator].n_bytes;
	return PROGRESS_ON;
}

static enum progress deepseek_name(struct chat_parser *parser)
{
	enum progress progress = separated_name(parser, MARK_DS_SEP);

	if (progress == PROGRESS_ON && parser->state == deepseek_name)
		parser->state = deepseek_separated;
	return progress;
}

enum progress deepseek_open(struct chat_parser *parser)
{
	/* The mark of all calls means nothing by itself. */
	if (parser->opened != MARK_DS_CALL)
		return parser_end_call(parser);
	return parser_go(parser, deepseek_name);
}

/* functions.NAME:0 */
static void trim_kimi_name(struct chat_parser *parser)
{
	static const char prefix[] = "functions.";
	const size_t n_prefix = sizeof prefix - 1;
	char *colon = strrchr(parser->name, ':');

	if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon > parser->name)
		*colon = '\0';
	parser->n_name = strlen(parser->name);
	if (parser->n_name > n_prefix && !memcmp(parser->name, prefix, n_prefix)) {
		memmove(parser->name, parser->name + n_prefix, parser->n_name - n_prefix + 1);
		parser->n_name -= n_prefix;
	}
}

static enum progress kimi_name(struct chat_parser *parser)
{
	enum progress progress = separated_name(parser, MARK_KIMI_SEP);

	if (progress == PROGRESS_MORE || parser->state != kimi_name)
		return progress;
	trim_kimi_name(parser);
	return begin(parser, MARK_KIMI_CALL_END);
}

enum progress kimi_open(struct chat_parser *parser)
{
	if (parser->opened != MARK_KIMI_CALL)
		return parser_end_call(parser);
	return parser_go(parser, kimi_name);
}

/* Behind [CALL_ID]: an id of the model's, which is not used. */
static enum progress mistral_call_id(struct chat_parser *parser)
{
	const enum mark_id args = MARK_ARGS;
	enum mark_match match;
	size_t end = parser_find_mark(parser, &args, 1, &match, NULL);

	if (end - parser->scan > PARSER_MAX_NAME)
		return parser_reject(parser);
	if (match != MARK_MATCHES)
		return PROGRESS_MORE;
	parser->scan = end + parser->format->marks[MARK_ARGS].n_bytes;
	return begin(parser, MARK_NONE);
}

static enum progress mistral_name(struct chat_parser *parser)
{
	static const enum mark_id marks[] = { MARK_CALL_ID, MARK_ARGS };
	enum mark_match match;
	size_t n, end = parser_find_mark(parser, marks, 2, &match, NULL);
	const char *text = parser_view(parser, &n);
	const char *brace = memchr(text, '{', end - parser->scan);

	if (brace) {
		end = parser->scan + (size_t)(brace - text);
		match = MARK_MATCHES;
	}
	if (end - parser->scan > PARSER_MAX_NAME || memchr(text, '\n', end - parser->scan))
		return parser_reject(parser);
	if (match != MARK_MATCHES)
		return PROGRESS_MORE;
	if (!take_name(parser, parser->scan, end))
		return parser_reject(parser);
	parser->scan = end;
	if (parser_match(parser, MARK_CALL_ID) == MARK_MATCHES)
		return parser_go(parser, mistral_call_id);
	(void)parser_match(parser, MARK_ARGS);
	return begin(parser, MARK_NONE);
}

enum progress mistral_open(struct chat_parser *parser)
{
	char c;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	c = parser->pending.data[parser->scan];
	return c == '[' || c == '{' ? json_calls_open(parser) : parser_go(parser, mistral_name);
}

enum progress glm4_bare(struct chat_parser *parser)
{
	size_t n, n_name;
	const char *text = parser_view(parser, &n);
	const size_t n_line = n < PARSER_MAX_NAME + 1 ? n : PARSER_MAX_NAME + 1;
	const char *line_end = memchr(text, '\n', n_line), *brace;

	if (!line_end)
		return n > PARSER_MAX_NAME ? parser_reject(parser) : PROGRESS_MORE;
	n_name = (size_t)(line_end - text);
	if (!take_name(parser, parser->scan, parser->scan + n_name) || !parser_find_tool(parser))
		return parser_reject(parser);
	for (brace = line_end; brace < text + n && is_json_space(*brace);)
		brace++;
	if (brace - text > PARSER_MAX_SPACE)
		return parser_reject(parser);
	if (brace == text + n)
		return PROGRESS_MORE;
	if (*brace != '{')
		return parser_reject(parser);
	parser->scan += (size_t)(brace - text);
	return begin(parser, MARK_NONE);
}
