/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/dict.h"
#include "jinja/format.h"
#include "jinja/functions.h"
#include "jinja/iterate.h"
#include "jinja/select.h"
#include "jinja/strings.h"
#include "jinja/write.h"

#include <string.h>

BUILTIN(upper)
{
	(void)args, (void)all;
	return value_string(str_cased(r, text_of(r, self), LETTER_UPPER));
}

BUILTIN(lower)
{
	(void)args, (void)all;
	return value_string(str_cased(r, text_of(r, self), LETTER_LOWER));
}

BUILTIN(capitalize)
{
	(void)args, (void)all;
	return value_string(str_capitalized(r, text_of(r, self)));
}

static bool begins_word(char c)
{
	return c && strchr("-({[<", c);
}

/* A word begins behind white space, a hyphen or a bracket. */
BUILTIN(title)
{
	const struct str *text = text_of(r, self);
	size_t begin = text_begin(r);
	bool is_first = true;

	(void)args, (void)all;
	for (size_t at = 0; at < text->n_bytes && render_step(r, 1);
	     at += codepoint_length((unsigned char)text->bytes[at])) {
		uint32_t c = codepoint_at(text->bytes + at), out[CASED_MAX];
		unsigned n = codepoint_cased(c, is_first ? LETTER_UPPER : LETTER_LOWER, out);

		for (unsigned i = 0; i < n; i++)
			text_add_char(r, out[i], str_byte_is_own(text, at));
		is_first = codepoint_is_space(c) || begins_word(text->bytes[at]);
	}
	return value_string(text_end(r, begin));
}

BUILTIN(trim)
{
	const struct str *chars = NULL;

	(void)all;
	if (is_given(args[0]) && args[0].kind != VALUE_NONE)
		chars = string_of(r, args[0], "the characters to trim");
	return value_string(str_strip(r, text_of(r, self), chars, STRIP_LEFT | STRIP_RIGHT));
}

BUILTIN(replace)
{
	const struct str *old = text_of(r, args[0]), *new = text_of(r, args[1]);
	int64_t n_max = is_given(args[2]) && args[2].kind != VALUE_NONE ?
			integer_arg(r, args[2], -1) : -1;

	(void)all;
	return value_string(str_replaced(r, text_of(r, self), old, new, n_max));
}

BUILTIN(string)
{
	(void)args, (void)all;
	return value_string(text_of(r, self));
}

BUILTIN(safe)
{
	(void)args, (void)all;
	return value_string(str_safe(r, text_of(r, self)));
}

BUILTIN(escape)
{
	const struct str *text = text_of(r, self);

	(void)args, (void)all;
	return value_string(text->is_safe ? text : str_escaped(r, text));
}

BUILTIN(forceescape)
{
	(void)args, (void)all;
	return value_string(str_escaped(r, text_of(r, self)));
}

BUILTIN(join)
{
	const struct str *separator = is_given(args[0]) ? text_of(r, args[0]) : &str_empty;
	size_t begin = text_begin(r), n = 0;
	struct iteration iteration;
	struct value item;

	(void)all;
	if (!iterate(r, self, &iteration))
		return UNDEFINED;
	while (iterate_next(&iteration, &item)) {
		if (n++)
			text_add_str(r, separator);
		if (is_given(args[1]) && args[1].kind != VALUE_NONE)
			item = attribute_path(r, item, args[1], MISSING);
		write_value(r, item);
	}
	return value_string(text_end(r, begin));
}

BUILTIN(center)
{
	static const struct str space = { .bytes = " ", .n_bytes = 1, .n_chars = 1,
					  .is_own = true };

	(void)all;
	return value_string(str_padded(r, text_of(r, self), integer_arg(r, args[0], 80), &space,
				       'c'));
}

/* --- lines and words --- */

/* A width in characters, or the text itself. */
static const struct str *indentation(struct render *r, struct value width)
{
	size_t begin = text_begin(r);

	if (width.kind == VALUE_STRING)
		return width.string;
	for (int64_t n = integer_arg(r, width, 4); n > 0 && render_step(r, 1); n--)
		text_add_own(r, " ");
	return text_end(r, begin);
}

BUILTIN(indent)
{
	const struct str *text = string_of(r, self, "what is indented");
	const struct str *space = indentation(r, args[0]);
	bool first = truth_arg(args[1], false), blank = truth_arg(args[2], false);
	const struct array *lines;
	size_t begin = text_begin(r);

	(void)all;
	text_add_str(r, text);
	text_add_own(r, "\n");
	lines = str_lines(r, text_end(r, begin), false);
	begin = text_begin(r);
	for (size_t i = 0; i < lines->n && render_goes_on(r); i++) {
		const struct str *line = lines->values[i].string;

		if (i)
			text_add_own(r, "\n");
		if (i ? blank || line->n_bytes : first)
			text_add_str(r, space);
		text_add_str(r, line);
	}
	return value_string(text_end(r, begin));
}

static bool is_word_char(uint32_t c)
{
	return codepoint_is_letter(c) || codepoint_is_numeric(c) || c == '_';
}

BUILTIN(wordcount)
{
	const struct str *text = text_of(r, self);
	bool is_inside = false;
	int64_t n = 0;

	(void)args, (void)all;
	render_count_chars(r, text->n_bytes);
	for (size_t at = 0; at < text->n_bytes;
	     at += codepoint_length((unsigned char)text->bytes[at])) {
		bool is_word = is_word_char(codepoint_at(text->bytes + at));

		n += is_word && !is_inside;
		is_inside = is_word;
	}
	return value_int(n);
}

