/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/*
 * One pass over the positions with a running maximum (as in "Online normalizer calculation for
 * softmax", arXiv 1805.02867), in chunks of whole blocks: chunk c is the same positions for every
 * row that ever sees it.
 *
 * A work item is a tile: some neighbouring rows of a span and some query heads that read the same
 * key-value head. Chunks that all its rows see whole are done for the tile at once; from the first
 * chunk that some row sees only in part, each row goes on alone. Every query thus goes through the
 * same additions in the same order as if it were alone.
 */
struct attention {
	const struct cpu_backend *cpu;
	const struct kv_cache *cache;
	const struct attention_span *spans;
	unsigned n_spans;
	unsigned layer;
	const float *q;
	unsigned n_heads;
	unsigned group;			/* query heads of a key-value head */
	unsigned tile_heads;
	unsigned tile_rows;
	unsigned head_tiles;		/* tiles that cover a group */
	float scale;
	float *out;
};

struct tile {
	const struct attention_span *span;
	unsigned first_row;		/* in the span */
	unsigned n_rows;
	unsigned kv_head;
	unsigned first_head;
	unsigned n_heads;
	unsigned n_queries;		/* n_rows x n_heads, row by row */
	float *query;			/* [head_dim][n_queries] */
	float *score;			/* [n_queries][chunk] */
	float *sum;			/* [n_queries][value_width] */
	float max[CPU_TILE_QUERIES];
	float total[CPU_TILE_QUERIES];
};

enum { MAX_CHUNK_BLOCKS = 64, MAX_CHUNK_VECTORS = 256 };

static unsigned row_tiles(const struct attention *a, const struct attention_span *span)
{
	return (span->n_rows + a->tile_rows - 1) / a->tile_rows;
}

/* The span of an item, and the item within it. */
static const struct attention_span *find_span(const struct attention *a, size_t *item)
{
	const uint32_t *start = a->cpu->span_start;
	unsigned low = 0, high = a->n_spans;

	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (start[middle] <= *item)
			low = middle;
		else
			high = middle;
	}
	*item -= start[low];
	return &a->spans[low];
}

static void init_tile(const struct attention *a, size_t item, unsigned thread, struct tile *t)
{
	const struct kv_cache *cache = a->cache;
	unsigned head_tile, end;

	t->span = find_span(a, &item);
	t->kv_head = (unsigned)(item % cache->config.n_kv_heads);
	item /= cache->config.n_kv_heads;
	head_tile = (unsigned)(item % a->head_tiles);
	/* The last rows see most: they come first, so that no thread is left with them. */
	t->first_row = (row_tiles(a, t->span) - 1 - (unsigned)(item / a->head_tiles)) *
		       a->tile_rows;
	end = t->first_row + a->tile_rows;
	t->n_rows = (end < t->span->n_rows ? end : t->span->n_rows) - t->first_row;
	t->first_head = t->kv_head * a->group + head_tile * a->tile_heads;
	end = (head_tile + 1) * a->tile_heads;
	t->n_heads = (end < a->group ? end : a->group) - head_tile * a->tile_heads;
	t->n_queries = t->n_rows * t->n_heads;
	t->query = cache->scratch + thread * cache->scratch_floats;
	t->score = t->query + (size_t)CPU_TILE_QUERIES * cache->config.head_dim;
	t->sum = t->score + (size_t)CPU_TILE_QUERIES * cache->chunk_blocks * cache->key_stride;
}

static void load_queries(const struct attention *a, struct tile *t)
{
	unsigned dim = a->cache->config.head_dim;

	for (unsigned i = 0; i < t->n_queries; i++) {
		size_t row = t->span->first_row + t->first_row + i / t->n_heads;
		const float *q = a->q + (row * a->n_heads + t->first_head + i % t->n_heads) * dim;

		for (unsigned d = 0; d < dim; d++)
			t->query[(size_t)d * t->n_queries + i] = q[d] * a->scale;
		t->max[i] = -INFINITY;
		t->total[i] = 0;
	}
	memset(t->sum, 0, (size_t)t->n_queries * a->cache->value_width * sizeof *t->sum);
}

/* Scores of what is not there count nothing: behind the block's end (padding) or the row's. */
static void mask_scores(const struct kv_cache *cache, float *score, unsigned n_positions)
{
	unsigned length = cache->config.block_length;

	for (unsigned first = 0; first < n_positions; first += length) {
		unsigned seen = n_positions - first < length ? n_positions - first : length;

		for (unsigned i = seen; i < cache->key_stride; i++)
			score[i] = -INFINITY;
		score += cache->key_stride;
	}
}

/* Where a chunk's keys and values lie for one key-value head. */
struct chunk {
	unsigned n_positions;
	unsigned n_blocks;
	unsigned n_vectors;		/* of positions */
	const float *keys[MAX_CHUNK_VECTORS];
	struct cpu_value_run runs[MAX_CHUNK_BLOCKS];
};

static void find_chunk(const struct attention *a, const struct tile *t, unsigned block,
		       unsigned n_positions, struct chunk *chunk)
{
	const struct kv_cache *cache = a->cache;
	unsigned length = cache->config.block_length, lanes = a->cpu->kernels->lanes;
	unsigned block_vectors = cache->key_stride / lanes;

	chunk->n_positions = n_positions;
	chunk->n_blocks = (n_positions + length - 1) / length;
	chunk->n_vectors = chunk->n_blocks * block_vectors;
	for (unsigned i = 0; i < chunk->n_blocks; i++) {
		size_t at = (size_t)a->layer * cache->config.n_blocks + t->span->blocks[block + i];
		const float *k = cache->keys + at * cache->key_block +
				 (size_t)t->kv_head * cache->config.head_dim * cache->key_stride;
		unsigned left = n_positions - i * length;

		for (unsigned v = 0; v < block_vectors; v++)
			chunk->keys[i * block_vectors + v] = k + v * lanes;
		chunk->runs[i].values = cache->values + at * cache->value_block +
					(size_t)t->kv_head * length * cache->value_width;
		chunk->runs[i].n = left < length ? left : length;
		chunk->runs[i].first = i * cache->key_stride;
	}
}

