/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/tls_channel.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define READ_BYTES 65536
/* Reading stops while so much input waits for its owner. */
#define INPUT_MAX (2 * CONTROL_MAX_BYTES)
/* How long a closed channel may go on: to send what is queued, and to see the peer close its end.
 * Closing with unread input would make the kernel reset the connection, and the peer could lose the
 * last messages. */
#define LINGER_MS 1000
#define DRAIN_BYTES (256 * 1024)

enum tls_state {
	TLS_HANDSHAKE,
	TLS_UP,
	TLS_LINGERS,	/* closed by its owner; sends what is queued */
	TLS_GONE,	/* the handle is closing */
};

struct tls_channels {
	unsigned n_users;	/* the creator, until close, and channels */
	bool is_closed;
	struct loop *loop;
	unsigned dead_ms;
	struct list all;
	char read_buffer[READ_BYTES];	/* its contents are used before the next read */
};

struct tls_channel {
	struct channel base;
	struct tls_channels *channels;
	struct list node;		/* of channels->all */
	enum tls_state state;
	struct tls_session *session;
	struct timer *timer;		/* the handshake's deadline, later that of lingering */
	unsigned handshake_ms;
	bool is_connecting;
	int write_rc;			/* why writing failed */
	bool has_spoken;
	bool is_reading;
	bool is_writing;
	bool is_shut;
	const struct tls_channel_events *events;
	void *arg;
	struct buf sending;		/* what uv_write is sending */
	uv_write_t write;
	uv_shutdown_t shutdown;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
};

static void unref(struct tls_channels *channels)
{
	if (!--channels->n_users)
		free(channels);
}

/* --- end --- */

static void on_closed(uv_handle_t *handle)
{
	struct tls_channel *channel = handle->data;

	buf_deinit(&channel->sending);
	unref(channel->channels);
	channel_free(&channel->base);
}

static void finish(struct tls_channel *channel)
{
	if (channel->state == TLS_GONE)
		return;
	channel->state = TLS_GONE;
	channel_mute(&channel->base);
	list_remove(&channel->node);
	timer_destroy(channel->timer);
	channel->timer = NULL;
	tls_session_destroy(channel->session);
	channel->session = NULL;
	uv_close(&channel->uv.handle, on_closed);
}

/* Closes at once, and still does what it can for the last messages: input is read away, so that the
 * kernel sends what it has. */
static void finish_now(struct tls_channel *channel)
{
	char *buffer = channel->channels->read_buffer;
	size_t n_drained = 0;
	int fd;

	if (channel->state != TLS_GONE && uv_fileno(&channel->uv.handle, &fd) == 0) {
		ssize_t n;

		(void)shutdown(fd, SHUT_WR);
		do {
			n = recv(fd, buffer, READ_BYTES, MSG_DONTWAIT);
			n_drained += n > 0 ? (size_t)n : 0;
		} while (n > 0 && n_drained < DRAIN_BYTES);
	}
	finish(channel);
}

static void fail_handshake(struct tls_channel *channel, const struct error *err)
{
	const struct tls_channel_events *events = channel->events;
	bool was_connected = !channel->is_connecting;
	void *arg = channel->arg;

	finish(channel);
	events->on_failed(arg, err, was_connected);
}

/* --- writing --- */

static void flush(struct tls_channel *channel);

static void on_shut(uv_shutdown_t *shutdown, int rc)
{
	(void)shutdown;
	(void)rc;
}

/* Everything is sent: waits for the peer to close its end. */
static void linger(struct tls_channel *channel)
{
	if (channel->is_shut)
		return;
	channel->is_shut = true;
	if (uv_shutdown(&channel->shutdown, &channel->uv.stream, on_shut) != 0)
		finish(channel);
}

/* In a handshake nothing is done, because the caller may be tls_channel_open: the next read fails,
 * too, and tells the owner. But the socket tells its error only once. */
