/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_LIBM_H
#define STAGECOACH_BASE_LIBM_H
/*
 * libm - a fingerprint of the C library's mathematics.
 * Stages call cos, sin and pow for rotary positions, and expf and log when they draw tokens. Their
 * last bits differ between releases of the C library. Within one release they differ between
 * processors, because glibc has variants with and without fused multiply-add and chooses one when
 * a program starts.
 * Thread: any.
 */
#include <stdint.h>

/* A hash of these five functions' results for a fixed set of arguments. Machines with other values
 * give other tokens. Equal values are no proof, because only the set is compared. Takes a
 * millisecond. */
uint64_t libm_fingerprint(void);

#endif
