/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_OUTLET_H
#define STAGECOACH_BASE_OUTLET_H
/*
 * outlet - one of the standard descriptors, written to without ever waiting for its reader.
 * A pipe or terminal may be shared with other programs, which did not ask for O_NONBLOCK. So the
 * outlet opens a file description of its own, with that flag. Where the system refuses one (the
 * pipe belongs to another user), the outlet looks for room before each write; another writer may
 * take that room in between. Files, and devices that are not terminals, are written to as they are.
 * Thread: one at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum outlet_kind {
	OUTLET_UNKNOWN,
	OUTLET_PLAIN,	/* a file: write does not wait for a reader */
	OUTLET_SOCKET,	/* the journal */
	OUTLET_OWN,	/* a pipe or terminal, through a description of our own */
	OUTLET_SHARED,	/* a pipe or terminal, through the standard descriptor */
};

struct outlet {
	int standard_fd;	/* STDOUT_FILENO or STDERR_FILENO */
	bool spares_signal;	/* writing to a pipe without reader raises no SIGPIPE */
	enum outlet_kind kind;
	dev_t device;		/* of standard_fd when it was looked at */
	ino_t inode;
	int own_fd;
};
#define OUTLET_INIT(fd, is_spared) \
	{ .standard_fd = (fd), .spares_signal = (is_spared), .own_fd = -1 }

/* Look what standard_fd is now: it may be replaced at any time. Call before the first write. True:
 * it is something else than before. */
bool outlet_look(struct outlet *outlet);

/* As write(2); -1 with EAGAIN: there is no room. A pipe takes up to PIPE_BUF bytes whole or not at
 * all. */
ssize_t outlet_write(struct outlet *outlet, const void *data, size_t n_bytes);

/* The descriptor that becomes writable when there is room. Changes with outlet_look. */
int outlet_fd(const struct outlet *outlet);

/* Blocks until there is room: at most timeout_ms. False: there is none, or no reader. */
bool outlet_wait(const struct outlet *outlet, unsigned timeout_ms);

void outlet_close(struct outlet *outlet);

#endif
