/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/first_bytes.h"

#include <stdbool.h>
#include <string.h>

/* Of a TLS record: the type of a handshake, and the major version since SSL 3.0. */
#define TLS_HANDSHAKE 22
#define TLS_MAJOR 3

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static bool is_text(uint8_t c)
{
	return (c >= ' ' && c < 0x7f) || c == '\r' || c == '\n' || c == '\t';
}

enum speaks first_bytes_add(struct first_bytes *first, const void *bytes, size_t n_bytes)
{
	const size_t n_room = FIRST_BYTES_MAX - first->n;
	const size_t n_new = n_bytes < n_room ? n_bytes : n_room;

	if (n_new)
		memcpy(first->bytes + first->n, bytes, n_new);
	first->n += n_new;
	if (!memcmp(first->bytes, preface, first->n))
		return first->n == FIRST_BYTES_MAX ? SPEAKS_HTTP2 : SPEAKS_UNKNOWN;
	if (first->bytes[0] != TLS_HANDSHAKE)
		return is_text(first->bytes[0]) ? SPEAKS_HTTP1 : SPEAKS_OTHER;
	if (first->n == 1)
		return SPEAKS_UNKNOWN;
	return first->bytes[1] == TLS_MAJOR ? SPEAKS_TLS : SPEAKS_OTHER;
}
