/* SPDX-License-Identifier: Apache-2.0 */
/* The door to Stagecoach's gRPC: many calls of Generate at once on one connection. */
#include "bench/serve_door.h"

#include "base/buf.h"
#include "cli/client_http.h"
#include "gateway/grpc_header.h"
#include "gateway/grpc_message.h"
#include "gateway/grpc_status.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 5000
#define MAX_MESSAGE ((size_t)1 << 20)
#define WINDOW_BYTES (1 << 30)	/* so large that hardly any window update is sent */

/* Memory of one unpacked message; reset before the next one. */
struct arena {
	_Alignas(16) uint8_t bytes[65536];
	size_t n_used;
};

struct call {
	struct grpc *grpc;
	unsigned index;
	int32_t stream_id;	/* 0: free */
	uint32_t n_prompt;
	struct client_body request;
	struct grpc_reader reader;
	int grpc_status;	/* -1: none yet */
	char text[ERROR_TEXT_MAX];
	struct error error;	/* what is wrong with the answer */
};

struct grpc {
	struct door door;
	const struct door_listener *listener;
	nghttp2_session *http;
	struct buf output;
	unsigned n_calls;
	bool has_received;
	bool is_http2;		/* the server's settings came */
	bool is_lost;
	struct arena arena;
	struct call calls[];
};

static void *arena_alloc(void *data, size_t size)
{
	struct arena *arena = data;
	size_t n = (size + 15) & ~(size_t)15;
	void *bytes = arena->bytes + arena->n_used;

	if (n < size || n > sizeof arena->bytes - arena->n_used)
		return NULL;
	arena->n_used += n;
	return bytes;
}

static void arena_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

static void take_response(struct call *call, const Stagecoach__V1__GenerateResponse *response)
{
	const struct door_listener *listener = call->grpc->listener;

	if (response->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN)
		listener->on_tokens(listener->arg, call->index, 1);
	else if (response->event_case == STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED &&
		 response->started->n_prompt_tokens != call->n_prompt)
		error_set(&call->error, SC_E_PROTOCOL, "the server counts %u tokens in a prompt of "
			  "%u", response->started->n_prompt_tokens, call->n_prompt);
}

static void take_message(struct call *call)
{
	struct arena *arena = &call->grpc->arena;
	ProtobufCAllocator allocator = { arena_alloc, arena_free, arena };
	ProtobufCMessage *message;

	arena->n_used = 0;
	message = protobuf_c_message_unpack(&stagecoach__v1__generate_response__descriptor,
					    &allocator, call->reader.message.length,
					    (const uint8_t *)call->reader.message.data);
	if (!message)
		error_set(&call->error, SC_E_PROTOCOL, "the server sent no valid GenerateResponse");
	else
		take_response(call, (const Stagecoach__V1__GenerateResponse *)message);
	grpc_reader_next(&call->reader);
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
		   size_t n_bytes, void *arg)
{
	struct call *call = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)flags;
	(void)arg;
	while (call && call->error.status == SC_OK &&
	       grpc_reader_feed(&call->reader, &bytes, &n_bytes, &call->error) == SC_OK)
		take_message(call);
	return 0;
}

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
		     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	struct call *call = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
	const char *key = (const char *)name;	/* nghttp2 ends both with NUL */

	(void)n_name;
	(void)flags;
	(void)arg;
	if (!call)
		return 0;
	if (strcmp(key, "grpc-status") == 0)
		call->grpc_status = (int)grpc_status_parse((const char *)value);
	else if (strcmp(key, "grpc-message") == 0)
		grpc_percent_decode((const char *)value, n_value, call->text, sizeof call->text);
	return 0;
}

static int on_frame(nghttp2_session *http, const nghttp2_frame *frame, void *arg)
{
	struct grpc *grpc = arg;

	(void)http;
	grpc->is_http2 |= frame->hd.type == NGHTTP2_SETTINGS;
	return 0;
}

static void end(struct call *call)
{
	const struct door_listener *listener = call->grpc->listener;

	call->stream_id = 0;
	listener->on_end(listener->arg, call->index, &call->error);
}