static void write_failed(struct tls_channel *channel, int rc)
{
	char why[128];

	channel->write_rc = rc;
	snprintf(why, sizeof why, "the connection broke: %s", uv_strerror(rc));
	if (channel->state == TLS_UP)
		channel_fail(&channel->base, SC_E_CLOSED, why);
	else if (channel->state == TLS_LINGERS)
		finish(channel);
}

static void on_written(uv_write_t *write, int rc)
{
	struct tls_channel *channel = write->data;

	channel->is_writing = false;
	if (channel->state == TLS_GONE)
		return;
	buf_truncate(&channel->sending, 0);
	if (rc < 0)
		write_failed(channel, rc);
	else
		flush(channel);
}

/* The socket takes no more now: libuv sends the rest when it does. */
static void write_rest(struct tls_channel *channel)
{
	struct buf *output = tls_session_output(channel->session);
	struct buf rest = *output;
	uv_buf_t uv_buf = uv_buf_init(rest.data, (unsigned)rest.length);
	int rc;

	*output = channel->sending;
	channel->sending = rest;
	channel->write.data = channel;
	channel->is_writing = true;
	rc = uv_write(&channel->write, &channel->uv.stream, &uv_buf, 1, on_written);
	if (rc != 0) {
		channel->is_writing = false;
		buf_truncate(&channel->sending, 0);
		write_failed(channel, rc);
	}
}

/* Sends the session's output, what the socket takes at once, the rest in the background. */
static void flush(struct tls_channel *channel)
{
	struct buf *output = tls_session_output(channel->session);
	uv_buf_t uv_buf = uv_buf_init(output->data, (unsigned)output->length);
	int n = 0;

	if (channel->is_writing || channel->is_shut)
		return;
	if (output->length)
		n = uv_try_write(&channel->uv.stream, &uv_buf, 1);
	if (n < 0 && n != UV_EAGAIN) {
		buf_truncate(output, 0);
		write_failed(channel, n);
		return;
	}
	buf_consume(output, n > 0 ? (size_t)n : 0);
	if (output->length)
		write_rest(channel);
	else if (channel->state == TLS_LINGERS)
		linger(channel);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t n_suggested, uv_buf_t *buffer)
{
	struct tls_channel *channel = handle->data;

	(void)n_suggested;
	*buffer = uv_buf_init(channel->channels->read_buffer, READ_BYTES);
}

static void stop_reading(struct tls_channel *channel)
{
	channel->is_reading = false;
	uv_read_stop(&channel->uv.stream);
}

static void read_ended(struct tls_channel *channel, int rc)
{
	struct error err;

	if (channel->state == TLS_HANDSHAKE) {
		bool was_closed;

		if (channel->is_connecting && channel->write_rc && channel->write_rc != UV_EPIPE)
			rc = channel->write_rc;
		was_closed = rc == UV_EOF || rc == UV_ECONNRESET;
		channel->is_connecting &= !was_closed;
		error_set(&err, SC_E_CLOSED, "%s", was_closed ?
			  "the peer closed the connection during the handshake" : uv_strerror(rc));
		fail_handshake(channel, &err);
	} else if (channel->state == TLS_UP) {
		error_set(&err, SC_E_CLOSED, "the connection broke: %s",
			  rc == UV_ETIMEDOUT ? "the peer's host does not answer" : uv_strerror(rc));
		stop_reading(channel);
		channel_fail(&channel->base, SC_E_CLOSED, err.text);
	} else {
		finish(channel);
	}
}

static void become_up(struct tls_channel *channel)
{
	channel->state = TLS_UP;
	timer_stop(channel->timer);
	channel->events->on_secure(channel->arg, &channel->base,
				   tls_session_key_id(channel->session));
}

