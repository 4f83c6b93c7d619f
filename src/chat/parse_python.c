/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in Python: [f(a=1, b='x'), g()] (Llama 4, LFM 2), and f.call(a="x") (Llama 3's own tools).
 * Literals become JSON as they come. Names must be those of tools, and arguments have names.
 */
#include "chat/parser.h"

#include <stdio.h>
#include <string.h>

enum state {
	AT_CALL,	/* in the list */
	IN_FUNCTION,	/* its name */
	AT_KEY,
	AT_VALUE,
	BEHIND_VALUE,
	IN_STRING,
	IN_ESCAPE,
	IN_HEX,
	IN_WORD,	/* a number or a name */
	AT_END,
	BROKEN,
};

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-' || c == '+';
}

/* Returns false if the word is too long. */
static bool add_to_word(struct python_calls *python, char c)
{
	if (!is_word_byte(c) || python->n_word == sizeof python->word)
		return false;
	python->word[python->n_word++] = c;
	return true;
}

static enum state begin_call(struct chat_parser *parser)
{
	static const char suffix[] = ".call";
	struct python_calls *python = &parser->python;
	const size_t n_suffix = sizeof suffix - 1;

	if (!parser_set_name(parser, python->word, python->n_word))
		return BROKEN;
	if (!parser_find_tool(parser) && parser->n_name > n_suffix &&
	    !strcmp(parser->name + parser->n_name - n_suffix, suffix)) {
		parser->n_name -= n_suffix;
		parser->name[parser->n_name] = '\0';
	}
	if (!parser_find_tool(parser) || !parser_begin_call(parser))
		return BROKEN;
	python->n_word = python->depth = 0;
	python->needs_comma = false;
	python->has_begun = true;
	parser_write(parser, "{");
	return AT_KEY;
}

static enum state end_call(struct chat_parser *parser)
{
	parser_write(parser, "}");
	parser_flush(parser);
	parser->is_in_call = false;
	parser->python.n_word = 0;
	return parser->python.is_listed ? AT_CALL : AT_END;
}

static enum state call_byte(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;

	if (python->n_word && c == '(')
		return begin_call(parser);
	if (add_to_word(python, c))
		return IN_FUNCTION;
	if (python->n_word)
		return BROKEN;
	if (python->is_listed && c == ']')
		return AT_END;
	return is_json_space(c) || (python->is_listed && c == ',') ? AT_CALL : BROKEN;
}

static void write_comma(struct chat_parser *parser)
{
	if (parser->python.needs_comma)
		parser_write(parser, ", ");
	parser->python.needs_comma = false;
}

static enum state key_byte(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;

	if (c == '=' && python->n_word) {
		write_comma(parser);
		parser_write(parser, "\"");
		parser_write_escaped(parser, python->word, python->n_word);
		parser_write(parser, "\": ");
		python->n_word = 0;
		return AT_VALUE;
	}
	if (c == ')' && !python->n_word)
		return end_call(parser);
	return is_json_space(c) || add_to_word(python, c) ? AT_KEY : BROKEN;
}

static enum state open_container(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;

	if (python->depth == PYTHON_MAX_DEPTH)
		return BROKEN;
	write_comma(parser);
	parser_write(parser, c == '{' ? "{" : "[");
	python->is_key[python->depth] = c == '{';
	python->closers[python->depth++] = c == '{' ? '}' : c == '[' ? ']' : ')';
	return AT_VALUE;
}

static enum state close_container(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;

	if (!python->depth || python->closers[python->depth - 1] != c)
		return BROKEN;
	python->depth--;
	python->needs_comma = false;
	parser_write(parser, c == '}' ? "}" : "]");
	return BEHIND_VALUE;
}

static enum state value_byte(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;

	if (is_json_space(c))
		return AT_VALUE;
	if (c == '"' || c == '\'') {
		write_comma(parser);
		parser_write(parser, "\"");
		python->quote = c;
		return IN_STRING;
	}
	if (c == '[' || c == '{' || c == '(')
		return open_container(parser, c);
	if (c == ']' || c == '}' || c == ')')
		return close_container(parser, c);
	write_comma(parser);
	return add_to_word(python, c) ? IN_WORD : BROKEN;
}

