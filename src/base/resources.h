/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_RESOURCES_H
#define STAGECOACH_BASE_RESOURCES_H
/*
 * resources - how much memory and how many processors this process may still use, and who has to
 * share them with it.
 *
 * Several limits hold at once: the machine's memory, each control group from this process's own up
 * to the top, the process's own rlimits. Each limit has an id that is the same for all processes
 * under it. So processes that tell each other their limits can divide every limit by the number of
 * those who share it, also when some of them are in containers of their own.
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

enum { RESOURCES_MAX_LIMITS = 32 };

/* No limit at all. */
#define RESOURCES_UNLIMITED UINT64_MAX

struct resource_limit {
	uint64_t id;		/* 0: of this process alone */
	uint64_t amount;
};

/* Plain data: can be sent to another process of the same program. */
struct resources {
	uint32_t n_memory;
	uint32_t n_processors;
	struct resource_limit memory[RESOURCES_MAX_LIMITS];	/* free bytes */
	struct resource_limit processors[RESOURCES_MAX_LIMITS];	/* in thousandths */
};

/* The id of the running kernel: another one on every machine and after every start, the same in all
 * containers. Returns its length; 0: unknown. root as in resources_read. */
size_t resources_boot_id(const char *root, char *id_out, size_t size);

/* Reads:
 * - /proc/meminfo: MemAvailable;
 * - memory of control groups: limit minus usage, and files in the page cache count as free,
 *   because the kernel drops them before it kills (memory.max, memory.high, memory.stat; version 1:
 *   memory.limit_in_bytes, memory.memsw.limit_in_bytes). Swap does not count as free;
 * - RLIMIT_AS and RLIMIT_DATA, minus what is used;
 * - the affinity mask (cpusets included), cpu.max, cpu.cfs_quota_us.
 * root: "" for this machine; tests give the directory of a fixture that has its own /proc. */
void resources_read(const char *root, struct resources *out);

/* The free bytes that all of the `n` users, own among them, can have each; RESOURCES_UNLIMITED when
 * nothing is known. other (or NULL) takes other_bytes first, of the limits that it shares. */
uint64_t resources_memory(const struct resources *own, const struct resources *const *users,
			  unsigned n, const struct resources *other, uint64_t other_bytes);

/* The processors of each, likewise: a part of one counts as one. At least 1. */
unsigned resources_processors(const struct resources *own, const struct resources *const *users,
			      unsigned n);

/* For a process that shares with nobody it knows. */
unsigned resources_processor_count(void);

#endif
