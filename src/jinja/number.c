/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/number.h"

#include "jinja/codepoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int number_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return -1;
}

/* Digits up to the end of the text. */
static bool read_digits(const char *text, const char *end, unsigned base, uint64_t *value_out)
{
	uint64_t value = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		int digit = number_digit(*text);

		if (digit < 0 || (unsigned)digit >= base ||
		    __builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, (unsigned)digit, &value))
			return false;
	}
	*value_out = value;
	return true;
}

static unsigned prefix_base(const char *text)
{
	char letter = text[0] == '0' ? text[1] | 0x20 : '\0';

	return letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
}

bool number_read_literal(const char *text, int64_t *value_out)
{
	const char *end = text + strlen(text);
	unsigned base = prefix_base(text);
	uint64_t value;

	if (!read_digits(base ? text + 2 : text, end, base ? base : 10, &value) ||
	    value > INT64_MAX)
		return false;
	*value_out = (int64_t)value;
	return true;
}

double number_read_float(const char *text)
{
	return strtod(text, NULL);
}

enum { PARSED_MAX = 512 };

/* Without white space around and underscores between digits. False: too long, or misplaced. */
static bool clean(const char *text, size_t n_bytes, char out[PARSED_MAX])
{
	size_t begin = spaces_before(text, n_bytes), n = 0;
	size_t end = n_bytes - spaces_behind(text + begin, n_bytes - begin);

	for (size_t i = begin; i < end; i++) {
		if (text[i] == '_') {
			if (i == begin || i + 1 == end || number_digit(text[i - 1]) < 0 ||
			    number_digit(text[i + 1]) < 0)
				return false;
			continue;
		}
		if (n == PARSED_MAX - 1 || !text[i])
			return false;
		out[n++] = text[i];
	}
	out[n] = '\0';
	return n;
}

bool number_parse_int(const char *text, size_t n_bytes, unsigned base, int64_t *value_out)
{
	char digits[PARSED_MAX], *at = digits;
	bool is_negative;
	uint64_t value;

	if (!clean(text, n_bytes, digits))
		return false;
	is_negative = *at == '-';
	at += *at == '-' || *at == '+';
	if (prefix_base(at) && (base == prefix_base(at) || !base)) {
		base = prefix_base(at);
		at += 2;
	}
	if (!read_digits(at, at + strlen(at), base ? base : 10, &value) ||
	    value > (uint64_t)INT64_MAX + is_negative)
		return false;
	*value_out = is_negative ? (int64_t)-value : (int64_t)value;
	return true;
}

bool number_parse_float(const char *text, size_t n_bytes, double *value_out)
{
	char digits[PARSED_MAX], *end;
	const char *at;

	if (!clean(text, n_bytes, digits))
		return false;
	at = digits + (*digits == '-' || *digits == '+');
	/* strtod takes hexadecimal numbers and nan(...), Python does not. */
	if (strpbrk(digits, "xX(") || *at == '-' || *at == '+')
		return false;
	*value_out = strtod(digits, &end);
	return !*end;
}

enum { DIGITS_MAX = 18 };

/* digits: "d.ddde+xx" of printf. Writes it without an exponent if Python does. */
static void write_plain(const char *digits, int exponent, char *to)
{
	const char *sign = *digits == '-' ? "-" : "";
	char all[DIGITS_MAX + 1], *end = all;

	for (; *digits && *digits != 'e' && end < all + DIGITS_MAX; digits++)
		if (number_digit(*digits) >= 0)
			*end++ = *digits;
	while (end > all + 1 && end[-1] == '0')
		end--;
	*end = '\0';
	if (exponent < 0)
		snprintf(to, NUMBER_TEXT_MAX, "%s0.%.*s%s", sign, -exponent - 1, "000", all);
	else if (end - all <= exponent + 1)
		snprintf(to, NUMBER_TEXT_MAX, "%s%s%.*s.0", sign, all,
			 exponent + 1 - (int)(end - all), "0000000000000000");
	else
		snprintf(to, NUMBER_TEXT_MAX, "%s%.*s.%.*s", sign, exponent + 1, all, DIGITS_MAX,
			 all + exponent + 1);
}

void number_write_float(double real, char text[NUMBER_TEXT_MAX])
{
	char digits[NUMBER_TEXT_MAX];
	int precision = 0, exponent;

	if (!isfinite(real)) {
		snprintf(text, NUMBER_TEXT_MAX, "%s",
			 isnan(real) ? "nan" : real < 0 ? "-inf" : "inf");
		return;
	}
	do
		snprintf(digits, sizeof digits, "%.*e", precision, real);
	while (strtod(digits, NULL) != real && precision++ < 17);
	exponent = atoi(strchr(digits, 'e') + 1);
	if (exponent >= -4 && exponent < 16)
		write_plain(digits, exponent, text);
	else
		snprintf(text, NUMBER_TEXT_MAX, "%s", digits);
}
