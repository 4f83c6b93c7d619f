/* SPDX-License-Identifier: Apache-2.0 */
#include "model/byte_alphabet.h"

#include "base/utf8.h"

static bool stands_for_itself(uint32_t code)
{
	return (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xFF && code != 0xAD);
}

/* The bytes with another character are 00-20 (33 of them), 7F-A0 (34) and AD. */
int byte_alphabet_byte(uint32_t code)
{
	if (stands_for_itself(code))
		return (int)code;
	if (code < 0x100 || code > 0x143)
		return -1;
	code -= 0x100;
	return code <= 0x20 ? (int)code : code < 0x43 ? (int)(code - 0x21 + 0x7F) : 0xAD;
}

uint32_t byte_alphabet_code(uint8_t byte)
{
	if (stands_for_itself(byte))
		return byte;
	return 0x100 + (byte <= 0x20 ? byte : byte < 0xAD ? byte - 0x7Fu + 0x21 : 0x43u);
}

/* Returns the byte that the character at the start of text represents, or -1. */
static int byte_at(const uint8_t *text, size_t n_bytes, unsigned *length_out)
{
	int length = utf8_next(text, n_bytes);

	*length_out = length == 2 ? 2 : 1;
	if (length == 1)
		return byte_alphabet_byte(text[0]);
	return length == 2 ? byte_alphabet_byte((text[0] & 0x1Fu) << 6 | (text[1] & 0x3Fu)) : -1;
}

size_t byte_alphabet_decode(const char *text, size_t n_bytes, char *out, bool *is_pure_out)
{
	size_t n = 0;
	unsigned length;

	*is_pure_out = true;
	for (size_t i = 0; i < n_bytes; i += length) {
		int byte = byte_at((const uint8_t *)text + i, n_bytes - i, &length);

		if (byte >= 0) {
			out[n++] = (char)byte;
			continue;
		}
		*is_pure_out = false;
		for (unsigned k = 0; k < length; k++)
			out[n++] = text[i + k];
	}
	return n;
}
