/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/format.h"
#include "jinja/functions.h"
#include "jinja/iterate.h"
#include "jinja/strings.h"

#include <string.h>

/* Methods of Markup give Markup. */
static struct value result(struct render *r, struct value self, const struct str *str)
{
	return value_string(self.string->is_safe && !str->is_safe ? str_safe(r, str) : str);
}

/* A string, or NULL for none and what is missing. */
static const struct str *optional(struct render *r, struct value value, const char *what)
{
	if (!is_given(value) || value.kind == VALUE_NONE)
		return NULL;
	return string_of(r, value, what);
}

/* --- case --- */

BUILTIN(upper)
{
	(void)args, (void)all;
	return result(r, self, str_cased(r, self.string, LETTER_UPPER));
}

BUILTIN(lower)
{
	(void)args, (void)all;
	return result(r, self, str_cased(r, self.string, LETTER_LOWER));
}

BUILTIN(casefold)
{
	(void)args, (void)all;
	return result(r, self, str_cased(r, self.string, LETTER_FOLD));
}

BUILTIN(capitalize)
{
	(void)args, (void)all;
	return result(r, self, str_capitalized(r, self.string));
}

/* Turns over each character; the first of a word, or its case, decides: what is 't' or 's'. */
static const struct str *recased(struct render *r, const struct str *str, char what)
{
	size_t begin = text_begin(r);
	bool is_inside = false;

	for (size_t at = 0; at < str->n_bytes && render_step(r, 1);
	     at += codepoint_length((unsigned char)str->bytes[at])) {
		uint32_t c = codepoint_at(str->bytes + at), out[CASED_MAX];
		bool is_upper = codepoint_is_upper(c) || codepoint_is_title(c);
		bool is_cased = is_upper || codepoint_is_lower(c);
		enum letter_case to = what == 's' ? (is_upper ? LETTER_LOWER : LETTER_UPPER) :
				      is_inside ? LETTER_LOWER : LETTER_TITLE;
		unsigned n = codepoint_cased(c, to, out);

		for (unsigned i = 0; i < n; i++)
			text_add_char(r, out[i], str_byte_is_own(str, at));
		is_inside = is_cased;
	}
	return text_end(r, begin);
}

BUILTIN(title)
{
	(void)args, (void)all;
	return result(r, self, recased(r, self.string, 't'));
}

BUILTIN(swapcase)
{
	(void)args, (void)all;
	return result(r, self, recased(r, self.string, 's'));
}

/* --- ends --- */

BUILTIN(strip)
{
	(void)all;
	return result(r, self, str_strip(r, self.string, optional(r, args[0], "strip arg"),
					 STRIP_LEFT | STRIP_RIGHT));
}

BUILTIN(lstrip)
{
	(void)all;
	return result(r, self, str_strip(r, self.string, optional(r, args[0], "lstrip arg"),
					 STRIP_LEFT));
}

BUILTIN(rstrip)
{
	(void)all;
	return result(r, self, str_strip(r, self.string, optional(r, args[0], "rstrip arg"),
					 STRIP_RIGHT));
}

static bool begins(struct render *r, const struct str *str, const struct str *part)
{
	return part->n_bytes <= str->n_bytes && render_count_bytes(r, part->n_bytes) &&
	       !memcmp(str->bytes, part->bytes, part->n_bytes);
}

static bool ends(struct render *r, const struct str *str, const struct str *part)
{
	return part->n_bytes <= str->n_bytes && render_count_bytes(r, part->n_bytes) &&
	       !memcmp(str->bytes + str->n_bytes - part->n_bytes, part->bytes, part->n_bytes);
}

BUILTIN(removeprefix)
{
	const struct str *part = string_of(r, args[0], "removeprefix() argument");

	(void)all;
	if (!begins(r, self.string, part))
		return self;
	return value_string(str_part(r, self.string, part->n_bytes, self.string->n_bytes));
}

BUILTIN(removesuffix)
{
	const struct str *part = string_of(r, args[0], "removesuffix() argument");

	(void)all;
	if (!ends(r, self.string, part))
		return self;
	return value_string(str_part(r, self.string, 0, self.string->n_bytes - part->n_bytes));
}

/* --- search --- */

/* Characters [begin, end) of Python's arguments as bytes. Returns false if there are none. */
static bool find_bytes(struct render *r, const struct str *str, struct value begin,
		       struct value end, size_t *begin_out, size_t *end_out)
{
	const int64_t n = (int64_t)str->n_chars;
	int64_t from = begin.kind == VALUE_NONE ? 0 : integer_arg(r, begin, 0);
	int64_t to = end.kind == VALUE_NONE ? n : integer_arg(r, end, n);

