/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_CHUNK_H
#define STAGECOACH_BACKEND_CPU_CHUNK_H
/*
 * chunk - CPU_CHUNK_POSITIONS positions of a sequence, as the kernels of attention read them: where
 * they lie in the cache, gathered into one record, or unpacked to floats.
 * Thread: any that does not write to the same scratch memory.
 */
#include "backend/cpu/kv.h"

/* One sequence's keys and values of a layer and key-value head. */
struct chunk_source {
	const struct kv_cache *cache;
	const uint32_t *blocks;
	unsigned layer;
	unsigned kv_head;
	unsigned n_positions;	/* that are there to be read */
};

/* Fills chunk with chunk c's positions where they lie; kv_is_gathered() must be false. */
void chunk_find(const struct chunk_source *source, unsigned c, struct cpu_kv_chunk *chunk);

/* Copies chunk c's positions to `record`, of the cache's gathered layout; chunk borrows it. */
void chunk_gather(const struct chunk_source *source, unsigned c, uint8_t *record,
		  struct cpu_kv_chunk *chunk);

/* Unpacks the chunk's elements to floats: room for the keys and values of the gathered layout. The
 * runs must be whole records, but for the last; chunk borrows the floats. */
void chunk_unpack(const struct kv_cache *cache, const struct cpu_attention_kernels *kernels,
		  struct cpu_kv_chunk *chunk, float *floats);

#endif
