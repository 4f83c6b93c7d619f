/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KV_H
#define STAGECOACH_BACKEND_CPU_KV_H
/*
 * kv - how keys and values lie in the CPU backend's memory, and the memory to work on them.
 * A record holds one block's keys and values for one layer and key-value head, laid out as
 * kernels_attention.h says: [keys][key scales][values][value scales].
 */
#include "backend/backend.h"
#include "backend/cpu/kernels_attention.h"

enum {
	/* Queries that go over a chunk of the cache while it is near. */
	CPU_TILE_QUERIES = 96,
	/* Positions whose results are summed apart and then merged, so that threads can share
	 * one long sequence: about so many, whole chunks. */
	CPU_PART_POSITIONS = 512,
};

struct kv_cache {
	struct kv_cache_config config;
	enum cpu_kv_type type;
	unsigned key_stride;	/* positions of a block, padded to whole vectors */
	unsigned value_width;	/* value_dim, padded likewise */
	unsigned quad;		/* elements that lie together: of a key, of a column of values */
	unsigned query_floats;	/* room for a query */
	unsigned chunk_blocks;	/* blocks between two updates of the running maximum */
	unsigned part_chunks;
	size_t key_elements;	/* of a record */
	size_t value_elements;
	size_t key_scales;	/* offsets in a record */
	size_t values;
	size_t value_scales;
	size_t record_bytes;
	uint8_t *records;	/* [n_layers][n_blocks][n_kv_heads] */
	size_t scratch_floats;	/* of one thread */
	float *scratch;		/* [n_threads][scratch_floats] */
	size_t n_part_floats;	/* results of parts that threads share */
	float *parts;
};

static inline const uint8_t *kv_record(const struct kv_cache *cache, unsigned layer,
				       uint32_t block, unsigned kv_head)
{
	size_t at = (size_t)layer * cache->config.n_blocks + block;

	return cache->records + (at * cache->config.n_kv_heads + kv_head) * cache->record_bytes;
}

/* What a query's result takes until it is whole: maximum, total and sums. */
static inline size_t kv_state_floats(const struct kv_cache *cache)
{
	return 2 + (size_t)cache->value_width;
}

#endif
