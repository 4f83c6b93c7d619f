/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_PREFETCH_H
#define STAGECOACH_BACKEND_CPU_ISA_PREFETCH_H
/*
 * prefetch - weights that come from memory while they are multiplied.
 *
 * AVX-512 with a few rows: memory is what bounds, and hardware prefetchers serve it best as long as
 * lines are read in order. More rows, or slower arithmetic: a block is computed for longer than it
 * is read, and loads that wait for memory leave no place in the processor's window for the
 * arithmetic. So lines are asked for long before, into the second cache. From how many rows on was
 * measured.
 */
#include <stddef.h>
#include <stdint.h>

enum { FAR_BYTES = 12288 };	/* anything from 6 to 32 KB was as good */

static inline __attribute__((always_inline)) void prefetch_far(const void *weights, size_t n_bytes)
{
#pragma GCC unroll 16
	for (size_t at = 0; at < n_bytes; at += 64)
		__builtin_prefetch((const uint8_t *)weights + at + FAR_BYTES, 0, 2);
}

#endif
