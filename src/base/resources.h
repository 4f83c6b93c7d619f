/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_RESOURCES_H
#define STAGECOACH_BASE_RESOURCES_H
/*
 * resources - how much memory and how many processors this process may still use, and which other
 * processes share them.
 *
 * Several limits apply at once: the machine's memory, each control group from this process's own up
 * to the top, and the process's rlimits. Each limit has an id that is the same for all processes
 * under it. Processes that exchange their limits can therefore divide each limit by the number of
 * processes that share it, even across containers.
 * Thread: any. Blocks on file reads.
 */
#include <stddef.h>
#include <stdint.h>

enum { RESOURCES_MAX_LIMITS = 32 };

/* There is no limit. */
#define RESOURCES_UNLIMITED UINT64_MAX

struct resource_limit {
	uint64_t id;		/* 0: applies to this process only */
	uint64_t amount;
};

/* Plain data: a process can send it to another process of the same program. */
struct resources {
	uint32_t n_memory;
	uint32_t n_processors;
	struct resource_limit memory[RESOURCES_MAX_LIMITS];	/* free bytes */
	struct resource_limit processors[RESOURCES_MAX_LIMITS];	/* in thousandths of a processor */
};

/* Reads the id of the running kernel: different on every machine and after every boot, the same in
 * all containers. Returns the id's length, or 0 if it is unknown. root as in resources_read. */
size_t resources_boot_id(const char *root, char *id_out, size_t size);

/* Reads:
 * - /proc/meminfo: MemAvailable;
 * - memory of control groups: limit minus usage (memory.max, memory.high, memory.stat; version 1:
 *   memory.limit_in_bytes, memory.memsw.limit_in_bytes). The page cache counts as free, because the
 *   kernel drops it before it kills processes. Swap does not count as free;
 * - RLIMIT_AS and RLIMIT_DATA, minus what is used;
 * - the affinity mask (cpusets included), cpu.max, cpu.cfs_quota_us.
 * root: "" for this machine. Tests pass the directory of a fixture that has its own /proc. */
void resources_read(const char *root, struct resources *out);

/* The bytes that each of the n users (own is one of them) can have at the same time, or
 * RESOURCES_UNLIMITED if no limit is known. If other is not NULL, other_bytes are first subtracted
 * from every limit that other shares. */
uint64_t resources_memory(const struct resources *own, const struct resources *const *users,
			  unsigned n, const struct resources *other, uint64_t other_bytes);

/* The processors that each of the n users can have at the same time, at least 1. A fraction of a
 * processor counts as one. */
unsigned resources_processors(const struct resources *own, const struct resources *const *users,
			      unsigned n);

/* The processors of this process when no other process is known to share them. At least 1. */
unsigned resources_processor_count(void);

#endif
