/* SPDX-License-Identifier: Apache-2.0 */
/* The table of plain C: vectors are the compiler's affair. */
#include "backend/cpu/peaks.h"

#include "backend/cpu/isa/peak.h"

#include <stdint.h>

/* Opaque to the compiler, so that no product is computed once for all rounds. */
#define HIDE(value) __asm__ volatile("" : "+r"(value))

static inline int32_t dot(int32_t sum, int8_t a, int8_t b)
{
	int32_t factor = a;

	HIDE(factor);
	return sum + factor * b;
}

static inline float multiply_add(float sum, float a, float b)
{
	return sum * a + b;
}

#define ADD(a, b) ((a) + (b))
#define LOAD(at) (*(at))

PEAK_LOOP(f32, , float, float, multiply_add, ADD)
PEAK_LOOP(int8, , int32_t, int8_t, dot, ADD)
PEAK_READ(read_memory, uint64_t, LOAD, ADD)

const struct cpu_peaks cpu_peaks_scalar = {
	.f32 = f32,
	.int8 = int8,
	.f32_macs = PEAK_SUMS,
	.int8_macs = PEAK_SUMS,
	.read = read_memory,
};
