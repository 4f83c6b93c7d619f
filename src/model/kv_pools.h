/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_KV_POOLS_H
#define STAGECOACH_MODEL_KV_POOLS_H
/*
 * kv_pools - the pools of KV blocks of a model: one for each of its groups of layers.
 *
 * A sequence has a table of blocks in each pool. In a group with a window the table is a ring: it
 * holds the window of the first row of a step and all rows of the step, because a step writes the
 * keys of all its rows before any row reads. Older positions are overwritten.
 *
 * Pools grow with the number of positions that all sequences may have:
 * - The pool of a group without a window has a block for each block_length of them.
 * - The pool of a group with a window holds the rings of as many whole contexts as the positions
 *   make, and at least those of n_sequences sequences. It never has more blocks than positions need.
 * The ids of tokens are kept in the blocks of a group that holds whole contexts. If all groups of the
 * model have windows, there is one more pool behind them, for tokens alone.
 * Pure computation. Thread: any.
 */
#include "model/model.h"

#define KV_MAX_POOLS (MODEL_MAX_GROUPS + 1)

struct kv_pools {
	uint32_t n;				/* n_groups of the model, or one more */
	uint32_t n_blocks[KV_MAX_POOLS];
	uint32_t table_blocks[KV_MAX_POOLS];	/* of a sequence */
};

struct kv_pools_wish {
	uint32_t max_rows;	/* of a step */
	uint32_t block_length;
	uint32_t max_context;	/* positions of a sequence, at least 1 */
	uint32_t n_blocks;	/* for the positions of all sequences */
	uint32_t n_sequences;	/* whose rings have room at least; 0: as 1 */
};

/* The most blocks of a sequence in a group with this window (0: none). */
uint32_t kv_table_blocks(uint32_t window, uint32_t max_rows, uint32_t block_length,
			 uint32_t max_context);

struct kv_pools kv_pools_of(const struct model *model, const struct kv_pools_wish *wish);

#endif
