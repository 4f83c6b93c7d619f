/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/lexer.h"

#include "jinja/codepoint.h"

#include <string.h>

void lexer_init(struct lexer *lexer, const char *source, size_t n_bytes)
{
	*lexer = (struct lexer){ .source = source, .n_bytes = n_bytes, .line = 1, .column = 1,
				 .is_line_start = true };
}

bool token_is(const struct token *token, enum token_kind kind, const char *text)
{
	return token->kind == kind && token->n_bytes == strlen(text) &&
	       !memcmp(token->text, text, token->n_bytes);
}

/* Byte i behind the current place, or NUL. */
static char ahead(const struct lexer *lexer, size_t i)
{
	return lexer->at + i < lexer->n_bytes ? lexer->source[lexer->at + i] : '\0';
}

static bool has_ahead(const struct lexer *lexer, const char *text)
{
	size_t n = strlen(text);

	return n <= lexer->n_bytes - lexer->at && !memcmp(lexer->source + lexer->at, text, n);
}

static size_t spaces_ahead(const struct lexer *lexer)
{
	return spaces_before(lexer->source + lexer->at, lexer->n_bytes - lexer->at);
}

/* Line and column follow the tokens, so that all of them together cost one pass. */
static void place(struct lexer *lexer, size_t at)
{
	for (; lexer->placed < at; lexer->placed++) {
		if (lexer->source[lexer->placed] == '\n') {
			lexer->line++;
			lexer->column = 1;
		} else if (codepoint_begins(lexer->source[lexer->placed])) {
			lexer->column++;
		}
	}
}

/* The token is bytes [begin, end) of the source. */
static void make(struct lexer *lexer, struct token *token, enum token_kind kind, size_t begin,
		 size_t end)
{
	place(lexer, begin);
	*token = (struct token){ kind, lexer->source + begin, end - begin, lexer->line,
				 lexer->column };
}

static void fail(struct lexer *lexer, struct token *token, const char *fault)
{
	make(lexer, token, TOKEN_FAULT, lexer->at, lexer->at);
	lexer->fault = fault;
	lexer->at = lexer->n_bytes;
	lexer->state = LEX_TEXT;
}

/* --- text and tags --- */

/* The end of a tag is at the current place: passes by it, and by the white space that goes with it.
 * is_trimmed: a line end behind it belongs to it. */
static bool pass_end(struct lexer *lexer, const char *end, bool has_plus, bool is_trimmed)
{
	char sign = ahead(lexer, 0);
	size_t n_sign = sign == '-' || (has_plus && sign == '+');

	lexer->at += n_sign;
	if (!has_ahead(lexer, end)) {
		lexer->at -= n_sign;
		return false;
	}
	lexer->at += strlen(end);
	if (n_sign && sign == '-')
		lexer->at += spaces_ahead(lexer);
	else if (!n_sign && is_trimmed && ahead(lexer, 0) == '\n')
		lexer->at++;
	lexer->is_line_start = lexer->source[lexer->at - 1] == '\n';
	return true;
}

/* {% raw %}: its length, or 0. */
static size_t raw_begin(struct lexer *lexer, size_t at)
{
	const size_t before = lexer->at;
	size_t end = 0;
	char sign;

	lexer->at = at + 2;
	sign = ahead(lexer, 0);
	lexer->at += sign == '-' || sign == '+';
	lexer->at += spaces_ahead(lexer);
	if (has_ahead(lexer, "raw")) {
		lexer->at += 3;
		lexer->at += spaces_ahead(lexer);
		if (pass_end(lexer, "%}", false, false))
			end = lexer->at;
	}
	lexer->at = before;
	return end ? end - at : 0;
}

/* Where the text [begin, tag) ends, when a tag begins at `tag`. */
static size_t stripped(const struct lexer *lexer, size_t begin, size_t tag)
{
	const char *text = lexer->source + begin;
	char sign = tag + 2 < lexer->n_bytes ? lexer->source[tag + 2] : '\0';
	size_t n = tag - begin, line = n;

	if (sign == '-')
		return tag - spaces_behind(text, n);
	if (sign == '+' || lexer->source[tag + 1] == '{')
		return tag;
	while (line && text[line - 1] != '\n')
		line--;
	if ((line || lexer->is_line_start) && spaces_before(text + line, n - line) == n - line)
		return begin + line;
	return tag;
}

static bool is_tag(const char *at)
{
	return at[0] == '{' && (at[1] == '{' || at[1] == '%' || at[1] == '#');
}

static size_t find_tag(const struct lexer *lexer)
{
	for (size_t at = lexer->at; at + 1 < lexer->n_bytes; at++) {
		const char *brace = memchr(lexer->source + at, '{', lexer->n_bytes - 1 - at);

		if (!brace)
			break;
		at = (size_t)(brace - lexer->source);
		if (is_tag(brace))
			return at;
	}
	return lexer->n_bytes;
}

