/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

/* Returns the length of the character that lead starts, and the range of its second byte. Returns 0
 * if lead cannot start a character. */
static unsigned lead_length(uint8_t lead, uint8_t *low_out, uint8_t *high_out)
{
	*low_out = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	*high_out = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	if (lead < 0x80)
		return 1;
	if (lead < 0xC2)
		return 0;
	return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

int utf8_next(const uint8_t *bytes, size_t n)
{
	uint8_t low, high;
	unsigned length = lead_length(bytes[0], &low, &high);

	if (!length)
		return -1;
	for (unsigned i = 1; i < length; i++) {
		if (i == n)
			return 0;
		if (bytes[i] < low || bytes[i] > high)
			return -(int)i;
		low = 0x80;
		high = 0xBF;
	}
	return (int)length;
}

size_t utf8_valid_length(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t at = 0;

	while (at < n) {
		int length = p[at] < 0x80 ? 1 : utf8_next(p + at, n - at);

		if (length <= 0)
			break;
		at += (size_t)length;
	}
	return at;
}
