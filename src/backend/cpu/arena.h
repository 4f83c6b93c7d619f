/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ARENA_H
#define STAGECOACH_BACKEND_CPU_ARENA_H
/*
 * arena - memory of weights, one right behind the other in chunks.
 *
 * A weight with memory of its own ends between two huge pages: of matrices of a few MB, a sixth
 * would lie in small pages, and products of one row take a tenth longer. What is not used of a
 * chunk is not touched either, and takes no memory.
 * Thread: the backend's.
 */
#include <stddef.h>

struct cpu_arena_chunk;

struct cpu_arena {
	struct cpu_arena_chunk *chunks;
	size_t n_bytes;			/* of all chunks */
};

/* n_bytes, at least 1, at a 64-byte boundary, not set: who writes first has the page near.
 * NULL: not there. */
void *cpu_arena_alloc(struct cpu_arena *arena, size_t n_bytes);
/* A chunk goes when nothing in it is left; until then nothing else comes to where this was.
 * Accepts NULL. */
void cpu_arena_free(struct cpu_arena *arena, void *memory);

#endif
