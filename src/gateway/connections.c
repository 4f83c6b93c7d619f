/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connections.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define READ_BYTES 65536
#define WRITE_BYTES 65536
/* Of one connection, before the others have their turn. */
#define WRITES_PER_TURN 16
/* Clients on the way to a new call learn of the end before calls are refused. */
#define DRAIN_NOTICE_MS 100
#define KEEPALIVE_SECONDS 60
/* What a client that broke the rules gets to read why. */
#define LAST_WORDS_MS 1000

struct connections {
	uv_idle_t idle;		/* runs while some connection is on the dirty list */
	uv_timer_t drain_timer;
	unsigned n_handles;	/* that are not closed yet */
	struct connections_config config;
	unsigned count;
	bool is_full_told;	/* once, until there is room again */
	uint64_t last_client;	/* id of the newest connection; ids start at 1 */
	struct list list;
	struct list dirty;	/* woken: to be flushed in the loop's next turn */
	char read_buffer[READ_BYTES];
};

struct connection {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	uv_timer_t timer;
	uv_write_t write;
	struct list node;
	struct list dirty;
	struct connections *owner;
	struct grpc_session *session;
	struct buf output;	/* being written */
	uint64_t patience_ns;	/* by then it must have spoken, or read its last words */
	uint64_t timer_ns;	/* what the timer is set to */
	unsigned n_handles;
	bool is_writing;
	bool is_ending;		/* to be closed when its output is out */
	bool is_closing;
};

static void flush(struct connection *connection);
static void on_idle(uv_idle_t *idle);

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	if (--connection->n_handles)
		return;
	buf_deinit(&connection->output);
	free(connection);
}

static void close_connection(struct connection *connection)
{
	if (connection->is_closing)
		return;
	connection->is_closing = true;
	list_remove(&connection->node);
	list_remove(&connection->dirty);
	connection->owner->count--;
	grpc_session_destroy(connection->session);
	connection->session = NULL;
	uv_close(&connection->handle, on_closed);
	uv_close((uv_handle_t *)&connection->timer, on_closed);
}

/* A session woke up: not flushed here, since this comes from deep inside a change of a job. */
static void on_wake(void *arg)
{
	struct connection *connection = arg;
	struct connections *owner = connection->owner;

	list_remove(&connection->dirty);
	list_append(&owner->dirty, &connection->dirty);
	uv_idle_start(&owner->idle, on_idle);
}

static void on_idle(uv_idle_t *idle)
{
	struct connections *connections = idle->data;
	struct list woken;

	/* Those that wake up again below have to wait for the next turn. */
	list_init(&woken);
	list_for_each(node, &connections->dirty) {
		list_remove(node);
		list_append(&woken, node);
	}
	uv_idle_stop(idle);
	while (!list_is_empty(&woken)) {
		struct connection *connection = list_entry(woken.next, struct connection, dirty);

		list_remove(&connection->dirty);
		flush(connection);
	}
}

static bool is_on_notice(const struct connection *connection)
{
	return connection->is_ending || !grpc_session_is_established(connection->session);
}

static void on_timer(uv_timer_t *timer)
{
	struct connection *connection = timer->data;
	uint64_t now_ns = clock_ns();

	connection->timer_ns = UINT64_MAX;
	if (is_on_notice(connection) && now_ns >= connection->patience_ns) {
		log_debug("gateway: a client %s: closed", connection->is_ending ?
			  "does not read its last words" : "says nothing that is HTTP/2");
		close_connection(connection);
		return;
	}
	grpc_session_expire(connection->session, now_ns);
	flush(connection);
}

