/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/json_pull.h"

#include "model/unicode_class.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum sc_status json_pull_error(const struct json_pull *pull, size_t at, const char *format, ...)
{
	char message[256];
	size_t line = 1, start = 0;
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	for (size_t i = 0; i < at && i < pull->n; i++)
		if (pull->text[i] == '\n') {
			line++;
			start = i + 1;
		}
	return error_set(pull->err, SC_E_FORMAT, "%s: line %zu, column %zu: %s", pull->path, line,
			 at - start + 1, message);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

char json_pull_peek(struct json_pull *pull)
{
	while (pull->at < pull->n && is_blank(pull->text[pull->at]))
		pull->at++;
	return pull->at < pull->n ? pull->text[pull->at] : '\0';
}

enum sc_status json_pull_mark(struct json_pull *pull, char mark)
{
	if (json_pull_peek(pull) != mark)
		return json_pull_error(pull, pull->at, "expected '%c'", mark);
	pull->at++;
	return SC_OK;
}

enum sc_status json_pull_next(struct json_pull *pull, size_t n, char end, bool *is_more_out)
{
	*is_more_out = json_pull_peek(pull) != end;
	if (!*is_more_out) {
		pull->at++;
		return SC_OK;
	}
	return n ? json_pull_mark(pull, ',') : SC_OK;
}

/* --- strings --- */

static bool read_hex4(const struct json_pull *pull, size_t at, uint32_t *code_out)
{
	uint32_t code = 0;

	if (pull->n - at < 4)
		return false;
	for (size_t i = at; i < at + 4; i++) {
		const char c = pull->text[i];
		const uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0')
				     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
				     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 16;

		if (digit == 16)
			return false;
		code = code * 16 + digit;
	}
	*code_out = code;
	return true;
}

/* Reads the digits of \uHHHH, and of a second one if both make a pair. */
static enum sc_status read_unicode(struct json_pull *pull, struct buf *out)
{
	uint32_t code, low;
	char bytes[4];

	if (!read_hex4(pull, pull->at, &code))
		return json_pull_error(pull, pull->at, "expected four hexadecimal digits");
	pull->at += 4;
	if (code >= 0xD800 && code <= 0xDBFF && pull->n - pull->at >= 6 &&
	    !memcmp(pull->text + pull->at, "\\u", 2) && read_hex4(pull, pull->at + 2, &low) &&
	    low >= 0xDC00 && low <= 0xDFFF) {
		code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		pull->at += 6;
	}
	if (code >= 0xD800 && code <= 0xDFFF)
		return json_pull_error(pull, pull->at, "expected a character, found half of one");
	return buf_add(out, bytes, unicode_write(code, bytes));
}

static enum sc_status read_escape(struct json_pull *pull, struct buf *out)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char c = pull->at < pull->n ? pull->text[pull->at] : '\0';
	const char *letter = c ? strchr(letters, c) : NULL;

	pull->at++;
	if (c == 'u')
		return read_unicode(pull, out);
	if (!letter)
		return json_pull_error(pull, pull->at - 1, "an unknown escape");
	return buf_add(out, &values[letter - letters], 1);
}

enum sc_status json_pull_string(struct json_pull *pull, struct buf *out)
{
	const size_t begin = pull->at;
	enum sc_status status = json_pull_mark(pull, '"');

	while (!status) {
		size_t end = pull->at;

		while (end < pull->n && pull->text[end] != '"' && pull->text[end] != '\\' &&
		       (unsigned char)pull->text[end] >= 0x20)
			end++;
		status = buf_add(out, pull->text + pull->at, end - pull->at);
		pull->at = end;
		if (status)
			break;
		if (end == pull->n)
			return json_pull_error(pull, begin, "a string without an end");
		if ((unsigned char)pull->text[end] < 0x20)
			return json_pull_error(pull, end, "a control character in a string");
		pull->at++;
		if (pull->text[end] == '"')
			return SC_OK;
		status = read_escape(pull, out);
	}
	return status == SC_E_NOMEM ? error_set(pull->err, status, "%s: no memory", pull->path)
				    : status;
}

/* --- numbers --- */

static bool is_digit_at(const struct json_pull *pull, size_t at)
{
	return at < pull->n && pull->text[at] >= '0' && pull->text[at] <= '9';
}

enum sc_status json_pull_u32(struct json_pull *pull, uint32_t *value_out)
{
	uint64_t value = 0;
	size_t begin;

	(void)json_pull_peek(pull);
	begin = pull->at;
	while (is_digit_at(pull, pull->at) && value <= UINT32_MAX)
		value = value * 10 + (uint64_t)(pull->text[pull->at++] - '0');
	if (pull->at == begin || value > UINT32_MAX || is_digit_at(pull, pull->at) ||
	    (pull->at < pull->n && strchr(".eE", pull->text[pull->at])))
		return json_pull_error(pull, begin, "expected a whole number from 0 to %u",
				       UINT32_MAX);
	*value_out = (uint32_t)value;
	return SC_OK;
}

