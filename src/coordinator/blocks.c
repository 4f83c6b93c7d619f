/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/blocks.h"

#include <assert.h>
#include <stdlib.h>

enum sc_status blocks_init(struct blocks *blocks, uint32_t n_blocks)
{
	blocks->free = calloc(n_blocks ? n_blocks : 1, sizeof blocks->free[0]);
	if (!blocks->free)
		return SC_E_NOMEM;
	blocks->n_blocks = n_blocks;
	blocks->n_free = n_blocks;
	for (uint32_t i = 0; i < n_blocks; i++)
		blocks->free[i] = n_blocks - 1 - i;
	return SC_OK;
}

void blocks_deinit(struct blocks *blocks)
{
	free(blocks->free);
	blocks->free = NULL;
}

uint32_t blocks_take(struct blocks *blocks)
{
	assert(blocks->n_free);
	return blocks->free[--blocks->n_free];
}

void blocks_give(struct blocks *blocks, uint32_t block)
{
	assert(blocks->n_free < blocks->n_blocks);
	blocks->free[blocks->n_free++] = block;
}
