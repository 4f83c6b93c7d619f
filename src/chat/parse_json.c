/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls as JSON: {"name": NAME, "arguments": {...}}, alone or in an array.
 * - The name's key is name, tool_name or function; that of the arguments arguments or parameters.
 *   {"function": {...}} may be around both. Other keys are skipped.
 * - Arguments are passed on as they are written. If they are a string, as some models write them,
 *   its text is.
 * - Without a mark before it, an object is a call only if its first keys are these, its name is
 *   that of a tool, and its arguments are an object.
 */
#include "chat/parser.h"

#include <string.h>

enum state {
	AT_START,
	AT_ITEM,	/* of the array */
	AT_KEY,
	IN_KEY,
	AT_COLON,
	AT_VALUE,
	IN_NAME,
	IN_ARGUMENTS,
	IN_ARGUMENT_TEXT,	/* arguments in a string */
	IN_OTHER,
	AT_END,		/* behind the object or the array */
	BROKEN,
};

enum key { KEY_NAME, KEY_FUNCTION, KEY_ARGUMENTS, KEY_KNOWN, KEY_OTHER };

static enum key find_key(const struct json_calls *calls)
{
	static const struct {
		const char *text;
		enum key key;
	} keys[] = {
		{ "name", KEY_NAME }, { "tool_name", KEY_NAME }, { "function", KEY_FUNCTION },
		{ "arguments", KEY_ARGUMENTS }, { "parameters", KEY_ARGUMENTS },
		{ "type", KEY_KNOWN }, { "id", KEY_KNOWN }, { "tool_call_id", KEY_KNOWN },
	};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strlen(keys[i].text) == calls->n_key &&
		    !memcmp(keys[i].text, calls->key_text, calls->n_key))
			return keys[i].key;
	return KEY_OTHER;
}

static void start_object(struct chat_parser *parser)
{
	struct json_calls *calls = &parser->json;

	calls->has_name = calls->has_arguments = calls->has_begun = calls->is_silent = false;
	calls->n_nested = 0;
	parser->n_name = 0;
	calls->state = AT_KEY;
}

static void pass_on(struct chat_parser *parser, const char *text, size_t n)
{
	if (!parser->json.is_silent)
		parser_arguments(parser, text, n);
}

/* Command-R calls a tool that is none in order to say that it needs none. */
static bool is_no_call(const struct chat_parser *parser)
{
	return parser->json.ends_fence && !parser_find_tool(parser) &&
	       (!strcmp(parser->name, "directly_answer") ||
		!strcmp(parser->name, "directly-answer"));
}

/* Name and beginning of the arguments are known. */
static void begin(struct chat_parser *parser)
{
	struct json_calls *calls = &parser->json;
	size_t start = parser->at + calls->arguments_start;
	size_t end = parser->at + calls->arguments_end;

	calls->is_silent = is_no_call(parser);
	if (!calls->is_silent && !parser_begin_call(parser)) {
		calls->state = BROKEN;
		return;
	}
	calls->has_begun = true;
	/* Arguments that came before the name lie in front of what is committed now. */
	if (calls->has_arguments)
		pass_on(parser, parser->pending.data + start, end - start);
}

static void end_name(struct chat_parser *parser)
{
	struct json_calls *calls = &parser->json;

	calls->state = AT_KEY;
	parser->name[parser->n_name] = '\0';
	if (!parser->n_name || strlen(parser->name) != parser->n_name ||
	    (calls->is_bare && !parser_find_tool(parser))) {
		calls->state = BROKEN;
		return;
	}
	calls->has_name = true;
	if (!calls->is_bare || calls->has_arguments)
		begin(parser);
}

static void name_byte(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;
	char bytes[8];
	size_t n;
	bool is_end = json_unescape_next(&calls->unescape, c, bytes, &n);

	if (calls->has_name)
		n = 0;
	if (parser->n_name + n > PARSER_MAX_NAME) {
		calls->state = BROKEN;
		return;
	}
	memcpy(parser->name + parser->n_name, bytes, n);
	parser->n_name += n;
	if (is_end && calls->has_name)
		calls->state = AT_KEY;
	else if (is_end)
		end_name(parser);
}

static void argument_text_byte(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;
	char bytes[8];
	size_t n;
	bool is_end = json_unescape_next(&calls->unescape, c, bytes, &n);

	if (buf_add(&parser->written, bytes, n))
		parser->status = SC_E_NOMEM;
	if (is_end)
		calls->state = AT_KEY;
}

