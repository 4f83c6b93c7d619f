/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_MEMORY_H
#define STAGECOACH_BACKEND_CPU_MEMORY_H
/*
 * memory - what the backend takes of the machine's memory.
 *
 * The kernel hands out a page when it is first touched. A page that is touched under load may not
 * be there any more, so all memory is taken (every page touched) before the backend is used.
 * The kernel also zeroes each page then: taking asks it for pages (MADV_POPULATE_WRITE) instead of
 * writing zeros a second time. Blocks of 2 MiB or more have a mapping of their own and ask for huge
 * pages, which the kernel hands out three to six times as fast.
 * Thread: the backend's.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set when the address sanitizer watches, which guards only what malloc gave as a block of its
 * own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CPU_FINDS_OVERRUNS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define CPU_FINDS_OVERRUNS 1
#endif

struct cpu_backend;

enum {
	CPU_MEMORY_PORTION = 256 << 20,	/* bytes that are taken between two calls of on_progress */
};

/* n_bytes that read as zero, at a 64-byte boundary (2 MiB for blocks of that size), taken. Large
 * blocks are taken by the threads of cpu; NULL: by the calling thread. NULL: no memory.
 * cpu_memory_free releases the block. */
void *cpu_memory(const struct cpu_backend *cpu, size_t n_bytes);
/* The same, but not taken: for memory that is written as a whole soon, or that cpu_memory_take
 * takes. A page is near the processor that touches the page first. */
void *cpu_memory_untouched(size_t n_bytes);
/* Accepts NULL. */
void cpu_memory_free(void *memory);

/* Whether to go on. */
typedef bool cpu_memory_progress_fn(void *arg, uint64_t done_bytes, uint64_t total_bytes);

/* Takes n_bytes of a block; what is in them stays. All threads of cpu share the work. on_progress
 * may be NULL. SC_E_CAPACITY: the kernel has no memory for all of it. SC_E_CANCELLED: on_progress
 * returned false. */
must_check enum sc_status cpu_memory_take(const struct cpu_backend *cpu, void *memory,
					  size_t n_bytes, cpu_memory_progress_fn *on_progress,
					  void *arg);

#endif
