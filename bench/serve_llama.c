/* SPDX-License-Identifier: Apache-2.0 */
/* The doors of HTTP/1.1, one request at a time per connection: llama-server's POST /completion, and
 * OpenAI's POST /v1/completions. */
#include "bench/serve_door.h"

#include "base/buf.h"
#include "bench/serve_event.h"
#include "bench/serve_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 5000

/* What differs between the servers. */
struct dialect {
	const char *path;
	const char *max_tokens;	/* name of the field */
	const char *members;	/* other fields, with a comma at the end */
};

struct llama {
	struct door door;
	const struct dialect *dialect;
	const struct client_target *target;
	const struct door_listener *listener;
	struct reply reply;
	struct buf body;
	struct buf output;	/* the request, kept until its response begins */
	size_t n_sent;
	bool is_busy;
	bool was_used;		/* for a request before this one */
	bool is_complete;	/* the last event came */
	uint32_t n_prompt;
	uint32_t n_predicted;
};

static enum sc_status take_event(struct llama *llama, const struct completion_event *event,
				 struct error *err)
{
	/* OpenAI's servers count at the end only. */
	const uint32_t n_predicted = event->has_token ? llama->n_predicted + 1 :
				     event->n_predicted ? event->n_predicted : llama->n_predicted;
	const uint32_t n_tokens = n_predicted - llama->n_predicted;

	if (llama->is_complete || n_predicted < llama->n_predicted)
		return error_set(err, SC_E_PROTOCOL, "the server counts %u tokens after %u",
				 n_predicted, llama->n_predicted);
	if (event->n_evaluated && event->n_evaluated != llama->n_prompt)
		return error_set(err, SC_E_PROTOCOL, "the server counts %u tokens in a prompt of "
				 "%u", event->n_evaluated, llama->n_prompt);
	llama->n_predicted = n_predicted;
	llama->is_complete = event->is_last;
	if (n_tokens)
		llama->listener->on_tokens(llama->listener->arg, 0, n_tokens);
	return SC_OK;
}

static enum sc_status on_event(void *arg, const char *data, size_t n_bytes, struct error *err)
{
	struct llama *llama = arg;
	struct completion_event event;
	enum sc_status status;

	if (n_bytes == 6 && memcmp(data, "[DONE]", 6) == 0)
		return SC_OK;
	status = completion_event_parse(data, n_bytes, &event, err);
	return status == SC_OK ? take_event(llama, &event, err) : status;
}

static void disconnect(struct llama *llama)
{
	if (llama->door.fd >= 0)
		close(llama->door.fd);
	llama->door.fd = -1;
	llama->door.wants_write = false;
	llama->was_used = false;
}

static enum sc_status reconnect(struct llama *llama, struct error *err)
{
	disconnect(llama);
	llama->door.n_opened++;
	return client_target_connect(llama->target, CONNECT_MS, &llama->door.fd, err);
}

static void llama_close(struct door *door)
{
	struct llama *llama = (struct llama *)door;

	if (!llama)
		return;
	disconnect(llama);
	reply_deinit(&llama->reply);
	buf_deinit(&llama->body);
	buf_deinit(&llama->output);
	free(llama);
}

static enum sc_status open_door(const struct door_ops *ops, const struct dialect *dialect,
				const struct client_target *target,
				const struct door_listener *listener, struct door **door_out,
				struct error *err)
{
	struct llama *llama = calloc(1, sizeof *llama);
	enum sc_status status;

	if (!llama)
		return error_set(err, SC_E_NOMEM, "out of memory");
	llama->door = (struct door){ .ops = ops, .fd = -1 };
	llama->dialect = dialect;
	llama->target = target;
	llama->listener = listener;
	reply_init(&llama->reply, on_event, llama);
	buf_init(&llama->body);
	buf_init(&llama->output);
	status = reconnect(llama, err);
	if (status != SC_OK) {
		llama_close(&llama->door);
		return status;
	}
	*door_out = &llama->door;
	return SC_OK;
}

static void end(struct llama *llama, const struct error *err)
{
	llama->is_busy = false;
	llama->was_used = true;
	if (err->status != SC_OK || !llama->reply.keeps_connection)
		disconnect(llama);
	llama->listener->on_end(llama->listener->arg, 0, err);
}

/* The response is complete: checks that the request was served. */
static void judge(struct llama *llama)
{
	struct error err = { .status = SC_OK };

	if (llama->reply.http_status != 200)
		error_set(&err, llama->reply.http_status == 503 ? SC_E_UNAVAILABLE : SC_E_INVALID,
			  "HTTP status %d: %s", llama->reply.http_status, llama->reply.text);
	else if (!llama->reply.is_event_stream)
		error_set(&err, SC_E_PROTOCOL, "the answer is no event stream: %.200s",
			  llama->reply.text);
	else if (!llama->is_complete)
		error_set(&err, SC_E_PROTOCOL, "the answer ends without a last event");
	end(llama, &err);
}

static void send_some(struct llama *llama)
{
	while (llama->n_sent < llama->output.length) {
		ssize_t n = send(llama->door.fd, llama->output.data + llama->n_sent,
				 llama->output.length - llama->n_sent, MSG_NOSIGNAL);

		/* Otherwise broken: receiving tells, and decides whether to connect again. */
		if (n < 0) {
			llama->door.wants_write = errno == EAGAIN || errno == EINTR;
			return;
		}
		llama->n_sent += (size_t)n;
	}
	llama->door.wants_write = false;
}