static void set_timer(struct connection *connection)
{
	uint64_t deadline_ns = grpc_session_deadline_ns(connection->session);
	uint64_t now_ns;

	if (is_on_notice(connection) && connection->patience_ns < deadline_ns)
		deadline_ns = connection->patience_ns;
	if (deadline_ns == connection->timer_ns)
		return;
	connection->timer_ns = deadline_ns;
	if (deadline_ns == UINT64_MAX) {
		uv_timer_stop(&connection->timer);
		return;
	}
	now_ns = clock_ns();
	uv_update_time(connection->timer.loop);
	uv_timer_start(&connection->timer, on_timer, deadline_ns <= now_ns ? 0 :
		       (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

static void on_written(uv_write_t *write, int rc)
{
	struct connection *connection = write->data;

	connection->is_writing = false;
	if (connection->is_closing)
		return;
	if (rc < 0)
		close_connection(connection);
	else
		flush(connection);
}

/* Fill the empty output with what the session has. */
static enum sc_status gather(struct connection *connection)
{
	struct buf *output = &connection->output;
	enum sc_status status = SC_OK;
	uint64_t now_ns = clock_ns();

	buf_truncate(output, 0);
	while (output->length < WRITE_BYTES && status == SC_OK) {
		const uint8_t *bytes;
		size_t n = 0;

		status = grpc_session_send(connection->session, now_ns, &bytes, &n, NULL);
		if (status == SC_OK && n)
			status = buf_add(output, bytes, n);
		if (!n)
			break;
	}
	return status;
}

/* Write output: at once as far as the socket takes it, then in the background. False: there is
 * something left to wait for, or an end. */
static bool write_output(struct connection *connection)
{
	struct buf *output = &connection->output;
	uv_buf_t uv_buf = uv_buf_init(output->data, (unsigned)output->length);
	int n = uv_try_write(&connection->stream, &uv_buf, 1);

	if (n == (int)output->length)
		return true;
	if (n < 0 && n != UV_EAGAIN) {
		close_connection(connection);
		return false;
	}
	buf_consume(output, n > 0 ? (size_t)n : 0);
	uv_buf = uv_buf_init(output->data, (unsigned)output->length);
	connection->write.data = connection;
	connection->is_writing = true;
	if (uv_write(&connection->write, &connection->stream, &uv_buf, 1, on_written) != 0) {
		connection->is_writing = false;
		close_connection(connection);
	}
	return false;
}

static void flush(struct connection *connection)
{
	if (connection->is_closing)
		return;
	if (connection->is_writing) {
		set_timer(connection);
		return;
	}
	for (unsigned i = 0; i < WRITES_PER_TURN; i++) {
		if (gather(connection) != SC_OK) {
			close_connection(connection);
			return;
		}
		if (!connection->output.length) {
			if (connection->is_ending || grpc_session_is_done(connection->session))
				close_connection(connection);
			else
				set_timer(connection);
			return;
		}
		if (!write_output(connection)) {
			if (!connection->is_closing)
				set_timer(connection);
			return;
		}
	}
	/* The others' turn. */
	on_wake(connection);
}

static void on_alloc(uv_handle_t *handle, size_t n_suggested, uv_buf_t *buffer)
{
	struct connection *connection = handle->data;

	(void)n_suggested;
	/* Shared: it is read from before the next one is asked for. */
	*buffer = uv_buf_init(connection->owner->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n_bytes, const uv_buf_t *buffer)
{
	struct connection *connection = stream->data;
	struct error err;

	if (n_bytes < 0) {
		close_connection(connection);
		return;
	}
	if (n_bytes == 0 || connection->is_ending)
		return;
	if (grpc_session_receive(connection->session, buffer->base, (size_t)n_bytes, clock_ns(),
				 &err) != SC_OK) {
		log_debug("gateway: closing a connection: %s", err.text);
		connection->is_ending = true;
		connection->patience_ns = clock_ns() + LAST_WORDS_MS * NS_PER_MS;
	}
	flush(connection);
}

static int init_stream(struct connection *connection, const uv_stream_t *listener)
{
	uv_loop_t *uv = listener->loop;

	connection->n_handles = 1;
	if (listener->type == UV_NAMED_PIPE)
		return uv_pipe_init(uv, &connection->pipe, 0);
	return uv_tcp_init(uv, &connection->tcp);
}

static void set_options(struct connection *connection)
{
	unsigned timeout_ms = KEEPALIVE_SECONDS * 1000;
	int fd;

	if (connection->handle.type != UV_TCP)
		return;
	/* Tokens are small and must not wait for each other; a peer that vanished is noticed
	 * while bytes for it wait, and by keep-alive while none do. */
	uv_tcp_nodelay(&connection->tcp, 1);
	uv_tcp_keepalive(&connection->tcp, 1, KEEPALIVE_SECONDS);
	if (uv_fileno(&connection->handle, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static enum sc_status open_session(struct connection *connection)
{
	struct grpc_session_config config = connection->owner->config.session;

	config.on_wake = on_wake;
	config.arg = connection;
	config.client = ++connection->owner->last_client;
	return grpc_session_create(&config, &connection->session);
}

void connections_accept(struct connections *connections, uv_stream_t *listener)
{
	struct connection *connection = calloc(1, sizeof *connection);

	if (!connection)
		return;
	connection->owner = connections;
	connection->timer_ns = UINT64_MAX;
	connection->patience_ns = clock_ns() + connections->config.preface_ms * NS_PER_MS;
	list_init(&connection->node);
	list_init(&connection->dirty);
	buf_init(&connection->output);
	if (init_stream(connection, listener) != 0) {
		free(connection);
		return;
	}
	uv_timer_init(listener->loop, &connection->timer);
	connection->n_handles = 2;
	connection->handle.data = connection;
	connection->timer.data = connection;
	list_append(&connections->list, &connection->node);
	connections->count++;
	if (uv_accept(listener, &connection->stream) != 0)
		goto fail;
	if (connections->count > connections->config.max) {
		if (!connections->is_full_told)
			log_warning("gateway: %u connections are open: more are refused",
				    connections->config.max);
		connections->is_full_told = true;
		goto fail;
	}
	connections->is_full_told = false;
	set_options(connection);
	if (open_session(connection) != SC_OK ||
	    uv_read_start(&connection->stream, on_alloc, on_read) != 0)
		goto fail;
	flush(connection);
	return;
fail:
	close_connection(connection);
}

static void on_drain_timer(uv_timer_t *timer)
{
	struct connections *connections = timer->data;

	list_for_each(node, &connections->list) {
		struct connection *connection = list_entry(node, struct connection, node);

		grpc_session_refuse_calls(connection->session);
		flush(connection);
	}
}

void connections_drain(struct connections *connections)
{
	list_for_each(node, &connections->list) {
		struct connection *connection = list_entry(node, struct connection, node);

		grpc_session_announce_end(connection->session);
		on_wake(connection);
	}
	uv_timer_start(&connections->drain_timer, on_drain_timer, DRAIN_NOTICE_MS, 0);
}

unsigned connections_count(const struct connections *connections)
{
	return connections->count;
}

enum sc_status connections_create(const struct connections_config *config,
				  struct connections **connections_out)
{
	struct connections *connections = calloc(1, sizeof *connections);

	if (!connections)
		return SC_E_NOMEM;
	connections->config = *config;
	list_init(&connections->list);
	list_init(&connections->dirty);
	uv_idle_init(config->uv, &connections->idle);
	uv_timer_init(config->uv, &connections->drain_timer);
	connections->n_handles = 2;
	connections->idle.data = connections;
	connections->drain_timer.data = connections;
	*connections_out = connections;
	return SC_OK;
}

static void on_owner_closed(uv_handle_t *handle)
{
	struct connections *connections = handle->data;

	if (--connections->n_handles == 0)
		free(connections);
}

/* Ends that came in this turn of the loop still reach their clients, and calls that go on get a
 * reason instead of a cut. */
static void say_goodbye(struct connection *connection)
{
	flush(connection);
	if (connection->is_closing)
		return;
	grpc_session_end_calls(connection->session, GRPC_UNAVAILABLE, "the server is stopping");
	flush(connection);
}

void connections_destroy(struct connections *connections)
{
	if (!connections)
		return;
	list_for_each(node, &connections->list) {
		struct connection *connection = list_entry(node, struct connection, node);

		say_goodbye(connection);
		close_connection(connection);
	}
	uv_close((uv_handle_t *)&connections->idle, on_owner_closed);
	uv_close((uv_handle_t *)&connections->drain_timer, on_owner_closed);
}
