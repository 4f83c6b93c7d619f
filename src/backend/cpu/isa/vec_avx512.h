/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_VEC_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_VEC_AVX512_H
/* vec_avx512 - sixteen floats; see vec_scalar.h for what each function does. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 16

typedef __m512 vec;

static inline __mmask16 vec_mask(size_t n)
{
	return (__mmask16)((1u << n) - 1);
}

static inline vec vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm512_storeu_ps(p, v); }

static inline vec vec_load_part(const float *p, size_t n)
{
	return _mm512_maskz_loadu_ps(vec_mask(n), p);
}

static inline void vec_store_part(float *p, vec v, size_t n)
{
	_mm512_mask_storeu_ps(p, vec_mask(n), v);
}

static inline vec vec_load_f16(const uint16_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline void vec_store_f16(uint16_t *p, vec v)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT |
							    _MM_FROUND_NO_EXC));
}

static inline vec vec_load_bf16_even(const uint32_t *p)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}

static inline vec vec_load_bf16_odd(const uint32_t *p)
{
	return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p),
						    _mm512_set1_epi32((int)0xffff0000)));
}

static inline vec vec_load_bf16(const uint16_t *p)
{
	__m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));

	return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vec vec_load_s8(const int8_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline vec vec_set1(float x) { return _mm512_set1_ps(x); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec vec_div(vec a, vec b) { return _mm512_div_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline vec vec_max(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec vec_min(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline vec vec_abs(vec a) { return _mm512_abs_ps(a); }

static inline vec vec_round(vec a)
{
	return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vec vec_zero_below(vec v, vec x, float limit)
{
	return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, vec_set1(limit), _CMP_NLT_UQ), v);
}

static inline vec vec_scale(vec a, vec n) { return _mm512_scalef_ps(a, n); }
static inline vec vec_swap_pairs(vec a) { return _mm512_permute_ps(a, 0xb1); }

static inline vec vec_load_doubled(const float *p)
{
	__m512i index = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);

	return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}

static inline vec vec_alternate(void)
{
	return _mm512_castpd_ps(_mm512_castsi512_pd(_mm512_set1_epi64(0x3f800000bf800000)));
}

static inline float vec_sum(vec a)
{
	__m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));

	c = _mm_add_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float vec_max_lane(vec a)
{
	return _mm512_reduce_max_ps(a);
}

#endif
