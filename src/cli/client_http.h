/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLIENT_HTTP_H
#define STAGECOACH_CLI_CLIENT_HTTP_H
/*
 * client_http - the client's half of gRPC over HTTP/2: the session, a call's headers, the bytes of
 * its request. No sockets.
 * Thread: that of the session.
 */
#include "base/buf.h"
#include "base/status.h"

#include <nghttp2/nghttp2.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* Windows in bytes: how much a server may send on a stream, and on all of them, before it is told
 * that there is room for more. */
struct client_http_config {
	nghttp2_on_header_callback on_header;
	nghttp2_on_data_chunk_recv_callback on_data;
	nghttp2_on_frame_recv_callback on_frame_recv;	/* may be NULL */
	nghttp2_on_stream_close_callback on_stream_close;
	void *arg;			/* of all of them */
	uint32_t stream_window;
	int32_t window;
};

/* A session that has queued its settings. SC_E_NOMEM. nghttp2_session_del releases it. */
must_check enum sc_status client_http_create(const struct client_http_config *config,
					     nghttp2_session **http_out);

/* A request's only message. Its owner calls buf_init and buf_deinit. */
struct client_body {
	struct buf bytes;	/* with its prefix */
	size_t n_sent;
};

/* Replaces what the body held. SC_E_NOMEM. */
must_check enum sc_status client_body_pack(struct client_body *body,
					   const ProtobufCMessage *message);

/* name and value are borrowed until the request is submitted. */
nghttp2_nv client_http_header(const char *name, const char *value);

/* Where a call goes. */
struct client_http_route {
	const char *scheme;	/* "http" or "https" */
	const char *authority;	/* the server's name, as the client knows it */
	const char *path;
};

/* Submits a call with its usual headers and n_extra more, at most CLIENT_HTTP_MAX_EXTRA.
 * Borrows body until the stream is closed; arg becomes the stream's user data. Returns a stream id,
 * or a negative error of nghttp2. */
enum { CLIENT_HTTP_MAX_EXTRA = 4 };
int32_t client_http_submit(nghttp2_session *http, const struct client_http_route *route,
			   const nghttp2_nv *extra, size_t n_extra, struct client_body *body,
			   void *arg);

/* Moves what the session wants to send into output, until output has enough for a write.
 * SC_E_NOMEM. */
must_check enum sc_status client_http_fill(nghttp2_session *http, struct buf *output);

#endif