static void receive(struct tls_channel *channel, const char *bytes, size_t n_bytes)
{
	struct error err = { .status = SC_OK };
	enum sc_status status;

	channel->is_connecting = false;
	channel->has_spoken = true;
	status = tls_session_receive(channel->session, bytes, n_bytes, &channel->base.input, &err);
	if (channel->state == TLS_HANDSHAKE && !tls_session_is_secure(channel->session)) {
		if (status != SC_OK)
			fail_handshake(channel, &err);
		else
			flush(channel);
		return;
	}
	flush(channel);
	if (channel->state == TLS_HANDSHAKE)
		become_up(channel);
	if (channel->state != TLS_UP)
		return;
	channel_input_came(&channel->base);
	if (status != SC_OK)
		channel_fail(&channel->base, status, err.text);
	if (status != SC_OK || channel->base.input.length > INPUT_MAX)
		stop_reading(channel);
}

static void on_read(uv_stream_t *stream, ssize_t n_bytes, const uv_buf_t *buffer)
{
	struct tls_channel *channel = stream->data;

	if (n_bytes < 0)
		read_ended(channel, (int)n_bytes);
	else if (n_bytes > 0 && channel->state <= TLS_UP)
		receive(channel, buffer->base, (size_t)n_bytes);
}

static int start_reading(struct tls_channel *channel)
{
	channel->is_reading = true;
	return uv_read_start(&channel->uv.stream, on_alloc, on_read);
}

/* --- operations of a channel --- */

static enum sc_status tls_send(struct channel *base, const Stagecoach__Cluster__V1__Control *message)
{
	struct tls_channel *channel = (struct tls_channel *)base;
	struct buf plain = BUF_INIT;
	enum sc_status status;

	if (tls_session_output(channel->session)->length + channel->sending.length >
	    CHANNEL_MAX_QUEUE) {
		channel_fail(base, SC_E_TIMEOUT, "the peer does not read");
		return SC_E_TIMEOUT;
	}
	status = control_add(message, &plain);
	if (status == SC_OK) {
		status = tls_session_send(channel->session, plain.data, plain.length);
		if (status == SC_OK)
			flush(channel);
		else
			channel_fail(base, status, "the message could not be encrypted");
	}
	buf_deinit(&plain);
	return status;
}

static void tls_resume(struct channel *base)
{
	struct tls_channel *channel = (struct tls_channel *)base;

	if (channel->state == TLS_UP && !channel->is_reading && base->fault.status == SC_OK &&
	    base->input.length <= INPUT_MAX && start_reading(channel) != 0)
		channel_fail(base, SC_E_CLOSED, "the connection broke");
}

static void tls_close(struct channel *base)
{
	struct tls_channel *channel = (struct tls_channel *)base;
	bool was_up = base->fault.status == SC_OK;

	assert(channel->state == TLS_UP);
	channel->state = TLS_LINGERS;
	if (was_up) {
		tls_session_say_bye(channel->session);
		timer_start(channel->timer, LINGER_MS, 0);
		flush(channel);
	}
	if (!was_up || channel->channels->is_closed)
		finish_now(channel);
	else if (channel->state == TLS_LINGERS && !channel->is_reading &&
		 start_reading(channel) != 0)
		finish(channel);
}

static const struct channel_ops tls_ops = {
	.send = tls_send,
	.resume = tls_resume,
	.close = tls_close,
};

/* --- beginning --- */

static bool is_connected(const struct tls_channel *channel)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int fd;

	return uv_fileno(&channel->uv.handle, &fd) == 0 &&
	       getpeername(fd, (struct sockaddr *)&address, &length) == 0;
}

static void on_timer(void *arg)
{
	struct tls_channel *channel = arg;
	struct error err;

	if (channel->state == TLS_LINGERS) {
		finish_now(channel);
		return;
	}
	if (channel->is_connecting && is_connected(channel)) {
		channel->is_connecting = false;
		timer_start(channel->timer, channel->handshake_ms, 0);
		return;
	}
	error_set(&err, SC_E_TIMEOUT, channel->is_connecting ?
		  "no answer from the host" : "the handshake took too long");
	fail_handshake(channel, &err);
}

