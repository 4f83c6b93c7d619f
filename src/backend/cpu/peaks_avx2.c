/* SPDX-License-Identifier: Apache-2.0 */
/* The table for AVX2 and FMA. */
#include "backend/cpu/peaks.h"

#include "backend/cpu/isa/peak.h"

#include <immintrin.h>

#define FMA_F32(sum, a, b) _mm256_fmadd_ps(a, b, sum)
#define LOAD(at) _mm256_load_si256(at)

/* Pairs of products in 16 bits, then pairs of those in 32, as the kernels do it. */
static inline __m256i dot(__m256i sum, __m256i a, __m256i b)
{
	__m256i pairs;

	/* Opaque to the compiler, or the products would be computed once for all rounds. */
	__asm__ volatile("" : "+x"(b));
	pairs = _mm256_maddubs_epi16(a, b);
	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

PEAK_LOOP(f32, , __m256, __m256, FMA_F32, _mm256_add_ps)
PEAK_LOOP(int8, , __m256i, __m256i, dot, _mm256_add_epi32)
PEAK_READ(read_memory, __m256i, LOAD, _mm256_add_epi32)

const struct cpu_peaks cpu_peaks_avx2 = {
	.f32 = f32,
	.int8 = int8,
	.f32_macs = 8 * PEAK_SUMS,
	.int8_macs = 32 * PEAK_SUMS,
	.read = read_memory,
};
