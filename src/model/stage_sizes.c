/* SPDX-License-Identifier: Apache-2.0 */
#include "model/stage_sizes.h"

#include "base/integers.h"

void stage_count_layers(const struct model *model, uint32_t first_layer, uint32_t n_layers,
			uint32_t group_layers_out[MODEL_MAX_GROUPS])
{
	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++)
		group_layers_out[g] = 0;
	for (uint32_t i = first_layer; i < first_layer + n_layers; i++)
		group_layers_out[model->shapes[i].group]++;
}

uint64_t stage_kv_bytes_of(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	uint64_t n = 0;

	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++) {
		uint64_t n_blocks = (uint64_t)shape->group_layers[g] * shape->pools.n_blocks[g];

		n = add_capped(n, multiply_capped(sizes->caches[g].kv_block_bytes, n_blocks));
	}
	return n;
}

/* Of the cache of a group that the stage has layers of. */
static uint64_t cache_bytes(const struct stage_sizes *sizes, const struct stage_shape *shape,
			    uint32_t group)
{
	const struct cache_sizes *of = &sizes->caches[group];
	uint64_t shared = add_capped(multiply_capped(of->shared_thread_bytes, shape->n_threads),
				     multiply_capped(of->shared_block_bytes,
						     shape->pools.n_blocks[group]));

	shared = shape->n_threads > 1 ? min_of(shared, sizes->shared_most_bytes) : 0;
	return add_capped(add_capped(of->cache_bytes, shared),
			  multiply_capped(of->cache_thread_bytes, shape->n_threads));
}

static uint64_t caches_bytes(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	uint64_t n = 0;

	for (uint32_t g = 0; g < MODEL_MAX_GROUPS; g++)
		if (shape->group_layers[g])
			n = add_capped(n, cache_bytes(sizes, shape, g));
	return n;
}

/* A stage has the tables of all groups. */
static uint64_t tables_bytes(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	uint64_t n_blocks = 0, n_table_blocks = 0;

	for (uint32_t g = 0; g < shape->pools.n; g++) {
		n_blocks += shape->pools.n_blocks[g];
		n_table_blocks += shape->pools.table_blocks[g];
	}
	return add_capped(multiply_capped(sizes->block_bytes, n_blocks),
			  multiply_capped(sizes->table_block_bytes, n_table_blocks));
}

/* Blocks of the pool that tokens are kept in. */
static uint32_t token_blocks(const struct stage_shape *shape)
{
	for (uint32_t g = 0; g < shape->pools.n; g++)
		if (shape->pools.table_blocks[g] == shape->n_context_blocks)
			return shape->pools.n_blocks[g];
	return 0;
}

/* Of the last stage. */
static uint64_t head_bytes(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	uint64_t draw = add_capped(sizes->draw_bytes,
				   multiply_capped(sizes->draw_context_block_bytes,
						   shape->n_context_blocks));
	uint64_t n_draws = min_of(shape->n_threads, sizes->max_draw_threads);

	return add_capped(add_capped(sizes->head_bytes, multiply_capped(draw, n_draws)),
			  multiply_capped(sizes->token_block_bytes, token_blocks(shape)));
}

uint64_t stage_work_bytes_of(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	const uint64_t parts[] = {
		sizes->fixed_bytes,
		shape->has_head ? head_bytes(sizes, shape) : 0,
		multiply_capped(sizes->layer_bytes, shape->n_layers),
		caches_bytes(sizes, shape),
		tables_bytes(sizes, shape),
		multiply_capped(sizes->thread_bytes, shape->n_threads),
	};
	uint64_t n = 0;

	for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
		n = add_capped(n, parts[i]);
	return n;
}