BUILTIN(truncate)
{
	static const struct str dots = { .bytes = "...", .n_bytes = 3, .n_chars = 3,
					 .is_own = true };
	const struct str *text = text_of(r, self);
	const int64_t n_chars = value_length(r, self);
	const struct str *tail = is_given(args[2]) ? text_of(r, args[2]) : &dots;
	int64_t length = integer_arg(r, args[0], 255), leeway = 5, n;
	size_t begin = text_begin(r), end;

	(void)all;
	render_count_bytes(r, text->n_bytes);
	if (is_given(args[3]) && args[3].kind != VALUE_NONE)
		leeway = integer_arg(r, args[3], 0);
	if (n_chars <= length || n_chars - length <= leeway)
		return self;
	if (self.kind != VALUE_STRING)
		return render_fail(r, "only a str can be cut, not %s", value_type(self));
	n = length - (int64_t)tail->n_chars;
	if (n < 0)
		return render_fail(r, "expected length >= %zu, got %lld", tail->n_chars,
				   (long long)length);
	end = codepoint_skip(text->bytes, text->n_bytes, (size_t)n);
	if (!truth_arg(args[1], false)) {
		const char *space = memrchr(text->bytes, ' ', end);

		end = space ? (size_t)(space - text->bytes) : end;
	}
	text_add_part(r, text, 0, end);
	text_add_str(r, tail);
	return value_string(text_end(r, begin));
}

BUILTIN(urlencode)
{
	static const char plain[] = "_.-~/";
	const struct str *text = text_of(r, self);
	size_t begin = text_begin(r);

	(void)args, (void)all;
	if (self.kind > VALUE_STRING && value_is_iterable(self))
		return render_fail(r, "urlencode: only text can be encoded, not %s",
				   value_type(self));
	for (size_t i = 0; i < text->n_bytes && render_step(r, 1); i++) {
		static const char digits[] = "0123456789ABCDEF";
		unsigned char c = (unsigned char)text->bytes[i];
		char escape[3] = { '%', digits[c >> 4], digits[c & 15] };
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || (c && strchr(plain, c));

		if (is_plain)
			text_add_part(r, text, i, i + 1);
		else
			text_add(r, escape, sizeof escape, str_byte_is_own(text, i));
	}
	return value_string(text_end(r, begin));
}

BUILTIN(format)
{
	struct array *values = array_create(r, all->n);

	(void)args;
	for (size_t i = 0; i < all->n; i++)
		array_add(r, values, all->values[i]);
	if (all->named && all->n)
		return render_fail(r, "can't handle positional and keyword arguments at the same "
				   "time");
	return format_percent(r, text_of(r, self),
			      all->named ? value_dict((struct dict *)all->named) :
					   value_tuple(values));
}

/* --- JSON --- */

/* The pair (item separator, key separator). */
static void read_separators(struct render *r, struct value value, struct json_style *style)
{
	const struct array *pair;

	if (!is_given(value) || value.kind == VALUE_NONE)
		return;
	pair = value_items(r, value);
	if (pair->n != 2) {
		render_fail(r, "tojson: separators are two strings");
		return;
	}
	style->item_separator = string_of(r, pair->values[0], "a separator");
	style->key_separator = string_of(r, pair->values[1], "a separator");
}

BUILTIN(tojson)
{
	static const struct str comma = { .bytes = ",", .n_bytes = 1, .n_chars = 1 };
	static const struct str spaced = { .bytes = ", ", .n_bytes = 2, .n_chars = 2 };
	static const struct str colon = { .bytes = ": ", .n_bytes = 2, .n_chars = 2 };
	struct json_style style = {
		.is_ascii = truth_arg(args[0], false), .is_sorted = truth_arg(args[3], false),
		.item_separator = &spaced, .key_separator = &colon,
	};
	size_t begin;

	(void)all;
	if (is_given(args[1]) && args[1].kind != VALUE_NONE) {
		style.indent = indentation(r, args[1]);
		style.item_separator = &comma;
	}
	read_separators(r, args[2], &style);
	begin = text_begin(r);
	write_json(r, self, &style);
	return value_string(text_end(r, begin));
}

const struct builtin text_filters[] = {
	{ "tojson", "ensure_ascii indent separators sort_keys", 0, tojson },
	{ "trim", "chars", 0, trim },
	{ "join", "d attribute", 0, join },
	{ "replace", "old new count", 2, replace },
	{ "upper", "", 0, upper },
	{ "lower", "", 0, lower },
	{ "capitalize", "", 0, capitalize },
	{ "title", "", 0, title },
	{ "string", "", 0, string },
	{ "safe", "", 0, safe },
	{ "escape", "", 0, escape },
	{ "e", "", 0, escape },
	{ "forceescape", "", 0, forceescape },
	{ "center", "width", 0, center },
	{ "indent", "width first blank", 0, indent },
	{ "wordcount", "", 0, wordcount },
	{ "truncate", "length killwords end leeway", 0, truncate },
	{ "urlencode", "", 0, urlencode },
	{ "format", NULL, 0, format },
	{ 0 },
};
