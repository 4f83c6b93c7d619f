/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_http.h"

#include "gateway/grpc_message.h"

#include <assert.h>
#include <string.h>

#define OUTPUT_BYTES 65536	/* of a write */

enum sc_status client_http_create(const struct client_http_config *config,
				  nghttp2_session **http_out)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, config->stream_window },
	};
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *http = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return SC_E_NOMEM;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, config->on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, config->on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, config->on_frame_recv);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, config->on_stream_close);
	(void)nghttp2_session_client_new(&http, callbacks, config->arg);
	nghttp2_session_callbacks_del(callbacks);
	if (!http || nghttp2_submit_settings(http, NGHTTP2_FLAG_NONE, settings, 2) != 0 ||
	    nghttp2_session_set_local_window_size(http, NGHTTP2_FLAG_NONE, 0,
						  config->window) != 0) {
		nghttp2_session_del(http);
		return SC_E_NOMEM;
	}
	*http_out = http;
	return SC_OK;
}

enum sc_status client_body_pack(struct client_body *body, const ProtobufCMessage *message)
{
	size_t n_bytes = protobuf_c_message_get_packed_size(message);
	uint8_t *prefix;

	buf_truncate(&body->bytes, 0);
	body->n_sent = 0;
	if (buf_reserve(&body->bytes, GRPC_PREFIX_BYTES + n_bytes) != SC_OK)
		return SC_E_NOMEM;
	prefix = (uint8_t *)body->bytes.data;
	grpc_write_prefix(prefix, (uint32_t)n_bytes);
	protobuf_c_message_pack(message, prefix + GRPC_PREFIX_BYTES);
	body->bytes.length = GRPC_PREFIX_BYTES + n_bytes;
	return SC_OK;
}

static ssize_t read_body(nghttp2_session *http, int32_t stream_id, uint8_t *buffer, size_t n_max,
			 uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct client_body *body = source->ptr;
	size_t n = body->bytes.length - body->n_sent;

	(void)http;
	(void)stream_id;
	(void)arg;
	if (n > n_max)
		n = n_max;
	memcpy(buffer, body->bytes.data + body->n_sent, n);
	body->n_sent += n;
	if (body->n_sent == body->bytes.length)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

nghttp2_nv client_http_header(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value,
			     strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE };
}

int32_t client_http_submit(nghttp2_session *http, const struct client_http_route *route,
			   const nghttp2_nv *extra, size_t n_extra, struct client_body *body,
			   void *arg)
{
	nghttp2_data_provider provider = { .source.ptr = body, .read_callback = read_body };
	nghttp2_nv nv[6 + CLIENT_HTTP_MAX_EXTRA] = {
		client_http_header(":method", "POST"),
		client_http_header(":scheme", route->scheme),
		client_http_header(":path", route->path),
		client_http_header(":authority", route->authority),
		client_http_header("content-type", "application/grpc"),
		client_http_header("te", "trailers"),
	};

	assert(n_extra <= CLIENT_HTTP_MAX_EXTRA);
	for (size_t i = 0; i < n_extra; i++)
		nv[6 + i] = extra[i];
	return nghttp2_submit_request(http, NULL, nv, 6 + n_extra, &provider, arg);
}

enum sc_status client_http_fill(nghttp2_session *http, struct buf *output)
{
	const uint8_t *bytes;
	ssize_t n;

	while (output->length < OUTPUT_BYTES && (n = nghttp2_session_mem_send(http, &bytes)) != 0)
		if (n < 0 || buf_add(output, bytes, (size_t)n) != SC_OK)
			return SC_E_NOMEM;
	return SC_OK;
}