/* The first byte of arguments. Returns what reads them. */
static enum state start_arguments(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;

	if (calls->has_arguments || (calls->is_bare && c != '{'))
		return calls->is_bare ? BROKEN : IN_OTHER;
	if (calls->has_name && !calls->has_begun) {
		begin(parser);
		if (calls->state == BROKEN)
			return BROKEN;
	}
	if (c == '"' && !calls->has_begun)
		return BROKEN;	/* its text would have to be kept until the name is known */
	if (c != '{' && c != '[' && c != '"')
		return IN_OTHER;	/* null: none */
	calls->has_arguments = true;
	calls->arguments_start = parser->scan - parser->at;
	return c == '"' ? IN_ARGUMENT_TEXT : IN_ARGUMENTS;
}

static void value_start(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;
	enum key key = calls->key;

	calls->unescape = (struct json_unescape){ 0 };
	(void)json_scan_first(&calls->scan, c);
	calls->state = IN_OTHER;
	if (key == KEY_FUNCTION && c == '{' && calls->n_nested < 4) {
		calls->n_nested++;
		calls->state = AT_KEY;
	} else if ((key == KEY_NAME || key == KEY_FUNCTION) && c == '"' && !calls->has_name) {
		calls->state = IN_NAME;
	} else if (key == KEY_ARGUMENTS) {
		calls->state = start_arguments(parser, c);
	} else if (key != KEY_KNOWN && calls->is_bare) {
		calls->state = BROKEN;
	}
}

static void end_object(struct chat_parser *parser)
{
	struct json_calls *calls = &parser->json;

	if (calls->n_nested) {
		calls->n_nested--;
		return;
	}
	if (!calls->has_begun) {
		calls->state = BROKEN;
		return;
	}
	if (!calls->has_arguments)
		pass_on(parser, "{}", 2);
	calls->state = calls->is_array ? AT_ITEM : AT_END;
	parser->is_in_call = false;
}

static void start_byte(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;

	if (c == '[' && calls->state == AT_START && !calls->is_bare) {
		calls->is_array = true;
		calls->state = AT_ITEM;
	} else if (c == '{') {
		start_object(parser);
	} else if (calls->state == AT_ITEM && c == ']') {
		calls->state = AT_END;
	} else if (calls->state != AT_ITEM || c != ',') {
		calls->state = BROKEN;
	}
}

static void key_byte(struct json_calls *calls, char c)
{
	if (c == '"') {
		calls->key = (uint8_t)find_key(calls);
		calls->state = AT_COLON;
	} else if (c == '\\') {
		calls->state = BROKEN;	/* no key of a call has an escape */
	} else if (calls->n_key < sizeof calls->key_text) {
		calls->key_text[calls->n_key++] = c;
	}
}

/* Between values. Returns false if the byte does not belong there. */
static bool outer_byte(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;

	if (is_json_space(c))
		return true;
	if (calls->state == AT_START || calls->state == AT_ITEM) {
		start_byte(parser, c);
	} else if (calls->state == AT_VALUE) {
		value_start(parser, c);
	} else if (calls->state == AT_COLON) {
		calls->state = c == ':' ? AT_VALUE : BROKEN;
	} else if (c == '"') {
		calls->n_key = 0;
		calls->state = IN_KEY;
	} else if (c == '}') {
		end_object(parser);
	} else if (c != ',') {
		calls->state = BROKEN;
	}
	return calls->state != BROKEN;
}

/* A value that is passed on or skipped. Returns true if the byte was part of it. */
static bool value_byte(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;
	enum json_scan_end end = json_scan_next(&calls->scan, c);

	if (end == JSON_GOES_ON)
		return true;
	if (calls->state == IN_ARGUMENTS)
		calls->arguments_end = parser->scan + (end == JSON_ENDS_AFTER) - parser->at;
	calls->state = AT_KEY;
	return end == JSON_ENDS_AFTER;
}

/* Reads the byte at scan. Returns whether it was used. */
static bool calls_byte(struct chat_parser *parser, char c)
{
	struct json_calls *calls = &parser->json;

	if (c == CHAT_MARK_BEGIN) {
		calls->state = BROKEN;
		return false;
	}
	switch (calls->state) {
	case IN_KEY:
		key_byte(calls, c);
		return true;
	case IN_NAME:
		name_byte(parser, c);
		return true;
	case IN_ARGUMENT_TEXT:
		argument_text_byte(parser, c);
		return true;
	case IN_ARGUMENTS:
	case IN_OTHER:
		return value_byte(parser, c);
	default:
		return outer_byte(parser, c);
	}
}

/* Passes on arguments of a call that has begun: bytes of `pending`, and decoded text. */
static void flush(struct chat_parser *parser, size_t from, size_t to)
{
	pass_on(parser, parser->pending.data + from, to - from);
	pass_on(parser, parser->written.data, parser->written.length);
	buf_truncate(&parser->written, 0);
}

