/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_ANCESTOR_H
#define STAGECOACH_TRANSPORT_ANCESTOR_H
/* ancestor - which of this process's ancestors is its launcher (launcher.h), as /proc tells.
 * Thread: any, except ancestor_find, which reads the environment. */
#include <stdbool.h>
#include <sys/types.h>

#define ANCESTOR_NAME_BYTES 32

struct ancestor {
	pid_t pid;	/* 0: outside this pid namespace */
	pid_t child;	/* its child that this process descends from, or this process */
};

/* The launcher is the nearest ancestor whose environment does not name this rank. An ancestor whose
 * environment may not be read is taken for the launcher: wrappers run as the same user. */
struct ancestor ancestor_find(void);

/* False once the ancestor has ended: its child has got another parent then. */
bool ancestor_is_alive(const struct ancestor *ancestor);

/* mpirun, orted, or what replaces them in Open MPI 5. */
bool ancestor_is_open_mpi(pid_t pid);

/* The program's name, e.g. "mpirun"; "unknown" where /proc does not tell. */
void ancestor_name(pid_t pid, char name_out[ANCESTOR_NAME_BYTES]);

#endif
