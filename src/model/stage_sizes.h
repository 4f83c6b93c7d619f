/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_STAGE_SIZES_H
#define STAGECOACH_MODEL_STAGE_SIZES_H
/*
 * stage_sizes - the memory that a stage takes beside its weights, as a table by what it grows with.
 * Rows of a step, slots, block length, type of keys and values and instruction set are in the
 * numbers; layers, pools, context and threads are not, because a plan chooses them.
 * stage/sizes.h fills the table; the coordinator plans with it, and the stage reports by it.
 * Pure computation. Thread: any.
 */
#include "model/kv_pools.h"

#include <stdbool.h>
#include <stdint.h>

/* What is the same in all plans of a coordinator. */
struct stage_limits {
	uint32_t max_rows;		/* of a step */
	uint32_t max_sequences;		/* slots */
	uint32_t block_length;
	enum tensor_type kv_type;
};

/* Of the layers of one of the model's groups. In bytes. */
struct cache_sizes {
	uint64_t kv_block_bytes;	/* keys and values of a block, in each layer */
	uint64_t cache_bytes;		/* of a stage with such layers, once */
	uint64_t cache_thread_bytes;	/* likewise, of each compute thread */
	/* Memory that several threads share: so much for each thread and each block of the group's
	 * pool, but no more than shared_most_bytes. None with a single thread. */
	uint64_t shared_thread_bytes;
	uint64_t shared_block_bytes;
};

/* In bytes. */
struct stage_sizes {
	uint64_t fixed_bytes;		/* of any stage */
	uint64_t head_bytes;		/* of the last stage in addition */
	uint64_t layer_bytes;		/* of each layer, beyond its tensors */
	struct cache_sizes caches[MODEL_MAX_GROUPS];	/* by the model's group */
	uint64_t block_bytes;		/* of each block of any pool, once per stage */
	uint64_t table_block_bytes;	/* of each block of a sequence's tables, for all slots */
	uint64_t thread_bytes;		/* of each compute thread */
	uint64_t shared_most_bytes;	/* see cache_sizes */
	/* Of the last stage alone: */
	uint64_t token_block_bytes;	/* of each block of the first pool whose tables hold whole
					 * contexts: the ids of its tokens */
	/* Up to max_draw_threads of its threads draw tokens. Each of them has so much, and so much
	 * for each block of a full context. */
	uint64_t draw_bytes;
	uint64_t draw_context_block_bytes;
	uint64_t max_draw_threads;
};

/* What a plan chooses. */
struct stage_shape {
	uint32_t n_layers;
	uint32_t group_layers[MODEL_MAX_GROUPS];	/* of them, by the model's group */
	struct kv_pools pools;
	uint32_t n_context_blocks;	/* of the longest sequence */
	uint32_t n_threads;
	bool has_head;
};

/* Counts the layers of each group. */
void stage_count_layers(const struct model *model, uint32_t first_layer, uint32_t n_layers,
			uint32_t group_layers_out[MODEL_MAX_GROUPS]);

/* Bytes of keys and values. The results of both are UINT64_MAX if they are too large to count. */
uint64_t stage_kv_bytes_of(const struct stage_sizes *sizes, const struct stage_shape *shape);
/* Bytes of everything else beside weights: activations, attention, logits, tables, threads. */
uint64_t stage_work_bytes_of(const struct stage_sizes *sizes, const struct stage_shape *shape);

#endif