/* Values are read column by column, which no prefetcher foresees: ask for them while the scores
 * are computed. */
static void prefetch_values(const struct kv_cache *cache, const struct chunk *chunk)
{
	for (unsigned i = 0; i < chunk->n_blocks; i++)
		for (size_t at = 0; at < (size_t)chunk->runs[i].n * cache->value_width; at += 16)
			__builtin_prefetch(chunk->runs[i].values + at, 0, 2);
}

/* Queries first .. +n of the tile, at most a group, see the chunk. */
static void add_chunk(const struct attention *a, struct tile *t, unsigned first, unsigned n,
		      const struct chunk *chunk)
{
	const struct kv_cache *cache = a->cache;
	const struct cpu_kernels *kernels = a->cpu->kernels;
	size_t lds = (size_t)cache->chunk_blocks * cache->key_stride;
	float shrink[CPU_QUERY_GROUP];
	float *score = t->score + first * lds;

	kernels->scores(n, t->query + first, t->n_queries, chunk->keys, chunk->n_vectors,
			cache->key_stride, cache->config.head_dim, score, lds);
	for (unsigned i = 0; i < n; i++) {
		mask_scores(cache, score + i * lds, chunk->n_positions);
		shrink[i] = kernels->softmax(score + i * lds, chunk->n_blocks * cache->key_stride,
					     &t->max[first + i], &t->total[first + i]);
	}
	kernels->values(n, score, lds, chunk->runs, chunk->n_blocks, cache->value_width,
			cache->value_width / kernels->lanes, shrink,
			t->sum + (size_t)first * cache->value_width, cache->value_width);
}

/* All queries from first to end see n_positions of the chunk that begins at block `block`. */
static void add_queries(const struct attention *a, struct tile *t, unsigned first, unsigned end,
			unsigned block, unsigned n_positions)
{
	struct chunk chunk;

	find_chunk(a, t, block, n_positions, &chunk);
	prefetch_values(a->cache, &chunk);
	for (; first < end; first += CPU_QUERY_GROUP)
		add_chunk(a, t, first, end - first < CPU_QUERY_GROUP ? end - first :
			  CPU_QUERY_GROUP, &chunk);
}

static void store_queries(const struct attention *a, const struct tile *t)
{
	unsigned dim = a->cache->config.value_dim;

	for (unsigned i = 0; i < t->n_queries; i++) {
		size_t row = t->span->first_row + t->first_row + i / t->n_heads;
		float *out = a->out + (row * a->n_heads + t->first_head + i % t->n_heads) * dim;
		const float *sum = t->sum + (size_t)i * a->cache->value_width;

		for (unsigned d = 0; d < dim; d++)
			out[d] = sum[d] / t->total[i];
	}
}

static void attend(void *arg, size_t item, unsigned thread)
{
	const struct attention *a = arg;
	unsigned chunk_blocks = a->cache->chunk_blocks;
	unsigned chunk = chunk_blocks * a->cache->config.block_length;
	unsigned first_seen, shared;
	struct tile t;

	init_tile(a, item, thread, &t);
	load_queries(a, &t);
	/* Positions that the tile's first row sees, and chunks it sees whole. */
	first_seen = t.span->first_position + t.first_row + 1;
	shared = first_seen / chunk;
	for (unsigned c = 0; c < shared; c++)
		add_queries(a, &t, 0, t.n_queries, c * chunk_blocks, chunk);
	for (unsigned row = 0; row < t.n_rows; row++) {
		unsigned seen = first_seen + row;

		for (unsigned c = shared; c * chunk < seen; c++) {
			unsigned left = seen - c * chunk;

			add_queries(a, &t, row * t.n_heads, (row + 1) * t.n_heads, c * chunk_blocks,
				    left < chunk ? left : chunk);
		}
	}
	store_queries(a, &t);
}

void cpu_attention(struct backend *backend, const struct kv_cache *cache, unsigned layer,
		   const struct attention_span *spans, unsigned n_spans, const float *q,
		   unsigned n_heads, float scale, float *out)
{
	struct cpu_backend *cpu = cpu_of(backend);
	struct attention a = {
		.cpu = cpu, .cache = cache, .spans = spans, .n_spans = n_spans, .layer = layer,
		.q = q, .n_heads = n_heads, .group = n_heads / cache->config.n_kv_heads,
		.scale = scale, .out = out,
	};
	uint64_t n_operations = 0;
	uint32_t n_items = 0;

	assert(n_heads % cache->config.n_kv_heads == 0 && n_spans <= cpu->max_rows);
	a.tile_heads = a.group < CPU_QUERY_GROUP ? a.group : CPU_QUERY_GROUP;
	a.tile_rows = CPU_TILE_QUERIES / a.tile_heads;
	a.head_tiles = (a.group + a.tile_heads - 1) / a.tile_heads;
	for (unsigned i = 0; i < n_spans; i++) {
		cpu->span_start[i] = n_items;
		n_items += row_tiles(&a, &spans[i]) * a.head_tiles * cache->config.n_kv_heads;
		n_operations += (uint64_t)spans[i].n_rows * n_heads *
				(spans[i].first_position + spans[i].n_rows) *
				(cache->config.head_dim + cache->config.value_dim);
	}
	cpu_parallel_dynamic(cpu, cpu_threads_for(cpu, n_operations), n_items, attend, &a);
}