	if (from < 0)
		from = from + n < 0 ? 0 : from + n;
	if (to < 0)
		to = to + n < 0 ? 0 : to + n;
	if (to > n)
		to = n;
	if (from > to || !render_count_bytes(r, str->n_bytes))
		return false;
	*begin_out = codepoint_skip(str->bytes, str->n_bytes, (size_t)from);
	*end_out = codepoint_skip(str->bytes, str->n_bytes, (size_t)to);
	return render_goes_on(r);
}

/* startswith and endswith: a string, or a tuple of some. */
static struct value has_end(struct render *r, const struct str *str, const struct value *args,
			    bool (*has)(struct render *, const struct str *, const struct str *),
			    const char *name)
{
	struct iteration iteration;
	struct value item;
	size_t begin, end;

	if (!find_bytes(r, str, args[1], args[2], &begin, &end))
		return value_bool(false);
	str = str_part(r, str, begin, end);
	if (args[0].kind == VALUE_STRING)
		return value_bool(has(r, str, args[0].string));
	if (args[0].kind != VALUE_TUPLE)
		return render_fail(r, "%s first arg must be str or a tuple of str, not %s", name,
				   value_type(args[0]));
	if (iterate(r, args[0], &iteration))
		while (iterate_next(&iteration, &item))
			if (has(r, str, string_of(r, item, name)))
				return value_bool(true);
	return value_bool(false);
}

BUILTIN(startswith)
{
	(void)all;
	return has_end(r, self.string, args, begins, "startswith");
}

BUILTIN(endswith)
{
	(void)all;
	return has_end(r, self.string, args, ends, "endswith");
}

/* In characters; NOT_FOUND. */
static int64_t place(struct render *r, const struct str *str, const struct value *args,
		     bool is_last)
{
	const struct str *part = string_of(r, args[0], "must be str: the part to find");
	size_t begin, end;
	int64_t found;

	if (!find_bytes(r, str, args[1], args[2], &begin, &end))
		return NOT_FOUND;
	found = is_last ? str_find_last(r, str, begin, end, part) :
			  str_find(r, str, begin, end, part);
	if (found == NOT_FOUND || str->n_chars == str->n_bytes)
		return found;
	return (int64_t)codepoint_count(str->bytes, (size_t)found);
}

BUILTIN(find)
{
	(void)all;
	return value_int(place(r, self.string, args, false));
}

BUILTIN(rfind)
{
	(void)all;
	return value_int(place(r, self.string, args, true));
}

BUILTIN(index_of)
{
	int64_t found = place(r, self.string, args, false);

	(void)all;
	return found == NOT_FOUND ? render_fail(r, "substring not found") : value_int(found);
}

BUILTIN(last_index_of)
{
	int64_t found = place(r, self.string, args, true);

	(void)all;
	return found == NOT_FOUND ? render_fail(r, "substring not found") : value_int(found);
}

BUILTIN(count)
{
	const struct str *str = self.string, *part = string_of(r, args[0], "count() argument");
	size_t begin, end;
	int64_t n = 0, found;

	(void)all;
	if (!find_bytes(r, str, args[1], args[2], &begin, &end))
		return value_int(0);
	if (!part->n_bytes)
		return value_int((int64_t)codepoint_count(str->bytes + begin, end - begin) + 1);
	while (render_step(r, 1) &&
	       (found = str_find(r, str, begin, end, part)) != NOT_FOUND) {
		begin = (size_t)found + part->n_bytes;
		n++;
	}
	return value_int(n);
}

BUILTIN(replace)
{
	const struct str *old = string_of(r, args[0], "replace() argument 1");
	const struct str *new = string_of(r, args[1], "replace() argument 2");

	(void)all;
	return result(r, self, str_replaced(r, self.string, old, new, integer_arg(r, args[2], -1)));
}

/* --- parts --- */

BUILTIN(split)
{
	(void)all;
	return value_list(str_split(r, self.string, optional(r, args[0], "split() argument 1"),
				    integer_arg(r, args[1], -1)));
}

BUILTIN(rsplit)
{
	(void)all;
	return value_list(str_split_right(r, self.string,
					  optional(r, args[0], "rsplit() argument 1"),
					  integer_arg(r, args[1], -1)));
}

BUILTIN(splitlines)
{
	(void)all;
	return value_list(str_lines(r, self.string, truth_arg(args[0], false)));
}

static struct value partitioned(struct render *r, const struct str *str, struct value separator,
				bool is_last)
{
	const struct str *part = string_of(r, separator, "the separator");
	struct array *parts = array_create(r, 3);
	int64_t found;

	if (!part->n_bytes)
		return render_fail(r, "empty separator");
	found = is_last ? str_find_last(r, str, 0, str->n_bytes, part) :
			  str_find(r, str, 0, str->n_bytes, part);
	if (found == NOT_FOUND) {
		array_add(r, parts, value_string(is_last ? &str_empty : str));
		array_add(r, parts, value_string(&str_empty));
		array_add(r, parts, value_string(is_last ? str : &str_empty));
		return value_tuple(parts);
	}
	array_add(r, parts, value_string(str_part(r, str, 0, (size_t)found)));
	array_add(r, parts, value_string(part));
	array_add(r, parts, value_string(str_part(r, str, (size_t)found + part->n_bytes,
						  str->n_bytes)));
	return value_tuple(parts);
}

