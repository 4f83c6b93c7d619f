/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_SLICE_H
#define STAGECOACH_BACKEND_CPU_SLICE_H
/*
 * slice - CPU_SLICE_POSITIONS positions of a sequence in the form that the attention kernels read:
 * in place in the cache, gathered into one record, or unpacked to floats.
 * Thread: any; each thread needs its own scratch memory.
 */
#include "backend/cpu/kv.h"

/* The keys and values of one sequence, layer and key-value head. */
struct slice_source {
	const struct kv_cache *cache;
	const uint32_t *blocks;
	unsigned layer;
	unsigned kv_head;
	unsigned begin;		/* the positions that may be read: from begin */
	unsigned end;		/* to end - 1 */
};

/* Describes in place what may be read of slice c; there must be such positions.
 * kv_is_gathered() must be false. */
void slice_find(const struct slice_source *source, unsigned c, struct cpu_kv_slice *slice);

/* Copies slice c's positions to `record`, which has the cache's gathered layout. slice borrows
 * record. */
void slice_gather(const struct slice_source *source, unsigned c, uint8_t *record,
		  struct cpu_kv_slice *slice);

/* Unpacks the slice's elements to floats, which must have room for keys and values in the gathered
 * layout. Each run must be the slice's part of a whole record. slice borrows floats. */
void slice_unpack(const struct kv_cache *cache, const struct cpu_attention_kernels *kernels,
		  struct cpu_kv_slice *slice, float *floats);

#endif
