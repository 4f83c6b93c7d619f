/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_BLOCKS_H
#define STAGECOACH_COORDINATOR_BLOCKS_H
/*
 * blocks - the free KV blocks of one group of layers. A block has the same number on every stage;
 * each stage stores the block's bytes for its own layers of the group. The block that was freed last
 * is used first, because its memory is still in the caches.
 * Thread: the loop's.
 */
#include "base/status.h"

#include <stdint.h>

struct blocks {
	uint32_t *free;		/* [n_free], a stack */
	uint32_t n_free;
	uint32_t n_blocks;
};

must_check enum sc_status blocks_init(struct blocks *blocks, uint32_t n_blocks);
void blocks_deinit(struct blocks *blocks);

/* Takes a free block. There must be one (asserts). */
uint32_t blocks_take(struct blocks *blocks);
void blocks_give(struct blocks *blocks, uint32_t block);

#endif
