/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kv_pools.h"

#include "base/integers.h"

static uint32_t context_blocks(uint32_t max_context, uint32_t block_length)
{
	return (uint32_t)div_up(max_context, block_length);
}

/* Neighbouring positions that begin and end anywhere in their blocks may touch one block more than
 * they fill. */
uint32_t kv_table_blocks(uint32_t window, uint32_t max_rows, uint32_t block_length,
			 uint32_t max_context)
{
	uint32_t whole = context_blocks(max_context, block_length);
	uint64_t n_seen = (uint64_t)window - 1 + max_rows;

	return window ? (uint32_t)min_of(div_up(n_seen, block_length) + 1, whole) : whole;
}

static uint32_t pool_blocks(const struct kv_pools_wish *wish, uint32_t ring)
{
	uint32_t whole = context_blocks(wish->max_context, wish->block_length);
	uint64_t of_contexts = div_up((uint64_t)wish->n_blocks * ring, whole ? whole : 1);
	uint64_t of_sequences = (uint64_t)ring * (wish->n_sequences ? wish->n_sequences : 1);

	return (uint32_t)min_of(max_of(of_contexts, of_sequences), wish->n_blocks);
}

static void add_pool(struct kv_pools *pools, const struct kv_pools_wish *wish, uint32_t window)
{
	uint32_t ring = kv_table_blocks(window, wish->max_rows, wish->block_length,
					wish->max_context);

	pools->table_blocks[pools->n] = ring;
	pools->n_blocks[pools->n++] = window ? pool_blocks(wish, ring) : wish->n_blocks;
}

struct kv_pools kv_pools_of(const struct model *model, const struct kv_pools_wish *wish)
{
	struct kv_pools pools = { .n = 0 };
	bool has_whole = false;

	for (uint32_t g = 0; g < model->n_groups; g++) {
		add_pool(&pools, wish, model->groups[g].window);
		has_whole |= !model->groups[g].window;
	}
	if (!has_whole)
		add_pool(&pools, wish, 0);
	return pools;
}
