/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_UNICODE_CLASS_H
#define STAGECOACH_MODEL_UNICODE_CLASS_H
/*
 * unicode_class - what tokenizers ask about single characters, and simple maps of them.
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the character at the start of n > 0 bytes. Returns its length; 0 for bytes that are not
 * UTF-8. */
size_t unicode_read(const char *text, size_t n, uint32_t *code_out);
/* Writes up to 4 bytes; returns how many. */
size_t unicode_write(uint32_t code, char *out);

bool unicode_is_space(uint32_t code);	/* White_Space */
bool unicode_is_mark(uint32_t code);	/* categories Mn, Mc, Me */
bool unicode_is_word(uint32_t code);	/* letters, marks, digits, connectors, joiners (UTS #18) */

/* Bytes of white space at the start, and at the end, of a text. */
size_t unicode_space_at_start(const char *text, size_t n);
size_t unicode_space_at_end(const char *text, size_t n);

/* Returns true if the character at the start (at the end) is of a word. */
bool unicode_word_at_start(const char *text, size_t n);
bool unicode_word_at_end(const char *text, size_t n);

/* The lower case, one or two code points. Returns how many. */
unsigned unicode_lower(uint32_t code, uint32_t out[2]);
/* Cleans a character as normalizer Nmt does: 0 or 1 code points. */
unsigned unicode_nmt(uint32_t code, uint32_t out[2]);

#endif
