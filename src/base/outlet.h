/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_OUTLET_H
#define STAGECOACH_BASE_OUTLET_H
/*
 * outlet - writes to standard output or standard error and never waits for the reader.
 * Other programs may share the pipe or terminal and do not expect O_NONBLOCK on it. The outlet
 * therefore opens a file description of its own with that flag. If the system refuses (the pipe
 * belongs to another user), the outlet polls for room before each write; a write may then still
 * block if another program fills the pipe in between. Files, and devices other than terminals, are
 * written to directly.
 * Thread: one at a time.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum outlet_kind {
	OUTLET_UNKNOWN,
	OUTLET_PLAIN,	/* a file: write never waits for a reader */
	OUTLET_SOCKET,	/* the journal */
	OUTLET_OWN,	/* a pipe or terminal, through own_fd */
	OUTLET_SHARED,	/* a pipe or terminal, through standard_fd */
};

struct outlet {
	int standard_fd;	/* STDOUT_FILENO or STDERR_FILENO */
	bool spares_signal;	/* a write to a pipe without a reader raises no SIGPIPE */
	enum outlet_kind kind;
	dev_t device;		/* of standard_fd at the last outlet_look */
	ino_t inode;
	int own_fd;
};
#define OUTLET_INIT(fd, is_spared) \
	{ .standard_fd = (fd), .spares_signal = (is_spared), .own_fd = -1 }

/* Examines what standard_fd refers to now, because it can be replaced at any time. Call it before
 * the first write. Returns true if the target changed since the last call. */
bool outlet_look(struct outlet *outlet);

/* As write(2). Returns -1 with errno EAGAIN if there is no room. A pipe takes up to PIPE_BUF bytes
 * as a whole or not at all. */
ssize_t outlet_write(struct outlet *outlet, const void *data, size_t n_bytes);

/* The descriptor to poll for room. outlet_look may change it. */
int outlet_fd(const struct outlet *outlet);

/* Blocks until there is room, for at most timeout_ms. Returns false if there is still none, or no
 * reader. */
bool outlet_wait(const struct outlet *outlet, unsigned timeout_ms);

void outlet_close(struct outlet *outlet);

#endif
