/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_FIRST_BYTES_H
#define STAGECOACH_GATEWAY_FIRST_BYTES_H
/*
 * first_bytes - what a client speaks, by the first bytes of its connection. It is decided at the
 * first byte that differs from the preface of HTTP/2. Keeps FIRST_BYTES_MAX bytes of the client's.
 * Thread: any, one at a time.
 */
#include <stddef.h>
#include <stdint.h>

/* The length of what an HTTP/2 client says first, its preface (RFC 9113, 3.4). */
#define FIRST_BYTES_MAX 24

enum speaks {
	SPEAKS_UNKNOWN,		/* more bytes will tell */
	SPEAKS_HTTP2,
	SPEAKS_HTTP1,		/* text, if perhaps no request: HTTP/1 then says what is wrong */
	SPEAKS_TLS,		/* a ClientHello */
	SPEAKS_OTHER,
};

struct first_bytes {
	uint8_t bytes[FIRST_BYTES_MAX];
	size_t n;
};

/* The next bytes came. Once the answer is not SPEAKS_UNKNOWN it does not change any more. */
enum speaks first_bytes_add(struct first_bytes *first, const void *bytes, size_t n_bytes);

#endif
