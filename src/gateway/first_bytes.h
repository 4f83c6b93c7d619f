/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_FIRST_BYTES_H
#define STAGECOACH_GATEWAY_FIRST_BYTES_H
/*
 * first_bytes - what a client speaks, by the first bytes of its connection, and an answer for a
 * client that speaks HTTP/1: what this server is and how to use it. Bytes in, bytes out; keeps
 * FIRST_BYTES_MAX bytes of the client's.
 * Thread: any, one at a time.
 */
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* The length of what an HTTP/2 client says first, its preface (RFC 9113, 3.4). */
#define FIRST_BYTES_MAX 24

enum speaks {
	SPEAKS_UNKNOWN,		/* more bytes will tell */
	SPEAKS_HTTP2,
	SPEAKS_HTTP1,		/* a method and a space, as every request line begins */
	SPEAKS_TLS,		/* a ClientHello */
	SPEAKS_OTHER,
};

struct first_bytes {
	uint8_t bytes[FIRST_BYTES_MAX];
	size_t n;
};

/* The next bytes came. Once the answer is not SPEAKS_UNKNOWN it does not change any more. */
enum speaks first_bytes_add(struct first_bytes *first, const void *bytes, size_t n_bytes);

/* Appends the answer to an HTTP/1 request. flag and address say how the stagecoach command finds
 * this server: "--listen" and "127.0.0.1:8080", or "--socket" and a path. The connection is to be
 * closed after it. SC_E_NOMEM. */
must_check enum sc_status first_bytes_answer(const struct first_bytes *first, const char *flag,
					     const char *address, struct buf *answer);

#endif
