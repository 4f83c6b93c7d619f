/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_ALLOWANCE_H
#define STAGECOACH_COORDINATOR_ALLOWANCE_H
/*
 * allowance - how much of its machine one worker may use, beside the other workers and the
 * coordinator. A tenth of what is free stays free.
 * Thread: any.
 */
#include "base/resources.h"

struct allowance {
	uint64_t memory_bytes;	/* 0: unknown */
	unsigned n_processors;	/* at least 1 */
	unsigned n_sharers;	/* workers on the same processors, itself included */
	unsigned sharer;	/* which of these it is */
};

/* wanted_bytes for one purpose of a coordinator's process, such as jobs. Less where memory is short:
 * at most an eighth of what the process could still get. */
uint64_t allowance_part(uint64_t wanted_bytes);

/* One of n_stages workers that are in this process, with a coordinator that takes
 * coordinator_bytes. */
struct allowance allowance_inside(unsigned n_stages, uint64_t coordinator_bytes);

/* workers[n] are the resources of all workers of a cluster, its own among them; coordinator's come
 * from its process. */
struct allowance allowance_of(const struct resources *own,
			      const struct resources *const *workers, unsigned n,
			      const struct resources *coordinator, uint64_t coordinator_bytes);

#endif