static int on_stream_close(nghttp2_session *http, int32_t stream_id, uint32_t code, void *arg)
{
	struct call *call = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)arg;
	if (!call)
		return 0;
	nghttp2_session_set_stream_user_data(http, stream_id, NULL);
	if (call->error.status == SC_OK && call->grpc_status > 0)
		error_set(&call->error, grpc_status_to_sc((enum grpc_status)call->grpc_status),
			  "%s: %s", grpc_status_name((enum grpc_status)call->grpc_status),
			  call->text);
	else if (call->error.status == SC_OK && call->grpc_status < 0)
		error_set(&call->error, SC_E_CLOSED, "the server ended a call without a status "
			  "(%s)", nghttp2_http2_strerror(code));
	end(call);
	return 0;
}

static void grpc_close(struct door *door)
{
	struct grpc *grpc = (struct grpc *)door;

	if (!grpc)
		return;
	if (door->fd >= 0)
		close(door->fd);
	for (unsigned i = 0; i < grpc->n_calls; i++) {
		buf_deinit(&grpc->calls[i].request.bytes);
		grpc_reader_deinit(&grpc->calls[i].reader);
	}
	if (grpc->http) {
		/* Streams that are still open would be told of to the listener. */
		for (unsigned i = 0; i < grpc->n_calls; i++)
			if (grpc->calls[i].stream_id)
				nghttp2_session_set_stream_user_data(
					grpc->http, grpc->calls[i].stream_id, NULL);
		nghttp2_session_del(grpc->http);
	}
	buf_deinit(&grpc->output);
	free(grpc);
}

static enum sc_status grpc_open(const struct client_target *target, unsigned n_calls,
				const struct door_listener *listener, struct door **door_out,
				struct error *err)
{
	struct grpc *grpc = calloc(1, sizeof *grpc + n_calls * sizeof grpc->calls[0]);
	const struct client_http_config http = {
		.on_header = on_header,
		.on_data = on_data,
		.on_frame_recv = on_frame,
		.on_stream_close = on_stream_close,
		.arg = grpc,
		.stream_window = WINDOW_BYTES,
		.window = WINDOW_BYTES,
	};
	enum sc_status status = SC_E_NOMEM;

	if (!grpc)
		return error_set(err, SC_E_NOMEM, "out of memory");
	grpc->door = (struct door){ .ops = &door_grpc, .fd = -1, .n_opened = 1 };
	grpc->listener = listener;
	grpc->n_calls = n_calls;
	buf_init(&grpc->output);
	for (unsigned i = 0; i < n_calls; i++) {
		grpc->calls[i].grpc = grpc;
		grpc->calls[i].index = i;
		buf_init(&grpc->calls[i].request.bytes);
		grpc_reader_init(&grpc->calls[i].reader, MAX_MESSAGE);
	}
	if (client_http_create(&http, &grpc->http) != SC_OK)
		error_set(err, SC_E_NOMEM, "out of memory");
	else
		status = client_target_connect(target, CONNECT_MS, &grpc->door.fd, err);
	if (status != SC_OK) {
		grpc_close(&grpc->door);
		return status;
	}
	*door_out = &grpc->door;
	return SC_OK;
}

/* The connection is gone, and with it every call. */
static void lose(struct grpc *grpc, const char *why)
{
	if (grpc->is_lost)
		return;
	grpc->is_lost = true;
	close(grpc->door.fd);
	grpc->door.fd = -1;
	grpc->door.wants_write = false;
	for (unsigned i = 0; i < grpc->n_calls; i++) {
		struct call *call = &grpc->calls[i];

		if (!call->stream_id)
			continue;
		nghttp2_session_set_stream_user_data(grpc->http, call->stream_id, NULL);
		if (grpc->has_received && !grpc->is_http2)
			error_set(&call->error, SC_E_PROTOCOL, "what answers there is no gRPC "
				  "server (it does not speak HTTP/2)");
		else
			error_set(&call->error, SC_E_CLOSED, "the connection broke: %s", why);
		end(call);
	}
}

