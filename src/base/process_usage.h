/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_PROCESS_USAGE_H
#define STAGECOACH_BASE_PROCESS_USAGE_H
/*
 * process_usage - what this process takes of its machine, from /proc/self.
 * Thread: any.
 */
#include <stdint.h>

/* 0: unknown. */
struct process_usage {
	double cpu_seconds;		/* of all threads */
	double start_seconds;		/* when it started, since 1970-01-01 UTC; the same in every
					 * call */
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint32_t n_threads;
	uint32_t n_descriptors;		/* open now */
	uint64_t max_descriptors;
};

void process_usage_read(struct process_usage *usage);

#endif
