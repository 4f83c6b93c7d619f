/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_UTF8_H
#define STAGECOACH_BASE_UTF8_H
/*
 * utf8 - finds the boundaries of characters in arbitrary bytes.
 * Well-formed means the Unicode Standard's table 3-7: no overlong forms, no surrogates, nothing
 * above U+10FFFF. Allocates nothing and keeps no state. Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX_BYTES 4	/* of one character */

/* Classifies the start of n > 0 bytes. Returns
 * - 1 to 4: a character of that many bytes;
 * - 0: the n bytes are the start of an unfinished character;
 * - -k: k bytes that belong to no character (the longest run that one U+FFFD replaces). */
int utf8_next(const uint8_t *bytes, size_t n);

/* Returns the number of leading bytes that are whole, well-formed characters. */
size_t utf8_valid_length(const void *bytes, size_t n);

#endif
