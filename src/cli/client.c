/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "cli/client_http.h"
#include "cli/client_signal.h"
#include "cli/client_wire.h"
#include "gateway/grpc_header.h"
#include "gateway/grpc_message.h"
#include "gateway/grpc_status.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_PATH "/stagecoach.v1.Stagecoach/"
#define CONNECT_MS 5000
#define MAX_ANSWER ((size_t)64 << 20)
/* What a cancelled call may still wait for its last bytes to leave. */
#define GOODBYE_MS 500
#define DEFAULT_SILENCE_MS 20000
/* No server has a longer key. */
#define MAX_KEY 1024

/* The call under way. */
struct exchange {
	const struct client_call *call;
	struct client_body request;
	uint64_t end_ns;		/* UINT64_MAX: no deadline */
	struct grpc_reader reader;
	int http_status;
	int grpc_status;		/* -1: none yet */
	char text[ERROR_TEXT_MAX];
	uint32_t http_error;		/* the stream's, when it closed */
	bool is_over;
	bool is_stopped;		/* by on_message */
	struct error error;		/* of the answer's bytes */
};

struct client {
	struct client_target target;
	struct client_wire *wire;
	nghttp2_session *http;
	struct exchange *exchange;	/* NULL: none */
	struct buf output;
	uint64_t silence_ns;		/* UINT64_MAX: any */
	uint64_t heard_ns;		/* when bytes last came */
	uint64_t pinged_ns;		/* since then; 0: not yet */
	bool has_received;		/* any bytes */
	bool is_http2;			/* the server's settings came */
	bool must_use_tls;		/* the server says so */
};

static int on_header(nghttp2_session *http, const nghttp2_frame *frame, const uint8_t *name,
		     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(http, frame->hd.stream_id);
	const char *key = (const char *)name;	/* nghttp2 ends both with NUL */

	(void)flags;
	(void)arg;
	(void)n_name;
	if (!x)
		return 0;
	if (strcmp(key, ":status") == 0)
		x->http_status = atoi((const char *)value);
	else if (strcmp(key, "grpc-status") == 0)
		x->grpc_status = (int)grpc_status_parse((const char *)value);
	else if (strcmp(key, "grpc-message") == 0)
		grpc_percent_decode((const char *)value, n_value, x->text, sizeof x->text);
	return 0;
}

static enum sc_status take_message(struct exchange *x)
{
	const struct client_call *call = x->call;
	ProtobufCMessage *message;

	message = protobuf_c_message_unpack(call->response, NULL, x->reader.message.length,
					    (const uint8_t *)x->reader.message.data);
	if (!message)
		return error_set(&x->error, SC_E_PROTOCOL, "the server's answer is not a valid %s",
				 call->response->name);
	if (!call->on_message(call->arg, message))
		x->is_stopped = true;
	grpc_reader_next(&x->reader);
	return SC_OK;
}

static int on_data(nghttp2_session *http, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
		   size_t n_bytes, void *arg)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(http, stream_id);
	enum sc_status status = SC_OK;

	(void)flags;
	(void)arg;
	while (x && n_bytes && status == SC_OK && !x->is_stopped && x->error.status == SC_OK) {
		status = grpc_reader_feed(&x->reader, &bytes, &n_bytes, &x->error);
		if (status == SC_OK)
			status = take_message(x);
	}
	return 0;
}

static int on_frame_recv(nghttp2_session *http, const nghttp2_frame *frame, void *arg)
{
	struct client *client = arg;

	(void)http;
	if (frame->hd.type == NGHTTP2_SETTINGS)
		client->is_http2 = true;
	if (frame->hd.type == NGHTTP2_GOAWAY &&
	    frame->goaway.error_code == NGHTTP2_INADEQUATE_SECURITY)
		client->must_use_tls = true;
	return 0;
}

static int on_stream_close(nghttp2_session *http, int32_t stream_id, uint32_t code, void *arg)
{
	struct exchange *x = nghttp2_session_get_stream_user_data(http, stream_id);

	(void)arg;
	if (x) {
		x->is_over = true;
		x->http_error = code;
	}
	return 0;
}

