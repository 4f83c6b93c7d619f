/* SPDX-License-Identifier: Apache-2.0 */
#include "model/printable.h"

#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

static bool is_visible(utf8proc_int32_t code)
{
	switch (utf8proc_category(code)) {
	case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO: case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	case UTF8PROC_CATEGORY_ZS:
		return code == ' ';
	default:
		return true;
	}
}

/* The letter of a C escape, or 0. */
static char letter_of(utf8proc_int32_t code)
{
	switch (code) {
	case '\n': return 'n';
	case '\r': return 'r';
	case '\t': return 't';
	case '"': return '"';
	case '\\': return '\\';
	default: return 0;
	}
}

static enum sc_status add_character(struct buf *text, const uint8_t *bytes, size_t n_bytes,
				    const char *kept)
{
	utf8proc_int32_t code;
	char letter;

	(void)utf8proc_iterate(bytes, (utf8proc_ssize_t)n_bytes, &code);
	letter = letter_of(code);
	if (letter ? strchr(kept, (int)code) != NULL : is_visible(code))
		return buf_add(text, bytes, n_bytes);
	if (letter)
		return buf_add(text, (const char[]){ '\\', letter }, 2);
	return buf_add_format(text, "\\u{%X}", (unsigned)code);
}

/* kept: characters with a C escape that stay as they are. */
static enum sc_status add(struct buf *text, const void *bytes, size_t n_bytes, const char *kept)
{
	const size_t start = text->length;
	const uint8_t *at = bytes, *end = at + n_bytes;
	enum sc_status status = SC_OK;

	while (status == SC_OK && at < end) {
		int n = utf8_next(at, (size_t)(end - at));
		size_t step = n > 0 ? (size_t)n : 1;

		status = n > 0 ? add_character(text, at, step, kept)
			       : buf_add_format(text, "\\x%02X", *at);
		at += step;
	}
	if (status != SC_OK)
		buf_truncate(text, start);
	return status;
}

enum sc_status printable_add(struct buf *text, const void *bytes, size_t n_bytes)
{
	return add(text, bytes, n_bytes, "");
}

enum sc_status printable_add_lines(struct buf *text, const void *bytes, size_t n_bytes)
{
	return add(text, bytes, n_bytes, "\n\t\"\\");
}
