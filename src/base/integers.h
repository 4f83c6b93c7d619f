/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_INTEGERS_H
#define STAGECOACH_BASE_INTEGERS_H
/* integers - arithmetic of sizes and counts. Thread: any. */
#include <stdint.h>

static inline uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* How many units n takes. The unit is not 0, here and below. */
static inline uint64_t div_up(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit != 0);
}

/* The next multiple of unit from n on. */
static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return div_up(n, unit) * unit;
}

#endif
