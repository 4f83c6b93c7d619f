/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: reading, writing and time limits. */
#include "gateway/connections_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

/* Writes per connection before other connections have their turn. */
#define WRITES_PER_TURN 4
/* Input bytes processed between two looks at the clock: one or two milliseconds of work at
 * worst. */
#define SLICE_BYTES 1024
#define KEEPALIVE_SECONDS 60
/* How long a client that must leave may take to read the reason and to close its end. */
#define LAST_WORDS_MS 1000
/* Bytes that are still read from a client that must leave, to see it close its end. A client that
 * sends more has to wait: nobody reads the rest. More are read of a client that has an answer: it
 * may first send all of a request that was refused, and read the answer only then. */
#define DISCARD_BYTES ((size_t)64 << 10)
#define DISCARD_ANSWERED_BYTES ((size_t)16 << 20)
/* How often a connection that is not read is asked whether the client is still there. */
#define LOOK_MS 1000

static void on_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	tls_filter_destroy(connection->tls);
	buf_deinit(&connection->input);
	buf_deinit(&connection->plain);
	buf_deinit(&connection->output);
	free(connection);
}

void connection_close(struct connection *connection)
{
	if (connection->is_closing)
		return;
	connection->is_closing = true;
	list_remove(&connection->node);
	list_remove(&connection->dirty);
	list_remove(&connection->unread);
	connection->owner->count--;
	admission_leave(&connection->owner->admission, &connection->guest);
	session_destroy(&connection->session);
	uv_close(&connection->handle, on_closed);
	timer_destroy(connection->timer);
	connection->timer = NULL;
}

static struct limit_counts *limits_of(const struct connection *connection)
{
	return connection->owner->config.limits;
}

/* --- time --- */

static uint64_t now(const struct connection *connection)
{
	return loop_now_ns(connection->owner->config.loop);
}

/* Stops reading. What the session still has to say is sent. */
static void begin_end(struct connection *connection, size_t max_discarded)
{
	connection->is_ending = true;
	connection->max_discarded = max_discarded;
	connection->patience_ns = now(connection) + LAST_WORDS_MS * NS_PER_MS;
}

static bool is_on_notice(const struct connection *connection)
{
	return connection->is_ending || !session_is_established(&connection->session);
}

/* Input that was read, but had no turn yet. */
static bool has_input(const struct connection *connection)
{
	return connection->input.length || connection->plain.length;
}

static void drop_input(struct connection *connection)
{
	buf_truncate(&connection->input, 0);
	buf_truncate(&connection->plain, 0);
}

/* Only calls count as use, not SETTINGS, PING and other frames. Unprocessed input may contain a
 * call. */
static void note_idle(struct connection *connection)
{
	uint64_t since_ns = session_idle_since_ns(&connection->session);

	if (has_input(connection))
		since_ns = UINT64_MAX;
	if (since_ns < connection->accepted_ns)
		since_ns = connection->accepted_ns;
	if (since_ns == connection->idle_since_ns)
		return;
	connection->idle_since_ns = since_ns;
	if (since_ns == UINT64_MAX)
		admission_set_busy(&connection->guest);
	else
		admission_set_idle(&connection->guest, since_ns);
}

static uint64_t idle_end_ns(const struct connection *connection)
{
	uint64_t idle_ns = connection->owner->config.idle_ms * NS_PER_MS;

	if (!idle_ns || connection->idle_since_ns == UINT64_MAX || connection->is_ending)
		return UINT64_MAX;
	return connection->idle_since_ns + idle_ns;
}

static uint64_t write_end_ns(const struct connection *connection)
{
	uint64_t stall_ns = connection->owner->config.stall_ns;

	return connection->is_writing && stall_ns ? connection->written_ns + stall_ns : UINT64_MAX;
}

/* Returns true if the client has taken nothing of the current write for too long. The kernel
 * reports room only when much of the socket's buffer is free, so a client that reads a few bytes at
 * a time counts as stalled, too. */
