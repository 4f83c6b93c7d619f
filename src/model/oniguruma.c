/* SPDX-License-Identifier: Apache-2.0 */
#include "model/oniguruma_private.h"

#include "base/utf8.h"
#include "model/quote.h"
#include "model/unicode_class.h"

#include <string.h>

#define MAX_LENGTH (64u << 10)
#define MAX_REPEAT 65535	/* PCRE2's limit */
#define NO_ATOM SIZE_MAX

static enum sc_status translate_group(struct translation *t);

enum sc_status translation_refuse(const struct translation *t, size_t at, const char *what)
{
	return error_set(t->err, SC_E_UNSUPPORTED, "pattern '%s': offset %zu: %s is not supported",
			 quote(t->text, t->n).text, at, what);
}

enum sc_status translation_read(struct translation *t, uint32_t *code_out)
{
	if (t->at >= t->n)
		return translation_refuse(t, t->at, "an unfinished pattern");
	t->at += unicode_read(t->text + t->at, t->n - t->at, code_out);
	return SC_OK;
}

bool translation_takes(struct translation *t, const char *text)
{
	const size_t n = strlen(text);

	if (t->n - t->at < n || memcmp(t->text + t->at, text, n))
		return false;
	t->at += n;
	return true;
}

static bool is_at(const struct translation *t, char c)
{
	return t->at < t->n && t->text[t->at] == c;
}

/* --- repeats --- */

struct repeat {
	char sign;		/* * + ? or { */
	unsigned long min, max;
	bool has_max;
};

static bool read_decimal(struct translation *t, unsigned long *number_out)
{
	const size_t begin = t->at;
	unsigned long number = 0;

	while (t->at < t->n && t->text[t->at] >= '0' && t->text[t->at] <= '9') {
		if (number <= MAX_REPEAT)
			number = number * 10 + (unsigned long)(t->text[t->at] - '0');
		t->at++;
	}
	*number_out = number;
	return t->at > begin;
}

/* Reads {n}, {n,}, {,m} or {n,m}. Anything else is no repeat: the brace is a character. */
static bool read_interval(struct translation *t, struct repeat *repeat)
{
	const size_t begin = t->at;
	bool has_min, is_good;

	t->at++;
	*repeat = (struct repeat){ .sign = '{', .has_max = true };
	has_min = read_decimal(t, &repeat->min);
	is_good = has_min;
	repeat->max = repeat->min;
	if (is_at(t, ',')) {
		t->at++;
		repeat->has_max = read_decimal(t, &repeat->max);
		is_good = has_min || repeat->has_max;
	}
	is_good = is_good && is_at(t, '}');
	t->at = is_good ? t->at + 1 : begin;
	return is_good;
}

static bool read_repeat(struct translation *t, struct repeat *repeat)
{
	if (t->at >= t->n)
		return false;
	if (t->text[t->at] == '{')
		return read_interval(t, repeat);
	if (!memchr("*+?", t->text[t->at], 3))
		return false;
	*repeat = (struct repeat){ .sign = t->text[t->at++] };
	return true;
}

static enum sc_status insert(struct buf *out, size_t at, const char *text)
{
	const size_t n = strlen(text);

	if (buf_reserve(out, n))
		return SC_E_NOMEM;
	memmove(out->data + at + n, out->data + at, out->length - at + 1);
	memcpy(out->data + at, text, n);
	out->length += n;
	return SC_OK;
}

static enum sc_status write_repeat(struct translation *t, const struct repeat *repeat)
{
	const size_t at = t->at;

	if (repeat->sign != '{') {
		const char mode = is_at(t, '?') ? '?' : is_at(t, '+') ? '+' : '\0';

		t->at += mode != '\0';
		return buf_add_format(t->out, mode ? "%c%c" : "%c", repeat->sign, mode);
	}
	if (repeat->min > MAX_REPEAT || (repeat->has_max && (repeat->max > MAX_REPEAT ||
							     repeat->max < repeat->min)))
		return translation_refuse(t, at, "this interval");
	if (repeat->has_max && repeat->max == repeat->min) {
		if (is_at(t, '?'))
			return translation_refuse(t, at, "{n}?");
		return buf_add_format(t->out, "{%lu}", repeat->min);
	}
	if (buf_add_format(t->out, "{%lu,", repeat->min) ||
	    (repeat->has_max && buf_add_format(t->out, "%lu", repeat->max)) ||
	    buf_add_string(t->out, "}"))
		return SC_E_NOMEM;
	return translation_takes(t, "?") ? buf_add_string(t->out, "?") : SC_OK;
}

