/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/arena.h"

#include <stdlib.h>
#include <string.h>

enum {
	ALIGNMENT = 16,
	FIRST_CHUNK = 16 << 10,
	LARGEST_CHUNK = 1 << 20,
};

struct arena_chunk {
	struct arena_chunk *next;
	size_t n_bytes;
	_Alignas(ALIGNMENT) char bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
	*arena = (struct arena){ .max_bytes = max_bytes };
}

void arena_deinit(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	arena_init(arena, arena->max_bytes);
}

/* Chunks grow with the arena, so that a large rendering has few of them. */
static size_t chunk_bytes(const struct arena *arena, size_t n_bytes)
{
	size_t n = arena->n_bytes < FIRST_CHUNK ? FIRST_CHUNK :
		   arena->n_bytes > LARGEST_CHUNK ? LARGEST_CHUNK : arena->n_bytes;

	return n > n_bytes ? n : n_bytes;
}

static bool add_chunk(struct arena *arena, size_t n_bytes)
{
	size_t n = chunk_bytes(arena, n_bytes);
	struct arena_chunk *chunk = malloc(sizeof *chunk + n);

	if (!chunk)
		return false;
	chunk->n_bytes = n;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->at = chunk->bytes;
	arena->end = chunk->bytes + n;
	return true;
}

void *arena_alloc(struct arena *arena, size_t n_bytes)
{
	void *memory;

	arena->is_full = n_bytes > arena->max_bytes - arena->n_bytes ||
			 n_bytes > arena->max_bytes - ALIGNMENT;
	if (arena->is_full)
		return NULL;
	n_bytes = (n_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (n_bytes > (size_t)(arena->end - arena->at) && !add_chunk(arena, n_bytes))
		return NULL;
	memory = arena->at;
	arena->at += n_bytes;
	arena->n_bytes += n_bytes;
	if (arena->n_bytes > arena->max_bytes)
		arena->n_bytes = arena->max_bytes;
	return memset(memory, 0, n_bytes);
}
