/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/codepoint.h"

#include <string.h>
#include <utf8proc.h>

uint32_t codepoint_at(const char *text)
{
	const unsigned char *t = (const unsigned char *)text;

	switch (codepoint_length(*t)) {
	case 1:
		return *t;
	case 2:
		return (t[0] & 0x1fu) << 6 | (t[1] & 0x3fu);
	case 3:
		return (t[0] & 0xfu) << 12 | (t[1] & 0x3fu) << 6 | (t[2] & 0x3fu);
	default:
		return (t[0] & 7u) << 18 | (t[1] & 0x3fu) << 12 | (t[2] & 0x3fu) << 6 |
		       (t[3] & 0x3fu);
	}
}

size_t codepoint_write(uint32_t codepoint, char *bytes)
{
	return (size_t)utf8proc_encode_char((utf8proc_int32_t)codepoint,
					    (utf8proc_uint8_t *)bytes);
}

size_t codepoint_count(const char *text, size_t n_bytes)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t n = n_bytes, i = 0;

	/* Eight bytes at a time: those that are 10xxxxxx begin no character. */
	for (; i + sizeof(uint64_t) <= n_bytes; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, text + i, sizeof word);
		n -= ((word >> 7 & ~word >> 6 & ones) * ones) >> 56;
	}
	for (; i < n_bytes; i++)
		n -= !codepoint_begins(text[i]);
	return n;
}

size_t codepoint_skip(const char *text, size_t n_bytes, size_t n_chars)
{
	size_t at = 0;

	while (n_chars-- && at < n_bytes)
		at += codepoint_length((unsigned char)text[at]);
	return at;
}

int codepoint_fit(const char *text, size_t n_bytes, size_t n_max)
{
	if (n_bytes > n_max)
		for (n_bytes = n_max; n_bytes && !codepoint_begins(text[n_bytes]);)
			n_bytes--;
	return (int)n_bytes;
}

static utf8proc_category_t category(uint32_t codepoint)
{
	return utf8proc_category((utf8proc_int32_t)codepoint);
}