static void send_some(struct grpc *grpc)
{
	ssize_t n;

	for (;;) {
		if (client_http_fill(grpc->http, &grpc->output) != SC_OK)
			return lose(grpc, "out of memory");
		grpc->door.wants_write = grpc->output.length > 0;
		if (!grpc->output.length)
			return;
		n = send(grpc->door.fd, grpc->output.data, grpc->output.length, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			return lose(grpc, strerror(errno));
		buf_consume(&grpc->output, (size_t)n);
	}
}

static void receive_some(struct grpc *grpc)
{
	uint8_t bytes[65536];
	ssize_t n = recv(grpc->door.fd, bytes, sizeof bytes, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		return lose(grpc, n < 0 ? strerror(errno) : "the server closed it");
	grpc->has_received = true;
	n = nghttp2_session_mem_recv(grpc->http, bytes, (size_t)n);
	if (n < 0)
		lose(grpc, nghttp2_strerror((int)n));
}

/* A call with an unreadable answer is cancelled, not waited for. */
static void drop_broken_calls(struct grpc *grpc)
{
	for (unsigned i = 0; i < grpc->n_calls && !grpc->is_lost; i++) {
		struct call *call = &grpc->calls[i];

		if (!call->stream_id || call->error.status == SC_OK)
			continue;
		nghttp2_session_set_stream_user_data(grpc->http, call->stream_id, NULL);
		(void)nghttp2_submit_rst_stream(grpc->http, NGHTTP2_FLAG_NONE, call->stream_id,
						NGHTTP2_CANCEL);
		end(call);
	}
}

static void grpc_turn(struct door *door, bool can_read)
{
	struct grpc *grpc = (struct grpc *)door;

	if (can_read && !grpc->is_lost)
		receive_some(grpc);
	drop_broken_calls(grpc);
	if (!grpc->is_lost)
		send_some(grpc);
	if (!grpc->is_lost && !nghttp2_session_want_read(grpc->http))
		lose(grpc, "the server said good-bye");
}

static enum sc_status pack(struct call *call, const struct door_request *request,
			   struct error *err)
{
	Stagecoach__V1__GenerateRequest message = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Sampling sampling = STAGECOACH__V1__SAMPLING__INIT;
	Stagecoach__V1__Tokens tokens = STAGECOACH__V1__TOKENS__INIT;

	tokens.n_ids = request->n_ids;
	tokens.ids = (uint32_t *)(uintptr_t)request->ids;
	message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TOKENS;
	message.tokens = &tokens;
	sampling._temperature_case = STAGECOACH__V1__SAMPLING___TEMPERATURE_TEMPERATURE;
	sampling.temperature = 0.0f;
	message.sampling = &sampling;
	message._max_tokens_case = STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
	message.max_tokens = request->n_tokens;
	message.ignore_end = true;
	if (client_body_pack(&call->request, &message.base) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

static enum sc_status grpc_ask(struct door *door, unsigned index,
			       const struct door_request *request, struct error *err)
{
	struct grpc *grpc = (struct grpc *)door;
	struct call *call = &grpc->calls[index];
	static const struct client_http_route route = {
		.scheme = "http", .authority = "localhost",
		.path = "/stagecoach.v1.Stagecoach/Generate",
	};
	enum sc_status status;
	int32_t stream_id;

	if (grpc->is_lost)
		return error_set(err, SC_E_CLOSED, "the connection broke");
	status = pack(call, request, err);
	if (status != SC_OK)
		return status;
	call->n_prompt = request->n_ids;
	call->grpc_status = -1;
	call->text[0] = '\0';
	call->error.status = SC_OK;
	/* The call before may have been cancelled in the middle of a message. */
	grpc_reader_next(&call->reader);
	stream_id = client_http_submit(grpc->http, &route, NULL, 0, &call->request, call);
	if (stream_id < 0)
		return error_set(err, SC_E_CLOSED, "%s", nghttp2_strerror(stream_id));
	call->stream_id = stream_id;
	send_some(grpc);
	return SC_OK;
}

static void grpc_cancel(struct door *door, unsigned index)
{
	struct grpc *grpc = (struct grpc *)door;
	struct call *call = &grpc->calls[index];

	if (!call->stream_id || grpc->is_lost)
		return;
	nghttp2_session_set_stream_user_data(grpc->http, call->stream_id, NULL);
	(void)nghttp2_submit_rst_stream(grpc->http, NGHTTP2_FLAG_NONE, call->stream_id,
					NGHTTP2_CANCEL);
	call->stream_id = 0;
	send_some(grpc);
}

const struct door_ops door_grpc = {
	.name = "grpc",
	.max_calls = 100,
	.open = grpc_open,
	.close = grpc_close,
	.ask = grpc_ask,
	.cancel = grpc_cancel,
	.turn = grpc_turn,
};
