/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/grpc_header.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

bool grpc_is_content_type(const char *value, size_t n_bytes)
{
	static const char type[] = "application/grpc";
	static const char proto[] = "+proto";
	size_t at = sizeof type - 1;

	if (n_bytes < at || memcmp(value, type, at) != 0)
		return false;
	if (n_bytes - at >= sizeof proto - 1 && memcmp(value + at, proto, sizeof proto - 1) == 0)
		at += sizeof proto - 1;
	return at == n_bytes || value[at] == ';' || value[at] == ' ';
}

static const struct {
	char unit;
	uint64_t ns;
} timeout_units[] = {
	{ 'n', 1 },
	{ 'u', 1000 },
	{ 'm', NS_PER_MS },
	{ 'S', NS_PER_SECOND },
	{ 'M', 60 * NS_PER_SECOND },
	{ 'H', 3600 * NS_PER_SECOND },
};
#define N_TIMEOUT_UNITS (sizeof timeout_units / sizeof timeout_units[0])

bool grpc_parse_timeout(const char *value, size_t n_bytes, uint64_t *timeout_ns_out)
{
	uint64_t number = 0;

	if (n_bytes < 2 || n_bytes > 9)
		return false;
	for (size_t i = 0; i < n_bytes - 1; i++) {
		if (value[i] < '0' || value[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(value[i] - '0');
	}
	for (size_t i = 0; i < N_TIMEOUT_UNITS; i++) {
		if (timeout_units[i].unit != value[n_bytes - 1])
			continue;
		/* 99999999 hours are 3.6e20 ns: as good as none. */
		if (number > UINT64_MAX / timeout_units[i].ns)
			*timeout_ns_out = UINT64_MAX;
		else
			*timeout_ns_out = number * timeout_units[i].ns;
		return true;
	}
	return false;
}

void grpc_format_timeout(uint64_t timeout_ns, char *text)
{
	for (size_t i = 0; i < N_TIMEOUT_UNITS; i++) {
		uint64_t unit = timeout_units[i].ns;
		uint64_t number = timeout_ns / unit + (timeout_ns % unit != 0);

		if (number > 99999999 && i + 1 < N_TIMEOUT_UNITS)
			continue;
		snprintf(text, GRPC_TIMEOUT_MAX, "%u%c", (unsigned)number, timeout_units[i].unit);
		return;
	}
}

/* How many encoded bytes the character at text takes, and of how many bytes it is. A byte that
 * begins no character counts as one. */
static size_t character_bytes(const char *text)
{
	uint8_t first = (uint8_t)text[0];
	size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;

	for (size_t i = 1; i < n; i++)
		if (((uint8_t)text[i] & 0xc0) != 0x80)
			return 1;
	return n;
}

size_t grpc_percent_encode(const char *text, char *out, size_t capacity)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t length = 0;

	while (*text) {
		bool is_plain = *text >= ' ' && *text <= '~' && *text != '%';
		size_t n = is_plain ? 1 : character_bytes(text);

		if (length + (is_plain ? 1 : 3 * n) >= capacity)
			break;
		if (is_plain) {
			out[length++] = *text++;
			continue;
		}
		for (size_t i = 0; i < n; i++, text++) {
			out[length++] = '%';
			out[length++] = digits[(uint8_t)*text >> 4];
			out[length++] = digits[(uint8_t)*text & 15];
		}
	}
	if (capacity)
		out[length] = '\0';
	return length;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t grpc_percent_decode(const char *text, size_t n_bytes, char *out, size_t capacity)
{
	size_t length = 0;

	for (size_t i = 0; i < n_bytes && length + 1 < capacity; i++) {
		int high = i + 2 < n_bytes && text[i] == '%' ? hex_digit(text[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

		if (low < 0) {
			out[length++] = text[i];
			continue;
		}
		out[length++] = (char)(high * 16 + low);
		i += 2;
	}
	if (capacity)
		out[length] = '\0';
	return length;
}