enum sc_status tls_channels_create(struct loop *loop, unsigned dead_ms,
				   struct tls_channels **channels_out)
{
	struct tls_channels *channels = calloc(1, sizeof *channels);

	if (!channels)
		return SC_E_NOMEM;
	/* Writing to a peer that is gone must be an error, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	channels->n_users = 1;
	channels->loop = loop;
	channels->dead_ms = dead_ms;
	list_init(&channels->all);
	*channels_out = channels;
	return SC_OK;
}

void tls_channels_close(struct tls_channels *channels)
{
	if (!channels)
		return;
	channels->is_closed = true;
	list_for_each(node, &channels->all) {
		struct tls_channel *channel = list_entry(node, struct tls_channel, node);

		assert(channel->state != TLS_HANDSHAKE);
		if (channel->state == TLS_LINGERS)
			finish_now(channel);
	}
	unref(channels);
}

static void set_options(struct tls_channel *channel, int fd)
{
	unsigned dead_ms = channel->channels->dead_ms;

	/* Control messages are small and must not wait for more data. */
	uv_tcp_nodelay(&channel->uv.tcp, 1);
	if (dead_ms)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);
}

/* From here on uv_close ends the channel, and closes fd. */
static int open_handle(struct tls_channel *channel, int fd, bool is_unix)
{
	uv_loop_t *uv = loop_uv(channel->channels->loop);
	int rc;

	if (is_unix)
		rc = uv_pipe_init(uv, &channel->uv.pipe, 0);
	else
		rc = uv_tcp_init(uv, &channel->uv.tcp);
	assert(rc == 0);
	channel->uv.handle.data = channel;
	rc = is_unix ? uv_pipe_open(&channel->uv.pipe, fd) : uv_tcp_open(&channel->uv.tcp, fd);
	if (rc != 0)
		close(fd);
	else if (!is_unix)
		set_options(channel, fd);
	return rc;
}

static struct tls_channel *new_channel(struct tls_channels *channels, struct tls_context *context,
				       const struct tls_channel_config *config)
{
	struct tls_channel *channel = calloc(1, sizeof *channel);

	if (!channel)
		return NULL;
	channel->handshake_ms = config->handshake_ms;
	channel->is_connecting = config->connect_ms > 0;
	channel->events = config->events;
	channel->arg = config->arg;
	buf_init(&channel->sending);
	snprintf(channel->base.peer, sizeof channel->base.peer, "%s", config->peer);
	if (channel_init(&channel->base, channels->loop, &tls_ops) != SC_OK ||
	    timer_create_on(channels->loop, on_timer, channel, &channel->timer) != SC_OK ||
	    tls_session_create(context, config->role, config->key, &channel->session) != SC_OK) {
		timer_destroy(channel->timer);
		channel_free(&channel->base);
		return NULL;
	}
	channel->channels = channels;
	channels->n_users++;
	list_append(&channels->all, &channel->node);
	return channel;
}

enum sc_status tls_channel_open(struct tls_channels *channels, struct tls_context *context, int fd,
				const struct tls_channel_config *config,
				struct tls_channel **channel_out, struct error *err)
{
	struct tls_channel *channel = new_channel(channels, context, config);
	int rc;

	if (!channel) {
		close(fd);
		return error_set(err, SC_E_NOMEM, "out of memory");
	}
	rc = open_handle(channel, fd, config->is_unix);
	if (rc == 0)
		rc = start_reading(channel);
	if (rc != 0) {
		finish(channel);
		return error_set(err, SC_E_IO, "%s", uv_strerror(rc));
	}
	timer_start(channel->timer, channel->is_connecting ? config->connect_ms
							   : config->handshake_ms, 0);
	flush(channel);
	*channel_out = channel;
	return SC_OK;
}

void tls_channel_abort(struct tls_channel *channel)
{
	assert(channel->state == TLS_HANDSHAKE);
	finish(channel);
}

bool tls_channel_has_spoken(const struct tls_channel *channel)
{
	return channel->has_spoken;
}