static bool is_in_arguments(const struct json_calls *calls)
{
	return calls->has_begun &&
	       (calls->state == IN_ARGUMENTS || calls->state == IN_ARGUMENT_TEXT);
}

static parser_state json_calls_end;

enum progress json_calls_run(struct chat_parser *parser)
{
	struct json_calls *calls = &parser->json;
	size_t from = parser->scan;

	while (parser->scan < parser->pending.length && calls->state < AT_END) {
		bool was_in = is_in_arguments(calls), was_text = calls->state == IN_ARGUMENT_TEXT;

		if (!was_in)
			from = parser->scan;
		if (calls_byte(parser, parser->pending.data[parser->scan]))
			parser->scan++;
		if (was_in && !is_in_arguments(calls))
			flush(parser, from, was_text ? from : parser->scan);
		if (calls->has_begun)
			parser_commit(parser);
		else if (parser->scan - parser->at > PARSER_MAX_HELD)
			calls->state = BROKEN;
	}
	if (is_in_arguments(calls))
		flush(parser, from, calls->state == IN_ARGUMENT_TEXT ? from : parser->scan);
	/* Whole calls before this place stay calls. */
	if (calls->state == BROKEN)
		return calls->has_begun ? parser_end_call(parser) : parser_reject(parser);
	if (calls->state == AT_END)
		return parser_go(parser, json_calls_end);
	if (parser->is_final && calls->state == AT_ITEM && calls->has_begun)
		return parser_end_call(parser);
	return PROGRESS_MORE;
}

/* Behind the calls: brackets too many, the closing mark, or another object. */
static enum progress json_calls_end(struct chat_parser *parser)
{
	struct json_calls *calls = &parser->json;
	enum mark_match match = MARK_DIFFERS;
	char c;

	for (;;) {
		if (!parser_skip_space(parser))
			return parser->is_final ? parser_end_call(parser) : PROGRESS_MORE;
		c = parser->pending.data[parser->scan];
		if (c != '}' && c != ']' && !(calls->is_bare && c == ';'))
			break;
		parser->scan++;
	}
	if (calls->ends_fence) {
		match = parser_match_text(parser, "```");
	} else if (calls->close) {
		match = parser_match(parser, calls->close);
	}
	if (match == MARK_BEGINS && !parser->is_final)
		return PROGRESS_MORE;
	if (match == MARK_BEGINS)
		parser->scan = parser->pending.length;
	if (match != MARK_DIFFERS || c != '{' || calls->is_array)
		return parser_end_call(parser);
	parser->is_in_call = false;
	parser_commit(parser);
	parser->reject_to = parser->at;
	calls->state = AT_START;
	return parser_go(parser, json_calls_run);
}

static enum progress open(struct chat_parser *parser, enum mark_id close)
{
	parser->json = (struct json_calls){ .close = close };
	return parser_go(parser, json_calls_run);
}

enum progress json_calls_open(struct chat_parser *parser)
{
	switch (parser->opened) {
	case MARK_TOOL_CALL:
		return open(parser, MARK_TOOL_CALL_END);
	case MARK_BAR_TOOL_CALL:
		return open(parser, MARK_BAR_TOOL_CALL_END);
	case MARK_CALL_LIST:
		return open(parser, MARK_CALL_LIST_END);
	case MARK_CALLS_TAG:
		return open(parser, MARK_CALLS_TAG_END);
	case MARK_LFM_CALL:
		return open(parser, MARK_LFM_CALL_END);
	case MARK_SEED_CALL:
		return open(parser, MARK_SEED_CALL_END);
	case MARK_PYTHON_START:
		return open(parser, MARK_PYTHON_END);
	case MARK_START_ACTION:
		return open(parser, MARK_END_ACTION);
	case MARK_FUNCTOOLS:
		(void)open(parser, MARK_NONE);
		parser->json.is_array = true;
		parser->json.state = AT_ITEM;
		return PROGRESS_ON;
	default:
		return open(parser, MARK_NONE);
	}
}

enum progress json_calls_bare(struct chat_parser *parser)
{
	(void)open(parser, MARK_NONE);
	parser->json.is_bare = true;
	return PROGRESS_ON;
}

/* Command-R: Action: ```json [...] ``` */
enum progress json_calls_action(struct chat_parser *parser)
{
	enum mark_match match;

	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	match = parser_match_text(parser, "```json");
	if (match == MARK_BEGINS)
		return PROGRESS_MORE;
	if (match == MARK_DIFFERS)
		return parser_reject(parser);
	(void)open(parser, MARK_NONE);
	parser->json.ends_fence = true;
	return PROGRESS_ON;
}
