/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_measure.h"

/* What Jansson allocates, rounded up with the allocator's overhead: an object with its first table,
 * an array with its first eight places, a member's entry in the table, an element. */
#define OBJECT_BYTES 320
#define ARRAY_BYTES 160
#define MEMBER_BYTES 128
#define VALUE_BYTES 64

/* Returns the index behind the string that begins at `at`. */
static size_t skip_string(const char *bytes, size_t n_bytes, size_t at)
{
	for (at++; at < n_bytes && bytes[at] != '"'; at++)
		if (bytes[at] == '\\')
			at++;
	return at + 1;
}

size_t json_measure(const char *bytes, size_t n_bytes, unsigned *depth_out)
{
	size_t total = VALUE_BYTES + n_bytes;
	unsigned depth = 0;
	unsigned deepest = 0;

	for (size_t at = 0; at < n_bytes; at++) {
		switch (bytes[at]) {
		case '"':
			at = skip_string(bytes, n_bytes, at) - 1;
			break;
		case '{':
		case '[':
			total += bytes[at] == '{' ? OBJECT_BYTES : ARRAY_BYTES;
			depth++;
			deepest = depth > deepest ? depth : deepest;
			break;
		case '}':
		case ']':
			depth -= depth > 0;
			break;
		case ',':
			total += VALUE_BYTES;
			break;
		case ':':
			total += MEMBER_BYTES;
			break;
		}
	}
	*depth_out = deepest;
	return total;
}
