/* SPDX-License-Identifier: Apache-2.0 */
#include "model/unicode_form.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <utf8proc.h>

#define FIRST_COMBINING 0x300	/* no code point below combines with one before it */

/* The code points of one part, decomposed, then composed. */
struct part {
	utf8proc_int32_t *codes;
	size_t n, n_max;
	unsigned *order;	/* combining classes, for sorting */
};

/* Compatibility forms that decompose to something that combines with what stands in front. */
static bool is_half_form(utf8proc_int32_t code)
{
	return (code >= 0xFF9E && code <= 0xFFDC) || (code >= 0x3130 && code <= 0x318F);
}

/* Returns true if a code point never combines with one in front of it, so that a part can begin
 * there. Vowels and finals of Hangul and vowel signs of Indic scripts do, though their combining
 * class is 0. */
static bool begins_part(utf8proc_int32_t code)
{
	const utf8proc_property_t *property;

	if (code < FIRST_COMBINING)
		return true;
	if ((code >= 0x1160 && code <= 0x11FF) || is_half_form(code))
		return false;
	property = utf8proc_get_property(code);
	return property->combining_class == 0 &&
	       property->category != UTF8PROC_CATEGORY_MN &&
	       property->category != UTF8PROC_CATEGORY_MC &&
	       property->category != UTF8PROC_CATEGORY_ME;
}

/* Reads the character at `at`. Returns its length, or 0 for a byte that is not UTF-8. */
static size_t read_code(struct masked_text text, size_t at, utf8proc_int32_t *code_out)
{
	const uint8_t *bytes = (const uint8_t *)text.data + at;
	const int n = utf8_next(bytes, text.n - at);

	if (n <= 0)
		return 0;
	if (n == 1)
		*code_out = bytes[0];
	else
		(void)utf8proc_iterate(bytes, n, code_out);
	return (size_t)n;
}

static enum sc_status reserve(struct part *part, size_t n)
{
	size_t n_max = part->n_max ? part->n_max : 64;
	utf8proc_int32_t *codes;

	if (part->n + n <= part->n_max)
		return SC_OK;
	while (part->n + n > n_max)
		n_max *= 2;
	codes = realloc(part->codes, n_max * sizeof *codes);
	if (!codes)
		return SC_E_NOMEM;
	part->codes = codes;
	part->n_max = n_max;
	return SC_OK;
}

/* The longest decomposition of one code point is 18 (U+FDFA). */
#define LONGEST 32

static enum sc_status add_decomposed(struct part *part, utf8proc_int32_t code, bool is_compat)
{
	const utf8proc_option_t options = (utf8proc_option_t)(
		UTF8PROC_DECOMPOSE | (is_compat ? UTF8PROC_COMPAT : 0));
	int last_class = 0;
	utf8proc_ssize_t n;
	enum sc_status status = reserve(part, LONGEST);

	if (status)
		return status;
	n = utf8proc_decompose_char(code, part->codes + part->n, LONGEST, options, &last_class);
	if (n < 0 || n > LONGEST)
		return SC_E_INTERNAL;
	part->n += (size_t)n;
	return SC_OK;
}

static uint8_t class_of(utf8proc_int32_t code)
{
	return code < FIRST_COMBINING ? 0
	     : (uint8_t)utf8proc_get_property(code)->combining_class;
}

/* Sorts n code points with classes other than 0 by class, those of one class in their order:
 * counting sort, because a hostile text has runs of any length. */
static enum sc_status sort_run(utf8proc_int32_t *codes, size_t n)
{
	size_t starts[257] = { 0 };
	utf8proc_int32_t *sorted;

	if (n < 2)
		return SC_OK;
	if (n == 2) {
		if (class_of(codes[0]) > class_of(codes[1])) {
			utf8proc_int32_t first = codes[0];

			codes[0] = codes[1];
			codes[1] = first;
		}
		return SC_OK;
	}
	sorted = malloc(n * sizeof *sorted);
	if (!sorted)
		return SC_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		starts[class_of(codes[i]) + 1]++;
	for (size_t i = 1; i < 257; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; i < n; i++)
		sorted[starts[class_of(codes[i])]++] = codes[i];
	memcpy(codes, sorted, n * sizeof *sorted);
	free(sorted);
	return SC_OK;
}

static enum sc_status sort_marks(struct part *part)
{
	enum sc_status status = SC_OK;

	for (size_t at = 0; at < part->n && !status;) {
		size_t end = at;

		while (end < part->n && class_of(part->codes[end]))
			end++;
		status = sort_run(part->codes + at, end - at);
		at = end + 1;
	}
	return status;
}

static enum sc_status write_part(const struct part *part, bool is_allowed, struct masked_buf *out)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < part->n && !status; i++) {
		uint8_t bytes[UTF8_MAX_BYTES];
		const utf8proc_ssize_t n = utf8proc_encode_char(part->codes[i], bytes);

		status = masked_buf_make(out, (const char *)bytes, (size_t)n, is_allowed);
	}
	return status;
}

/* Appends the form of [begin, end), which is UTF-8. */
static enum sc_status add_part(enum unicode_form form, struct masked_text text, size_t begin,
			       size_t end, struct part *part, struct masked_buf *out)
{
	const bool is_compat = form == FORM_NFKC || form == FORM_NFKD;
	enum sc_status status = SC_OK;

	part->n = 0;
	for (size_t at = begin; at < end && !status;) {
		utf8proc_int32_t code = 0;

		at += read_code(text, at, &code);
		status = add_decomposed(part, code, is_compat);
	}
	if (!status)
		status = sort_marks(part);
	if (status)
		return status;
	if (form == FORM_NFC || form == FORM_NFKC)
		part->n = (size_t)utf8proc_normalize_utf32(
			part->codes, (utf8proc_ssize_t)part->n,
			(utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
	return write_part(part, masked_text_allows(text, begin, end), out);
}

/* The length of what stays as it is: characters below U+0080 in front of others that do not
 * combine with them, and bytes that are not UTF-8. */
static size_t plain_length(struct masked_text text, size_t at)
{
	size_t end = at;

	while (end < text.n) {
		const uint8_t byte = (uint8_t)text.data[end];

		if (byte >= 0x80 && utf8_next((const uint8_t *)text.data + end, text.n - end) > 0) {
			utf8proc_int32_t code = 0;

			(void)read_code(text, end, &code);
			/* The character in front belongs to the part. */
			if (!begins_part(code) && end > at && (uint8_t)text.data[end - 1] < 0x80)
				end--;
			break;
		}
		end++;
	}
	return end - at;
}

/* The end of the part that begins at `at` with a character. */
static size_t part_end(struct masked_text text, size_t at)
{
	utf8proc_int32_t code = 0;
	size_t n = read_code(text, at, &code);

	do {
		at += n;
		n = at < text.n ? read_code(text, at, &code) : 0;
	} while (n && !begins_part(code));
	return at;
}

enum sc_status unicode_form_add(enum unicode_form form, struct masked_text text,
				struct masked_buf *out)
{
	struct part part = { .codes = NULL };
	enum sc_status status = SC_OK;

	for (size_t at = 0; at < text.n && !status;) {
		const size_t n = plain_length(text, at);
		const size_t begin = at + n;

		status = masked_buf_copy(out, text, at, begin);
		at = begin < text.n ? part_end(text, begin) : begin;
		if (!status && begin < at)
			status = add_part(form, text, begin, at, &part, out);
	}
	free(part.codes);
	return status;
}
