/* SPDX-License-Identifier: Apache-2.0 */
/* The table for AVX-512; bf16 only runs where peaks.c has seen that it can. */
#include "backend/cpu/peaks.h"

#include "backend/cpu/isa/peak.h"

#include <immintrin.h>

#define FMA_F32(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#define LOAD(at) _mm512_load_si512(at)

PEAK_LOOP(f32, , __m512, __m512, FMA_F32, _mm512_add_ps)
PEAK_LOOP(bf16, __attribute__((target("avx512bf16"))), __m512, __m512bh, _mm512_dpbf16_ps,
	  _mm512_add_ps)
PEAK_LOOP(int8, , __m512i, __m512i, _mm512_dpbusd_epi32, _mm512_add_epi32)
PEAK_READ(read_memory, __m512i, LOAD, _mm512_add_epi32)

const struct cpu_peaks cpu_peaks_avx512 = {
	.f32 = f32,
	.bf16 = bf16,
	.int8 = int8,
	.f32_macs = 16 * PEAK_SUMS,
	.bf16_macs = 32 * PEAK_SUMS,
	.int8_macs = 64 * PEAK_SUMS,
	.read = read_memory,
};
