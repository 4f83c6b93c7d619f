/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LIBM_H
#define STAGECOACH_BASE_LIBM_H
/*
 * libm - a fingerprint of the C library's mathematics.
 * Stages call cos, sin and pow for rotary positions. Their last bits differ between releases of the
 * C library. Within one release they differ between processors, because glibc has variants with and
 * without fused multiply-add and chooses one when a program starts. Tokens are drawn with
 * base/portable_math.h instead.
 * Thread: any.
 */
#include <stdint.h>

/* A hash of these three functions' results for a fixed set of arguments. Machines with other values
 * give other tokens. Equal values are no proof, because only the set is compared. Takes a
 * millisecond. */
uint64_t libm_fingerprint(void);

#endif
