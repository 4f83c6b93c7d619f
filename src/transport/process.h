/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_PROCESS_H
#define STAGECOACH_TRANSPORT_PROCESS_H
/*
 * process - identifies a process so that another process on the same host can notice its end. For
 * transports that do not report a peer's death.
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Sent in addresses between processes of the same build and architecture. */
struct process_id {
	char boot[40];		/* boot id of the kernel; differs between hosts */
	uint64_t pid_namespace;
	uint64_t started;	/* start time in ticks since boot, 0: unknown;
				 * distinguishes two processes with the same pid */
	int64_t pid;
};

void process_id_of_self(struct process_id *id_out);

struct process_watch {
	int fd;			/* -1: the process cannot be watched from here */
	bool is_ended;
};

/* Starts to watch a process. A process on another host or in another pid namespace, or any process
 * under a kernel without pidfd_open (before Linux 5.3), cannot be watched: it never seems to
 * end. */
void process_watch_open(struct process_watch *watch, const struct process_id *id);
bool process_watch_is_ended(struct process_watch *watch);
void process_watch_close(struct process_watch *watch);

/* Reads parent and start time from /proc. Returns false if the process has ended, no descriptor is
 * free, or /proc is hidden. */
bool process_read_stat(pid_t pid, pid_t *parent_out, uint64_t *started_out);

#endif