/* The digits of a number as an integer, and the power of ten that it is to be multiplied with.
 * Digits that do not fit are dropped; in front of the point each of them counts as a power. */
struct digits {
	uint64_t value;
	long power;
	size_t n;
	bool is_full;
};

static void read_digits(struct json_pull *pull, struct digits *digits, bool is_fraction)
{
	for (; is_digit_at(pull, pull->at); pull->at++, digits->n++) {
		const unsigned digit = (unsigned)(pull->text[pull->at] - '0');

		digits->is_full = digits->is_full || digits->value > (UINT64_MAX - digit) / 10;
		if (!digits->is_full)
			digits->value = digits->value * 10 + digit;
		if (digits->is_full != is_fraction)
			digits->power += is_fraction ? -1 : 1;
	}
}

static bool read_exponent(struct json_pull *pull, long *power)
{
	struct digits digits = { .value = 0 };
	bool is_negative = false;

	pull->at++;
	if (pull->at < pull->n && strchr("+-", pull->text[pull->at]) && pull->text[pull->at])
		is_negative = pull->text[pull->at++] == '-';
	read_digits(pull, &digits, false);
	if (!digits.n || digits.value > 100000 || digits.is_full)
		return false;
	*power += is_negative ? -(long)digits.value : (long)digits.value;
	return true;
}

/* 10^0 to 10^22 are doubles; greater ones are the nearest double, as a table would have them. */
static double power_of_ten(unsigned long n)
{
	char text[32];

	snprintf(text, sizeof text, "1e%lu", n);
	return strtod(text, NULL);
}

static double scale(uint64_t value, long power)
{
	double result = (double)value;

	for (; power < -308 && result != 0; power += 308)
		result /= 1e308;
	return power < 0 ? result / power_of_ten((unsigned long)-power)
	     : power > 308 ? (result == 0 ? 0 : (double)INFINITY)
			   : result * power_of_ten((unsigned long)power);
}

enum sc_status json_pull_number(struct json_pull *pull, double *value_out)
{
	struct digits digits = { .value = 0 };
	bool is_negative, is_good;
	size_t begin;
	double value;

	is_negative = json_pull_peek(pull) == '-';
	begin = pull->at;
	pull->at += is_negative;
	read_digits(pull, &digits, false);
	is_good = digits.n > 0;
	if (is_good && pull->at < pull->n && pull->text[pull->at] == '.') {
		const size_t n = digits.n;

		pull->at++;
		read_digits(pull, &digits, true);
		is_good = digits.n > n;
	}
	if (is_good && pull->at < pull->n &&
	    (pull->text[pull->at] == 'e' || pull->text[pull->at] == 'E'))
		is_good = read_exponent(pull, &digits.power);
	value = scale(digits.value, digits.power);
	if (!is_good || !isfinite(value))
		return json_pull_error(pull, begin, "expected a number");
	*value_out = is_negative ? -value : value;
	return SC_OK;
}

/* --- values that nobody asks for --- */

static enum sc_status skip_string(struct json_pull *pull)
{
	const size_t begin = pull->at++;

	for (; pull->at < pull->n && pull->text[pull->at] != '"'; pull->at++)
		if (pull->text[pull->at] == '\\')
			pull->at++;
	if (pull->at >= pull->n)
		return json_pull_error(pull, begin, "a string without an end");
	pull->at++;
	return SC_OK;
}

/* A number, true, false or null. */
static enum sc_status skip_word(struct json_pull *pull)
{
	const size_t begin = pull->at;

	while (pull->at < pull->n && pull->text[pull->at] &&
	       strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", pull->text[pull->at]))
		pull->at++;
	return pull->at > begin ? SC_OK : json_pull_error(pull, begin, "expected a value");
}

enum sc_status json_pull_skip(struct json_pull *pull)
{
	size_t depth = 0;
	enum sc_status status = SC_OK;

	do {
		const char c = json_pull_peek(pull);

		if (c == '"') {
			status = skip_string(pull);
		} else if (c == '{' || c == '[') {
			depth++;
			pull->at++;
		} else if (depth && (c == '}' || c == ']')) {
			depth--;
			pull->at++;
		} else if (depth && (c == ',' || c == ':')) {
			pull->at++;
		} else {
			status = skip_word(pull);
		}
		if (depth > JSON_PULL_MAX_DEPTH)
			return json_pull_error(pull, pull->at, "expected at most %d levels",
					       JSON_PULL_MAX_DEPTH);
	} while (!status && depth);
	return status;
}
