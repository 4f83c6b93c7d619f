/* SPDX-License-Identifier: Apache-2.0 */
#include "model/stage_sizes.h"

#include "base/integers.h"

uint64_t stage_kv_bytes_of(const struct stage_sizes *sizes, uint32_t n_layers, uint32_t n_blocks)
{
	return multiply_capped(sizes->kv_block_bytes, (uint64_t)n_layers * n_blocks);
}

static uint64_t shared_bytes(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	uint64_t n = add_capped(multiply_capped(sizes->shared_thread_bytes, shape->n_threads),
				multiply_capped(sizes->shared_block_bytes, shape->n_blocks));

	return shape->n_threads > 1 ? min_of(n, sizes->shared_most_bytes) : 0;
}

/* Of the last stage. */
static uint64_t head_bytes(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	uint64_t draw = add_capped(sizes->draw_bytes,
				   multiply_capped(sizes->draw_context_block_bytes,
						   shape->n_context_blocks));
	uint64_t n_draws = min_of(shape->n_threads, sizes->max_draw_threads);

	return add_capped(add_capped(sizes->head_bytes, multiply_capped(draw, n_draws)),
			  multiply_capped(sizes->token_block_bytes, shape->n_blocks));
}

uint64_t stage_work_bytes_of(const struct stage_sizes *sizes, const struct stage_shape *shape)
{
	const uint64_t parts[] = {
		sizes->fixed_bytes,
		shape->has_head ? head_bytes(sizes, shape) : 0,
		multiply_capped(sizes->layer_bytes, shape->n_layers),
		multiply_capped(sizes->block_bytes, shape->n_blocks),
		multiply_capped(sizes->context_block_bytes, shape->n_context_blocks),
		multiply_capped(sizes->thread_bytes, shape->n_threads),
		shared_bytes(sizes, shape),
	};
	uint64_t n = 0;

	for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
		n = add_capped(n, parts[i]);
	return n;
}
