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

/* n / unit, rounded up. unit must not be 0, here and below. */
static inline uint64_t div_up(uint64_t n, uint64_t unit)
{
	return n / unit + (n % unit != 0);
}

/* n rounded up to a multiple of unit. */
static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return div_up(n, unit) * unit;
}

/* For settings where 0 asks for the default. */
static inline uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

/* Sums and products that are UINT64_MAX when they are too large to count. */
static inline uint64_t add_capped(uint64_t a, uint64_t b)
{
	uint64_t n;

	return __builtin_add_overflow(a, b, &n) ? UINT64_MAX : n;
}

static inline uint64_t multiply_capped(uint64_t a, uint64_t b)
{
	uint64_t n;

	return __builtin_mul_overflow(a, b, &n) ? UINT64_MAX : n;
}

#endif
