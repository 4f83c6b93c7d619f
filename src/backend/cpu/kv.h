/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KV_H
#define STAGECOACH_BACKEND_CPU_KV_H
/*
 * kv - the layout of keys and values in the CPU backend's memory, and scratch memory for attention.
 * A record holds one block's keys and values for one layer and key-value head, in the layout of
 * kernels_attention.h: [keys][key scales][values][value scales].
 *
 * Attention reads slices (slice.h) of a fixed number of positions, independent of block borders. A
 * slice is read in place if its blocks' parts are whole vectors. Otherwise, and for some lengths
 * when it is unpacked to floats anyway, it is gathered: copied into a record as long as a slice.
 * Block lengths that are multiples of 16 are therefore the fastest.
 * Thread: the backend's, see backend.h.
 */
#include "backend/backend.h"
#include "backend/cpu/kernels.h"

#include <stdatomic.h>

enum {
	/* Queries that process a slice of the cache while the slice is in a near cache. */
	CPU_TILE_QUERIES = 96,
	/* Positions that are summed separately and then merged, so that threads can share one long
	 * sequence. A multiple of the slice. Results depend on this number. */
	CPU_PART_POSITIONS = 512,
	CPU_MAX_PART_FLOATS = 1 << 22,	/* of all parts that threads share */
	CPU_PART_SLICES = CPU_PART_POSITIONS / CPU_SLICE_POSITIONS,
};
_Static_assert((int)CPU_PART_POSITIONS % (int)CPU_SLICE_POSITIONS == 0, "parts are whole slices");

struct kv_layout {
	unsigned length;	/* positions */
	unsigned key_stride;	/* length, padded to whole vectors */
	size_t key_elements;
	size_t value_elements;
	size_t key_scales;	/* offsets in the record */
	size_t values;
	size_t value_scales;
	size_t n_bytes;
};

struct kv_cache {
	struct kv_cache_config config;
	enum cpu_kv_type type;
	const struct cpu_attention_kernels *kernels;
	unsigned element_bytes;
	unsigned lanes;
	unsigned value_width;	/* value_dim, padded to whole vectors */
	unsigned quad;		/* adjacent elements: of a key, of a column of values */
	unsigned query_floats;	/* room for a query */
	unsigned slice_blocks;	/* blocks per slice; 0: not a whole number */
	bool is_whole_slices;	/* a block is several slices */
	struct kv_layout record;	/* layout of a block's record */
	struct kv_layout gathered;	/* layout of a gathered slice */
	uint8_t *records;	/* [n_layers][n_blocks][n_kv_heads] */
	size_t scratch_floats;	/* of one thread */
	float *scratch;		/* [n_threads][scratch_floats] */
	size_t thread_part_floats;	/* results of parts that threads share: for each */
	size_t block_part_floats;	/* thread and each block of the cache */
	size_t n_part_floats;		/* at most CPU_MAX_PART_FLOATS */
	float *parts;
	atomic_uint_least64_t n_saturated;	/* rarely changed; helper threads add to it */
	unsigned saturated_layer;
};

static inline const uint8_t *kv_record(const struct kv_cache *cache, unsigned layer,
				       uint32_t block, unsigned kv_head)
{
	size_t at = (size_t)layer * cache->config.n_blocks + block;

	return cache->records + (at * cache->config.n_kv_heads + kv_head) * cache->record.n_bytes;
}

/* The entry of a sequence's block table for the block with a position. */
static inline unsigned kv_table_entry(const struct kv_cache *cache, unsigned position)
{
	unsigned block = position / cache->config.block_length;

	return cache->config.table_blocks ? block % cache->config.table_blocks : block;
}

/* Returns true if slices are gathered. is_unpacked: for slices that many queries read. */
static inline bool kv_is_gathered(const struct kv_cache *cache, bool is_unpacked)
{
	return cache->config.block_length % cache->lanes || (is_unpacked && !cache->slice_blocks);
}

/* Checks config and computes the layout; takes no memory. SC_E_INVALID, SC_E_UNSUPPORTED. */
must_check enum sc_status cpu_kv_lay_out(const struct kv_cache_config *config,
					 const struct cpu_kernels *kernels,
					 struct kv_cache *cache_out, struct error *err);

/* Bytes of a block of one layer, and of a thread's scratch memory. */
static inline size_t kv_block_bytes(const struct kv_cache *cache)
{
	return cache->config.n_kv_heads * cache->record.n_bytes;
}
static inline size_t kv_scratch_bytes(const struct kv_cache *cache)
{
	return cache->scratch_floats * sizeof(float);
}

/* Floats of a query's unfinished result: maximum, total and sums. */
static inline size_t kv_state_floats(const struct kv_cache *cache)
{
	return 2 + (size_t)cache->value_width;
}

#endif
