/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HTTP_HTTP_HEAD_H
#define STAGECOACH_HTTP_HTTP_HEAD_H
/*
 * http_head - the request line and the header fields of one HTTP/1 request, read strictly (RFC
 * 9112): what two programs could understand differently is refused, because such requests are used
 * to slip a request past a proxy. That are: line ends other than CRLF, folded lines, white space
 * before a colon, control characters, several lengths, a length beside a transfer coding.
 * Bytes in, strings out. Bounded by the numbers below.
 * Thread: any, one at a time.
 */
#include "base/buf.h"
#include "base/status.h"
#include "http/http_call.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MAX_REQUEST_LINE 8192
#define HTTP_MAX_HEAD 16384	/* all lines together, line ends included */
#define HTTP_MAX_FIELDS 100

/* Why a request is refused: what the client is told. */
struct http_fault {
	unsigned status;	/* 400 and so on */
	char text[240];
};

struct http_head {
	struct buf text;	/* the lines as strings; the numbers below are offsets in it */
	struct http_field { uint32_t name, value; } fields[HTTP_MAX_FIELDS];
	unsigned n_fields;
	uint32_t method_at, path_at, query_at;
	uint32_t authority_at;	/* of a target that is an address; 0: it is none */
	enum http_method method;
	unsigned minor;		/* HTTP/1.minor: 0 or 1 */
	uint32_t line_at;	/* where the line begins that is being received */
	size_t n_bytes;		/* received */
	uint64_t n_body;	/* Content-Length; 0 without one */
	bool has_request_line;
	bool has_length;
	bool is_chunked;	/* the body is; n_body is 0 then */
	bool is_persistent;	/* the client wants to keep the connection */
	bool expects_continue;
	bool has_other_expectation;
};

void http_head_init(struct http_head *head);
void http_head_deinit(struct http_head *head);

/* Takes bytes up to the head's end: advances *bytes and *n_bytes. SC_OK: the head is complete.
 * SC_AGAIN: all bytes are taken, more are needed. SC_E_INVALID: fault says why. SC_E_NOMEM. */
must_check enum sc_status http_head_feed(struct http_head *head, const uint8_t **bytes,
					 size_t *n_bytes, struct http_fault *fault);

/* "" before the request line is complete. The path is decoded, without the query. */
const char *http_head_method(const struct http_head *head);
const char *http_head_path(const struct http_head *head);
const char *http_head_query(const struct http_head *head);
/* As http_call_header. */
const char *http_head_value(const struct http_head *head, const char *name);

/* Fills fault and returns SC_E_INVALID. */
enum sc_status http_fault_set(struct http_fault *fault, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
