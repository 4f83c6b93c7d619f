/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/slice.h"

#include "backend/cpu/cpu.h"

#include <string.h>

/* Consecutive positions inside one record. */
struct piece {
	const uint8_t *record;
	unsigned at;		/* in the record */
	unsigned n;
};

/* An iterator over the pieces of a slice. */
struct slice_walk {
	const struct kv_cache *cache;
	const uint32_t *blocks;
	const uint8_t *records;	/* of block 0 */
	size_t stride;		/* bytes from one block's record to the next's */
	unsigned table_blocks;	/* length of a ring, or 0 */
	unsigned last_block;	/* of the sequence */
	unsigned block;		/* of the next piece */
	unsigned at;		/* the next position in it */
	unsigned n_left;	/* positions of the slice */
};

/* Walks over the positions of slice c from `first` on. */
static struct slice_walk walk_slice(const struct slice_source *source, unsigned c, unsigned first)
{
	const struct kv_cache *cache = source->cache;
	unsigned length = cache->config.block_length;
	uint64_t end = min_of(source->end, ((uint64_t)c + 1) * CPU_SLICE_POSITIONS);

	return (struct slice_walk){
		.cache = cache,
		.blocks = source->blocks,
		.records = kv_record(cache, source->layer, 0, source->kv_head),
		.stride = cache->config.n_kv_heads * cache->record.n_bytes,
		.table_blocks = cache->config.table_blocks,
		.last_block = (source->end - 1) / length,
		.block = first / length,
		.at = first % length,
		.n_left = (unsigned)end - first,
	};
}

/* The record of a block of the sequence, or of the sequence's last block if `block` is beyond
 * it. */
static inline const uint8_t *record_of(const struct slice_walk *walk, unsigned block)
{
	unsigned entry = (unsigned)min_of(block, walk->last_block);

	if (walk->table_blocks)
		entry %= walk->table_blocks;
	return walk->records + walk->blocks[entry] * walk->stride;
}

/* Returns false at the end of the slice. */
static bool next_piece(struct slice_walk *walk, struct piece *piece)
{
	unsigned length = walk->cache->config.block_length;

	if (!walk->n_left)
		return false;
	piece->record = record_of(walk, walk->block);
	piece->at = walk->at;
	piece->n = (unsigned)min_of(length - walk->at, walk->n_left);
	walk->n_left -= piece->n;
	walk->block++;
	walk->at = 0;
	return true;
}

/* The first position of slice c that may be read. */
static unsigned first_readable(const struct slice_source *source, unsigned c)
{
	return (unsigned)max_of(c * CPU_SLICE_POSITIONS, source->begin);
}

/* Sets the slice to no vectors yet, of which the first will be that with its first readable
 * position. Returns how many positions of the vector are before it. */
static unsigned begin(const struct slice_source *source, unsigned c,
		      const struct kv_layout *layout, struct cpu_kv_slice *slice)
{
	const struct kv_cache *cache = source->cache;
	unsigned offset = first_readable(source, c) - c * CPU_SLICE_POSITIONS;

	slice->head_dim = cache->config.head_dim;
	slice->value_width = cache->value_width;
	slice->length = layout->length;
	slice->key_stride = layout->key_stride;
	slice->first = offset / cache->lanes * cache->lanes;
	slice->n_vectors = 0;
	slice->n_runs = 0;
	slice->ahead = 0;
	return offset - slice->first;
}

static struct cpu_kv_run *add_run(const struct kv_cache *cache, const struct kv_layout *layout,
				  const struct piece *piece, struct cpu_kv_slice *slice)
{
	size_t bytes = (size_t)cache->element_bytes * cache->quad;
	const uint16_t *scales = (const uint16_t *)(const void *)(piece->record +
								  layout->key_scales);
	struct cpu_kv_run *run = &slice->runs[slice->n_runs++];

	run->first = slice->n_vectors * cache->lanes;
	for (unsigned i = piece->at; i < piece->at + piece->n; i += cache->lanes) {
		slice->keys[slice->n_vectors] = piece->record + i * bytes;
		slice->key_scales[slice->n_vectors++] = scales + i;
	}
	run->values = piece->record + layout->values;
	scales = (const uint16_t *)(const void *)(piece->record + layout->value_scales);
	run->value_scales = scales + piece->at;
	run->ahead = 0;
	run->from = piece->at;
	run->n = piece->n;
	run->skip = 0;
	return run;
}

/* Chooses what to prefetch, by the length of a block:
 * - a slice is a whole number of blocks: while keys are scored, the values of the same block; while
 *   values are summed, the keys of the block one slice later. Both are about the same number of
 *   bytes;
 * - a block is several slices: what is one slice later in the same block;
 * - other lengths: nothing. */
static void look_ahead(const struct slice_walk *walk, struct cpu_kv_slice *slice,
		       struct cpu_kv_run *run)
{
	const struct kv_cache *cache = walk->cache;
	size_t slice_bytes = (size_t)CPU_SLICE_POSITIONS * cache->element_bytes;

	if (cache->slice_blocks) {
		const uint8_t *next = record_of(walk, walk->block - 1 + cache->slice_blocks);

		slice->ahead = (ptrdiff_t)cache->record.values;
		run->ahead = next - (const uint8_t *)run->values;
	} else if (cache->is_whole_slices) {
		slice->ahead = (ptrdiff_t)(slice_bytes * cache->quad);
		run->ahead = (ptrdiff_t)(slice_bytes * min_of(cache->value_width, CPU_KV_GROUP));
	}
}

