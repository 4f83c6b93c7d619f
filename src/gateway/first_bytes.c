/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/first_bytes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Registered methods have up to 17 letters, but those that people use have 7. */
#define MAX_METHOD 16
/* Of a TLS record: the type of a handshake, and the major version since SSL 3.0. */
#define TLS_HANDSHAKE 22
#define TLS_MAJOR 3

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static enum speaks speaks_in_letters(const uint8_t *bytes, size_t n)
{
	size_t n_letters = 0;

	while (n_letters < n && bytes[n_letters] >= 'A' && bytes[n_letters] <= 'Z')
		n_letters++;
	if (n_letters > MAX_METHOD)
		return SPEAKS_OTHER;
	if (n_letters == n)
		return SPEAKS_UNKNOWN;
	return n_letters && bytes[n_letters] == ' ' ? SPEAKS_HTTP1 : SPEAKS_OTHER;
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
		return speaks_in_letters(first->bytes, first->n);
	if (first->n == 1)
		return SPEAKS_UNKNOWN;
	return first->bytes[1] == TLS_MAJOR ? SPEAKS_TLS : SPEAKS_OTHER;
}

enum sc_status first_bytes_answer(const struct first_bytes *first, const char *flag,
				  const char *address, struct buf *answer)
{
	const bool wants_body = first->n < 5 || memcmp(first->bytes, "HEAD ", 5) != 0;
	char head[256], body[1024];
	int n;

	n = snprintf(body, sizeof body,
		     "This is a Stagecoach server. It speaks gRPC (HTTP/2 without TLS) at %s,\n"
		     "and no HTTP/1. Use the stagecoach command, for example\n\n"
		     "    stagecoach generate %s %s -p 'Once upon a time'\n\n"
		     "or a gRPC client for the service stagecoach.v1.Stagecoach "
		     "(stagecoach.proto).\n",
		     address, flag, address);
	if (n >= (int)sizeof body)
		n = (int)sizeof body - 1;
	snprintf(head, sizeof head,
		 "HTTP/1.1 400 Bad Request\r\n"
		 "Content-Type: text/plain; charset=utf-8\r\n"
		 "Content-Length: %d\r\n"
		 "Connection: close\r\n\r\n", n);
	if (buf_add_string(answer, head) != SC_OK)
		return SC_E_NOMEM;
	return wants_body ? buf_add(answer, body, (size_t)n) : SC_OK;
}