static uint64_t silence_ns_of(const struct client_target *target)
{
	uint64_t ms = target->silence_ms ? target->silence_ms : DEFAULT_SILENCE_MS;

	return ms == UINT64_MAX ? UINT64_MAX : ms * NS_PER_MS;
}

enum sc_status client_open(const struct client_target *target, struct client **client_out,
			   struct error *err)
{
	struct client *client = calloc(1, sizeof *client);
	const struct client_http_config http = {
		.on_header = on_header,
		.on_data = on_data,
		.on_frame_recv = on_frame_recv,
		.on_stream_close = on_stream_close,
		.arg = client,
		.stream_window = 1 << 20,
		.window = 4 << 20,
	};
	enum sc_status status = SC_E_NOMEM;

	if (!client)
		return error_set(err, SC_E_NOMEM, "out of memory");
	client->target = *target;
	buf_init(&client->output);
	client->silence_ns = silence_ns_of(target);
	if (client_http_create(&http, &client->http) != SC_OK) {
		error_set(err, SC_E_NOMEM, "out of memory");
		goto fail;
	}
	status = client_wire_open(&client->target, CONNECT_MS, &client->wire, err);
	if (status != SC_OK)
		goto fail;
	client->heard_ns = clock_ns();
	*client_out = client;
	return SC_OK;
fail:
	client_close(client);
	return status;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	client_wire_close(client->wire);
	nghttp2_session_del(client->http);
	buf_deinit(&client->output);
	free(client);
}

static enum sc_status no_grpc(struct client *client, const char *why, struct error *err)
{
	return error_set(err, SC_E_PROTOCOL, "%s: what answers there is no gRPC server (%s)",
			 client->target.name, why);
}

static enum sc_status needs_tls(const struct client *client, struct error *err)
{
	return error_set(err, SC_E_PROTOCOL, "%s: the server speaks TLS. Give --tls, or --ca FILE if "
			 "the authority of its certificate is not one that this machine trusts",
			 client->target.name);
}

static enum sc_status closed(struct client *client, struct error *err)
{
	if (client->must_use_tls)
		return needs_tls(client, err);
	if (client->has_received && !client->is_http2)
		return no_grpc(client, "it does not speak HTTP/2", err);
	return error_set(err, SC_E_CLOSED, "%s: the server closed the connection", client->target.name);
}

/* Move what HTTP/2 wants to say into output, and as much of that as goes into the socket. */
static enum sc_status send_some(struct client *client, struct error *err)
{
	enum sc_status status;

	if (client_http_fill(client->http, &client->output) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	status = client_wire_send(client->wire, &client->output, err);
	return status == SC_E_CLOSED ? closed(client, err) : status;
}

static enum sc_status receive_some(struct client *client, struct error *err)
{
	const void *bytes;
	size_t n = 0;
	enum sc_status status = client_wire_receive(client->wire, &bytes, &n, err);
	ssize_t n_used;

	if (status == SC_E_CLOSED)
		return closed(client, err);
	if (status != SC_OK || !n)
		return status;
	client->has_received = true;
	client->heard_ns = clock_ns();
	client->pinged_ns = 0;
	n_used = nghttp2_session_mem_recv(client->http, bytes, n);
	if (n_used < 0)
		return no_grpc(client, nghttp2_strerror((int)n_used), err);
	return SC_OK;
}

/* How long to wait: until end_ns, rounded up so that nobody wakes too early. */
static const struct timespec *time_left(uint64_t end_ns, struct timespec *out)
{
	uint64_t now_ns = clock_ns();
	uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;

	if (end_ns == UINT64_MAX)
		return NULL;
	*out = (struct timespec){ (time_t)(left_ns / NS_PER_SECOND),
				  (long)(left_ns % NS_PER_SECOND) };
	return out;
}

/* When to look after the server: half of the silence that is allowed passes before a ping, half
 * after it. */
static uint64_t check_ns(const struct client *client)
{
	if (client->silence_ns == UINT64_MAX)
		return UINT64_MAX;
	return (client->pinged_ns ? client->pinged_ns : client->heard_ns) + client->silence_ns / 2;
}

/* Nothing came until check_ns: ask for a sign of life, or give up if that was done. Only a ping
 * that was not answered counts: the client itself may have been held up in between. */
static enum sc_status check_server(struct client *client, uint64_t now_ns, struct error *err)
{
	if (client->pinged_ns)
		return error_set(err, SC_E_UNAVAILABLE, "%s: no sign of life for %.3g s. The "
				 "server, its host or the network failed or hangs", client->target.name,
				 clock_seconds(now_ns - client->heard_ns));
	client->pinged_ns = now_ns;
	if (nghttp2_submit_ping(client->http, NGHTTP2_FLAG_NONE, NULL) != 0)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

/* The wait has ended and nothing came. Either the call has used up its time, or the server has been
 * silent for so long that it is asked for a sign of life. */
static enum sc_status run_out(struct client *client, uint64_t end_ns, struct error *err)
{
	uint64_t now_ns = clock_ns();

