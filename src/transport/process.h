/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_PROCESS_H
#define STAGECOACH_TRANSPORT_PROCESS_H
/*
 * process - who a process is, in words that another process on the same host can use to notice its
 * end. For transports that do not tell themselves when a peer dies.
 * Thread: any.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Travels in addresses between processes of one build and architecture. */
struct process_id {
	char boot[40];		/* of the running kernel: another one is another host */
	uint64_t pid_namespace;
	uint64_t started;	/* ticks since boot, 0: unknown; tells two processes with one pid
				 * apart */
	int64_t pid;
};

void process_id_of_self(struct process_id *id_out);

struct process_watch {
	int fd;			/* -1: the process cannot be watched from here */
	bool is_ended;
};

/* A process on another host, in another pid namespace, or under a kernel without pidfd_open (before
 * 5.3) is not watched: it never seems to end. */
void process_watch_open(struct process_watch *watch, const struct process_id *id);
bool process_watch_is_ended(struct process_watch *watch);
void process_watch_close(struct process_watch *watch);

/* What /proc tells of a process. False: nothing, because the process has ended, no descriptor is
 * free, or /proc is hidden. */
bool process_read_stat(pid_t pid, pid_t *parent_out, uint64_t *started_out);

#endif
