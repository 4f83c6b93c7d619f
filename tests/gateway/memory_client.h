/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_GATEWAY_MEMORY_CLIENT_H
#define STAGECOACH_TESTS_GATEWAY_MEMORY_CLIENT_H
/*
 * memory_client - an HTTP/2 client without a socket: its bytes go straight into a grpc_session,
 * and the session's bytes straight back. Failures inside it fail the test.
 */
#include "base/buf.h"
#include "gateway/grpc_session.h"

#include <nghttp2/nghttp2.h>

/* One call as the client sees it. */
struct memory_call {
	int32_t stream_id;
	char http_status[8];
	int grpc_status;	/* -1: none came */
	char grpc_message[512];	/* as on the wire */
	struct buf body;	/* message prefixes included */
	bool is_closed;
	uint32_t error_code;	/* of the stream */
	unsigned n_header_blocks;	/* 1: trailers only, 2: headers and trailers */
	struct buf request;
	size_t n_request_sent;
	bool keeps_open;	/* END_STREAM is never sent */
};

struct memory_client {
	nghttp2_session *http;
	struct grpc_session *server;
	uint64_t now_ns;
	bool is_goaway;
	int32_t goaway_last_id;
	uint32_t goaway_error;
	bool is_deaf;		/* takes nothing from the server */
	bool is_broken;		/* the server called the client's bytes a violation */
};

void memory_client_init(struct memory_client *client, struct grpc_session *server);
void memory_client_deinit(struct memory_client *client);

struct memory_header {
	const char *name;
	const char *value;
};

/* POST path with content-type application/grpc and extra headers (name NULL ends them; they
 * replace the usual ones of the same name). The body is sent as it is. */
void memory_call_open(struct memory_client *client, struct memory_call *call, const char *path,
		      const struct memory_header *extra, const void *body, size_t n_body);
void memory_call_deinit(struct memory_call *call);

/* A body of one message. */
void memory_body(struct buf *body, const void *message, size_t n_bytes);

/* Exchange bytes until nobody has any. */
void memory_client_run(struct memory_client *client);

/* All that the client has to say now, for tests that feed it by themselves; and the reverse. */
void memory_client_take(struct memory_client *client, struct buf *bytes);
void memory_client_give(struct memory_client *client, const void *bytes, size_t n_bytes);

void memory_call_cancel(struct memory_client *client, struct memory_call *call);

#endif
