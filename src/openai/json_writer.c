/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/json_writer.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void json_put_init(struct json_writer *writer, struct buf *out)
{
	*writer = (struct json_writer){ .out = out, .status = SC_OK };
}

enum sc_status json_put_status(const struct json_writer *writer)
{
	return writer->status;
}

static void add(struct json_writer *writer, const void *bytes, size_t n_bytes)
{
	if (writer->status == SC_OK)
		writer->status = buf_add(writer->out, bytes, n_bytes);
}

/* Before each key, and before each value that has no key. */
static void begin_item(struct json_writer *writer)
{
	if (writer->needs_comma)
		add(writer, ",", 1);
	writer->needs_comma = true;
}

void json_put_open(struct json_writer *writer, char bracket)
{
	begin_item(writer);
	add(writer, &bracket, 1);
	writer->needs_comma = false;
}

void json_put_close(struct json_writer *writer, char bracket)
{
	add(writer, &bracket, 1);
	writer->needs_comma = true;
}

void json_put_key(struct json_writer *writer, const char *name)
{
	begin_item(writer);
	add(writer, "\"", 1);
	add(writer, name, strlen(name));
	add(writer, "\":", 2);
	writer->needs_comma = false;
}

void json_put_raw(struct json_writer *writer, const void *bytes, size_t n_bytes)
{
	begin_item(writer);
	add(writer, bytes, n_bytes);
}

/* --- text --- */

static bool is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void add_escape(struct json_writer *writer, uint8_t byte)
{
	static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
					['\r'] = 'r', ['"'] = '"', ['\\'] = '\\' };
	char escape[8];
	int n;

	if (byte < sizeof letters && letters[byte])
		n = snprintf(escape, sizeof escape, "\\%c", letters[byte]);
	else
		n = snprintf(escape, sizeof escape, "\\u%04x", byte);
	add(writer, escape, (size_t)n);
}

void json_put_text_part(struct json_writer *writer, const void *bytes, size_t n_bytes)
{
	const uint8_t *p = bytes;
	size_t start = 0;
	size_t at = 0;

	while (at < n_bytes) {
		int n = 1;

		if (is_plain(p[at])) {
			at++;
			continue;
		}
		if (p[at] >= 0x80) {
			n = utf8_next(p + at, n_bytes - at);
			if (n > 0) {
				at += (size_t)n;
				continue;
			}
		}
		add(writer, p + start, at - start);
		if (p[at] < 0x80)
			add_escape(writer, p[at]);
		else
			add(writer, "\xef\xbf\xbd", 3);
		/* An unfinished character at the end (0) takes the rest. */
		at += n > 0 ? 1 : n < 0 ? (size_t)-n : n_bytes - at;
		start = at;
	}
	add(writer, p + start, at - start);
}

void json_put_text_begin(struct json_writer *writer)
{
	begin_item(writer);
	add(writer, "\"", 1);
}

void json_put_text_end(struct json_writer *writer)
{
	add(writer, "\"", 1);
}

void json_put_text(struct json_writer *writer, const void *bytes, size_t n_bytes)
{
	json_put_text_begin(writer);
	json_put_text_part(writer, bytes, n_bytes);
	json_put_text_end(writer);
}

void json_put_string(struct json_writer *writer, const char *string)
{
	if (string)
		json_put_text(writer, string, strlen(string));
	else
		json_put_null(writer);
}

/* --- other values --- */

void json_put_uint(struct json_writer *writer, uint64_t value)
{
	char digits[24];

	json_put_raw(writer, digits,
		     (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value));
}

void json_put_int(struct json_writer *writer, int64_t value)
{
	char digits[24];

	json_put_raw(writer, digits,
		     (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value));
}

static void put_real(struct json_writer *writer, double value, int n_digits)
{
	char digits[40];

	if (!isfinite(value))
		json_put_null(writer);
	else
		json_put_raw(writer, digits, (size_t)snprintf(digits, sizeof digits, "%.*g",
							      n_digits, value));
}

void json_put_float(struct json_writer *writer, float value)
{
	put_real(writer, (double)value, 9);
}

void json_put_double(struct json_writer *writer, double value)
{
	put_real(writer, value, 15);
}

void json_put_bool(struct json_writer *writer, bool value)
{
	json_put_raw(writer, value ? "true" : "false", value ? 4 : 5);
}

void json_put_null(struct json_writer *writer)
{
	json_put_raw(writer, "null", 4);
}

/* --- members --- */

void json_put_member_string(struct json_writer *writer, const char *name, const char *string)
{
	json_put_key(writer, name);
	json_put_string(writer, string);
}

void json_put_member_uint(struct json_writer *writer, const char *name, uint64_t value)
{
	json_put_key(writer, name);
	json_put_uint(writer, value);
}

void json_put_member_double(struct json_writer *writer, const char *name, double value)
{
	json_put_key(writer, name);
	json_put_double(writer, value);
}

void json_put_member_bool(struct json_writer *writer, const char *name, bool value)
{
	json_put_key(writer, name);
	json_put_bool(writer, value);
}

void json_put_member_null(struct json_writer *writer, const char *name)
{
	json_put_key(writer, name);
	json_put_null(writer);
}