static bool skip_comment(struct lexer *lexer)
{
	lexer->at += 2;
	if (ahead(lexer, 0) == '-' || ahead(lexer, 0) == '+')
		lexer->at++;
	for (; lexer->at < lexer->n_bytes; lexer->at++)
		if (pass_end(lexer, "#}", true, true))
			return true;
	return false;
}

/* A tag begins at the current place. Returns whether it made a token. */
static bool begin_tag(struct lexer *lexer, struct token *token)
{
	size_t n_raw = ahead(lexer, 1) == '%' ? raw_begin(lexer, lexer->at) : 0;
	bool is_block = ahead(lexer, 1) == '%';
	size_t begin = lexer->at;

	if (n_raw) {
		lexer->at += n_raw;
		lexer->is_line_start = lexer->source[lexer->at - 1] == '\n';
		lexer->state = LEX_RAW;
		return false;
	}
	if (ahead(lexer, 1) == '#') {
		if (skip_comment(lexer))
			return false;
		lexer->at = begin;
		fail(lexer, token, "the comment has no end: expected #}");
		return true;
	}
	lexer->at += 2;
	if (ahead(lexer, 0) == '-' || ahead(lexer, 0) == '+')
		lexer->at++;
	lexer->state = is_block ? LEX_BLOCK : LEX_VARIABLE;
	lexer->n_brackets = 0;
	make(lexer, token, is_block ? TOKEN_BLOCK_BEGIN : TOKEN_VARIABLE_BEGIN, begin, lexer->at);
	return true;
}

/* {% endraw %} at `at`: passes by it. */
static bool pass_raw_end(struct lexer *lexer, size_t at)
{
	const size_t before = lexer->at;
	char sign;

	lexer->at = at + 2;
	sign = ahead(lexer, 0);
	lexer->at += sign == '-' || sign == '+';
	lexer->at += spaces_ahead(lexer);
	if (has_ahead(lexer, "endraw")) {
		lexer->at += 6;
		lexer->at += spaces_ahead(lexer);
		if (pass_end(lexer, "%}", true, true))
			return true;
	}
	lexer->at = before;
	return false;
}

/* Returns whether it made a token. */
static bool lex_raw(struct lexer *lexer, struct token *token)
{
	const size_t begin = lexer->at;

	for (size_t at = begin; at + 1 < lexer->n_bytes; at++) {
		bool is_line_start = lexer->is_line_start;
		size_t end;

		if (lexer->source[at] != '{' || lexer->source[at + 1] != '%' ||
		    !pass_raw_end(lexer, at))
			continue;
		lexer->state = LEX_TEXT;
		end = lexer->at;
		lexer->is_line_start = is_line_start;
		at = stripped(lexer, begin, at);
		lexer->is_line_start = lexer->source[end - 1] == '\n';
		make(lexer, token, TOKEN_DATA, begin, at);
		return at > begin;
	}
	fail(lexer, token, "the raw block has no end: expected {% endraw %}");
	return true;
}

/* Returns whether it made a token. */
static bool lex_text(struct lexer *lexer, struct token *token)
{
	size_t begin = lexer->at, tag;

	if (begin == lexer->n_bytes) {
		make(lexer, token, lexer->fault ? TOKEN_FAULT : TOKEN_END, begin, begin);
		return true;
	}
	if (lexer->tag == begin && begin + 1 < lexer->n_bytes && is_tag(lexer->source + begin)) {
		lexer->tag = lexer->n_bytes;
		return begin_tag(lexer, token);
	}
	tag = find_tag(lexer);
	lexer->tag = tag;
	lexer->at = tag;
	make(lexer, token, TOKEN_DATA, begin,
	     tag < lexer->n_bytes ? stripped(lexer, begin, tag) : tag);
	return token->n_bytes;
}

/* --- expressions --- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Digits with single underscores between them, from i on: where they end. */
static size_t digits(const struct lexer *lexer, size_t i)
{
	while (is_digit(ahead(lexer, i)) ||
	       (i && ahead(lexer, i) == '_' && is_digit(ahead(lexer, i - 1)) &&
		is_digit(ahead(lexer, i + 1))))
		i++;
	return i;
}

/* Length of the number that begins here, if it is a float; else 0. */
static size_t float_length(const struct lexer *lexer)
{
	size_t whole = digits(lexer, 0), end = whole, exponent;

	if (lexer->at && lexer->source[lexer->at - 1] == '.')
		return 0;
	if (ahead(lexer, whole) == '.' && is_digit(ahead(lexer, whole + 1)))
		end = digits(lexer, whole + 1);
	if (ahead(lexer, end) == 'e' || ahead(lexer, end) == 'E') {
		exponent = end + 1;
		exponent += ahead(lexer, exponent) == '+' || ahead(lexer, exponent) == '-';
		if (is_digit(ahead(lexer, exponent)))
			return digits(lexer, exponent);
	}
	return end > whole ? end : 0;
}

