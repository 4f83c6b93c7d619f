/* SPDX-License-Identifier: Apache-2.0 */
/* The table for the compiler's portable vectors, which the scalar kernels use. */
#include "backend/cpu/peaks.h"

#include "backend/cpu/isa/peak.h"

#include <stdint.h>

enum {
	PASS = 16,	/* products summed in 16 bits: those of eight groups in gemm_int_scalar.h */
	FLOATS = 4,	/* of a vector */
	SHORTS = 8,
};

typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_int __attribute__((vector_size(16)));
typedef uint32_t vec_uint __attribute__((vector_size(16)));
typedef int16_t vec_short __attribute__((vector_size(16)));
typedef int8_t vec_byte __attribute__((vector_size(8)));

/* The sum is one factor of the product, and the other operand is added: sum = sum * a + b. Reasons:
 * on machines where multiplying overwrites a factor, nothing has to be copied; and no product can
 * be computed before its turn. */
#define MULTIPLY_ADD(sum, a, b) ((sum) * (a) + (b))
#define ADD(a, b) ((a) + (b))
#define LOAD(at) (*(at))
/* Volatile, because otherwise the compiler would see that all sums are equal and compute only
 * one. */
#define MULTIPLY(a, b) (*(const volatile vec_short *)&(a) * (b))

static inline vec_short read_operand(const void *at)
{
	vec_byte bytes;

	memcpy(&bytes, at, sizeof bytes);
	return __builtin_convertvector(bytes, vec_short);
}

static inline vec_int widen(vec_int total, vec_short sum)
{
	vec_int both = (vec_int)sum;

	return total + ((both >> 16) + ((vec_int)((vec_uint)both << 16) >> 16));
}

PEAK_LOOP(f32, , vec, vec, MULTIPLY_ADD, ADD)
PEAK_NARROW_LOOP(int8, vec_int, vec_short, PASS, read_operand, MULTIPLY, MULTIPLY_ADD, widen)
PEAK_READ(read_memory, uint64_t, LOAD, ADD)

const struct cpu_peaks cpu_peaks_scalar = {
	.f32 = f32,
	.int8 = int8,
	.f32_macs = FLOATS * PEAK_SUMS,
	.int8_macs = SHORTS * PEAK_SUMS,
	.read = read_memory,
};
