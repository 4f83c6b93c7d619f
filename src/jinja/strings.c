/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/strings.h"

#include <string.h>

static size_t char_before(const struct str *str, size_t end)
{
	size_t at = end - 1;

	while (at && !codepoint_begins(str->bytes[at]))
		at--;
	return at;
}

static size_t char_behind(const struct str *str, size_t at)
{
	return at + codepoint_length((unsigned char)str->bytes[at]);
}

/* --- strip --- */

/* Whether the character [begin, end) of str is one of chars. */
static bool is_one_of(struct render *r, const struct str *str, size_t begin, size_t end,
		      const struct str *chars)
{
	if (!chars)
		return codepoint_is_space(codepoint_at(str->bytes + begin));
	return render_count_bytes(r, chars->n_bytes) &&
	       memmem(chars->bytes, chars->n_bytes, str->bytes + begin, end - begin);
}

const struct str *str_strip(struct render *r, const struct str *str, const struct str *chars,
			    unsigned sides)
{
	size_t begin = 0, end = str->n_bytes;

	render_count_bytes(r, str->n_bytes);
	while ((sides & STRIP_LEFT) && begin < end &&
	       is_one_of(r, str, begin, char_behind(str, begin), chars))
		begin = char_behind(str, begin);
	while ((sides & STRIP_RIGHT) && begin < end &&
	       is_one_of(r, str, char_before(str, end), end, chars))
		end = char_before(str, end);
	return str_part(r, str, begin, end);
}

/* --- upper and lower case --- */

/* The character at `at` in another case, with its origin. */
static void add_cased(struct render *r, const struct str *str, size_t at, enum letter_case to)
{
	uint32_t out[CASED_MAX];
	unsigned n = codepoint_cased(codepoint_at(str->bytes + at), to, out);

	for (unsigned i = 0; i < n; i++)
		text_add_char(r, out[i], str_byte_is_own(str, at));
}

/* A sigma at the end of a word is another letter. */
static bool is_final_sigma(const struct str *str, size_t at)
{
	size_t behind = char_behind(str, at);

	return codepoint_at(str->bytes + at) == 0x3a3 && at &&
	       codepoint_is_letter(codepoint_at(str->bytes + char_before(str, at))) &&
	       (behind == str->n_bytes || !codepoint_is_letter(codepoint_at(str->bytes + behind)));
}

static void add_all_cased(struct render *r, const struct str *str, size_t begin,
			  enum letter_case to)
{
	for (size_t at = begin; at < str->n_bytes && render_goes_on(r);
	     at = char_behind(str, at)) {
		if (to == LETTER_LOWER && is_final_sigma(str, at))
			text_add_char(r, 0x3c2, str_byte_is_own(str, at));
		else
			add_cased(r, str, at, to);
	}
}

const struct str *str_cased(struct render *r, const struct str *str, enum letter_case to)
{
	size_t begin = text_begin(r);

	render_count_bytes(r, str->n_bytes);
	add_all_cased(r, str, 0, to);
	return text_end(r, begin);
}

const struct str *str_capitalized(struct render *r, const struct str *str)
{
	size_t begin = text_begin(r);

	if (!str->n_bytes)
		return str;
	render_count_bytes(r, str->n_bytes);
	add_cased(r, str, 0, LETTER_TITLE);
	add_all_cased(r, str, char_behind(str, 0), LETTER_LOWER);
	return text_end(r, begin);
}

/* --- search --- */

int64_t str_find(struct render *r, const struct str *str, size_t begin, size_t end,
		 const struct str *part)
{
	const char *found;

	if (begin > end || part->n_bytes > end - begin)
		return NOT_FOUND;
	found = str->bytes + begin;
	if (part->n_bytes)
		found = memmem(found, end - begin, part->bytes, part->n_bytes);
	/* memmem reads part before it searches. */
	render_count_bytes(r, part->n_bytes +
			      (found ? (size_t)(found - str->bytes) - begin : end - begin));
	return found ? found - str->bytes : NOT_FOUND;
}

int64_t str_find_last(struct render *r, const struct str *str, size_t begin, size_t end,
		      const struct str *part)
{
	const size_t n_steps = 1 + part->n_bytes / 32;

	if (begin > end || part->n_bytes > end - begin)
		return NOT_FOUND;
	for (size_t at = end - part->n_bytes + 1; at-- > begin && render_step(r, n_steps);)
		if (!memcmp(str->bytes + at, part->bytes, part->n_bytes))
			return (int64_t)at;
	return NOT_FOUND;
}

/* An empty part is between all characters. */
static const struct str *spread_out(struct render *r, const struct str *str,
				    const struct str *new, int64_t n_max)
{
	size_t begin = text_begin(r), at = 0;

	for (int64_t n = 0; (n_max < 0 || n < n_max) && render_step(r, 1); n++) {
		text_add_str(r, new);
		if (at == str->n_bytes)
			break;
		text_add_part(r, str, at, char_behind(str, at));
		at = char_behind(str, at);
	}
	text_add_part(r, str, at, str->n_bytes);
	return text_end(r, begin);
}

const struct str *str_replaced(struct render *r, const struct str *str, const struct str *old,
			       const struct str *new, int64_t n_max)
{
	size_t begin = text_begin(r), at = 0;

	if (!old->n_bytes)
		return spread_out(r, str, new, n_max);
	for (int64_t n = 0; (n_max < 0 || n < n_max) && render_step(r, 1); n++) {
		int64_t found = str_find(r, str, at, str->n_bytes, old);

		if (found == NOT_FOUND) {
			if (!at)
				return str;
			break;
		}
		text_add_part(r, str, at, (size_t)found);
		text_add_str(r, new);
		at = (size_t)found + old->n_bytes;
	}
	text_add_part(r, str, at, str->n_bytes);
	return text_end(r, begin);
}