static enum state behind_value_byte(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;
	bool *is_key = python->depth ? &python->is_key[python->depth - 1] : NULL;
	bool is_dictionary = is_key && python->closers[python->depth - 1] == '}';

	if (is_json_space(c))
		return BEHIND_VALUE;
	if (c == ':' && is_dictionary && *is_key) {
		parser_write(parser, ": ");
		*is_key = false;
		return AT_VALUE;
	}
	if (c == ',') {
		python->needs_comma = true;
		if (is_dictionary)
			*is_key = true;
		return python->depth ? AT_VALUE : AT_KEY;
	}
	if (c == ')' && !python->depth)
		return end_call(parser);
	return close_container(parser, c);
}

static bool is_number(const char *word, size_t n)
{
	json_t *json = json_loadb(word, n, JSON_DECODE_ANY, NULL);
	bool is = json_is_number(json);

	json_decref(json);
	return is;
}

static void write_word(struct chat_parser *parser, bool is_key)
{
	static const struct {
		const char *python, *json;
	} words[] = {
		{ "True", "true" }, { "False", "false" }, { "None", "null" },
		{ "true", "true" }, { "false", "false" }, { "null", "null" },
	};
	struct python_calls *python = &parser->python;

	for (size_t i = 0; i < sizeof words / sizeof *words && !is_key; i++) {
		if (strlen(words[i].python) != python->n_word ||
		    memcmp(words[i].python, python->word, python->n_word))
			continue;
		parser_write(parser, words[i].json);
		return;
	}
	if (!is_key && is_number(python->word, python->n_word)) {
		parser_write_bytes(parser, python->word, python->n_word);
		return;
	}
	parser_write(parser, "\"");
	parser_write_escaped(parser, python->word, python->n_word);
	parser_write(parser, "\"");
}

static enum state word_byte(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;

	if (add_to_word(python, c))
		return IN_WORD;
	if (is_word_byte(c))
		return BROKEN;
	write_word(parser, python->depth && python->is_key[python->depth - 1]);
	python->n_word = 0;
	return behind_value_byte(parser, c);
}

static enum state escape_byte(struct chat_parser *parser, char c)
{
	struct python_calls *python = &parser->python;
	static const char from[] = "ntrbf", digits[] = "xuU";
	const char *digit = c ? strchr(digits, c) : NULL;

	if (digit) {
		python->n_hex = (uint8_t)(2u << (digit - digits));
		python->code = 0;
		return IN_HEX;
	}
	if (c == '\n')
		return IN_STRING;	/* the line goes on */
	if (c && strchr(from, c)) {
		parser_write(parser, "\\");
		parser_write_bytes(parser, &c, 1);
		return IN_STRING;
	}
	/* A backslash that escapes nothing stays. */
	if (c != '\\' && c != '\'' && c != '"')
		parser_write(parser, "\\\\");
	parser_write_escaped(parser, &c, 1);
	return IN_STRING;
}

static void write_code(struct chat_parser *parser, uint32_t code)
{
	char text[16];
	int n;

	if (code > 0x10FFFF)
		code = 0xFFFD;
	if (code > 0xFFFF)
		n = snprintf(text, sizeof text, "\\u%04x\\u%04x",
			     (unsigned)(0xD800 + ((code - 0x10000) >> 10)),
			     (unsigned)(0xDC00 + ((code - 0x10000) & 0x3FF)));
	else
		n = snprintf(text, sizeof text, "\\u%04x", (unsigned)code);
	parser_write_bytes(parser, text, (size_t)n);
}

static enum state hex_byte(struct chat_parser *parser, char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	struct python_calls *python = &parser->python;
	const char *digit = c ? strchr(digits, c) : NULL;

	if (!digit)
		return BROKEN;
	python->code = python->code << 4 | (uint32_t)((digit - digits) & 15);
	if (--python->n_hex)
		return IN_HEX;
	write_code(parser, python->code);
	return IN_STRING;
}

static enum state string_byte(struct chat_parser *parser, char c)
{
	if (c == '\\')
		return IN_ESCAPE;
	if (c == parser->python.quote) {
		parser_write(parser, "\"");
		return BEHIND_VALUE;
	}
	parser_write_escaped(parser, &c, 1);
	return IN_STRING;
}

