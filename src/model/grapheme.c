/* SPDX-License-Identifier: Apache-2.0 */
#include "model/grapheme.h"

#include "base/utf8.h"

#include <stdbool.h>

static enum grapheme_class find_range(uint32_t code)
{
	size_t low = 0, high = grapheme_n_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (code > grapheme_ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < grapheme_n_ranges && code >= grapheme_ranges[low].first
	     ? (enum grapheme_class)grapheme_ranges[low].class : GRAPHEME_OTHER;
}

static bool is_in(uint32_t code, uint32_t first, uint32_t last)
{
	return code >= first && code <= last;
}

enum grapheme_class grapheme_class(uint32_t code)
{
	if (code < 0x80)
		return code == '\r' ? GRAPHEME_CR : code == '\n' ? GRAPHEME_LF
		     : code < 0x20 || code == 0x7F ? GRAPHEME_CONTROL : GRAPHEME_OTHER;
	if (code == 0x200D)
		return GRAPHEME_ZWJ;
	if (is_in(code, 0x1100, 0x115F) || is_in(code, 0xA960, 0xA97C))
		return GRAPHEME_L;
	if (is_in(code, 0x1160, 0x11A7) || is_in(code, 0xD7B0, 0xD7C6))
		return GRAPHEME_V;
	if (is_in(code, 0x11A8, 0x11FF) || is_in(code, 0xD7CB, 0xD7FB))
		return GRAPHEME_T;
	if (is_in(code, 0xAC00, 0xD7A3))
		return (code - 0xAC00) % 28 ? GRAPHEME_LVT : GRAPHEME_LV;
	return find_range(code);
}

/* text is a whole character of n bytes. */
static uint32_t decode(const char *text, unsigned n)
{
	const uint8_t *bytes = (const uint8_t *)text;
	uint32_t code = n == 1 ? bytes[0] : bytes[0] & (0x7Fu >> n);

	for (unsigned i = 1; i < n; i++)
		code = code << 6 | (bytes[i] & 0x3Fu);
	return code;
}

/* Returns the length of the character at the start of text, and its class. Bytes that are no UTF-8
 * break clusters as control characters do. */
static size_t read_class(const char *text, size_t n_bytes, enum grapheme_class *class_out)
{
	int length = utf8_next((const uint8_t *)text, n_bytes);

	*class_out = GRAPHEME_CONTROL;
	if (length <= 0)
		return 1;
	*class_out = grapheme_class(decode(text, (unsigned)length));
	return (size_t)length;
}

static bool is_joined(enum grapheme_class left, enum grapheme_class right, bool joins_picture)
{
	if (left == GRAPHEME_CR && right == GRAPHEME_LF)
		return true;
	if (left == GRAPHEME_CONTROL || left == GRAPHEME_CR || left == GRAPHEME_LF ||
	    right == GRAPHEME_CONTROL || right == GRAPHEME_CR || right == GRAPHEME_LF)
		return false;
	if (right == GRAPHEME_EXTEND || right == GRAPHEME_ZWJ || right == GRAPHEME_SPACING ||
	    left == GRAPHEME_PREPEND)
		return true;
	if (left == GRAPHEME_L)
		return right == GRAPHEME_L || right == GRAPHEME_V || right == GRAPHEME_LV ||
		       right == GRAPHEME_LVT;
	if (left == GRAPHEME_LV || left == GRAPHEME_V)
		return right == GRAPHEME_V || right == GRAPHEME_T;
	if (left == GRAPHEME_LVT || left == GRAPHEME_T)
		return right == GRAPHEME_T;
	return joins_picture && left == GRAPHEME_ZWJ && right == GRAPHEME_PICTURE;
}

size_t grapheme_length(const char *text, size_t n_bytes)
{
	enum grapheme_class left, right;
	bool joins_picture;	/* a picture and its extensions came before */
	size_t at;

	/* Most text is ASCII, where only CR LF is a cluster. */
	if (n_bytes > 1 && (uint8_t)text[0] < 0x80 && (uint8_t)text[1] < 0x80)
		return text[0] == '\r' && text[1] == '\n' ? 2 : 1;
	at = read_class(text, n_bytes, &left);
	joins_picture = left == GRAPHEME_PICTURE;
	while (at < n_bytes) {
		size_t n = read_class(text + at, n_bytes - at, &right);

		if (!is_joined(left, right, joins_picture))
			break;
		joins_picture = right == GRAPHEME_PICTURE ||
				(joins_picture &&
				 (right == GRAPHEME_EXTEND || right == GRAPHEME_ZWJ));
		left = right;
		at += n;
	}
	return at;
}
