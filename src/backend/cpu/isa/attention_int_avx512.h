/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_ATTENTION_INT_AVX512_H
#define STAGECOACH_BACKEND_CPU_ISA_ATTENTION_INT_AVX512_H
/*
 * attention_int_avx512 - scores and weighted values of Q8_0 by integer products; included by
 * attention.h.
 *
 * Queries and weights are rounded to 16 bits, split into a high and a low byte. vpdpbusd multiplies
 * four bytes by four codes in each lane. So two instructions replace four float multiply-adds and
 * the widening of four codes.
 *
 * - A query has one scale per group of dimensions. vpdpbusd takes signed by unsigned bytes. Query
 *   bytes are signed, so keys are stored as code + 128. The surplus is 128 times the sum of the
 *   query, which is known and subtracted.
 * - Weights are first multiplied by the scale of their position and strip; then they get one scale
 *   per slice. Their bytes are unsigned, the bytes of values are signed.
 *
 * Rounding errors: of a query's element at most 2^-16 of the largest element in its group (a code's
 * error is up to 2^-8); of a weight at most 2^-17 of the largest weight in its slice. Errors of
 * weights accumulate over a slice: usually with the square root of its length, at worst linearly.
 */
#include "backend/cpu/kernels_attention.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

enum {
	INT_GROUP = 4,			/* queries, and vectors of a strip, that
					 * are processed together: two sums each */
	INT_VECTORS = CPU_KV_GROUP / LANES,	/* of high and of low bytes, kept in registers */
	QUADS = CPU_KV_GROUP / CPU_KV_QUAD,
	WEIGHT_WORDS = 2 * QUADS,		/* per 32 positions: high bytes, low bytes */
	WEIGHT_MOST = 65535,	/* times 127 times CPU_SLICE_POSITIONS is below 2^31 */
	QUERY_BIAS = WEIGHT_WORDS,		/* offset in a group's words, which
						 * start like those of weights */
	QUERY_SCALE,
	QUERY_WORDS,
	QUERY_MOST = 127 * 256 + 127,	/* times 255 + 128 times CPU_KV_GROUP is below 2^31 */
};
_Static_assert(INT64_C(127) * WEIGHT_MOST * CPU_SLICE_POSITIONS <= INT32_MAX, "weights overflow");
_Static_assert(INT64_C(255) * QUERY_MOST * CPU_KV_GROUP <= INT32_MAX, "scores overflow");

#define INT_INLINE static inline __attribute__((always_inline, no_sanitize("undefined")))
#define INT_UNROLL _Pragma("GCC unroll 8")

struct int_sums {
	__m512i high[INT_GROUP * INT_VECTORS];
	__m512i low[INT_GROUP * INT_VECTORS];
};

INT_INLINE void int_clear(const unsigned n, struct int_sums *sums)
{
	INT_UNROLL
	for (unsigned i = 0; i < n; i++)
		sums->high[i] = sums->low[i] = _mm512_setzero_si512();
}

/* Adds n_quads words of n_q queries (or weights) times the n_v vectors at from[v], from[v] + step
 * and so on. */
INT_INLINE void int_multiply(const bool is_value, const unsigned n_q, const unsigned n_v,
			     unsigned n_quads, const char *const *from, size_t step,
			     ptrdiff_t ahead, const int32_t *words, struct int_sums *sums)
{
	const unsigned n_words = is_value ? WEIGHT_WORDS : QUERY_WORDS;

	for (size_t quad = 0, at = 0; quad < n_quads; quad++, at += step) {
		__m512i x[INT_VECTORS];

		INT_UNROLL
		for (unsigned v = 0; v < n_v; v++) {
			x[v] = _mm512_loadu_si512(from[v] + at);
			__builtin_prefetch(from[v] + at + ahead, 0, 2);
		}
		INT_UNROLL
		for (unsigned i = 0; i < n_q * n_v; i++) {
			const int32_t *w = words + i / n_v * n_words + quad;
			__m512i high = _mm512_set1_epi32(w[0]), low = _mm512_set1_epi32(w[QUADS]);
			__m512i y = x[i % n_v];

			sums->high[i] = is_value ? _mm512_dpbusd_epi32(sums->high[i], high, y) :
						   _mm512_dpbusd_epi32(sums->high[i], y, high);
			sums->low[i] = is_value ? _mm512_dpbusd_epi32(sums->low[i], low, y) :
						  _mm512_dpbusd_epi32(sums->low[i], y, low);
		}
	}
}

