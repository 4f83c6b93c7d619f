/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_BYTE_ALPHABET_H
#define STAGECOACH_MODEL_BYTE_ALPHABET_H
/*
 * byte_alphabet - the characters that represent bytes in byte-level vocabularies, so that every
 * token is printable text (GPT-2's bytes_to_unicode). Printable Latin-1 characters represent
 * themselves. The other 68 bytes are U+0100 to U+0143, in order.
 * Thread: any.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the byte that a code point represents, or -1. */
int byte_alphabet_byte(uint32_t code);
uint32_t byte_alphabet_code(uint8_t byte);

/* Writes the bytes that text represents to out, at most n_bytes, and returns their number.
 * Characters outside the alphabet are copied; *is_pure_out is true if there were none. */
size_t byte_alphabet_decode(const char *text, size_t n_bytes, char *out, bool *is_pure_out);

#endif
