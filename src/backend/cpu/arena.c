/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/arena.h"

#include "backend/cpu/cpu.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

struct cpu_arena_chunk {
	struct cpu_arena_chunk *next;
	uint8_t *memory;	/* [size] */
	size_t size;
	size_t used;
	size_t n_users;
};

#ifdef CPU_FINDS_OVERRUNS
/* With the address sanitizer each block has its own chunk, so that reads beyond a block's end are
 * found. */
enum { MIN_CHUNK = 1, MAX_CHUNK = 1 };
#else
enum { MIN_CHUNK = 2 << 20, MAX_CHUNK = 256 << 20 };
#endif

/* Each chunk is as large as all chunks before it together: small models use little memory, large
 * models have few chunks. */
static size_t next_size(const struct cpu_arena *arena, size_t n_bytes)
{
	size_t size = min_of(MAX_CHUNK, arena->n_bytes);

	if (size < MIN_CHUNK)
		size = MIN_CHUNK;
	return size < n_bytes ? n_bytes : size;
}

static struct cpu_arena_chunk *add_chunk(struct cpu_arena *arena, size_t n_bytes)
{
	struct cpu_arena_chunk *chunk = calloc(1, sizeof *chunk);

	if (!chunk)
		return NULL;
	chunk->size = next_size(arena, n_bytes);
	chunk->memory = cpu_memory_untouched(chunk->size);
	if (!chunk->memory) {
		/* Address space may be limited, so fall back to a chunk of the needed size. */
		chunk->size = n_bytes;
		chunk->memory = cpu_memory_untouched(n_bytes);
	}
	if (!chunk->memory) {
		free(chunk);
		return NULL;
	}
	arena->n_bytes += chunk->size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *cpu_arena_alloc(struct cpu_arena *arena, size_t n_bytes)
{
	struct cpu_arena_chunk *chunk = arena->chunks;
	uint8_t *memory;

	assert(n_bytes);
	while (chunk && chunk->size - chunk->used < n_bytes)
		chunk = chunk->next;
	if (!chunk)
		chunk = add_chunk(arena, n_bytes);
	if (!chunk)
		return NULL;
	memory = chunk->memory + chunk->used;
	chunk->used = min_of(chunk->size, chunk->used + round_up(n_bytes, 64));
	chunk->n_users++;
	return memory;
}

static bool has_memory(const struct cpu_arena_chunk *chunk, const void *memory)
{
	uintptr_t first = (uintptr_t)chunk->memory, at = (uintptr_t)memory;

	return at >= first && at - first < chunk->size;
}

void cpu_arena_free(struct cpu_arena *arena, void *memory)
{
	struct cpu_arena_chunk **link = &arena->chunks, *chunk;

	if (!memory)
		return;
	while (!has_memory(*link, memory))
		link = &(*link)->next;
	chunk = *link;
	if (--chunk->n_users)
		return;
	*link = chunk->next;
	arena->n_bytes -= chunk->size;
	cpu_memory_free(chunk->memory);
	free(chunk);
}