INT_INLINE __m512i int_total(const struct int_sums *sums, unsigned i)
{
	return _mm512_add_epi32(_mm512_slli_epi32(sums->high[i], 8), sums->low[i]);
}

/* The largest magnitude, compared as integers. It is NaN if there is a NaN. */
static inline float int_largest(__m512i magnitudes)
{
	int32_t bits = (int32_t)_mm512_reduce_max_epu32(magnitudes);
	float largest;

	memcpy(&largest, &bits, sizeof largest);
	return largest;
}

/* The factor that maps `largest` to `most`; 0 if all elements are so small that they count as
 * zero. */
static inline vec int_inverse(float largest, float most)
{
	return vec_set1(largest > 0x1p-100f ? most / largest : 0);
}

/* --- scores --- */

/* A query with NaN or infinity gets a scale that is not finite, so its integers are not used. They
 * are bounded nevertheless, so that sums do not overflow. */
static inline __m512i query_integers(vec x, vec inverse)
{
	return _mm512_cvtps_epi32(vec_max(vec_mul(x, inverse), vec_set1(-QUERY_MOST)));
}

/* Stores bytes of 16 dimensions. The low byte is signed; the high byte compensates for that. */
static inline void store_query(__m512i x, int32_t *words)
{
	__m512i high = _mm512_srai_epi32(_mm512_add_epi32(x, _mm512_set1_epi32(128)), 8);

	_mm_storeu_si128((__m128i *)(void *)words, _mm512_cvtepi32_epi8(high));
	_mm_storeu_si128((__m128i *)(void *)(words + QUADS), _mm512_cvtepi32_epi8(x));
}

static inline void round_query_group(vec a, vec b, int32_t *words)
{
	float largest = int_largest(_mm512_max_epu32(_mm512_castps_si512(vec_abs(a)),
						     _mm512_castps_si512(vec_abs(b))));
	vec inverse = int_inverse(largest, QUERY_MOST);
	__m512i x = query_integers(a, inverse), y = query_integers(b, inverse);
	float scale = largest / QUERY_MOST;

	store_query(x, words);
	store_query(y, words + QUADS / 2);
	words[QUERY_BIAS] = -128 * _mm512_reduce_add_epi32(_mm512_add_epi32(x, y));
	memcpy(&words[QUERY_SCALE], &scale, sizeof scale);
}

/* Within each group of dimensions the words are ordered by query. */
static void round_query(const float *query, float factor, unsigned head_dim, unsigned n_q,
			unsigned i, void *to)
{
	int32_t *words = (int32_t *)to + (size_t)i * QUERY_WORDS;
	vec f = vec_set1(factor);

	for (unsigned d = 0; d < head_dim; d += CPU_KV_GROUP, words += (size_t)n_q * QUERY_WORDS) {
		unsigned n = head_dim - d < CPU_KV_GROUP ? head_dim - d : CPU_KV_GROUP;
		unsigned n_first = n < LANES ? n : LANES;
		vec a = vec_load_part(query + d, n_first);
		vec b = vec_load_part(query + d + n_first, n - n_first);

		round_query_group(vec_mul(a, f), vec_mul(b, f), words);
	}
}

/* Adds the scores of one group of dimensions to those of earlier groups. */
INT_INLINE void add_scores(const unsigned n_q, const unsigned n_v, const struct cpu_kv_slice *c,
			   unsigned vector, unsigned group, const struct int_sums *sums,
			   const int32_t *words, float *s, size_t lds)
{
	INT_UNROLL
	for (unsigned i = 0; i < n_q * n_v; i++) {
		const uint16_t *scales = c->key_scales[vector + i % n_v] + group * c->key_stride;
		const int32_t *w = words + i / n_v * QUERY_WORDS;
		float *to = s + i / n_v * lds + i % n_v * LANES, scale;
		__m512i dot = _mm512_add_epi32(int_total(sums, i),
					       _mm512_set1_epi32(w[QUERY_BIAS]));

		memcpy(&scale, &w[QUERY_SCALE], sizeof scale);
		vec_store(to, vec_fma(_mm512_cvtepi32_ps(dot),
				      vec_mul(kv_load_scales(scales, c->ahead),
					      vec_set1(scale)),
				      group ? vec_load(to) : vec_set1(0)));
	}
}

