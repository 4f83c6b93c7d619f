/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static enum outlet_kind kind_of(struct outlet *outlet, const struct stat *st)
{
	char path[32];

	if (S_ISSOCK(st->st_mode))
		return OUTLET_SOCKET;
	if (!S_ISFIFO(st->st_mode) && !isatty(outlet->standard_fd))
		return OUTLET_PLAIN;
	/* A second open file description of the same pipe or terminal, with its own flags. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", outlet->standard_fd);
	outlet->own_fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return outlet->own_fd < 0 ? OUTLET_SHARED : OUTLET_OWN;
}

bool outlet_look(struct outlet *outlet)
{
	struct stat st;

	if (fstat(outlet->standard_fd, &st) < 0) {
		outlet->kind = OUTLET_PLAIN;	/* the descriptor is closed,
						 * so writing fails at once */
		return false;
	}
	if (outlet->kind && outlet->device == st.st_dev && outlet->inode == st.st_ino)
		return false;
	outlet_close(outlet);
	outlet->kind = kind_of(outlet, &st);
	outlet->device = st.st_dev;
	outlet->inode = st.st_ino;
	return true;
}

int outlet_fd(const struct outlet *outlet)
{
	return outlet->kind == OUTLET_OWN ? outlet->own_fd : outlet->standard_fd;
}

/* Polls the descriptor for at most timeout_ms. Returns its events, or 0 if there are none. */
static int look_for_room(const struct outlet *outlet, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = outlet_fd(outlet), .events = POLLOUT };

	return poll(&poll_fd, 1, timeout_ms) == 1 ? poll_fd.revents : 0;
}

bool outlet_wait(const struct outlet *outlet, unsigned timeout_ms)
{
	return look_for_room(outlet, (int)timeout_ms) == POLLOUT;
}

static ssize_t refuse(int code)
{
	errno = code;
	return -1;
}

static ssize_t write_to_reader(struct outlet *outlet, const void *data, size_t n_bytes)
{
	int found = look_for_room(outlet, 0);

	if (!found)
		return refuse(EAGAIN);
	if (outlet->spares_signal && found != POLLOUT)
		return refuse(EPIPE);
	if (outlet->kind == OUTLET_SHARED && n_bytes > PIPE_BUF)
		n_bytes = PIPE_BUF;	/* a longer write could block */
	return write(outlet_fd(outlet), data, n_bytes);
}

ssize_t outlet_write(struct outlet *outlet, const void *data, size_t n_bytes)
{
	switch (outlet->kind) {
	case OUTLET_SOCKET:
		return send(outlet->standard_fd, data, n_bytes,
			    MSG_DONTWAIT | (outlet->spares_signal ? MSG_NOSIGNAL : 0));
	case OUTLET_OWN:
	case OUTLET_SHARED:
		return write_to_reader(outlet, data, n_bytes);
	default:
		return write(outlet->standard_fd, data, n_bytes);
	}
}

void outlet_close(struct outlet *outlet)
{
	if (outlet->own_fd >= 0)
		close(outlet->own_fd);
	outlet->own_fd = -1;
	outlet->kind = OUTLET_UNKNOWN;
}