static bool is_write_stalled(struct connection *connection, uint64_t now_ns)
{
	size_t n_left = uv_stream_get_write_queue_size(&connection->stream);

	if (now_ns < write_end_ns(connection))
		return false;
	if (n_left >= connection->n_unwritten)
		return true;
	connection->n_unwritten = n_left;
	connection->written_ns = now_ns;
	return false;
}

static void lose_patience(struct connection *connection)
{
	log_debug("gateway: a client %s: closed", connection->is_ending ?
		  "does not close its end" : "does not say what it speaks");
	if (!connection->is_ending)
		limit_refuse(limits_of(connection), LIMIT_PREFACE);
	connection_close(connection);
}

/* Returns true if the client of a connection that is not read has closed its end. */
static bool has_left(const struct connection *connection)
{
	struct pollfd poll_fd = { .events = POLLRDHUP };

	return connection->is_paused && uv_fileno(&connection->handle, &poll_fd.fd) == 0 &&
	       poll(&poll_fd, 1, 0) > 0;
}

static void on_timer(void *arg)
{
	struct connection *connection = arg;
	uint64_t now_ns = now(connection);

	connection->timer_ns = UINT64_MAX;
	note_idle(connection);
	if (is_on_notice(connection) && now_ns >= connection->patience_ns) {
		lose_patience(connection);
		return;
	}
	if (is_write_stalled(connection, now_ns)) {
		limit_refuse(limits_of(connection), LIMIT_STALL);
		connection_close(connection);
		return;
	}
	if (has_left(connection)) {
		connection_close(connection);
		return;
	}
	session_expire(&connection->session, now_ns);
	if (now_ns >= idle_end_ns(connection)) {
		limit_refuse(limits_of(connection), LIMIT_IDLE);
		session_refuse_calls(&connection->session);
		begin_end(connection, DISCARD_BYTES);
	}
	connection_flush(connection);
}

/* The next look at a connection that is not read: the one that the timer is set for, if any. */
static uint64_t look_ns(const struct connection *connection)
{
	return clock_earlier(connection->timer_ns, now(connection) + LOOK_MS * NS_PER_MS);
}