static enum state next_state(struct chat_parser *parser, char c)
{
	if (c == CHAT_MARK_BEGIN)
		return BROKEN;
	switch (parser->python.state) {
	case AT_CALL:
	case IN_FUNCTION: return call_byte(parser, c);
	case AT_KEY: return key_byte(parser, c);
	case AT_VALUE: return value_byte(parser, c);
	case BEHIND_VALUE: return behind_value_byte(parser, c);
	case IN_STRING: return string_byte(parser, c);
	case IN_ESCAPE: return escape_byte(parser, c);
	case IN_HEX: return hex_byte(parser, c);
	default: return word_byte(parser, c);
	}
}

static parser_state python_run, python_end, python_code;

/* What is there is no call, or not all of one. */
static enum progress break_off(struct chat_parser *parser)
{
	if (parser->is_in_call)
		return parser_end_call(parser);
	if (parser->python.has_begun || !parser->python.code_tool)
		return parser_reject(parser);
	parser->scan = parser->at + parser->python.start;
	return parser_go(parser, python_code);
}

static enum progress python_run(struct chat_parser *parser)
{
	struct python_calls *python = &parser->python;

	while (parser->scan < parser->pending.length && python->state < AT_END) {
		python->state = (uint8_t)next_state(parser, parser->pending.data[parser->scan]);
		parser->scan += python->state != BROKEN;
		/* The name of a second call may still turn out to be none. */
		if (python->has_begun && python->state != IN_FUNCTION && python->state != BROKEN)
			parser_commit(parser);
	}
	if (parser->is_in_call)
		parser_flush(parser);
	if (python->state == BROKEN)
		return break_off(parser);
	if (python->state == AT_END)
		return parser_go(parser, python_end);
	if (parser->is_final && !python->has_begun && python->code_tool)
		return break_off(parser);
	return PROGRESS_MORE;
}

static enum progress python_end(struct chat_parser *parser)
{
	enum mark_match match = MARK_DIFFERS;

	if (parser->python.close) {
		if (!parser_skip_space(parser))
			return parser->is_final ? parser_end_call(parser) : PROGRESS_MORE;
		match = parser_match(parser, parser->python.close);
	}
	return match == MARK_BEGINS && !parser->is_final ? PROGRESS_MORE : parser_end_call(parser);
}

/* Everything up to the answer's end is code. */
static enum progress python_code(struct chat_parser *parser)
{
	size_t n;
	const char *text = parser_view(parser, &n);
	const char *name = tool_name(parser->python.code_tool);

	if (!parser->is_in_call) {
		if (!parser_set_name(parser, name, strlen(name)) || !parser_begin_call(parser))
			return parser_reject(parser);
		parser_write(parser, "{\"code\": \"");
	}
	parser_write_escaped(parser, text, n);
	parser->scan += n;
	parser_commit(parser);
	if (parser->is_final)
		parser_write(parser, "\"}");
	parser_flush(parser);
	return PROGRESS_MORE;
}

static enum progress open(struct chat_parser *parser, enum mark_id close)
{
	parser->python = (struct python_calls){
		.close = close, .start = parser->scan - parser->at,
		.is_listed = parser->pending.data[parser->scan] == '[',
	};
	parser->scan += parser->python.is_listed;
	return parser_go(parser, python_run);
}

/* The tool that takes code: a name that Llama knows. */
static const json_t *find_code_tool(const json_t *tools)
{
	static const char *const names[] = { "python", "code_interpreter", "ipython" };
	const json_t *tool = NULL;

	for (size_t i = 0; i < 3 && !tool; i++)
		tool = tools_find(tools, names[i], strlen(names[i]));
	return tool;
}

enum progress llama3_python_open(struct chat_parser *parser)
{
	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	if (parser->pending.data[parser->scan] == '{')
		return json_calls_bare(parser);
	(void)open(parser, MARK_NONE);
	parser->python.code_tool = find_code_tool(parser->tools);
	return PROGRESS_ON;
}

enum progress llama4_bare(struct chat_parser *parser)
{
	switch (parser->pending.data[parser->scan]) {
	case '{':
		return json_calls_bare(parser);
	case '[':
		return open(parser, MARK_NONE);
	default:
		return parser_reject(parser);
	}
}

enum progress llama4_open(struct chat_parser *parser)
{
	if (!parser_skip_space(parser))
		return PROGRESS_MORE;
	if (parser->pending.data[parser->scan] == '{')
		return json_calls_open(parser);
	return open(parser, parser->opened == MARK_LFM_CALL ? MARK_LFM_CALL_END : MARK_PYTHON_END);
}
