/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_PREFETCH_H
#define STAGECOACH_BACKEND_CPU_ISA_PREFETCH_H
/*
 * prefetch - prefetches weights that come from memory while they are multiplied.
 *
 * Two cases:
 * - AVX-512 with few rows is bound by memory. Hardware prefetchers work best as long as lines are
 *   read in order.
 * - More rows, or slower arithmetic: a block takes longer to compute than to read, and loads that
 *   wait for memory fill the processor's out-of-order window. Lines are therefore prefetched long
 *   before, into the L2 cache.
 * The number of rows at which the second case begins was measured.
 */
#include <stddef.h>
#include <stdint.h>

enum { FAR_BYTES = 12288 };	/* measured: 6 to 32 KB were equally good */

static inline __attribute__((always_inline)) void prefetch_far(const void *weights, size_t n_bytes)
{
#pragma GCC unroll 16
	for (size_t at = 0; at < n_bytes; at += 64)
		__builtin_prefetch((const uint8_t *)weights + at + FAR_BYTES, 0, 2);
}

#endif