/* The repeats behind the atom that begins at `atom` in the output. A second one repeats the first:
 * (?:a{2})+. */
static enum sc_status translate_repeats(struct translation *t, size_t atom)
{
	struct repeat repeat;
	enum sc_status status = SC_OK;

	for (unsigned n = 0; !status && read_repeat(t, &repeat); n++) {
		if (n)
			status = insert(t->out, atom, "(?:");
		if (!status && n)
			status = buf_add_string(t->out, ")");
		if (!status)
			status = write_repeat(t, &repeat);
	}
	return status;
}

/* --- groups --- */

/* Reads the letters of (?imx-imx) up to : or ). */
static enum sc_status read_options(struct translation *t, struct options *options, char *end_out)
{
	const size_t at = t->at;
	bool is_on = true;

	while (t->at < t->n) {
		const char c = t->text[t->at++];

		switch (c) {
		case '-':
			is_on = false;
			break;
		case 'i':
			options->ignores_case = is_on;
			break;
		case 'm':
			options->dot_is_all = is_on;
			break;
		case ':':
		case ')':
			*end_out = c;
			return SC_OK;
		default:
			return translation_refuse(t, at, "this kind of group");
		}
	}
	return translation_refuse(t, at, "an unfinished group");
}

/* (?i) in a group holds to the group's end, alternatives included: (?i:...). */
static enum sc_status translate_options(struct translation *t)
{
	const struct options before = t->options;
	char end = ')';
	enum sc_status status = read_options(t, &t->options, &end);

	if (!status)
		status = buf_add_string(t->out, t->options.ignores_case ? "(?i:" : "(?-i:");
	if (!status)
		status = translate_group(t);
	if (!status && end == ':' && !translation_takes(t, ")"))
		status = translation_refuse(t, t->at, "an unfinished group");
	if (!status)
		status = buf_add_string(t->out, ")");
	t->options = before;
	return status;
}

/* (?<name>...) captures, and nothing here refers to it. */
static enum sc_status skip_name(struct translation *t)
{
	const char *end = memchr(t->text + t->at, '>', t->n - t->at);

	if (!end)
		return translation_refuse(t, t->at, "an unfinished group");
	t->at = (size_t)(end - t->text) + 1;
	return SC_OK;
}

static enum sc_status translate_parenthesis(struct translation *t)
{
	static const char *const plain[] = { "?:", "?=", "?!", "?<=", "?<!", "?>" };
	const struct options before = t->options;
	const char *begin = "?:";
	enum sc_status status = SC_OK;

	t->at++;
	if (translation_takes(t, "?#"))
		return translation_refuse(t, t->at, "a comment");
	if (is_at(t, '?')) {
		size_t i = 0;

		while (i < sizeof plain / sizeof *plain && !translation_takes(t, plain[i]))
			i++;
		if (i < sizeof plain / sizeof *plain) {
			begin = plain[i];
		} else if (translation_takes(t, "?<")) {
			status = skip_name(t);
		} else {
			t->at++;
			return translate_options(t);
		}
	} else if (is_at(t, '*')) {
		return translation_refuse(t, t->at, "a callout");
	}
	if (!status)
		status = buf_add_format(t->out, "(%s", begin);
	if (!status)
		status = translate_group(t);
	if (!status && !translation_takes(t, ")"))
		status = translation_refuse(t, t->at, "an unfinished group");
	t->options = before;
	return status ? status : buf_add_string(t->out, ")");
}

/* --- atoms --- */

