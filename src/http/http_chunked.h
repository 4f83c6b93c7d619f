/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_CHUNKED_H
#define STAGECOACH_HTTP_HTTP_CHUNKED_H
/*
 * http_chunked - reads a body in the chunked transfer coding (RFC 9112, 7.1), strictly. Extensions
 * and trailers are checked and dropped. Holds no bytes.
 * Thread: any, one at a time.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of extensions and trailers in one body. */
#define HTTP_MAX_CHUNK_EXTRA 4096

struct http_chunked {
	unsigned state;
	uint64_t n_left;	/* of the chunk */
	unsigned n_digits;
	size_t n_extra;
};

void http_chunked_init(struct http_chunked *chunked);

/* Takes some bytes: advances *bytes and *n_bytes. *content_out points at what of them is content,
 * *n_content_out may be 0. Call again while there are bytes. SC_OK: the body is complete. SC_AGAIN:
 * it is not. SC_E_INVALID: what_out says what was expected, in static storage. */
must_check enum sc_status http_chunked_feed(struct http_chunked *chunked, const uint8_t **bytes,
					    size_t *n_bytes, const uint8_t **content_out,
					    size_t *n_content_out, const char **what_out);

#endif