/* --- split --- */

static void add_part(struct render *r, struct array *parts, const struct str *str, size_t begin,
		     size_t end)
{
	if (render_step(r, 1))
		array_add(r, parts, value_string(str_part(r, str, begin, end)));
}

/* Bytes of white space, or of anything else, from `at` on. */
static size_t run_end(const struct str *str, size_t at, bool is_space)
{
	while (at < str->n_bytes &&
	       codepoint_is_space(codepoint_at(str->bytes + at)) == is_space)
		at = char_behind(str, at);
	return at;
}

static void split_words(struct render *r, struct array *parts, const struct str *str,
			int64_t n_max)
{
	size_t at = run_end(str, 0, true);

	for (int64_t n = 0; at < str->n_bytes && render_goes_on(r); n++) {
		size_t end = run_end(str, at, false);

		/* The rest behind the last split keeps the white space at its end. */
		if (n_max >= 0 && n == n_max)
			end = str->n_bytes;
		add_part(r, parts, str, at, end);
		at = run_end(str, end, true);
	}
}

struct array *str_split(struct render *r, const struct str *str, const struct str *separator,
			int64_t n_max)
{
	struct array *parts = array_create(r, 0);
	size_t at = 0;

	render_count_bytes(r, str->n_bytes);
	if (!separator) {
		split_words(r, parts, str, n_max);
		return parts;
	}
	if (!separator->n_bytes) {
		render_fail(r, "empty separator");
		return parts;
	}
	for (int64_t n = 0; (n_max < 0 || n < n_max) && render_goes_on(r); n++) {
		int64_t found = str_find(r, str, at, str->n_bytes, separator);

		if (found == NOT_FOUND)
			break;
		add_part(r, parts, str, at, (size_t)found);
		at = (size_t)found + separator->n_bytes;
	}
	add_part(r, parts, str, at, str->n_bytes);
	return parts;
}

static void reverse(struct array *array)
{
	for (size_t i = 0; i < array->n / 2; i++) {
		struct value value = array->values[i];

		array->values[i] = array->values[array->n - 1 - i];
		array->values[array->n - 1 - i] = value;
	}
}

static size_t run_begin(const struct str *str, size_t end, bool is_space)
{
	while (end && codepoint_is_space(codepoint_at(str->bytes + char_before(str, end))) ==
		      is_space)
		end = char_before(str, end);
	return end;
}

static void split_words_right(struct render *r, struct array *parts, const struct str *str,
			      int64_t n_max)
{
	size_t end = run_begin(str, str->n_bytes, true);

	for (int64_t n = 0; end && render_goes_on(r); n++) {
		size_t begin = n == n_max ? 0 : run_begin(str, end, false);

		add_part(r, parts, str, begin, end);
		end = run_begin(str, begin, true);
	}
}

struct array *str_split_right(struct render *r, const struct str *str,
			      const struct str *separator, int64_t n_max)
{
	struct array *parts;
	size_t end = str->n_bytes;

	if (n_max < 0)
		return str_split(r, str, separator, n_max);
	parts = array_create(r, 0);
	if (!separator) {
		split_words_right(r, parts, str, n_max);
		reverse(parts);
		return parts;
	}
	if (!separator->n_bytes) {
		render_fail(r, "empty separator");
		return parts;
	}
	for (int64_t n = 0; n < n_max && render_goes_on(r); n++) {
		int64_t found = str_find_last(r, str, 0, end, separator);

		if (found == NOT_FOUND)
			break;
		add_part(r, parts, str, (size_t)found + separator->n_bytes, end);
		end = (size_t)found;
	}
	add_part(r, parts, str, 0, end);
	reverse(parts);
	return parts;
}

/* Line ends of str.splitlines. */
static bool is_line_end(uint32_t c)
{
	return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
	       c == 0x2029;
}

struct array *str_lines(struct render *r, const struct str *str, bool keeps_ends)
{
	struct array *lines = array_create(r, 0);
	size_t begin = 0, at = 0;

	render_count_bytes(r, str->n_bytes);
	while (at < str->n_bytes && render_goes_on(r)) {
		size_t end = at;

		at = char_behind(str, at);
		if (!is_line_end(codepoint_at(str->bytes + end)))
			continue;
		if (str->bytes[end] == '\r' && at < str->n_bytes && str->bytes[at] == '\n')
			at++;
		add_part(r, lines, str, begin, keeps_ends ? at : end);
		begin = at;
	}
	if (begin < str->n_bytes)
		add_part(r, lines, str, begin, str->n_bytes);
	return lines;
}

/* --- other --- */

const struct str *str_reversed(struct render *r, const struct str *str)
{
	size_t begin = text_begin(r), next;

	for (size_t end = str->n_bytes; end && render_step(r, 1); end = next) {
		next = char_before(str, end);
		text_add_part(r, str, next, end);
	}
	return text_end(r, begin);
}

static void add_fill(struct render *r, const struct str *fill, int64_t n)
{
	for (int64_t i = 0; i < n && render_step(r, 1); i++)
		text_add_str(r, fill);
}

const struct str *str_padded(struct render *r, const struct str *str, int64_t width,
			     const struct str *fill, char place)
{
	size_t begin = text_begin(r);
	int64_t space = width - (int64_t)str->n_chars, before;

	if (fill->n_chars != 1) {
		render_fail(r, "The fill character must be exactly one character long");
		return str;
	}
	if (width <= (int64_t)str->n_chars)
		return str;
	before = place == 'l' ? 0 : place == 'r' ? space : space / 2 + (space & width & 1);
	add_fill(r, fill, before);
	text_add_str(r, str);
	add_fill(r, fill, space - before);
	return text_end(r, begin);
}