/* The server may close an idle connection just when the next request is on its way. That request is
 * sent again. */
static void on_closed(struct llama *llama, struct error *err)
{
	if (!llama->is_busy) {
		disconnect(llama);
		return;
	}
	if (llama->was_used && !llama->reply.has_begun && reconnect(llama, err) == SC_OK) {
		llama->n_sent = 0;
		send_some(llama);
		return;
	}
	if (reply_close(&llama->reply, err) == SC_OK)
		judge(llama);
	else
		end(llama, err);
}

static void receive_some(struct llama *llama)
{
	uint8_t buffer[65536];
	const uint8_t *bytes = buffer;
	ssize_t n = recv(llama->door.fd, buffer, sizeof buffer, 0);
	struct error err = { .status = SC_OK };
	enum sc_status status;
	size_t n_bytes;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		return on_closed(llama, &err);
	if (!llama->is_busy)
		return disconnect(llama);	/* nobody asked */
	n_bytes = (size_t)n;
	status = reply_feed(&llama->reply, &bytes, &n_bytes, &err);
	if (status == SC_AGAIN)
		return;
	if (status == SC_OK && n_bytes)
		error_set(&err, SC_E_PROTOCOL, "bytes follow a response");
	if (err.status == SC_OK)
		judge(llama);
	else
		end(llama, &err);
}

static void llama_turn(struct door *door, bool can_read)
{
	struct llama *llama = (struct llama *)door;

	if (can_read && door->fd >= 0)
		receive_some(llama);
	if (llama->is_busy && door->fd >= 0)
		send_some(llama);
}

static enum sc_status pack(struct llama *llama, const struct door_request *request)
{
	enum sc_status status;

	buf_truncate(&llama->body, 0);
	buf_truncate(&llama->output, 0);
	status = buf_add_format(&llama->body, "{\"stream\":true,\"temperature\":0,"
				"\"ignore_eos\":true,\"%s\":%u,%s\"prompt\":[",
				llama->dialect->max_tokens, request->n_tokens,
				llama->dialect->members);
	for (uint32_t i = 0; i < request->n_ids && status == SC_OK; i++)
		status = buf_add_format(&llama->body, i ? ",%u" : "%u", request->ids[i]);
	if (status == SC_OK)
		status = buf_add_string(&llama->body, "]}");
	if (status == SC_OK)
		status = buf_add_format(&llama->output, "POST %s HTTP/1.1\r\n"
					"Host: localhost\r\nContent-Type: application/json\r\n"
					"Accept: text/event-stream\r\nContent-Length: %zu\r\n\r\n",
					llama->dialect->path, llama->body.length);
	if (status == SC_OK)
		status = buf_add(&llama->output, llama->body.data, llama->body.length);
	return status;
}

static enum sc_status llama_ask(struct door *door, unsigned call,
				const struct door_request *request, struct error *err)
{
	struct llama *llama = (struct llama *)door;
	enum sc_status status = pack(llama, request);

	(void)call;
	if (status != SC_OK)
		return error_set(err, status, "out of memory");
	if (door->fd < 0) {
		status = reconnect(llama, err);
		if (status != SC_OK)
			return status;
	}
	reply_begin(&llama->reply);
	llama->n_sent = 0;
	llama->n_prompt = request->n_ids;
	llama->n_predicted = 0;
	llama->is_complete = false;
	llama->is_busy = true;
	send_some(llama);
	return SC_OK;
}

static void llama_cancel(struct door *door, unsigned call)
{
	struct llama *llama = (struct llama *)door;

	(void)call;
	if (!llama->is_busy)
		return;
	llama->is_busy = false;
	disconnect(llama);
}

static enum sc_status llama_open(const struct client_target *target, unsigned n_calls,
				 const struct door_listener *listener, struct door **door_out,
				 struct error *err)
{
	static const struct dialect dialect = {
		.path = "/completion", .max_tokens = "n_predict",
		.members = "\"cache_prompt\":false,",
	};

	(void)n_calls;
	return open_door(&door_llama, &dialect, target, listener, door_out, err);
}

static enum sc_status openai_open(const struct client_target *target, unsigned n_calls,
				  const struct door_listener *listener, struct door **door_out,
				  struct error *err)
{
	static const struct dialect dialect = {
		.path = "/v1/completions", .max_tokens = "max_tokens",
		.members = "\"stream_options\":{\"include_usage\":true},",
	};

	(void)n_calls;
	return open_door(&door_openai, &dialect, target, listener, door_out, err);
}

const struct door_ops door_openai = {
	.name = "openai",
	.max_calls = 1,
	.open = openai_open,
	.close = llama_close,
	.ask = llama_ask,
	.cancel = llama_cancel,
	.turn = llama_turn,
};

const struct door_ops door_llama = {
	.name = "llama",
	.max_calls = 1,
	.open = llama_open,
	.close = llama_close,
	.ask = llama_ask,
	.cancel = llama_cancel,
	.turn = llama_turn,
};
