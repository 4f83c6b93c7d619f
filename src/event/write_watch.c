/* SPDX-License-Identifier: Apache-2.0 */
/* libuv sets O_NONBLOCK on descriptors that it polls, which would also change them for other
 * programs that share them. libuv therefore polls an epoll instance that is readable while the
 * descriptor is writable. */
#include "event/round.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct write_watch {
	uv_poll_t uv;		/* first member: the handle's address is the watch's address */
	int epoll_fd;
	write_fn *fn;
	void *arg;
};

static void on_readable(uv_poll_t *handle, int status, int events)
{
	struct write_watch *watch = (struct write_watch *)handle;

	(void)status;
	(void)events;
	watch->fn(watch->arg);
}

static enum sc_status watch_fd(struct write_watch *watch, int fd, struct error *err)
{
	struct epoll_event event = { .events = EPOLLOUT };

	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->epoll_fd < 0)
		return error_errno(err, SC_E_IO, errno, "waiting for descriptor %d", fd);
	if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return error_errno(err, SC_E_IO, errno, "waiting for descriptor %d", fd);
	return SC_OK;
}

enum sc_status write_watch_create(struct loop *loop, int fd, write_fn *fn, void *arg,
				  struct write_watch **watch_out, struct error *err)
{
	struct write_watch *watch = calloc(1, sizeof *watch);
	enum sc_status status;
	int rc;

	if (!watch)
		return error_set(err, SC_E_NOMEM, "watching descriptor %d: out of memory", fd);
	watch->fn = fn;
	watch->arg = arg;
	status = watch_fd(watch, fd, err);
	if (status != SC_OK)
		goto fail;
	rc = uv_poll_init(&loop->uv, &watch->uv, watch->epoll_fd);
	if (rc) {
		status = error_set(err, SC_E_IO, "descriptor %d: %s", fd, uv_strerror(rc));
		goto fail;
	}
	*watch_out = watch;
	return SC_OK;
fail:
	if (watch->epoll_fd >= 0)
		close(watch->epoll_fd);
	free(watch);
	return status;
}

static void on_closed(uv_handle_t *handle)
{
	struct write_watch *watch = (struct write_watch *)handle;

	close(watch->epoll_fd);
	free(watch);
}

void write_watch_destroy(struct write_watch *watch)
{
	if (watch)
		uv_close((uv_handle_t *)&watch->uv, on_closed);
}

enum sc_status write_watch_start(struct write_watch *watch, struct error *err)
{
	int rc = uv_poll_start(&watch->uv, UV_READABLE, on_readable);

	if (rc)
		return error_set(err, SC_E_IO, "waiting for room in a pipe: %s", uv_strerror(rc));
	return SC_OK;
}

void write_watch_stop(struct write_watch *watch)
{
	uv_poll_stop(&watch->uv);
}
