/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/hard_texts.h"

#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define PUNCTUATION "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

const struct hard_text hard_texts[] = {
	{ .name = "prose", .unit = "It was the best of times, it was the worst of times.\n" },
	{ .name = "code", .unit = "\tif (foo->bar != NULL && baz[12] > 3.14e10)\n"
				  "\t\treturn fooBar(x, y);  /* why */\n\n" },
	{ .name = "letters", .set = LOWER },
	{ .name = "both cases", .set = LOWER UPPER },
	{ .name = "two letters", .set = "ab" },
	{ .name = "frequent letters", .set = "etaoinshr" },
	{ .name = "one letter", .unit = "a" },
	{ .name = "one capital", .unit = "A" },
	{ .name = "changing case", .unit = "aB" },
	{ .name = "letters and spaces", .unit = "a " },
	{ .name = "capitals", .set = UPPER },
	{ .name = "modifiers", .unit = "A\u02B0" },
	{ .name = "spaces", .unit = " " },
	{ .name = "spaces and a letter", .unit = " ", .tail = "x" },
	{ .name = "spaces and a newline", .unit = " ", .tail = "\n" },
	{ .name = "newlines", .unit = "\n" },
	{ .name = "CR LF", .unit = "\r\n" },
	{ .name = "tabs", .unit = "\t" },
	{ .name = "white space", .set = " \n\t\r\v\f" },
	{ .name = "empty lines", .unit = "                \n" },
	{ .name = "no-break spaces", .unit = "\u00A0" },
	{ .name = "wide spaces", .unit = "\u3000" },
	{ .name = "visible spaces", .unit = "\u2581" },
	{ .name = "zeros", .unit = "0" },
	{ .name = "digits", .set = "0123456789" },
	{ .name = "digits and a letter", .set = "0123456789", .tail = "x" },
	{ .name = "Arabic digits", .first = 0x660, .last = 0x669 },
	{ .name = "punctuation", .set = PUNCTUATION },
	{ .name = "exclamation", .unit = "!" },
	{ .name = "equals", .unit = "=" },
	{ .name = "dashes", .unit = "-" },
	{ .name = "apostrophes", .unit = "'" },
	{ .name = "contractions", .unit = "'s" },
	{ .name = "almost contractions", .unit = "'l" },
	{ .name = "almost special", .unit = "<|endoftext|" },
	{ .name = "angles", .unit = "<" },
	{ .name = "almost sentinels", .unit = "<sentinel:1" },
	{ .name = "one long sentinel", .unit = "1", .tail = "<sentinel:1" },
	{ .name = "almost images", .unit = "IMGIMGA" },
	{ .name = "ASCII", .set = " " LOWER UPPER PUNCTUATION "0123456789" },
	{ .name = "bytes", .unit = NULL },
	{ .name = "bytes FF", .unit = "\xFF" },
	{ .name = "unfinished characters", .unit = "\xF0\x9F\x98" },
	{ .name = "control characters", .unit = "\x01" },
	{ .name = "Han", .first = 0x4E00, .last = 0x9FA5 },
	{ .name = "one Han", .unit = "\u4E2D" },
	{ .name = "Hangul", .first = 0xAC00, .last = 0xD7A3 },
	{ .name = "kana", .first = 0x3041, .last = 0x30FE },
	{ .name = "Cyrillic", .first = 0x400, .last = 0x44F },
	{ .name = "Hebrew", .first = 0x5D0, .last = 0x5EA },
	{ .name = "accents", .unit = "a\u0301" },
	{ .name = "only accents", .unit = "\u0301" },
	{ .name = "emoji", .first = 0x1F600, .last = 0x1F64F },
	{ .name = "any below surrogates", .first = 1, .last = 0xD7FF },
	{ .name = NULL },
};

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static size_t put_character(uint32_t code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xC0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xE0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3F));
		out[2] = (char)(0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3F));
	out[2] = (char)(0x80 | (code >> 6 & 0x3F));
	out[3] = (char)(0x80 | (code & 0x3F));
	return 4;
}

/* One unit or character into out, which has room for 128 bytes. */
static size_t put_next(const struct hard_text *text, uint64_t *random, char *out)
{
	size_t n;

	if (text->unit) {
		n = strlen(text->unit);
		memcpy(out, text->unit, n);
		return n;
	}
	if (text->set) {
		*out = text->set[next_random(random) % strlen(text->set)];
		return 1;
	}
	if (text->last)
		return put_character(text->first +
				     next_random(random) % (text->last - text->first + 1), out);
	*out = (char)next_random(random);
	return 1;
}

void hard_text_fill(const struct hard_text *text, char *out, size_t n_bytes)
{
	size_t n_tail = text->tail ? strlen(text->tail) : 0;
	size_t at = 0, n;
	uint64_t random = 1;
	char next[128];

	for (; at + n_tail < n_bytes; at += n) {
		n = put_next(text, &random, next);
		if (at + n + n_tail > n_bytes)
			break;
		memcpy(out + at, next, n);
	}
	memset(out + at, 'a', n_bytes - at);
	if (n_tail && n_tail <= n_bytes)
		memcpy(out + n_bytes - n_tail, text->tail, n_tail);
}
