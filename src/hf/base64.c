/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/tokenizer_parts.h"

#include <string.h>

static int digit_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum sc_status hf_base64(const char *text, struct buf *out)
{
	const size_t n = strlen(text);
	size_t at = 0;

	if (n % 4)
		return SC_E_FORMAT;
	while (at < n) {
		const bool is_last = at + 4 == n;
		const unsigned n_pad = !is_last || text[n - 1] != '=' ? 0
				     : text[n - 2] == '=' ? 2 : 1;
		uint32_t bits = 0;
		char bytes[3];
		enum sc_status status;

		for (unsigned i = 0; i < 4; i++) {
			const int digit = i >= 4 - n_pad ? 0 : digit_of(text[at + i]);

			if (digit < 0)
				return SC_E_FORMAT;
			bits = bits << 6 | (uint32_t)digit;
		}
		for (unsigned i = 0; i < 3; i++)
			bytes[i] = (char)(bits >> (16 - 8 * i));
		status = buf_add(out, bytes, 3 - n_pad);
		if (status)
			return status;
		at += 4;
	}
	return SC_OK;
}
