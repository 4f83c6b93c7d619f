/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_VEC_AVX2_H
#define STAGECOACH_BACKEND_CPU_ISA_VEC_AVX2_H
/* vec_avx2 - eight floats; see vec_scalar.h for what each function does. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 8

typedef __m256 vec;

/* All ones in the first n of eight lanes. */
static inline __m256i vec_mask(size_t n)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n),
				  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(float *p, vec v) { _mm256_storeu_ps(p, v); }

static inline vec vec_load_part(const float *p, size_t n)
{
	return _mm256_maskload_ps(p, vec_mask(n));
}

static inline void vec_store_part(float *p, vec v, size_t n)
{
	_mm256_maskstore_ps(p, vec_mask(n), v);
}

static inline vec vec_load_f16(const uint16_t *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline void vec_store_f16(uint16_t *p, vec v)
{
	_mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT |
							 _MM_FROUND_NO_EXC));
}

static inline vec vec_load_bf16_even(const uint32_t *p)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16));
}

static inline vec vec_load_bf16_odd(const uint32_t *p)
{
	return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const __m256i *)p),
						    _mm256_set1_epi32((int)0xffff0000)));
}

static inline vec vec_load_bf16(const uint16_t *p)
{
	__m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));

	return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vec vec_load_s8(const int8_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static inline vec vec_set1(float x) { return _mm256_set1_ps(x); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec vec_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec vec_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec vec_min(vec a, vec b) { return _mm256_min_ps(a, b); }

static inline vec vec_abs(vec a)
{
	return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
}

static inline vec vec_round(vec a)
{
	return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vec vec_zero_below(vec v, vec x, float limit)
{
	return _mm256_and_ps(v, _mm256_cmp_ps(x, vec_set1(limit), _CMP_NLT_UQ));
}

static inline vec vec_scale(vec a, vec n)
{
	__m256i i = _mm256_cvtps_epi32(n), bias = _mm256_set1_epi32(127);
	__m256i half = _mm256_srai_epi32(i, 1);
	__m256i rest = _mm256_sub_epi32(i, half);
	vec x = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
	vec y = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));

	return _mm256_mul_ps(_mm256_mul_ps(a, x), y);
}

static inline vec vec_swap_pairs(vec a) { return _mm256_permute_ps(a, 0xb1); }

static inline vec vec_load_doubled(const float *p)
{
	__m256i index = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);

	return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), index);
}

static inline vec vec_alternate(void)
{
	return _mm256_setr_ps(-1, 1, -1, 1, -1, 1, -1, 1);
}

static inline float vec_sum(vec a)
{
	__m128 c = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	c = _mm_add_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

static inline float vec_max_lane(vec a)
{
	__m128 c = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

	c = _mm_max_ps(c, _mm_movehl_ps(c, c));
	return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

#endif
