/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_BLOCKS_H
#define STAGECOACH_COORDINATOR_BLOCKS_H
/*
 * blocks - which KV blocks are free. A block's number means the same on every stage; the bytes are
 * theirs. Last freed, first reused: its memory is warm.
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

/* At least one must be free (asserts). */
uint32_t blocks_take(struct blocks *blocks);
void blocks_give(struct blocks *blocks, uint32_t block);

#endif
