/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_MEMORY_H
#define STAGECOACH_BACKEND_CPU_MEMORY_H
/*
 * memory - allocates the backend's memory.
 *
 * The kernel provides a page when the page is first touched. Under load it may have none left. All
 * memory is therefore taken (every page touched) before the backend is used.
 * The kernel also zeroes each page at that time. Taking asks for pages with MADV_POPULATE_WRITE,
 * which saves writing zeros a second time. Blocks of 2 MiB or more have their own mapping and ask
 * for huge pages, which the kernel provides three to six times as fast, or not (pages.h).
 * Thread: the backend's.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Set with the address sanitizer, which guards only separate blocks of malloc. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CPU_FINDS_OVERRUNS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define CPU_FINDS_OVERRUNS 1
#endif

struct cpu_backend;

enum {
	CPU_MEMORY_PORTION = 256 << 20,	/* bytes taken between two calls of on_progress */
};

/* Allocates n_bytes of zeros, aligned to 64 bytes (to 2 MiB if at least that large), and takes
 * them. The threads of cpu share the work for large blocks; if cpu is NULL, the calling thread does
 * it. Returns NULL if there is no memory. The caller releases the block with cpu_memory_free. */
void *cpu_memory(const struct cpu_backend *cpu, size_t n_bytes);
/* The same without taking: for memory that is soon written as a whole or passed to cpu_memory_take.
 * A page is placed near the processor that touches it first. */
void *cpu_memory_untouched(size_t n_bytes);
/* Whether a block of n_bytes has its own mapping. */
bool cpu_memory_is_mapped(size_t n_bytes);
/* Accepts NULL. */
void cpu_memory_free(void *memory);
/* What a block of n_bytes takes, with the bookkeeping before it and the rest of its last page. */
size_t cpu_memory_bytes(size_t n_bytes);
/* The most that a block of any size takes beyond its n_bytes. */
size_t cpu_memory_bytes_beyond(void);

/* Returns the huge pages that lie wholly in this part of a block to the kernel. The block stays; the
 * part's bytes are undefined, and the next touch takes its pages again. Parts of huge pages are not
 * returned, because this would split the huge page that a neighbour uses. */
void cpu_memory_give_back(void *memory, size_t n_bytes);

/* Returns true to go on, false to cancel. */
typedef bool cpu_memory_progress_fn(void *arg, uint64_t done_bytes, uint64_t total_bytes);

/* Takes n_bytes of a block; their contents stay. All threads of cpu share the work. on_progress may
 * be NULL. SC_E_CAPACITY: the kernel does not have enough memory. SC_E_CANCELLED: on_progress
 * returned false. */
must_check enum sc_status cpu_memory_take(const struct cpu_backend *cpu, void *memory,
					  size_t n_bytes, cpu_memory_progress_fn *on_progress,
					  void *arg);

#endif