/* str.isspace, which is also what \s of Python's re matches. */
bool codepoint_is_space(uint32_t c)
{
	if (c < 0x80)
		return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
	return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool codepoint_is_printable(uint32_t codepoint)
{
	if (codepoint < 0x7f)
		return codepoint >= ' ';
	switch (category(codepoint)) {
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
	case UTF8PROC_CATEGORY_ZS:
		return false;
	default:
		return true;
	}
}

bool codepoint_is_letter(uint32_t codepoint)
{
	switch (category(codepoint)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
		return true;
	default:
		return false;
	}
}

bool codepoint_is_decimal(uint32_t codepoint)
{
	return category(codepoint) == UTF8PROC_CATEGORY_ND;
}

bool codepoint_is_digit(uint32_t c)
{
	return codepoint_is_decimal(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 ||
	       (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
	       (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247c);
}

bool codepoint_is_numeric(uint32_t codepoint)
{
	utf8proc_category_t kind = category(codepoint);

	return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
	       kind == UTF8PROC_CATEGORY_NO;
}

bool codepoint_is_upper(uint32_t codepoint)
{
	return category(codepoint) == UTF8PROC_CATEGORY_LU;
}

bool codepoint_is_lower(uint32_t codepoint)
{
	return category(codepoint) == UTF8PROC_CATEGORY_LL || codepoint == 0xaa ||
	       codepoint == 0xba;
}

bool codepoint_is_title(uint32_t codepoint)
{
	return category(codepoint) == UTF8PROC_CATEGORY_LT;
}

/* Characters whose upper case is longer, as SpecialCasing.txt of Unicode has them; title is how the
 * first letter of a word is written. Accented ones of Greek with more than this are left out. */
static const struct longer {
	uint16_t codepoint;
	uint16_t upper[CASED_MAX];
	uint16_t title[CASED_MAX];
} longer[] = {
	{ 0x00df, { 'S', 'S' }, { 'S', 's' } },
	{ 0x0149, { 0x02bc, 'N' }, { 0x02bc, 'N' } },
	{ 0x01f0, { 'J', 0x030c }, { 'J', 0x030c } },
	{ 0x0390, { 0x0399, 0x0308, 0x0301 }, { 0x0399, 0x0308, 0x0301 } },
	{ 0x03b0, { 0x03a5, 0x0308, 0x0301 }, { 0x03a5, 0x0308, 0x0301 } },
	{ 0x0587, { 0x0535, 0x0552 }, { 0x0535, 0x0582 } },
	{ 0x1e96, { 'H', 0x0331 }, { 'H', 0x0331 } },
	{ 0x1e97, { 'T', 0x0308 }, { 'T', 0x0308 } },
	{ 0x1e98, { 'W', 0x030a }, { 'W', 0x030a } },
	{ 0x1e99, { 'Y', 0x030a }, { 'Y', 0x030a } },
	{ 0x1e9a, { 'A', 0x02be }, { 'A', 0x02be } },
	{ 0xfb00, { 'F', 'F' }, { 'F', 'f' } },
	{ 0xfb01, { 'F', 'I' }, { 'F', 'i' } },
	{ 0xfb02, { 'F', 'L' }, { 'F', 'l' } },
	{ 0xfb03, { 'F', 'F', 'I' }, { 'F', 'f', 'i' } },
	{ 0xfb04, { 'F', 'F', 'L' }, { 'F', 'f', 'l' } },
	{ 0xfb05, { 'S', 'T' }, { 'S', 't' } },
	{ 0xfb06, { 'S', 'T' }, { 'S', 't' } },
};

static unsigned take(const uint16_t from[CASED_MAX], uint32_t out[CASED_MAX])
{
	unsigned n = 0;

	for (; n < CASED_MAX && from[n]; n++)
		out[n] = from[n];
	return n;
}

static unsigned fold(utf8proc_int32_t codepoint, uint32_t out[CASED_MAX])
{
	utf8proc_int32_t folded[CASED_MAX];
	int boundary = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char(codepoint, folded, CASED_MAX,
						     UTF8PROC_CASEFOLD, &boundary);

	if (n < 1 || n > CASED_MAX) {
		out[0] = (uint32_t)codepoint;
		return 1;
	}
	for (utf8proc_ssize_t i = 0; i < n; i++)
		out[i] = (uint32_t)folded[i];
	return (unsigned)n;
}

static unsigned cased_wide(uint32_t codepoint, enum letter_case to, uint32_t out[CASED_MAX])
{
	utf8proc_int32_t c = (utf8proc_int32_t)codepoint;

	if (to == LETTER_UPPER || to == LETTER_TITLE) {
		for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
			if (longer[i].codepoint == codepoint)
				return take(to == LETTER_UPPER ? longer[i].upper : longer[i].title,
					    out);
	}
	if (to == LETTER_FOLD)
		return fold(c, out);
	if (to == LETTER_LOWER && codepoint == 0x130) {
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = (uint32_t)(to == LETTER_UPPER ? utf8proc_toupper(c) :
			    to == LETTER_TITLE ? utf8proc_totitle(c) : utf8proc_tolower(c));
	return 1;
}

unsigned codepoint_cased(uint32_t codepoint, enum letter_case to, uint32_t out[CASED_MAX])
{
	if (codepoint >= 0x80)
		return cased_wide(codepoint, to, out);
	out[0] = codepoint;
	if (to == LETTER_UPPER || to == LETTER_TITLE) {
		if (codepoint >= 'a' && codepoint <= 'z')
			out[0] = codepoint - 'a' + 'A';
	} else if (codepoint >= 'A' && codepoint <= 'Z') {
		out[0] = codepoint - 'A' + 'a';
	}
	return 1;
}

size_t spaces_before(const char *text, size_t n_bytes)
{
	size_t at = 0;

	while (at < n_bytes && codepoint_is_space(codepoint_at(text + at)))
		at += codepoint_length((unsigned char)text[at]);
	return at;
}

size_t spaces_behind(const char *text, size_t n_bytes)
{
	size_t end = n_bytes;

	while (end) {
		size_t at = end - 1;

		while (at && !codepoint_begins(text[at]))
			at--;
		if (!codepoint_is_space(codepoint_at(text + at)))
			break;
		end = at;
	}
	return n_bytes - end;
}
