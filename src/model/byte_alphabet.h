/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_BYTE_ALPHABET_H
#define STAGECOACH_MODEL_BYTE_ALPHABET_H
/*
 * byte_alphabet - the characters by which byte-level vocabularies write bytes, so that every token
 * is printable text: GPT-2's bytes_to_unicode. Printable Latin-1 stands for itself, the other 68
 * bytes are U+0100 to U+0143 in their order.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The byte that a code point stands for, or -1. */
int byte_alphabet_byte(uint32_t code);
uint32_t byte_alphabet_code(uint8_t byte);

/* Write the bytes that text stands for to out (at most n_bytes); returns their number. Bytes of
 * other characters stay as they are; *is_pure_out tells that there were none. */
size_t byte_alphabet_decode(const char *text, size_t n_bytes, char *out, bool *is_pure_out);

#endif