INT_INLINE void int_scores_tile(const unsigned n_q, const unsigned n_v,
				const struct cpu_kv_slice *c, unsigned vector,
				const int32_t *words, size_t next_group, float *s, size_t lds)
{
	size_t step = CPU_KV_QUAD * (size_t)c->key_stride;
	unsigned n_quads = (c->head_dim + CPU_KV_QUAD - 1) / CPU_KV_QUAD;
	const char *keys[INT_VECTORS];

	s += (size_t)vector * LANES;
	INT_UNROLL
	for (unsigned v = 0; v < n_v; v++)
		keys[v] = c->keys[vector + v];
	for (unsigned group = 0, n; n_quads; n_quads -= n, group++) {
		struct int_sums sums;

		n = n_quads < QUADS ? n_quads : QUADS;
		int_clear(n_q * n_v, &sums);
		int_multiply(false, n_q, n_v, n, keys, step, c->ahead, words, &sums);
		add_scores(n_q, n_v, c, vector, group, &sums, words, s, lds);
		words += next_group;
		INT_UNROLL
		for (unsigned v = 0; v < n_v; v++)
			keys[v] += QUADS * step;
	}
}

INT_INLINE void int_scores_group(const unsigned n_q, const struct cpu_kv_slice *c,
				 const int32_t *words, size_t next_group, float *s, size_t lds)
{
	unsigned v = 0;

	for (; v + INT_VECTORS <= c->n_vectors; v += INT_VECTORS)
		int_scores_tile(n_q, INT_VECTORS, c, v, words, next_group, s, lds);
	for (; v < c->n_vectors; v++)
		int_scores_tile(n_q, 1, c, v, words, next_group, s, lds);
}

#define INT_SCORES_CASE(n)								\
	case n:										\
		int_scores_group(n, c, words, (size_t)n_q * QUERY_WORDS, s + q * lds, lds);	\
		break

static void scores_q8_0(const struct cpu_kv_slice *c, unsigned n_q, const float *query, float *s,
			size_t lds)
{
	const int32_t *words = (const int32_t *)(const void *)query;

	for (unsigned q = 0, n; q < n_q; q += n, words += n * QUERY_WORDS) {
		n = cpu_query_group(INT_GROUP, n_q - q);
		switch (n) {
		INT_SCORES_CASE(1);
		INT_SCORES_CASE(2);
		INT_SCORES_CASE(4);
		}
	}
}

/* --- values --- */

/* Weights times scales; exactly 0 at positions that the query does not see, whatever is stored
 * there. */
static inline vec scaled_weights(const float *p, vec scales)
{
	vec weight = vec_load(p);

	return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(weight, vec_set1(0), _CMP_NEQ_UQ), weight,
				   scales);
}

static inline void store_weights(vec a, vec b, int32_t *words)
{
	/* After packing, the order is: high bytes of positions 4 i and 16 + 4 i, then low bytes,
	 * for each i. */
	__m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m512i x = _mm512_packus_epi32(_mm512_cvtps_epi32(a), _mm512_cvtps_epi32(b));
	__m512i low = _mm512_and_si512(x, _mm512_set1_epi16(0xff));
	__m512i bytes = _mm512_packus_epi16(_mm512_srli_epi16(x, 8), low);

	_mm512_storeu_si512(words, _mm512_permutexvar_epi32(order, bytes));
}

/* Rounds the weights of a slice; units_out is the value of integer 1 for each query. Each run
 * starts at a new word. */
