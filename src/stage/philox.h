/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_PHILOX_H
#define STAGECOACH_STAGE_PHILOX_H
/*
 * philox - Philox4x32-10, a counter-based random number generator: a pure function from a counter
 * and a key to 128 bits. It has no state, so any number can be computed again anywhere.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11); the
 * Random123 library publishes test vectors.
 * Thread: any.
 */
#include <stdint.h>

void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Returns a uniform number in [0, 1), a multiple of 2^-53. The key is the seed; the counter's words
 * are position, 0, stream, 0. Equal (seed, stream, position) give equal numbers; different ones
 * give independent numbers. */
double philox_uniform(uint64_t seed, uint32_t stream, uint32_t position);

#endif
