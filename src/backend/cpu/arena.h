/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ARENA_H
#define STAGECOACH_BACKEND_CPU_ARENA_H
/*
 * arena - memory of weights, packed one after the other into large chunks.
 *
 * Reason: a weight with its own mapping starts and ends inside a huge page. Of matrices of a few
 * MB, a sixth would then be in small pages, and products of one row would take 10 % longer. The
 * unused rest of a chunk is never touched and uses no memory.
 * Thread: the backend's.
 */
#include <stddef.h>

struct cpu_arena_chunk;
struct pages;

struct cpu_arena {
	struct cpu_arena_chunk *chunks;
	size_t n_bytes;			/* of all chunks */
};

/* Allocates n_bytes (at least 1), aligned to 64 bytes, uninitialised. The thread that writes a page
 * first gets it on its own memory node. Returns NULL if there is no memory. */
void *cpu_arena_alloc(struct cpu_arena *arena, size_t n_bytes);
/* Takes the pages of memory .. memory + n_bytes, part of a block that is about to be written, from
 * the kernel. If the kernel has no memory, writing will fail. Thread: any, beside other takes. */
void cpu_arena_take(const struct cpu_arena *arena, struct pages *pages, void *memory,
		    size_t n_bytes);
/* Releases a block. Its whole huge pages return to the system at once, and later blocks may use its
 * space. A chunk is released with its last block. Accepts NULL. */
void cpu_arena_free(struct cpu_arena *arena, void *memory);

#endif
