/* SPDX-License-Identifier: Apache-2.0 */
/* The table for AVX2 and FMA. */
#include "backend/cpu/peaks.h"

#include "backend/cpu/isa/peak.h"

#include <immintrin.h>

#define FMA_F32(sum, a, b) _mm256_fmadd_ps(a, b, sum)
#define LOAD(at) _mm256_load_si256(at)

/*
 * Adds pairs of products in 16 bits, as many as fit for 4-bit integers, and then pairs of these
 * sums in 32 bits. The kernels do exactly this for most formats and at least this for all.
 */

enum { PASS = 8 };	/* the longest pass of gemm_int_avx2.h */

static inline __m256i read_operand(const void *at)
{
	return _mm256_loadu_si256(at);
}

/* Written as instructions, as in the kernels. Otherwise compilers compute equal products once for
 * all rounds, and turn sums into trees that need more registers than there are. */

static inline __m256i multiply(__m256i a, __m256i b)
{
	__m256i pairs;

	__asm__ volatile("vpmaddubsw %2, %1, %0" : "=x"(pairs) : "x"(a), "x"(b));
	return pairs;
}

static inline __m256i multiply_add(__m256i sum, __m256i a, __m256i b)
{
	__asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(multiply(a, b)));
	return sum;
}

static inline __m256i widen(__m256i total, __m256i sum)
{
	return _mm256_add_epi32(total, _mm256_madd_epi16(sum, _mm256_set1_epi16(1)));
}

PEAK_LOOP(f32, , __m256, __m256, FMA_F32, _mm256_add_ps)
PEAK_NARROW_LOOP(int8, __m256i, __m256i, PASS, read_operand, multiply, multiply_add, widen)
PEAK_READ(read_memory, __m256i, LOAD, _mm256_add_epi32)

const struct cpu_peaks cpu_peaks_avx2 = {
	.f32 = f32,
	.int8 = int8,
	.f32_macs = 8 * PEAK_SUMS,
	.int8_macs = 32 * PEAK_SUMS,
	.read = read_memory,
};
