/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_CHILD_H
#define STAGECOACH_TESTS_CHILD_H
/*
 * child - this test program again, as a child process that can be killed. Both talk over a socket.
 * must and what uses it abort, in the child, too.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	int fd;		/* the parent's end of the socket */
};

/* The child's arguments are the number of its end of the socket, and the texts up to NULL. */
struct child child_start(const char *first, ...) __attribute__((sentinel));
/* Waits for the end. Fails the test unless the child was killed, or ended by itself with 0. */
void child_end(const struct child *child, bool is_killed);

void must(bool is_true, const char *what);
void write_all(int fd, const void *data, size_t n);
void read_all(int fd, void *data, size_t n);

/* What this process holds. */
struct holdings {
	unsigned n_descriptors;
	unsigned n_shared;	/* mappings of shared memory */
	size_t n_bytes;		/* resident */
};
struct holdings count_holdings(void);

#endif
