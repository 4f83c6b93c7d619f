/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_CODEPOINT_H
#define STAGECOACH_JINJA_CODEPOINT_H
/*
 * codepoint - characters as Python's str sees them. All text in here is valid UTF-8: templates are
 * checked when they are parsed, variables by Jansson.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins with byte. */
static inline size_t codepoint_length(unsigned char byte)
{
	return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

static inline bool codepoint_begins(char byte)
{
	return (byte & 0xc0) != 0x80;
}

/* The character at text; its length is codepoint_length. */
uint32_t codepoint_at(const char *text);
/* Writes at most UTF8_MAX_BYTES (base/utf8.h); returns how many. */
size_t codepoint_write(uint32_t codepoint, char *bytes);
size_t codepoint_count(const char *text, size_t n_bytes);
/* Bytes of the first n_chars characters, at most n_bytes. */
size_t codepoint_skip(const char *text, size_t n_bytes, size_t n_chars);

/* How much of a text an error shows: whole characters of at most n_max bytes. For "%.*s". */
int codepoint_fit(const char *text, size_t n_bytes, size_t n_max);

bool codepoint_is_space(uint32_t codepoint);
bool codepoint_is_printable(uint32_t codepoint);	/* as Python's repr */
bool codepoint_is_letter(uint32_t codepoint);
bool codepoint_is_decimal(uint32_t codepoint);
bool codepoint_is_digit(uint32_t codepoint);	/* decimals, superscripts and the like */
bool codepoint_is_numeric(uint32_t codepoint);
bool codepoint_is_upper(uint32_t codepoint);
bool codepoint_is_lower(uint32_t codepoint);
bool codepoint_is_title(uint32_t codepoint);

enum { CASED_MAX = 3 };
enum letter_case { LETTER_LOWER, LETTER_UPPER, LETTER_TITLE, LETTER_FOLD };
/* Some characters become several: "ss" is the upper case of one. Returns how many. */
unsigned codepoint_cased(uint32_t codepoint, enum letter_case to, uint32_t out[CASED_MAX]);

/* Bytes of white space that text begins or ends with. */
size_t spaces_before(const char *text, size_t n_bytes);
size_t spaces_behind(const char *text, size_t n_bytes);

#endif
