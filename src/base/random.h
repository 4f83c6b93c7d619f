/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_RANDOM_H
#define STAGECOACH_BASE_RANDOM_H
/*
 * random - random numbers from the kernel. Thread: any.
 */
#include <stdint.h>

/* A number that tells one life of a process from another; never 0. If the kernel has no random
 * numbers yet, it comes from the time and the process id. */
uint64_t random_id(void);

#endif
