/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_PHILOX_H
#define STAGECOACH_STAGE_PHILOX_H
/*
 * philox - Philox4x32-10, a counter-based random number generator: a pure function from a counter
 * and a key to 128 bits, without state, so that a number can be drawn again anywhere.
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11); the
 * Random123 library publishes test vectors.
 * Thread: any.
 */
#include <stdint.h>

void philox4x32_10(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Uniform in [0, 1), a multiple of 2^-53. The key is the seed; the counter's words are position,
 * 0, stream, 0, so that equal (seed, stream, position) give equal numbers and no others do. */
double philox_uniform(uint64_t seed, uint32_t stream, uint32_t position);

#endif
