/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LIBM_H
#define STAGECOACH_BASE_LIBM_H
/*
 * libm - a fingerprint of the C library's cos, sin and pow.
 * Stages call these functions for rotary positions. The last bits of their results differ between
 * releases of the C library. Within one release they differ between processors, because glibc has
 * variants with and without fused multiply-add and chooses one when a program starts. Sampling does
 * not depend on the C library: it uses base/portable_math.h.
 * Thread: any.
 */
#include <stdint.h>

/* A hash of the three functions' results for a fixed set of arguments. Machines with different
 * hashes can draw different tokens. Equal hashes prove nothing, because only a sample of the
 * arguments is compared. Takes about a millisecond. */
uint64_t libm_fingerprint(void);

#endif
