/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Literals: numbers, strings, true, false and none.
 */
#include "jinja/codepoint.h"
#include "jinja/number.h"
#include "jinja/parser.h"

#include <string.h>

/* --- strings --- */

/* Digits of \x, \u and \U; false: there are fewer. */
static bool read_hex(const char *at, const char *end, unsigned n_digits, uint32_t *value_out)
{
	uint32_t value = 0;

	if ((size_t)(end - at) < n_digits)
		return false;
	for (unsigned i = 0; i < n_digits; i++) {
		int digit = number_digit(at[i]);

		if (digit < 0 || digit > 15 || value > 0xfffffff)
			return false;
		value = value << 4 | (uint32_t)digit;
	}
	*value_out = value;
	return true;
}

static size_t read_octal(const char *at, const char *end, uint32_t *value_out)
{
	size_t n = 0;
	uint32_t value = 0;

	while (n < 3 && at + n < end && at[n] >= '0' && at[n] <= '7')
		value = value * 8 + (uint32_t)(at[n++] - '0');
	*value_out = value;
	return n;
}

static char simple_escape(char c)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	const char *found = c ? strchr(from, c) : NULL;

	return found ? to[found - from] : '\0';
}

/* at: behind a backslash. Appends what the escape means to *to; returns its length. 0: a fault. */
static size_t unescape(const char *at, const char *end, char **to)
{
	unsigned n_digits = *at == 'x' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 0;
	uint32_t codepoint = 0;
	size_t n = 1;

	if (*at == '\n')
		return 1;
	if (simple_escape(*at)) {
		*(*to)++ = simple_escape(*at);
		return 1;
	}
	if (n_digits) {
		if (!read_hex(at + 1, end, n_digits, &codepoint))
			return 0;
		n += n_digits;
	} else if (*at >= '0' && *at <= '7') {
		n = read_octal(at, end, &codepoint);
	} else {
		/* Python keeps the backslash of what it does not know. */
		*(*to)++ = '\\';
		return *at == 'N' ? 0 : (**to = *at, ++*to, n);
	}
	if (codepoint > 0x10ffff || (codepoint >= 0xd800 && codepoint <= 0xdfff))
		return 0;
	*to += codepoint_write(codepoint, *to);
	return n;
}

/* Appends a token's text without quotes to *to. */
static bool append_string(const struct token *token, char **to)
{
	const char *at = token->text + 1, *end = token->text + token->n_bytes - 1;

	while (at < end) {
		const char *backslash = memchr(at, '\\', (size_t)(end - at));
		size_t n = (size_t)((backslash ? backslash : end) - at);

		memmove(*to, at, n);
		*to += n;
		at += n;
		if (!backslash)
			break;
		n = unescape(at + 1, end, to);
		if (!n)
			return false;
		at += 1 + n;
	}
	return true;
}

/* Strings side by side are one. They are written over their own source, which the lexer has left
 * behind: what an escape means is never longer than the escape. */
static struct value parse_strings(struct parser *p)
{
	char *bytes = p->source + (p->token.text - p->source), *to = bytes;

	while (p->token.kind == TOKEN_STRING) {
		struct token token = p->token;

		parser_next(p);
		if (!append_string(&token, &to))
			parser_fail(p, &token, "the string has an escape that means nothing");
	}
	return p->status ? NONE : parser_string(p, bytes, (size_t)(to - bytes));
}

/* --- numbers --- */

enum { NUMBER_MAX = 400 };

/* The digits without underscores. */
static bool copy_number(struct parser *p, const struct token *token, char text[NUMBER_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < token->n_bytes; i++) {
		if (token->text[i] == '_')
			continue;
		if (n == NUMBER_MAX - 1) {
			parser_fail(p, token, "the number is too long");
			return false;
		}
		text[n++] = token->text[i];
	}
	text[n] = '\0';
	return true;
}

static struct value number(struct parser *p, const struct token *token)
{
	char text[NUMBER_MAX];
	struct value value = NONE;

	if (!copy_number(p, token, text))
		return NONE;
	if (token->kind == TOKEN_FLOAT)
		return value_float(number_read_float(text));
	if (!number_read_literal(text, &value.integer))
		parser_fail(p, token, "the integer %.40s needs more than 64 bits", text);
	return value_int(value.integer);
}

struct node *parse_constant(struct parser *p)
{
	struct node *node = parser_node(p, NODE_CONSTANT, &p->token);
	const struct token token = p->token;

	if (token.kind == TOKEN_STRING) {
		node->constant = parse_strings(p);
		return node;
	}
	if (token.kind == TOKEN_NAME)
		node->constant = *token.text == 't' || *token.text == 'T' ? value_bool(true) :
				 *token.text == 'f' || *token.text == 'F' ? value_bool(false) :
				 NONE;
	else if (token.kind == TOKEN_INTEGER || token.kind == TOKEN_FLOAT)
		node->constant = number(p, &token);
	else
		parser_fail_unexpected(p, "an expression");
	parser_next(p);
	return node;
}
