/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting clients, also where there are no descriptors for them. */
#include "net/listener_private.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_ACCEPTED 64		/* in one turn of the loop */
#define MAX_WAITING 256		/* taken before a socket is closed */
#define QUIET_MS 60000		/* between two warnings */
#define PAUSE_MS 100		/* before the next try where accepting fails */

/* What is used up: of this process, of the machine. NULL: accept failed of something else. */
static const char *used_up(int errnum)
{
	switch (errnum) {
	case EMFILE:
		return "this process has no file descriptor left (ulimit -n). Raise that limit, "
		       "LimitNOFILE= of the unit, or lower max-connections";
	case ENFILE:
		return "this machine has no file descriptor left (fs.file-max)";
	case ENOBUFS:
	case ENOMEM:
		return "this machine has no memory left for sockets";
	default:
		return NULL;
	}
}

/* A flood of clients must not be a flood of warnings. */
static void warn(struct listener *listener, int errnum)
{
	const char *what = used_up(errnum);

	if (uv_now(listener->uv) < listener->quiet_until_ms)
		return;
	listener->quiet_until_ms = uv_now(listener->uv) + QUIET_MS;
	if (!what)
		log_warning("listening at %s: accept: %s", listener->address, strerror(errnum));
	else if (listener->n_shed > 1)
		log_warning("listening at %s: %u new connections were closed: %s", listener->address,
			    listener->n_shed, what);
	else
		log_warning("listening at %s: new connections are closed: %s", listener->address, what);
	listener->n_shed = 0;
}

static int accept_one(const struct listening_socket *socket)
{
	return accept4(socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Closes the connection of a client that finds no descriptor. Otherwise the client would wait for
 * ever, and would wake this loop again and again. False: there is not even a spare descriptor. */
static bool shed_one(struct listening_socket *socket)
{
	struct listener *listener = socket->listener;
	int fd;

	if (listener->spare_fd >= 0)
		close(listener->spare_fd);
	fd = accept_one(socket);
	if (fd >= 0) {
		listener->n_shed++;
		close(fd);
	}
	listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void on_readable(uv_poll_t *poll, int rc, int events);

static void on_pause_end(uv_timer_t *pause)
{
	struct listening_socket *socket = pause->data;

	(void)uv_poll_start(&socket->poll, UV_READABLE, on_readable);
}

/* The client cannot be accepted, and cannot be sent away: the socket stays readable. Without a pause
 * the loop would try again at once, for as long as that lasts. */
static void wait_a_moment(struct listening_socket *socket)
{
	uv_poll_stop(&socket->poll);
	uv_update_time(socket->listener->uv);
	uv_timer_start(&socket->pause, on_pause_end, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int rc, int events)
{
	struct listening_socket *socket = poll->data;
	struct listener *listener = socket->listener;
	bool goes_on = true;

	(void)rc;
	(void)events;
	for (int i = 0; i < MAX_ACCEPTED && goes_on; i++) {
		int fd = accept_one(socket);

		if (fd >= 0) {
			listener->fn(listener->arg, fd, listener->is_unix);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		rc = errno;
		goes_on = used_up(rc) && shed_one(socket);
		warn(listener, rc);
		if (!goes_on)
			wait_a_moment(socket);
	}
}

void listening_socket_take_waiting(struct listening_socket *socket)
{
	const struct listener *listener = socket->listener;

	for (int i = 0; i < MAX_WAITING; i++) {
		int fd = accept_one(socket);

		if (fd < 0)
			return;
		listener->fn(listener->arg, fd, listener->is_unix);
	}
}

int listening_socket_start(struct listening_socket *socket)
{
	uv_loop_t *uv = socket->listener->uv;
	int rc = uv_poll_init(uv, &socket->poll, socket->fd);

	if (rc != 0)
		return rc;
	uv_timer_init(uv, &socket->pause);
	socket->n_handles = 2;
	socket->poll.data = socket->pause.data = socket;
	return uv_poll_start(&socket->poll, UV_READABLE, on_readable);
}

static void on_closed(uv_handle_t *handle)
{
	struct listening_socket *socket = handle->data;

	if (!--socket->n_handles)
		free(socket);
}

void listening_socket_close(struct listening_socket *socket)
{
	if (socket->n_handles) {
		uv_close((uv_handle_t *)&socket->poll, on_closed);
		uv_close((uv_handle_t *)&socket->pause, on_closed);
	}
	close(socket->fd);	/* at once: somebody may want the port */
	if (!socket->n_handles)
		free(socket);
}