INT_INLINE void round_weights(const unsigned n_q, const struct cpu_kv_slice *c, unsigned strip,
			      const float *p, size_t ldp, int32_t *words, float *units_out)
{
	vec w[2 * CPU_SLICE_POSITIONS / LANES][INT_GROUP], inverse[INT_GROUP];
	__m512i most[INT_GROUP];
	unsigned n = 0;

	for (unsigned q = 0; q < n_q; q++)
		most[q] = _mm512_setzero_si512();
	for (unsigned r = 0; r < c->n_runs; r++) {
		const struct cpu_kv_run *run = &c->runs[r];
		const uint16_t *scales = run->value_scales + (size_t)strip * c->key_stride;

		for (unsigned i = 0; i < run->n; i += LANES, n++) {
			vec scale = kv_load_scales(scales + i, run->ahead);

			INT_UNROLL
			for (unsigned q = 0; q < n_q; q++) {
				w[n][q] = scaled_weights(p + q * ldp + run->first + i, scale);
				most[q] = _mm512_max_epu32(most[q], _mm512_castps_si512(w[n][q]));
			}
		}
		/* A word covers two vectors of positions. */
		if (n % 2) {
			INT_UNROLL
			for (unsigned q = 0; q < n_q; q++)
				w[n][q] = vec_set1(0);
			n++;
		}
	}
	INT_UNROLL
	for (unsigned q = 0; q < n_q; q++) {
		float largest = int_largest(most[q]);

		inverse[q] = int_inverse(largest, WEIGHT_MOST);
		units_out[q] = largest / WEIGHT_MOST;
	}
	for (unsigned i = 0; i < n; i += 2) {
		INT_UNROLL
		for (unsigned q = 0; q < n_q; q++, words += WEIGHT_WORDS)
			store_weights(vec_mul(w[i][q], inverse[q]),
				      vec_mul(w[i + 1][q], inverse[q]), words);
	}
}

/* Sums n_v vectors of a strip whose values start `first` bytes after those of a record. */
INT_INLINE void int_values_tile(const unsigned n_q, const unsigned n_v,
				const struct cpu_kv_slice *c, size_t first, const int32_t *words,
				const float *units, const float *shrink, float *out)
{
	const size_t vector_bytes = CPU_KV_QUAD * LANES, step = n_v * vector_bytes;
	struct int_sums sums;

	int_clear(n_q * n_v, &sums);
	for (unsigned r = 0; r < c->n_runs; r++) {
		const struct cpu_kv_run *run = &c->runs[r];
		const char *at = (const char *)run->values + first + run->from * n_v * LANES;
		unsigned left = (run->n + CPU_KV_QUAD - 1) / CPU_KV_QUAD;

		for (unsigned n; left; left -= n, at += QUADS * step) {
			const char *values[INT_VECTORS] = { at, at + (n_v - 1) * vector_bytes };

			n = left < QUADS ? left : QUADS;
			int_multiply(true, n_q, n_v, n, values, step, run->ahead, words, &sums);
			words += n_q * WEIGHT_WORDS;
		}
	}
	INT_UNROLL
	for (unsigned i = 0; i < n_q * n_v; i++) {
		float *to = out + i / n_v * c->value_width + i % n_v * LANES;
		vec before = vec_mul(vec_load(to), vec_set1(shrink[i / n_v]));

		vec_store(to, vec_fma(_mm512_cvtepi32_ps(int_total(&sums, i)),
				      vec_set1(units[i / n_v]), before));
	}
}

INT_INLINE void int_values_group(const unsigned n_q, const struct cpu_kv_slice *c, unsigned column,
				 const float *p, size_t ldp, const float *shrink, int32_t *words,
				 float *out)
{
	size_t length = (c->length + CPU_KV_QUAD - 1) / CPU_KV_QUAD * CPU_KV_QUAD;
	float units[INT_GROUP];

	round_weights(n_q, c, column / CPU_KV_GROUP, p, ldp, words, units);
	if (c->value_width - column >= CPU_KV_GROUP)
		int_values_tile(n_q, INT_VECTORS, c, column * length, words, units, shrink,
				out + column);
	else
		int_values_tile(n_q, 1, c, column * length, words, units, shrink, out + column);
}

#define INT_VALUES_CASE(n)								\
	case n:										\
		int_values_group(n, c, column, p + q * ldp, ldp, shrink + q, words,		\
				 out + (size_t)q * c->value_width);			\
		break

static void values_q8_0(const struct cpu_kv_slice *c, unsigned n_q, const float *p, size_t ldp,
			const float *shrink, float *scratch, float *out)
{
	int32_t *words = (int32_t *)(void *)scratch;

	for (unsigned column = 0; column < c->value_width; column += CPU_KV_GROUP)
		for (unsigned q = 0, n; q < n_q; q += n) {
			n = cpu_query_group(INT_GROUP, n_q - q);
			switch (n) {
			INT_VALUES_CASE(1);
			INT_VALUES_CASE(2);
			INT_VALUES_CASE(4);
			}
		}
}

#endif
