/* SPDX-License-Identifier: Apache-2.0 */
#include "config/wide_numbers.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Characters of a comment, a text in quotes, or a name: none of their digits is a number. 0: the
 * text starts with something else. */
static size_t skip_words(const char *text)
{
	static const char in_name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_*-";
	const char *end;
	size_t n = 0;

	if (text[0] == '#' || (text[0] == '/' && text[1] == '/'))
		return strcspn(text, "\n");
	if (text[0] == '/' && text[1] == '*') {
		end = strstr(text + 2, "*/");
		return end ? (size_t)(end + 2 - text) : strlen(text);
	}
	if (text[0] == '"') {
		for (n = 1; text[n] && text[n] != '"'; n++)
			n += text[n] == '\\' && text[n + 1];
		return n + (text[n] == '"');
	}
	return isalpha((unsigned char)text[0]) || text[0] == '*' ? strspn(text, in_name) : 0;
}

/* Characters of a number, with its sign and its L; 0: no number starts here. */
static size_t number_length(const char *text, bool *is_float_out)
{
	size_t n = text[0] == '-' || text[0] == '+';

	*is_float_out = false;
	if (!isdigit((unsigned char)text[n + (text[n] == '.')]))
		return 0;
	/* libconfig knows no signs here, and refuses the text when it is left as it is. */
	if (text[n] == '0' && (text[n + 1] == 'x' || text[n + 1] == 'X')) {
		if (n)
			return 0;
		n += 2 + strspn(text + n + 2, "0123456789abcdefABCDEF");
	} else {
		n += strspn(text + n, "0123456789.");
		if (text[n] == 'e' || text[n] == 'E') {
			n += text[n + 1] == '-' || text[n + 1] == '+' ? 2 : 1;
			n += strspn(text + n, "0123456789");
		}
		*is_float_out = memchr(text, '.', n) || memchr(text, 'e', n) ||
				memchr(text, 'E', n);
	}
	return n + strspn(text + n, "L");
}

static enum sc_status add_decimal(const char *number, size_t n, struct buf *out)
{
	const size_t n_digits = strspn(number, "-+0123456789");
	enum sc_status status = buf_add(out, number, n_digits);
	long long value;

	errno = 0;
	value = strtoll(number, NULL, 10);
	if (status == SC_OK && errno)
		return buf_add_string(out, ".0");
	if (status == SC_OK && (value > INT32_MAX || value < INT32_MIN || n_digits < n))
		return buf_add_string(out, "L");
	return status;
}

static enum sc_status add_hex(const char *number, size_t n, struct buf *out)
{
	unsigned long long value;

	errno = 0;
	value = strtoull(number, NULL, 16);
	if (errno || value > INT64_MAX)
		return buf_add_format(out, "%llu.0", value);
	if (value > INT32_MAX)
		return buf_add_format(out, "%lluL", value);
	return buf_add(out, number, n);
}

static enum sc_status add_number(const char *number, size_t n, bool is_float, struct buf *out)
{
	if (is_float)
		return buf_add(out, number, n);
	return n > 1 && tolower((unsigned char)number[1]) == 'x' ? add_hex(number, n, out)
								  : add_decimal(number, n, out);
}

enum sc_status wide_numbers_rewrite(const char *text, struct buf *out)
{
	enum sc_status status = SC_OK;
	bool is_float;

	while (*text && status == SC_OK) {
		size_t n = skip_words(text), n_number = n ? 0 : number_length(text, &is_float);

		if (n_number)
			status = add_number(text, n_number, is_float, out);
		else
			status = buf_add(out, text, n ? n : 1);
		text += n_number ? n_number : n ? n : 1;
	}
	return status;
}
