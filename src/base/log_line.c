/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_line.h"

#include "base/utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct writer {
	char *out;
	size_t n;
	size_t size;		/* bytes that may be used */
	bool is_full;		/* something did not fit */
};

static void put(struct writer *w, const char *bytes, size_t n)
{
	if (w->is_full || n > w->size - w->n) {
		w->is_full = true;
		return;
	}
	memcpy(w->out + w->n, bytes, n);
	w->n += n;
}

static void put_string(struct writer *w, const char *string)
{
	put(w, string, strlen(string));
}

/* Takes back what was written since mark if not all of it fitted. */
static void settle(struct writer *w, size_t mark)
{
	if (w->is_full)
		w->n = mark;
	w->is_full = false;
}

/* --- characters --- */

/* n: as utf8_next returns it. */
static void put_character(struct writer *w, const unsigned char *text, int n)
{
	char escape[8];

	if (n <= 0) {
		put_string(w, "\\ufffd");
	} else if (text[0] < 0x20 || text[0] == 0x7f) {
		snprintf(escape, sizeof escape, "\\u%04x", text[0]);
		put_string(w, escape);
	} else if (text[0] == '"' || text[0] == '\\') {
		snprintf(escape, sizeof escape, "\\%c", text[0]);
		put_string(w, escape);
	} else {
		put(w, (const char *)text, (size_t)n);
	}
}

/* As the inside of a JSON string, up to the last character that fits. */
static void put_escaped(struct writer *w, const char *string)
{
	const unsigned char *at = (const unsigned char *)string;

	while (*at && !w->is_full) {
		const int n = utf8_next(at, strnlen((const char *)at, UTF8_MAX_BYTES));

		put_character(w, at, n);
		at += n > 0 ? n : 1;
	}
}

static void put_quoted(struct writer *w, const char *string)
{
	put(w, "\"", 1);
	put_escaped(w, string);
	put(w, "\"", 1);
}

static void put_number(struct writer *w, double number)
{
	char text[32];

	snprintf(text, sizeof text, "%.*g", number == floor(number) ? 15 : 6, number);
	put_string(w, isfinite(number) ? text : "null");
}

/* --- people --- */

static bool is_word(const char *value)
{
	if (!*value)
		return false;
	for (; *value; value++)
		if (*value <= ' ' || *value == '"' || *value == '=' || *value == '\\' ||
		    *value > '~')
			return false;
	return true;
}

static void put_pair(struct writer *w, const char *name, const char *value)
{
	put(w, " ", 1);
	put_string(w, name);
	put(w, "=", 1);
	if (is_word(value))
		put_string(w, value);
	else
		put_quoted(w, value);
}

static void put_field(struct writer *w, const struct log_field *field)
{
	const size_t mark = w->n;

	if (field->text) {
		put_pair(w, field->name, field->text);
	} else {
		put(w, " ", 1);
		put_string(w, field->name);
		put(w, "=", 1);
		put_number(w, field->number);
	}
	settle(w, mark);
}

static void put_request(struct writer *w, const char *name, const char *value)
{
	if (value && *value)
		put_field(w, &(struct log_field){ .name = name, .text = value });
}

size_t log_line_text(const struct log_line *line, char *out, size_t size)
{
	struct writer w = { .out = out, .size = size - 1 };
	size_t n = strlen(line->message);

	put_string(&w, line->prefix);
	settle(&w, 0);
	put(&w, line->message, n < w.size - w.n ? n : w.size - w.n);
	for (size_t i = 0; i < line->n_fields; i++)
		put_field(&w, &line->fields[i]);
	put_request(&w, "request_id", line->request_id);
	put_request(&w, "trace_id", line->trace_id);
	out[w.n++] = '\n';
	return w.n;
}

/* --- machines --- */

static void put_member(struct writer *w, const struct log_field *field)
{
	const size_t mark = w->n;

	if (w->n > 1)
		put(w, ",", 1);
	put_quoted(w, field->name);
	put(w, ":", 1);
	if (field->text)
		put_quoted(w, field->text);
	else
		put_number(w, field->number);
	settle(w, mark);
}

static void put_text_member(struct writer *w, const char *name, const char *value)
{
	if (value && *value)
		put_member(w, &(struct log_field){ .name = name, .text = value });
}

size_t log_line_json(const struct log_line *line, char *out, size_t size)
{
	static const char begin[] = "\"message\":\"", end[] = "\"}\n";
	struct writer w = { .out = out, .size = size - sizeof begin - sizeof end };

	put(&w, "{", 1);
	put_text_member(&w, "time", line->time);
	put_text_member(&w, "level", line->level);
	put_text_member(&w, "process", line->process);
	for (size_t i = 0; i < line->n_fields; i++)
		put_member(&w, &line->fields[i]);
	put_text_member(&w, "request_id", line->request_id);
	put_text_member(&w, "trace_id", line->trace_id);
	w.size = size - sizeof end;
	if (w.n > 1)
		put(&w, ",", 1);
	put_string(&w, begin);
	put_escaped(&w, line->message);
	w.is_full = false;
	w.size = size;
	put_string(&w, end);
	return w.n;
}