	if (now_ns >= end_ns)
		return error_set(err, SC_E_DEADLINE, "%s: the server did not answer within the "
				 "time limit. `stagecoach status` shows whether it is busy",
				 client->target.name);
	return now_ns >= check_ns(client) ? check_server(client, now_ns, err) : SC_OK;
}

static bool has_output(const struct client *client)
{
	return client->output.length || client_wire_has_output(client->wire);
}

/* One round of sending, waiting and receiving. SC_E_CANCELLED: a signal came. */
static enum sc_status turn(struct client *client, uint64_t end_ns, struct error *err)
{
	struct pollfd poll_fd = { .fd = client_wire_fd(client->wire), .events = POLLIN };
	enum sc_status status = send_some(client, err);
	uint64_t wake_ns = end_ns;
	struct timespec left;
	int n;

	if (status != SC_OK)
		return status;
	if (client_wire_has_input(client->wire))
		return receive_some(client, err);
	if (has_output(client) || nghttp2_session_want_write(client->http))
		poll_fd.events |= POLLOUT;
	if (client_signal_caught())
		return error_set(err, SC_E_CANCELLED, "interrupted");
	if (check_ns(client) < wake_ns)
		wake_ns = check_ns(client);
	n = ppoll(&poll_fd, 1, time_left(wake_ns, &left), client_signal_mask());
	if (n < 0 && errno != EINTR)
		return error_errno(err, SC_E_IO, errno, "%s", client->target.name);
	if (client_signal_caught())
		return error_set(err, SC_E_CANCELLED, "interrupted");
	if (n == 0)
		return run_out(client, end_ns, err);
	if (poll_fd.revents & ~POLLOUT)
		return receive_some(client, err);
	return SC_OK;
}

/* Tell the server that nobody waits for the answer any more. */
static void cancel(struct client *client, int32_t stream_id)
{
	struct pollfd poll_fd = { .fd = client_wire_fd(client->wire), .events = POLLOUT };
	struct error err;

	(void)nghttp2_submit_rst_stream(client->http, NGHTTP2_FLAG_NONE, stream_id,
					NGHTTP2_CANCEL);
	while (send_some(client, &err) == SC_OK && has_output(client) &&
	       poll(&poll_fd, 1, GOODBYE_MS) > 0)
		;
}

/* A stream id, or a negative error of nghttp2. */
static int32_t submit(struct client *client, struct exchange *x)
{
	char path[128];
	char timeout[GRPC_TIMEOUT_MAX];
	const struct client_target *target = &client->target;
	char authorization[sizeof "Bearer " + MAX_KEY];
	const struct client_http_route route = {
		.scheme = target->uses_tls && !target->is_unix ? "https" : "http",
		.authority = target->is_unix ? "localhost" : target->name,
		.path = path,
	};
	nghttp2_nv extra[3];
	size_t n = 0;

	snprintf(path, sizeof path, SERVICE_PATH "%s", x->call->method);
	extra[n++] = client_http_header("user-agent", "stagecoach/" PACKAGE_VERSION);
	if (x->call->timeout_ms) {
		grpc_format_timeout(x->call->timeout_ms * NS_PER_MS, timeout);
		extra[n++] = client_http_header("grpc-timeout", timeout);
	}
	if (target->api_key && *target->api_key) {
		snprintf(authorization, sizeof authorization, "Bearer %s", target->api_key);
		extra[n++] = client_http_header("authorization", authorization);
	}
	return client_http_submit(client->http, &route, extra, n, &x->request, x);
}

/* What the server made of the call, once the stream is closed. */
static enum sc_status verdict(const struct client *client, const struct exchange *x,
			      struct error *err)
{
	if (x->grpc_status == GRPC_OK)
		return SC_OK;
	if (x->grpc_status > 0)
		return error_set(err, grpc_status_to_sc((enum grpc_status)x->grpc_status), "%s",
				 x->text[0] ? x->text :
				 grpc_status_name((enum grpc_status)x->grpc_status));
	if (client->must_use_tls)
		return needs_tls(client, err);
	if (x->http_error == NGHTTP2_REFUSED_STREAM)
		return error_set(err, SC_E_UNAVAILABLE, "%s: the server accepts no more calls",
				 client->target.name);
	if (x->http_status && x->http_status != 200)
		return error_set(err, SC_E_PROTOCOL, "%s: what answers there is no gRPC server "
				 "(HTTP status %d)", client->target.name, x->http_status);
	return error_set(err, SC_E_CLOSED, "%s: the server ended the call without a status (%s)",
			 client->target.name, nghttp2_http2_strerror(x->http_error));
}

static enum sc_status exchange_run(struct client *client, struct exchange *x, struct error *err)
{
	int32_t stream_id = submit(client, x);
	enum sc_status status = SC_OK;

