/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/json_scan.h"

#include "jinja/codepoint.h"

enum json_scan_end json_scan_first(struct json_scan *scan, char c)
{
	*scan = (struct json_scan){ 0 };
	if (c == '{' || c == '[')
		scan->depth = 1;
	else if (c == '"')
		scan->is_in_string = true;
	else
		scan->is_scalar = true;
	return JSON_GOES_ON;
}

enum json_scan_end json_scan_next(struct json_scan *scan, char c)
{
	if (scan->is_scalar)
		return c == ',' || c == '}' || c == ']' || is_json_space(c) ? JSON_ENDS_BEFORE
									    : JSON_GOES_ON;
	if (scan->is_escaped) {
		scan->is_escaped = false;
	} else if (scan->is_in_string) {
		scan->is_escaped = c == '\\';
		scan->is_in_string = c != '"';
		if (c == '"' && !scan->depth)
			return JSON_ENDS_AFTER;
	} else if (c == '"') {
		scan->is_in_string = true;
	} else if (c == '{' || c == '[') {
		scan->depth++;
	} else if (c == '}' || c == ']') {
		if (!--scan->depth)
			return JSON_ENDS_AFTER;
	}
	return JSON_GOES_ON;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 0;
}

static char simple_escape(char c)
{
	switch (c) {
	case 'n': return '\n';
	case 't': return '\t';
	case 'r': return '\r';
	case 'b': return '\b';
	case 'f': return '\f';
	default: return c;
	}
}

/* A first half that no second half follows. */
static size_t drop_half(struct json_unescape *unescape, char *out)
{
	if (!unescape->high)
		return 0;
	unescape->high = 0;
	return codepoint_write(0xFFFD, out);
}

static size_t end_code(struct json_unescape *unescape, char *out)
{
	uint32_t code = unescape->code;
	size_t n;

	if (code >= 0xDC00 && code <= 0xDFFF && unescape->high) {
		code = 0x10000 + ((unescape->high - 0xD800) << 10) + (code - 0xDC00);
		unescape->high = 0;
		return codepoint_write(code, out);
	}
	n = drop_half(unescape, out);
	if (code >= 0xD800 && code <= 0xDBFF) {
		unescape->high = code;
		return n;
	}
	/* A NUL ends strings in C. */
	if ((code >= 0xDC00 && code <= 0xDFFF) || !code)
		code = 0xFFFD;
	return n + codepoint_write(code, out + n);
}

bool json_unescape_next(struct json_unescape *unescape, char c, char out[8], size_t *n_out)
{
	size_t n = 0;

	if (!unescape->state) {
		if (c == '\\') {
			unescape->state = 1;
		} else {
			n = drop_half(unescape, out);
			if (c != '"')
				out[n++] = c;
		}
		*n_out = n;
		return c == '"';
	}
	if (unescape->state == 1) {
		unescape->state = c == 'u' ? 2 : 0;
		unescape->code = 0;
		if (c != 'u') {
			n = drop_half(unescape, out);
			out[n++] = simple_escape(c);
		}
	} else {
		unescape->code = unescape->code << 4 | (uint32_t)hex_digit(c);
		if (unescape->state++ == 5) {
			unescape->state = 0;
			n = end_code(unescape, out);
		}
	}
	*n_out = n;
	return false;
}
