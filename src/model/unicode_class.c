/* SPDX-License-Identifier: Apache-2.0 */
#include "model/unicode_class.h"

#include "base/utf8.h"

#include <utf8proc.h>

size_t unicode_read(const char *text, size_t n, uint32_t *code_out)
{
	const uint8_t *bytes = (const uint8_t *)text;
	const int length = utf8_next(bytes, n);
	utf8proc_int32_t code = bytes[0];

	if (length <= 0)
		return 0;
	if (length > 1)
		(void)utf8proc_iterate(bytes, length, &code);
	*code_out = (uint32_t)code;
	return (size_t)length;
}

size_t unicode_write(uint32_t code, char *out)
{
	return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)out);
}

static utf8proc_category_t category_of(uint32_t code)
{
	return utf8proc_category((utf8proc_int32_t)code);
}

bool unicode_is_space(uint32_t code)
{
	if (code < 0x80)
		return code == ' ' || (code >= '\t' && code <= '\r');
	switch (category_of(code)) {
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return true;
	default:
		return code == 0x85;
	}
}

bool unicode_is_mark(uint32_t code)
{
	switch (category_of(code)) {
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
		return true;
	default:
		return false;
	}
}

/* Symbols that count as letters (Other_Alphabetic): circled and squared Latin letters. */
static bool is_letter_symbol(uint32_t code)
{
	return (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
	       (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
}

bool unicode_is_word(uint32_t code)
{
	switch (category_of(code)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_PC:
		return true;
	default:
		return code == 0x200C || code == 0x200D || is_letter_symbol(code);
	}
}

size_t unicode_space_at_start(const char *text, size_t n)
{
	size_t at = 0;
	uint32_t code;

	while (at < n) {
		const size_t length = unicode_read(text + at, n - at, &code);

		if (!length || !unicode_is_space(code))
			break;
		at += length;
	}
	return at;
}

/* Reads the last character of n > 0 bytes, as unicode_read. */
static size_t read_last(const char *text, size_t n, uint32_t *code_out)
{
	size_t length = 1;

	while (length < n && length < UTF8_MAX_BYTES && ((uint8_t)text[n - length] & 0xC0) == 0x80)
		length++;
	return unicode_read(text + n - length, length, code_out) == length ? length : 0;
}

size_t unicode_space_at_end(const char *text, size_t n)
{
	size_t end = n;
	uint32_t code;

	while (end) {
		const size_t length = read_last(text, end, &code);

		if (!length || !unicode_is_space(code))
			break;
		end -= length;
	}
	return n - end;
}

bool unicode_word_at_start(const char *text, size_t n)
{
	uint32_t code;

	return n && unicode_read(text, n, &code) && unicode_is_word(code);
}

bool unicode_word_at_end(const char *text, size_t n)
{
	uint32_t code;

	return n && read_last(text, n, &code) && unicode_is_word(code);
}

unsigned unicode_lower(uint32_t code, uint32_t out[2])
{
	if (code == 0x130) {	/* a capital I with a dot keeps its dot */
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
	return 1;
}

unsigned unicode_nmt(uint32_t code, uint32_t out[2])
{
	static const uint32_t spaces[] = {
		0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD,
	};
	const bool is_dropped = (code >= 0x01 && code <= 0x08) || code == 0x0B ||
				(code >= 0x0E && code <= 0x1F) || code == 0x7F || code == 0x8F ||
				code == 0x9F;

	out[0] = code;
	if (code >= 0x200B && code <= 0x200F)
		out[0] = ' ';
	for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
		if (code == spaces[i])
			out[0] = ' ';
	return is_dropped ? 0 : 1;
}