	if (stream_id < 0)
		return error_set(err, SC_E_CLOSED, "%s: %s", client->target.name,
				 nghttp2_strerror(stream_id));
	while (!x->is_over && !x->is_stopped && x->error.status == SC_OK && status == SC_OK) {
		status = turn(client, x->end_ns, err);
		/* The server said good-bye to the connection, not to a stream that it knows. */
		if (status == SC_OK && !x->is_over && !nghttp2_session_want_read(client->http))
			status = closed(client, err);
	}
	if (!x->is_over && status != SC_E_CLOSED)
		cancel(client, stream_id);
	nghttp2_session_set_stream_user_data(client->http, stream_id, NULL);
	if (x->error.status != SC_OK) {
		*err = x->error;
		return x->error.status;
	}
	if (status != SC_OK)
		return status;
	if (x->is_stopped)
		return error_set(err, SC_E_CANCELLED, "cancelled");
	return verdict(client, x, err);
}

enum sc_status client_run(struct client *client, const struct client_call *call,
			  struct error *err)
{
	struct exchange x = {
		.call = call,
		.grpc_status = -1,
		.end_ns = UINT64_MAX,
		.error = { .status = SC_OK },
	};
	enum sc_status status;

	if (call->timeout_ms)
		x.end_ns = clock_ns() + call->timeout_ms * NS_PER_MS;
	buf_init(&x.request.bytes);
	grpc_reader_init(&x.reader, MAX_ANSWER);
	status = client_body_pack(&x.request, call->request);
	if (status == SC_OK)
		status = exchange_run(client, &x, err);
	else
		error_set(err, status, "out of memory");
	buf_deinit(&x.request.bytes);
	grpc_reader_deinit(&x.reader);
	return status;
}

static bool keep_answer(void *arg, ProtobufCMessage *message)
{
	ProtobufCMessage **answer = arg;

	if (*answer)
		protobuf_c_message_free_unpacked(*answer, NULL);
	*answer = message;
	return true;
}

enum sc_status client_ask(struct client *client, const char *method,
			  const ProtobufCMessage *request, uint64_t timeout_ms,
			  const ProtobufCMessageDescriptor *response,
			  ProtobufCMessage **answer_out, struct error *err)
{
	ProtobufCMessage *answer = NULL;
	const struct client_call call = {
		.method = method,
		.request = request,
		.response = response,
		.on_message = keep_answer,
		.arg = &answer,
		.timeout_ms = timeout_ms,
	};
	enum sc_status status = client_run(client, &call, err);

	if (status == SC_OK && !answer)
		status = error_set(err, SC_E_PROTOCOL, "the answer of the server has no message");
	if (status != SC_OK) {
		if (answer)
			protobuf_c_message_free_unpacked(answer, NULL);
		return status;
	}
	*answer_out = answer;
	return SC_OK;
}
