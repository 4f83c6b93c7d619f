/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/memory_client.h"

#include "gateway/grpc_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
		     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	struct memory_call *call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
	const char *key = (const char *)name;
	(void)flags;
	(void)arg;
	(void)n_name;
	if (!call)
		return 0;
	if (strcmp(key, ":status") == 0 && n_value < sizeof call->http_status)
		memcpy(call->http_status, value, n_value + 1);
	else if (strcmp(key, "grpc-status") == 0)
		call->grpc_status = atoi((const char *)value);
	else if (strcmp(key, "grpc-message") == 0 && n_value < sizeof call->grpc_message)
		memcpy(call->grpc_message, value, n_value + 1);
	return 0;
}

static int on_frame_recv(nghttp2_session *http, const nghttp2_frame *frame, void *arg)
{
	struct memory_client *client = arg;
	struct memory_call *call;

	if (frame->hd.type == NGHTTP2_GOAWAY) {
		client->is_goaway = true;
		client->goaway_last_id = frame->goaway.last_stream_id;
		client->goaway_error = frame->goaway.error_code;
	}
	call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
	if (call && frame->hd.type == NGHTTP2_HEADERS)
		call->n_header_blocks++;
	return 0;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
		   size_t n_bytes, void *arg)
{
	struct memory_call *call = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)flags;
	(void)arg;
	if (call)
		assert_int_equal(buf_add(&call->body, bytes, n_bytes), SC_OK);
	return 0;
}

static int on_close(nghttp2_session *http, int32_t stream_id, uint32_t code, void *arg)
{
	struct memory_call *call = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)arg;
	if (call) {
		call->is_closed = true;
		call->error_code = code;
	}
	return 0;
}

static ssize_t read_request(nghttp2_session *http, int32_t stream_id, uint8_t *buffer,
			    size_t n_max, uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct memory_call *call = source->ptr;
	size_t n = call->request.length - call->n_request_sent;

	(void)http;
	(void)stream_id;
	(void)arg;
	if (n > n_max)
		n = n_max;
	if (!n && call->keeps_open)
		return NGHTTP2_ERR_DEFERRED;
	memcpy(buffer, call->request.data + call->n_request_sent, n);
	call->n_request_sent += n;
	if (call->n_request_sent == call->request.length && !call->keeps_open)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

void memory_client_init(struct memory_client *client, struct grpc_session *server)
{
	nghttp2_session_callbacks *callbacks;

	*client = (struct memory_client){ .server = server, .now_ns = 1 };
	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	assert_int_equal(nghttp2_session_client_new(&client->http, callbacks, client), 0);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(nghttp2_submit_settings(client->http, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

void memory_client_deinit(struct memory_client *client)
{
	nghttp2_session_del(client->http);
}

static nghttp2_nv pair(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
			     strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

void memory_call_open(struct memory_client *client, struct memory_call *call, const char *path,
		      const struct memory_header *extra, const void *body, size_t n_body)
{
	bool keeps_open = call->keeps_open;
	nghttp2_data_provider provider = { .source.ptr = call, .read_callback = read_request };
	nghttp2_nv nv[32] = {
		pair(":method", "POST"), pair(":scheme", "http"), pair(":path", path),
		pair(":authority", "localhost"), pair("content-type", "application/grpc"),
		pair("te", "trailers"),
	};
	size_t n = 6;

	*call = (struct memory_call){ .grpc_status = -1, .keeps_open = keeps_open };
	buf_init(&call->body);
	buf_init(&call->request);
	assert_int_equal(buf_add(&call->request, body, n_body), SC_OK);
	for (; extra && extra->name; extra++) {
		size_t at = 0;

		while (at < n && strcmp((const char *)nv[at].name, extra->name) != 0)
			at++;
		assert_true(at < 32);
		nv[at] = pair(extra->name, extra->value);
		if (at == n)
			n++;
	}
	call->stream_id = nghttp2_submit_request(client->http, NULL, nv, n, &provider, call);
	assert_true(call->stream_id > 0);
}

void memory_call_deinit(struct memory_call *call)
{
	buf_deinit(&call->body);
	buf_deinit(&call->request);
}

void memory_body(struct buf *body, const void *message, size_t n_bytes)
{
	uint8_t prefix[GRPC_PREFIX_BYTES];

	grpc_write_prefix(prefix, (uint32_t)n_bytes);
	assert_int_equal(buf_add(body, prefix, sizeof prefix), SC_OK);
	assert_int_equal(buf_add(body, message, n_bytes), SC_OK);
}

void memory_client_take(struct memory_client *client, struct buf *bytes)
{
	for (;;) {
		const uint8_t *data;
		ssize_t n = nghttp2_session_mem_send(client->http, &data);

		assert_true(n >= 0);
		if (n == 0)
			return;
		assert_int_equal(buf_add(bytes, data, (size_t)n), SC_OK);
	}
}

void memory_client_give(struct memory_client *client, const void *bytes, size_t n_bytes)
{
	ssize_t n = nghttp2_session_mem_recv(client->http, bytes, n_bytes);

	assert_int_equal(n, (ssize_t)n_bytes);
}

/* One way each; true: something moved. */
static bool exchange(struct memory_client *client)
{
	struct buf bytes = BUF_INIT;
	bool has_moved;

	memory_client_take(client, &bytes);
	has_moved = bytes.length > 0;
	if (bytes.length && grpc_session_receive(client->server, bytes.data, bytes.length,
						 client->now_ns, NULL) != SC_OK)
		client->is_broken = true;
	buf_deinit(&bytes);
	while (!client->is_deaf) {
		const uint8_t *data;
		size_t n;

		assert_int_equal(grpc_session_send(client->server, client->now_ns, &data,
						   &n, NULL), SC_OK);
		if (n == 0)
			break;
		memory_client_give(client, data, n);
		has_moved = true;
	}
	return has_moved;
}

void memory_client_run(struct memory_client *client)
{
	while (exchange(client))
		;
}

void memory_call_cancel(struct memory_client *client, struct memory_call *call)
{
	assert_int_equal(nghttp2_submit_rst_stream(client->http, NGHTTP2_FLAG_NONE,
						   call->stream_id, NGHTTP2_CANCEL), 0);
}