static void set_timer(struct connection *connection)
{
	uint64_t deadline_ns = session_deadline_ns(&connection->session);
	uint64_t now_ns;

	note_idle(connection);
	deadline_ns = clock_earlier(deadline_ns, idle_end_ns(connection));
	deadline_ns = clock_earlier(deadline_ns, write_end_ns(connection));
	if (is_on_notice(connection))
		deadline_ns = clock_earlier(deadline_ns, connection->patience_ns);
	if (connection->is_paused)
		deadline_ns = clock_earlier(deadline_ns, look_ns(connection));
	if (deadline_ns == connection->timer_ns)
		return;
	connection->timer_ns = deadline_ns;
	if (deadline_ns == UINT64_MAX) {
		timer_stop(connection->timer);
		return;
	}
	now_ns = now(connection);
	timer_start(connection->timer, deadline_ns <= now_ns ? 0 :
		    (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

/* --- writing --- */

static void read_on(struct connection *connection);

static void on_written(uv_write_t *write, int rc)
{
	struct connection *connection = write->data;

	connection->is_writing = false;
	if (connection->is_closing)
		return;
	if (rc < 0)
		connection_close(connection);
	else
		connections_add_bulk(connection->owner, connection);
}

static void write_rest(struct connection *connection)
{
	struct buf *output = &connection->output;
	uv_buf_t uv_buf = uv_buf_init(output->data, (unsigned)output->length);

	connection->write.data = connection;
	connection->is_writing = true;
	connection->written_ns = now(connection);
	connection->n_unwritten = output->length;
	if (uv_write(&connection->write, &connection->stream, &uv_buf, 1, on_written) != 0) {
		connection->is_writing = false;
		connection_close(connection);
	}
}

/* Writes output: as much as the socket takes at once, the rest in the background. Returns false if
 * the caller must wait, or the connection ends. */
static bool write_output(struct connection *connection)
{
	struct buf *output = &connection->output;
	uv_buf_t uv_buf = uv_buf_init(output->data, (unsigned)output->length);
	int n = uv_try_write(&connection->stream, &uv_buf, 1);

	if (n == (int)output->length)
		return true;
	if (n < 0 && n != UV_EAGAIN) {
		connection_close(connection);
		return false;
	}
	buf_consume(output, n > 0 ? (size_t)n : 0);
	write_rest(connection);
	return false;
}

static void on_shut(uv_shutdown_t *shutdown, int rc)
{
	(void)shutdown;
	(void)rc;
}

/* Everything is sent. A client that must leave may still be sending. Closing now would make the
 * kernel reset the connection, and the client could lose our last words. */
static void finish(struct connection *connection)
{
	if (!connection->is_ending) {
		set_timer(connection);
		return;
	}
	if (connection->is_shut)
		return;
	connection->is_shut = true;
	if (uv_shutdown(&connection->shutdown, &connection->stream, on_shut) != 0)
		connection_close(connection);
	else
		set_timer(connection);
}

static void flush(struct connection *connection)
{
	for (unsigned i = 0; i < WRITES_PER_TURN; i++) {
		if (i && connections_is_turn_over(connection->owner))
			break;
		if (connection_gather(connection) != SC_OK) {
			connection_close(connection);
			return;
		}
		if (!connection->output.length && session_is_done(&connection->session) &&
		    !connection->is_ending)
			begin_end(connection, DISCARD_ANSWERED_BYTES);
		if (!connection->output.length && connection_says_bye(connection))
			continue;
		if (!connection->output.length) {
			finish(connection);
			return;
		}
		if (!write_output(connection)) {
			if (!connection->is_closing)
				set_timer(connection);
			return;
		}
	}
	/* Other connections have their turn. */
	connections_add_bulk(connection->owner, connection);
}

/* Reads on when the session wants input again, or to see the client close its end. */
static void end_pause(struct connection *connection)
{
	if (!connection->is_paused)
		return;
	if (connection->is_ending)
		drop_input(connection);
	else if (!session_wants_input(&connection->session))
		return;
	connection->is_paused = false;
	if (has_input(connection))
		connections_add_unread(connection->owner, connection);
	else
		read_on(connection);
}

void connection_flush(struct connection *connection)
{
	uint64_t begin_ns = clock_thread_ns();

	if (connection->is_closing)
		return;
	if (connection->is_writing || connection->is_shut) {
		set_timer(connection);
		return;
	}
	flush(connection);
	if (!connection->is_closing)
		end_pause(connection);
	connections_spend(connection, begin_ns);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t n_suggested, uv_buf_t *buffer)
{
	struct connection *connection = handle->data;

	(void)n_suggested;
	/* All connections share one buffer: its contents are used before the next read. */
	*buffer = uv_buf_init(connection->owner->read_buffer, CONNECTION_READ_BYTES);
}

/* Processes a slice: of what came out of TLS before, else of bytes. Returns how many of bytes were
 * processed. The caller calls note_idle when it knows what is left. */
static size_t receive(struct connection *connection, const char *bytes, size_t n_bytes)
{
	uint64_t begin_ns = clock_thread_ns();
	enum sc_status status;
	struct error err;

	if (n_bytes > SLICE_BYTES)
		n_bytes = SLICE_BYTES;
	if (connection->plain.length) {
		n_bytes = 0;
		status = connection_take_plain(connection, SLICE_BYTES, &err);
	} else {
		status = connection_take(connection, bytes, n_bytes, &err);
	}
	if (status != SC_OK) {
		log_debug("gateway: closing a connection: %s", err.text);
		begin_end(connection, DISCARD_BYTES);
	}
	connections_spend(connection, begin_ns);
	return n_bytes;
}

static void discard(struct connection *connection, size_t n_bytes)
{
	connection->n_discarded += n_bytes;
	if (connection->n_discarded > connection->max_discarded)
		uv_read_stop(&connection->stream);
}

/* Input may have produced answers: writes them unless other connections wait for their turn. */
static void flush_after_input(struct connection *connection)
{
	if (connection->is_bulk || connections_is_costly(connection) ||
	    connections_is_turn_over(connection->owner))
		connections_add_dirty(connection->owner, connection);
	else
		connection_flush(connection);
}

/* The connection has input: it is processed in a later turn, or when the session wants it. */
static void wait_for_turn(struct connection *connection)
{
	connection->is_paused = !session_wants_input(&connection->session);
	if (!connection->is_paused)
		connections_add_unread(connection->owner, connection);
}

static void on_read(uv_stream_t *stream, ssize_t n_bytes, const uv_buf_t *buffer)
{
	struct connection *connection = stream->data;
	struct connections *owner = connection->owner;
	size_t n_left = n_bytes > 0 ? (size_t)n_bytes : 0;
	const char *bytes = buffer->base;

	if (n_bytes < 0) {
		/* A client that only closed its sending end still gets what is ready. */
		if (n_bytes == UV_EOF)
			connection_flush(connection);
		connection_close(connection);
		return;
	}
	if (connection->is_ending) {
		discard(connection, n_left);
		return;
	}
	while ((n_left || connection->plain.length) && !connection->is_ending &&
	       list_is_empty(&owner->unread) && session_wants_input(&connection->session) &&
	       !connections_is_turn_over(owner)) {
		size_t n = receive(connection, bytes, n_left);

		bytes += n;
		n_left -= n;
	}
	if (connection->is_ending)
		discard(connection, n_left);
	else if (n_left || connection->plain.length) {
		if (buf_add(&connection->input, bytes, n_left) != SC_OK) {
			connection_close(connection);
			return;
		}
		uv_read_stop(stream);
		wait_for_turn(connection);
	}
	note_idle(connection);
	flush_after_input(connection);
}

static void read_on(struct connection *connection)
{
	if (uv_read_start(&connection->stream, on_alloc, on_read) != 0)
		connection_close(connection);
}

void connection_read_slice(struct connection *connection)
{
	struct buf *input = &connection->input;

	/* The timer may have ended the connection since. */
	if (!connection->is_ending && session_wants_input(&connection->session))
		buf_consume(input, receive(connection, input->data, input->length));
	if (connection->is_ending)
		drop_input(connection);
	note_idle(connection);
	if (has_input(connection))
		wait_for_turn(connection);
	else
		read_on(connection);
	if (!connection->is_closing)
		flush_after_input(connection);
}

/* --- start --- */

static void set_options(struct connection *connection)
{
	unsigned timeout_ms = (unsigned)(connection->owner->config.stall_ns / NS_PER_MS);
	int fd;

	if (connection->handle.type != UV_TCP)
		return;
	/* Tokens are small and must not be delayed until more data is there (TCP_NODELAY). A peer
	 * that vanished is noticed by unacknowledged data or, if there is none, by keep-alive. */
	uv_tcp_nodelay(&connection->tcp, 1);
	uv_tcp_keepalive(&connection->tcp, 1, KEEPALIVE_SECONDS);
	if (timeout_ms && uv_fileno(&connection->handle, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

enum sc_status connection_start(struct connection *connection)
{
	set_options(connection);
	connection->demands_tls = connection->handle.type == UV_TCP &&
				  connection->owner->credentials;
	if (timer_create_on(connection->owner->config.loop, on_timer, connection,
			    &connection->timer) != SC_OK)
		return SC_E_NOMEM;
	if (uv_read_start(&connection->stream, on_alloc, on_read) != 0)
		return SC_E_IO;
	connection_flush(connection);
	return SC_OK;
}
