/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_ANCESTOR_H
#define STAGECOACH_TRANSPORT_ANCESTOR_H
/* ancestor - finds the ancestor of this process that is its launcher (launcher.h), by reading
 * /proc.
 * Thread: any, except ancestor_find, which reads the environment. */
#include <stdbool.h>
#include <sys/types.h>

#define ANCESTOR_NAME_BYTES 32

struct ancestor {
	pid_t pid;	/* 0: the launcher is outside this pid namespace */
	pid_t child;	/* the launcher's child that is this process or its ancestor */
};

/* Finds the launcher: the nearest ancestor whose environment does not name this rank. An ancestor
 * with an unreadable environment counts as the launcher, because wrappers run as the same user and
 * stay readable. */
struct ancestor ancestor_find(void);

/* Returns false once the ancestor has ended. Its child then has another parent. */
bool ancestor_is_alive(const struct ancestor *ancestor);

/* Returns true for mpirun, orted, and their successors in Open MPI 5. */
bool ancestor_is_open_mpi(pid_t pid);

/* Writes the program's name, e.g. "mpirun", or "unknown" if /proc does not tell. */
void ancestor_name(pid_t pid, char name_out[ANCESTOR_NAME_BYTES]);

#endif
