/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/arena.h"

#include "backend/cpu/cpu.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* Bytes first to end - 1 of a chunk. */
struct block {
	struct block *next;
	size_t first;
	size_t end;
};

struct cpu_arena_chunk {
	struct cpu_arena_chunk *next;
	uint8_t *memory;	/* [size] */
	size_t size;
	struct block *blocks;	/* in the order of their addresses; between them are gaps */
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

/* Finds the first gap of at least n_bytes. Returns where a block in this gap is linked in, or NULL.
 * first_out is the start of the gap. */
static struct block **find_gap(struct cpu_arena_chunk *chunk, size_t n_bytes, size_t *first_out)
{
	struct block **link = &chunk->blocks;
	size_t first = 0;

	while (*link && (*link)->first - first < n_bytes) {
		first = (*link)->end;
		link = &(*link)->next;
	}
	if (!*link && chunk->size - first < n_bytes)
		return NULL;
	*first_out = first;
	return link;
}

void *cpu_arena_alloc(struct cpu_arena *arena, size_t n_bytes)
{
	struct cpu_arena_chunk *chunk = arena->chunks;
	struct block *block = malloc(sizeof *block), **link = NULL;
	size_t first = 0;

	assert(n_bytes);
	if (!block)
		return NULL;
	while (chunk && !(link = find_gap(chunk, n_bytes, &first)))
		chunk = chunk->next;
	if (!chunk) {
		chunk = add_chunk(arena, n_bytes);
		link = chunk ? &chunk->blocks : NULL;
	}
	if (!chunk) {
		free(block);
		return NULL;
	}
	*block = (struct block){
		.next = *link,
		.first = first,
		.end = min_of(chunk->size, first + round_up(n_bytes, 64)),
	};
	*link = block;
	return chunk->memory + first;
}

static bool has_memory(const struct cpu_arena_chunk *chunk, const void *memory)
{
	uintptr_t first = (uintptr_t)chunk->memory, at = (uintptr_t)memory;

	return at >= first && at - first < chunk->size;
}

/* Frees the block that starts at `first`, and returns the pages of the gap around it. */
static void free_block(struct cpu_arena_chunk *chunk, size_t first)
{
	struct block **link = &chunk->blocks, *block;
	size_t start = 0, end;

	while ((*link)->first != first) {
		start = (*link)->end;
		link = &(*link)->next;
	}
	block = *link;
	*link = block->next;
	end = block->next ? block->next->first : chunk->size;
	free(block);
	cpu_memory_give_back(chunk->memory + start, end - start);
}

static const struct cpu_arena_chunk *find_chunk(const struct cpu_arena *arena, const void *memory)
{
	const struct cpu_arena_chunk *chunk = arena->chunks;

	while (!has_memory(chunk, memory))
		chunk = chunk->next;
	return chunk;
}

void cpu_arena_take(const struct cpu_arena *arena, struct pages *pages, void *memory,
		    size_t n_bytes)
{
	const struct cpu_arena_chunk *chunk = find_chunk(arena, memory);
	size_t first = (size_t)((uint8_t *)memory - chunk->memory), end = first + n_bytes;

	if (!pages->has_huge || !cpu_memory_is_mapped(chunk->size))
		return;
	for (size_t at = first / PAGES_HUGE * PAGES_HUGE; at < end; at += PAGES_HUGE)
		(void)!pages_take(pages, chunk->memory + at,
				  min_of(chunk->size - at, PAGES_HUGE));
}

void cpu_arena_free(struct cpu_arena *arena, void *memory)
{
	struct cpu_arena_chunk **link = &arena->chunks, *chunk;

	if (!memory)
		return;
	while (!has_memory(*link, memory))
		link = &(*link)->next;
	chunk = *link;
	free_block(chunk, (size_t)((uint8_t *)memory - chunk->memory));
	if (chunk->blocks)
		return;
	*link = chunk->next;
	arena->n_bytes -= chunk->size;
	cpu_memory_free(chunk->memory);
	free(chunk);
}
