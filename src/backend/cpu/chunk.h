/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_CHUNK_H
#define STAGECOACH_BACKEND_CPU_CHUNK_H
/*
 * chunk - CPU_CHUNK_POSITIONS positions of a sequence in the form that the attention kernels read:
 * in place in the cache, gathered into one record, or unpacked to floats.
 * Thread: any; each thread needs its own scratch memory.
 */
#include "backend/cpu/kv.h"

/* The keys and values of one sequence, layer and key-value head. */
struct chunk_source {
	const struct kv_cache *cache;
	const uint32_t *blocks;
	unsigned layer;
	unsigned kv_head;
	unsigned n_positions;	/* number of positions that may be read */
};

/* Describes chunk c in place. kv_is_gathered() must be false. */
void chunk_find(const struct chunk_source *source, unsigned c, struct cpu_kv_chunk *chunk);

/* Copies chunk c's positions to `record`, which has the cache's gathered layout. chunk borrows
 * record. */
void chunk_gather(const struct chunk_source *source, unsigned c, uint8_t *record,
		  struct cpu_kv_chunk *chunk);

/* Unpacks the chunk's elements to floats, which must have room for keys and values in the gathered
 * layout. All runs except the last must be whole records. chunk borrows floats. */
void chunk_unpack(const struct kv_cache *cache, const struct cpu_attention_kernels *kernels,
		  struct cpu_kv_chunk *chunk, float *floats);

#endif