static enum sc_status write_sets(struct translation *t, const char *items, bool is_negated)
{
	return buf_add_format(t->out, is_negated ? "[^%s]" : "[%s]", items);
}

/* What begins with a backslash and is no character: anchors and sets. *is_done_out: false if it is
 * a character after all. */
static enum sc_status translate_escape(struct translation *t, bool *is_done_out)
{
	const char c = t->at + 1 < t->n ? t->text[t->at + 1] : '\0';
	struct property set;
	enum sc_status status = oniguruma_escaped_set(t, &set);

	*is_done_out = true;
	if (status || set.items[0])
		return status ? status : write_sets(t, set.items, set.is_negated);
	if (c && strchr("AzZG", c)) {
		t->at += 2;
		return buf_add_format(t->out, "\\%c", c);
	}
	if (c == 'b' || c == 'B') {
		t->at += 2;
		return buf_add_format(t->out, c == 'b'
				      ? "(?:(?<=[" WORD_ITEMS "])(?![" WORD_ITEMS "])|"
					"(?<![" WORD_ITEMS "])(?=[" WORD_ITEMS "]))"
				      : "(?:(?<=[" WORD_ITEMS "])(?=[" WORD_ITEMS "])|"
					"(?<![" WORD_ITEMS "])(?![" WORD_ITEMS "]))");
	}
	*is_done_out = false;
	return SC_OK;
}

static enum sc_status translate_atom(struct translation *t)
{
	bool is_done = false;
	uint32_t code;
	enum sc_status status = SC_OK;

	switch (t->text[t->at]) {
	case '(':
		return translate_parenthesis(t);
	case '[':
		return oniguruma_class(t);
	case '.':
		t->at++;
		return buf_add_string(t->out, t->options.dot_is_all ? "(?s:.)" : "[^\\n]");
	case '^':
		t->at++;
		return buf_add_string(t->out, "(?m:^)");
	case '$':
		t->at++;
		return buf_add_string(t->out, "(?m:$)");
	case '\\':
		status = translate_escape(t, &is_done);
		break;
	case '*':
	case '+':
	case '?':
		return translation_refuse(t, t->at, "a repeat of nothing");
	default:
		break;
	}
	if (status || is_done)
		return status;
	status = oniguruma_character(t, &code);
	return status ? status : oniguruma_write(t->out, code);
}

/* Translates up to the end of the group or of the pattern. */
static enum sc_status translate_group(struct translation *t)
{
	enum sc_status status = SC_OK;

	if (++t->depth > ONIGURUMA_MAX_DEPTH)
		return translation_refuse(t, t->at, "deeper nesting");
	while (!status && t->at < t->n && t->text[t->at] != ')') {
		const size_t atom = t->out->length;

		if (translation_takes(t, "|")) {
			status = buf_add_string(t->out, "|");
			continue;
		}
		status = translate_atom(t);
		if (!status)
			status = translate_repeats(t, atom);
	}
	t->depth--;
	return status;
}

enum sc_status oniguruma_translate(const char *text, size_t length, struct buf *out,
				   struct error *err)
{
	struct translation t = { .text = text, .n = length, .out = out, .err = err };
	enum sc_status status;

	if (length > MAX_LENGTH)
		return error_set(err, SC_E_UNSUPPORTED, "a pattern of %zu bytes is not supported",
				 length);
	if (utf8_valid_length(text, length) < length)
		return error_set(err, SC_E_FORMAT, "pattern '%s': expected UTF-8",
				 quote(text, length).text);
	status = translate_group(&t);
	if (!status && t.at < t.n)
		status = translation_refuse(&t, t.at, "a ) without (");
	if (status == SC_E_NOMEM)
		error_set(err, status, "no memory for a pattern");
	return status;
}

enum sc_status oniguruma_compile(const char *text, size_t length, struct pattern **pattern_out,
				 struct error *err)
{
	struct buf out = BUF_INIT;
	enum sc_status status = oniguruma_translate(text, length, &out, err);

	if (!status)
		status = pattern_create(out.data, out.length, pattern_out, err);
	buf_deinit(&out);
	return status;
}