static bool is_digit_of(char c, unsigned base)
{
	unsigned digit = is_digit(c) ? (unsigned)(c - '0') :
			 c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 :
			 c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 99;

	return digit < base;
}

static size_t based_length(const struct lexer *lexer)
{
	char letter = ahead(lexer, 1) | 0x20;
	unsigned base = letter == 'b' ? 2 : letter == 'o' ? 8 : letter == 'x' ? 16 : 0;
	size_t end = 2;

	if (ahead(lexer, 0) != '0' || !base)
		return 0;
	for (;;) {
		size_t next = end + (ahead(lexer, end) == '_');

		if (!is_digit_of(ahead(lexer, next), base))
			return end > 2 ? end : 0;
		end = next + 1;
	}
}

static size_t integer_length(const struct lexer *lexer)
{
	size_t end = based_length(lexer);

	if (end)
		return end;
	if (ahead(lexer, 0) != '0')
		return digits(lexer, 0);
	/* 007 is not a number; 000 is. */
	for (end = 1; ; end++) {
		end += ahead(lexer, end) == '_' && ahead(lexer, end + 1) == '0';
		if (ahead(lexer, end) != '0')
			return end;
	}
}

static void lex_number(struct lexer *lexer, struct token *token)
{
	size_t n = float_length(lexer);
	enum token_kind kind = n ? TOKEN_FLOAT : TOKEN_INTEGER;

	if (!n)
		n = integer_length(lexer);
	make(lexer, token, kind, lexer->at, lexer->at + n);
	lexer->at += n;
}

static void lex_string(struct lexer *lexer, struct token *token)
{
	const char quote = ahead(lexer, 0);
	size_t end = lexer->at + 1;

	while (end < lexer->n_bytes && lexer->source[end] != quote)
		end += lexer->source[end] == '\\' ? 2 : 1;
	if (end >= lexer->n_bytes) {
		fail(lexer, token, "the string has no end");
		return;
	}
	make(lexer, token, TOKEN_STRING, lexer->at, end + 1);
	lexer->at = end + 1;
}

/* Keeps the open brackets. Returns false at one that closes none. */
static bool balance(struct lexer *lexer, struct token *token, char c)
{
	const char open = c == ')' ? '(' : c == ']' ? '[' : '{';

	if (strchr("([{", c)) {
		if (lexer->n_brackets == BRACKETS_MAX) {
			fail(lexer, token, "too many open brackets");
			return false;
		}
		lexer->brackets[lexer->n_brackets++] = c;
	} else if (strchr(")]}", c)) {
		if (!lexer->n_brackets || lexer->brackets[lexer->n_brackets - 1] != open) {
			fail(lexer, token, "this bracket closes none");
			return false;
		}
		lexer->n_brackets--;
	}
	return true;
}

static void lex_operator(struct lexer *lexer, struct token *token)
{
	static const char *const operators[] = {
		"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(",
		")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
	};

	for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
		size_t n = strlen(operators[i]);

		if (!has_ahead(lexer, operators[i]))
			continue;
		if (!balance(lexer, token, *operators[i]))
			return;
		make(lexer, token, TOKEN_OPERATOR, lexer->at, lexer->at + n);
		lexer->at += n;
		return;
	}
	fail(lexer, token, "a character that no expression can have");
}

static void lex_name(struct lexer *lexer, struct token *token)
{
	size_t n = 0;

	while (is_name_char(ahead(lexer, n)))
		n++;
	make(lexer, token, TOKEN_NAME, lexer->at, lexer->at + n);
	lexer->at += n;
}

static void lex_expression(struct lexer *lexer, struct token *token)
{
	const bool is_block = lexer->state == LEX_BLOCK;
	size_t begin;
	char c;

	lexer->at += spaces_ahead(lexer);
	begin = lexer->at;
	c = ahead(lexer, 0);
	if (begin == lexer->n_bytes) {
		fail(lexer, token, is_block ? "the tag has no end: expected %}" :
					      "the expression has no end: expected }}");
		return;
	}
	if (!lexer->n_brackets && pass_end(lexer, is_block ? "%}" : "}}", is_block, is_block)) {
		lexer->state = LEX_TEXT;
		lexer->tag = lexer->n_bytes;
		make(lexer, token, is_block ? TOKEN_BLOCK_END : TOKEN_VARIABLE_END, begin,
		     lexer->at);
	} else if (is_digit(c)) {
		lex_number(lexer, token);
	} else if (is_name_char(c)) {
		lex_name(lexer, token);
	} else if (c == '\'' || c == '"') {
		lex_string(lexer, token);
	} else {
		lex_operator(lexer, token);
	}
}

void lexer_next(struct lexer *lexer, struct token *token)
{
	for (;;) {
		if (lexer->state == LEX_BLOCK || lexer->state == LEX_VARIABLE) {
			lex_expression(lexer, token);
			return;
		}
		if (lexer->state == LEX_RAW ? lex_raw(lexer, token) : lex_text(lexer, token))
			return;
	}
}