BUILTIN(partition)
{
	(void)all;
	return partitioned(r, self.string, args[0], false);
}

BUILTIN(rpartition)
{
	(void)all;
	return partitioned(r, self.string, args[0], true);
}

BUILTIN(join)
{
	struct iteration iteration;
	struct value item;
	size_t begin = text_begin(r), n = 0;

	(void)all;
	if (!iterate(r, args[0], &iteration))
		return UNDEFINED;
	while (iterate_next(&iteration, &item)) {
		if (n++)
			text_add_str(r, self.string);
		if (item.kind != VALUE_STRING)
			render_fail(r, "sequence item %zu: expected str instance, %s found", n - 1,
				    value_type(item));
		else
			text_add_str(r, item.string);
	}
	return result(r, self, text_end(r, begin));
}

/* --- layout --- */

static struct value padded(struct render *r, struct value self, const struct value *args,
			   char where)
{
	static const struct str space = { .bytes = " ", .n_bytes = 1, .n_chars = 1,
					  .is_own = true };
	const struct str *fill = is_given(args[1]) ? string_of(r, args[1], "the fill character") :
						     &space;

	return result(r, self, str_padded(r, self.string, integer_arg(r, args[0], 0), fill, where));
}

BUILTIN(ljust)
{
	(void)all;
	return padded(r, self, args, 'l');
}

BUILTIN(rjust)
{
	(void)all;
	return padded(r, self, args, 'r');
}

BUILTIN(center)
{
	(void)all;
	return padded(r, self, args, 'c');
}

BUILTIN(zfill)
{
	const struct str *str = self.string;
	int64_t space = integer_arg(r, args[0], 0) - (int64_t)str->n_chars;
	size_t begin = text_begin(r);
	size_t n_sign = str->n_bytes && (*str->bytes == '-' || *str->bytes == '+');

	(void)all;
	text_add_part(r, str, 0, n_sign);
	for (; space > 0 && render_step(r, 1); space--)
		text_add_own(r, "0");
	text_add_part(r, str, n_sign, str->n_bytes);
	return value_string(text_end(r, begin));
}

BUILTIN(expandtabs)
{
	const struct str *str = self.string;
	int64_t size = integer_arg(r, args[0], 8), column = 0;
	size_t begin = text_begin(r), next;

	(void)all;
	for (size_t at = 0; at < str->n_bytes && render_step(r, 1); at = next) {
		next = at + codepoint_length((unsigned char)str->bytes[at]);
		if (str->bytes[at] != '\t') {
			text_add_part(r, str, at, next);
			column = str->bytes[at] == '\n' || str->bytes[at] == '\r' ? 0 : column + 1;
			continue;
		}
		for (int64_t n = size > 0 ? size - column % size : 0; n > 0 && render_step(r, 1);
		     n--, column++)
			text_add(r, " ", 1, str_byte_is_own(str, at));
	}
	return value_string(text_end(r, begin));
}

BUILTIN(format_values)
{
	(void)args;
	return format_braces(r, self.string, all);
}

const struct builtin string_methods[] = {
	{ "strip", "chars", 0, strip },
	{ "split", "sep maxsplit", 0, split },
	{ "startswith", "prefix start end", 1, startswith },
	{ "endswith", "suffix start end", 1, endswith },
	{ "lstrip", "chars", 0, lstrip },
	{ "rstrip", "chars", 0, rstrip },
	{ "replace", "old new count", 2, replace },
	{ "upper", "", 0, upper },
	{ "lower", "", 0, lower },
	{ "title", "", 0, title },
	{ "capitalize", "", 0, capitalize },
	{ "casefold", "", 0, casefold },
	{ "swapcase", "", 0, swapcase },
	{ "removeprefix", "prefix", 1, removeprefix },
	{ "removesuffix", "suffix", 1, removesuffix },
	{ "find", "sub start end", 1, find },
	{ "rfind", "sub start end", 1, rfind },
	{ "index", "sub start end", 1, index_of },
	{ "rindex", "sub start end", 1, last_index_of },
	{ "count", "sub start end", 1, count },
	{ "rsplit", "sep maxsplit", 0, rsplit },
	{ "splitlines", "keepends", 0, splitlines },
	{ "partition", "sep", 1, partition },
	{ "rpartition", "sep", 1, rpartition },
	{ "join", "iterable", 1, join },
	{ "ljust", "width fillchar", 1, ljust },
	{ "rjust", "width fillchar", 1, rjust },
	{ "center", "width fillchar", 1, center },
	{ "zfill", "width", 1, zfill },
	{ "expandtabs", "tabsize", 0, expandtabs },
	{ "format", NULL, 0, format_values },
	{ 0 },
};