void slice_find(const struct slice_source *source, unsigned c, struct cpu_kv_slice *slice)
{
	const struct kv_cache *cache = source->cache;
	unsigned skip = begin(source, c, &cache->record, slice);
	struct slice_walk walk = walk_slice(source, c, c * CPU_SLICE_POSITIONS + slice->first);
	struct piece piece;

	while (next_piece(&walk, &piece))
		look_ahead(&walk, slice, add_run(cache, &cache->record, &piece, slice));
	slice->runs[0].skip = skip;
}

/* --- gathering --- */

/* Copies n_bytes of each of n_rows rows. Strides are in bytes. */
static void copy_rows(const uint8_t *from, size_t from_stride, uint8_t *to, size_t to_stride,
		      size_t n_rows, size_t n_bytes)
{
	for (size_t i = 0; i < n_rows; i++)
		memcpy(to + i * to_stride, from + i * from_stride, n_bytes);
}

static void copy_scales(const struct kv_cache *cache, const struct piece *piece, size_t from,
			size_t to, unsigned n_elements, uint8_t *record, unsigned at)
{
	size_t n_groups = (n_elements + CPU_KV_GROUP - 1) / CPU_KV_GROUP, size = sizeof(uint16_t);

	copy_rows(piece->record + from + piece->at * size, cache->record.key_stride * size,
		  record + to + at * size, cache->gathered.key_stride * size, n_groups,
		  piece->n * size);
}

static void copy_keys(const struct kv_cache *cache, const struct piece *piece, uint8_t *record,
		      unsigned at)
{
	size_t bytes = (size_t)cache->element_bytes * cache->quad;

	copy_rows(piece->record + piece->at * bytes, cache->record.key_stride * bytes,
		  record + at * bytes, cache->gathered.key_stride * bytes,
		  (cache->config.head_dim + cache->quad - 1) / cache->quad, piece->n * bytes);
}

/* Copies codes that are stored in groups of CPU_KV_QUAD positions. */
static void copy_quads(const uint8_t *from, unsigned from_at, uint8_t *to, unsigned to_at,
		       unsigned n, unsigned width)
{
	const unsigned quad = CPU_KV_QUAD;

	if (from_at % quad == 0 && to_at % quad == 0) {
		memcpy(to + to_at * width, from + from_at * width, round_up(n, quad) * width);
		return;
	}
	for (unsigned i = 0; i < n; i++, from_at++, to_at++) {
		const uint8_t *x = from + from_at / quad * quad * width + from_at % quad;
		uint8_t *y = to + to_at / quad * quad * width + to_at % quad;

		for (unsigned column = 0; column < width; column++)
			y[column * quad] = x[column * quad];
	}
}

static void copy_values(const struct kv_cache *cache, const struct piece *piece, uint8_t *record,
			unsigned at)
{
	const uint8_t *from = piece->record + cache->record.values;
	unsigned size = cache->element_bytes;
	uint8_t *to = record + cache->gathered.values;

	for (unsigned column = 0; column < cache->value_width; column += CPU_KV_GROUP) {
		unsigned width = (unsigned)min_of(cache->value_width - column, CPU_KV_GROUP);

		if (cache->quad > 1)
			copy_quads(from, piece->at, to, at, piece->n, width);
		else
			memcpy(to + (size_t)at * width * size,
			       from + (size_t)piece->at * width * size,
			       (size_t)piece->n * width * size);
		from += round_up(cache->record.length, cache->quad) * width * size;
		to += round_up(cache->gathered.length, cache->quad) * width * size;
	}
}

void slice_gather(const struct slice_source *source, unsigned c, uint8_t *record,
		  struct cpu_kv_slice *slice)
{
	const struct kv_cache *cache = source->cache;
	unsigned skip = begin(source, c, &cache->gathered, slice);
	struct slice_walk walk = walk_slice(source, c, first_readable(source, c));
	struct piece whole = { record, 0, skip + walk.n_left }, piece;

	for (unsigned at = skip; next_piece(&walk, &piece); at += piece.n) {
		copy_keys(cache, &piece, record, at);
		copy_values(cache, &piece, record, at);
		if (cache->type != CPU_KV_Q8_0)
			continue;
		copy_scales(cache, &piece, cache->record.key_scales, cache->gathered.key_scales,
			    cache->config.head_dim, record, at);
		copy_scales(cache, &piece, cache->record.value_scales,
			    cache->gathered.value_scales, cache->config.value_dim, record, at);
	}
	add_run(cache, &cache->gathered, &whole, slice)->skip = skip;
}

/* --- unpacking --- */

void slice_unpack(const struct kv_cache *cache, const struct cpu_attention_kernels *kernels,
		  struct cpu_kv_slice *slice, float *floats)
{
	size_t n_keys = round_up(slice->head_dim, cache->quad) * slice->key_stride;
	size_t n_values = round_up(slice->length, cache->quad) * slice->value_width;
	float *keys = floats, *values = floats + slice->n_runs * n_keys;
	unsigned vector = 0;

	for (unsigned i = 0; i < slice->n_runs; i++) {
		struct cpu_kv_run *run = &slice->runs[i];
		const uint8_t *record = slice->keys[vector];

		record -= (size_t)run->from * cache->element_bytes * cache->quad;
		kernels->unpack[cache->type](record, n_keys, keys);
		kernels->unpack[cache->type](run->values, n_values, values);
		for (unsigned v = 0; v * cache->lanes < run->n; v++)
			slice->keys[vector++] = keys + run->from + (size_t)v * cache->lanes;
		run->values = values;
		run->ahead = 0;
		keys += n_keys;
		values += n_values;
	}
	slice->ahead = 0;
}
