/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_SERVE_REPLY_H
#define STAGECOACH_BENCH_SERVE_REPLY_H
/*
 * serve_reply - HTTP/1.1 responses whose body is a stream of server-sent events.
 * Bytes in, events out: no sockets. The bytes are foreign: lines, headers, chunks and events have
 * limits, and what breaks the protocol is an error. Sources: RFC 9112; "Server-sent events" of the
 * HTML standard, of which lines that end in CR alone are not supported.
 * Memory is kept from response to response; nothing is allocated per event.
 * Thread: one at a time.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLY_MAX_LINE 16384u		/* of the head and of chunk sizes */
#define REPLY_MAX_HEADERS 200u
#define REPLY_MAX_CHUNK (UINT64_C(1) << 30)
#define REPLY_MAX_EVENT (4u << 20)	/* the data of one event */
#define REPLY_MAX_TEXT 400u		/* of a body that is no event stream */

/* The data of an event, followed by a NUL; borrowed until it returns. A failure ends the feed. */
typedef enum sc_status reply_event_fn(void *arg, const char *data, size_t n_bytes,
				      struct error *err);

enum reply_state {
	REPLY_STATUS_LINE,
	REPLY_HEADER,
	REPLY_BODY,		/* of known length */
	REPLY_BODY_TO_END,	/* until the server closes the connection */
	REPLY_CHUNK_SIZE,
	REPLY_CHUNK,
	REPLY_CHUNK_END,	/* the line end behind a chunk */
	REPLY_TRAILER,
	REPLY_DONE,
};

struct reply {
	reply_event_fn *on_event;
	void *arg;
	enum reply_state state;
	int http_status;
	bool is_event_stream;
	bool is_chunked;
	bool has_length;
	bool has_begun;			/* any byte came */
	bool keeps_connection;		/* another request may follow */
	unsigned n_headers;
	uint64_t n_left;		/* of the body or the chunk */
	struct buf line;		/* of the head */
	struct buf event_line;
	struct buf data;		/* of the event */
	bool has_data;
	char text[REPLY_MAX_TEXT + 1];	/* how another body begins */
	size_t n_text;
};

void reply_init(struct reply *reply, reply_event_fn *on_event, void *arg);
void reply_deinit(struct reply *reply);
/* Expect a new response. */
void reply_begin(struct reply *reply);

/* Moves *bytes and *n_bytes over what was used, which ends behind the response.
 * SC_OK: the response is complete. SC_AGAIN: more is needed. SC_E_PROTOCOL, SC_E_TOO_LARGE: a
 * limit, SC_E_NOMEM, or what on_event returned. */
must_check enum sc_status reply_feed(struct reply *reply, const uint8_t **bytes, size_t *n_bytes,
				     struct error *err);

/* The server has closed the connection. SC_OK: the response is complete. SC_E_CLOSED. */
must_check enum sc_status reply_close(struct reply *reply, struct error *err);

#endif
