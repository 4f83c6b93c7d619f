/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_JSON_SCAN_H
#define STAGECOACH_CHAT_JSON_SCAN_H
/*
 * json_scan - finds the end of a JSON value byte by byte, and decodes strings byte by byte. A model
 * wrote the text: only brackets, quotes and escapes are looked at, the rest passes unchecked.
 * No allocation, whatever the depth. Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_scan {
	uint32_t depth;
	bool is_in_string, is_escaped, is_scalar;
};

enum json_scan_end {
	JSON_GOES_ON,
	JSON_ENDS_AFTER,	/* this byte is the value's last */
	JSON_ENDS_BEFORE,	/* this byte is behind the value: a number or a word ended */
};

/* Starts with the first byte of a value, no white space. */
enum json_scan_end json_scan_first(struct json_scan *scan, char c);
enum json_scan_end json_scan_next(struct json_scan *scan, char c);

struct json_unescape {
	uint8_t state;		/* 0: text; 1: behind a backslash; 2 to 5: hexadecimal digits */
	uint32_t code, high;	/* high: the first half of a surrogate pair, or 0 */
};

/* A byte of a string, behind its opening quote: writes the bytes that are certain to out[8] and
 * their number to *n_out. Returns true at the closing quote. A half surrogate becomes U+FFFD. */
bool json_unescape_next(struct json_unescape *unescape, char c, char out[8], size_t *n_out);

static inline bool is_json_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

#endif
