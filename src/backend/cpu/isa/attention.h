/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_ATTENTION_H
#define STAGECOACH_BACKEND_CPU_ISA_ATTENTION_H
/*
 * attention - scores, softmax and weighted values; include after vec_*.h, exp.h and rows.h.
 * A group of queries shares each load of keys or values. With fewer queries, more vectors are
 * summed side by side, so that enough independent sums hide the latency.
 *
 * All products are float32. Elements are widened when they are loaded or, with many queries, once
 * in advance. Exception: with AVX-512, attention_int_avx512.h multiplies Q8_0 as integers.
 */
#include "backend/cpu/kernels_attention.h"

#include <math.h>
#include <stdbool.h>

enum {
	ATTENTION_SUMS = LANES == 16 ? 24 : 12,	/* sums kept in registers */
	ATTENTION_MAX_GROUP = LANES == 16 ? 12 : LANES == 8 ? 6 : 4,
	STRIP_VECTORS = CPU_KV_GROUP / LANES,
	/* Up to this many queries process two strips at once. */
	PAIR_QUERIES = ATTENTION_SUMS / (2 * STRIP_VECTORS),
	/* Keys that stay in the L1 cache while groups of queries take turns. */
	NEAR_VECTORS = 32 / LANES,
};

/* Unrolls all loops over sums, so that sums stay in registers. Not with sanitizers, where compiling
 * would take minutes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ATTENTION_UNROLL
#else
#define ATTENTION_UNROLL _Pragma("GCC unroll 24")
#endif

#define ATTENTION_INLINE static inline __attribute__((always_inline, no_sanitize("undefined")))

ATTENTION_INLINE size_t kv_size(unsigned type)
{
	return type == CPU_KV_Q8_0 ? 1 : type == CPU_KV_F16 || type == CPU_KV_BF16 ? 2 : 4;
}

ATTENTION_INLINE bool kv_is_scaled(unsigned type)
{
	return type == CPU_KV_Q8_0 || type == CPU_KV_CODES;
}

ATTENTION_INLINE vec kv_load(unsigned type, const char *p)
{
	switch (type) {
	case CPU_KV_F16:
		return vec_load_f16((const uint16_t *)(const void *)p);
	case CPU_KV_BF16:
		return vec_load_bf16((const uint16_t *)(const void *)p);
	case CPU_KV_Q8_0:
		return vec_load_s8((const int8_t *)p);
	default:
		return vec_load((const float *)(const void *)p);
	}
}

/* The largest power of two, at most `most`, with which n_q times as many sums fit into
 * registers. */
ATTENTION_INLINE unsigned vectors_beside(unsigned n_q, unsigned most)
{
	while (most > 1 && n_q * most > ATTENTION_SUMS)
		most /= 2;
	return most;
}

/* One prefetch per cache line, or per row of a block of 32 positions. */
ATTENTION_INLINE void kv_prefetch(unsigned type, unsigned v, const char *p)
{
	if (v * LANES * kv_size(type) % 64 == 0 || v * LANES % 32 == 0)
		__builtin_prefetch(p, 0, 2);
}

/* The next scales are about as far ahead as the next elements (not exactly where values are
 * narrower than keys). Unpacked slices need no prefetch. */
ATTENTION_INLINE vec kv_load_scales(const uint16_t *scales, ptrdiff_t ahead)
{
	__builtin_prefetch((const char *)scales + ahead, 0, 2);
	return vec_load_f16(scales);
}

/* Enumerates n_q x n_v products. The smaller number is the inner loop: its operands stay in
 * registers, and the other operands are loaded one at a time, next to the sums. */
ATTENTION_INLINE unsigned query_of(unsigned i, unsigned n_q, unsigned n_v)
{
	return n_q < n_v ? i % n_q : i / n_v;
}

ATTENTION_INLINE unsigned vector_of(unsigned i, unsigned n_q, unsigned n_v)
{
	return n_q < n_v ? i / n_q : i % n_v;
}

/* --- scores --- */

ATTENTION_INLINE void scores_tile(const unsigned type, const unsigned n_q, const unsigned n_v,
				  const struct cpu_kv_slice *c, unsigned vector,
				  const float *query, float *s, size_t lds)
{
	size_t row = c->key_stride * kv_size(type), at = 0;
	ptrdiff_t ahead = c->ahead;
	const char *keys[8];

	s += (size_t)vector * LANES;
	ATTENTION_UNROLL
	for (unsigned v = 0; v < n_v; v++)
		keys[v] = c->keys[vector + v];
	for (unsigned d = 0, group = 0; d < c->head_dim; group++) {
		unsigned end = c->head_dim;
		vec sum[24];

		if (kv_is_scaled(type) && end - d > CPU_KV_GROUP)
			end = d + CPU_KV_GROUP;
		ATTENTION_UNROLL
		for (unsigned i = 0; i < n_q * n_v; i++)
			sum[i] = vec_set1(0);
		for (; d < end; d++, at += row, query += n_q) {
			vec k[8];

			ATTENTION_UNROLL
			for (unsigned v = 0; v < n_v; v++) {
				k[v] = kv_load(type, keys[v] + at);
				kv_prefetch(type, v, keys[v] + at + ahead);
			}
			ATTENTION_UNROLL
			for (unsigned i = 0; i < n_q * n_v; i++) {
				unsigned q = query_of(i, n_q, n_v), v = vector_of(i, n_q, n_v);

				sum[q * n_v + v] = vec_fma(vec_set1(query[q]), k[v],
							   sum[q * n_v + v]);
			}
		}
		ATTENTION_UNROLL
		for (unsigned i = 0; i < n_q * n_v; i++) {
			float *to = s + i / n_v * lds + i % n_v * LANES;

			if (kv_is_scaled(type)) {
				const uint16_t *scales = c->key_scales[vector + i % n_v];
				vec scale = kv_load_scales(scales + group * c->key_stride,
							   ahead);
				vec before = group ? vec_load(to) : vec_set1(0);

				sum[i] = vec_fma(sum[i], scale, before);
			}
			vec_store(to, sum[i]);
		}
	}
}

ATTENTION_INLINE void scores_group(const unsigned type, const unsigned n_q,
				   const struct cpu_kv_slice *c, unsigned v, unsigned end,
				   const float *query, float *s, size_t lds)
{
	const unsigned n_v = vectors_beside(n_q, 8);

	for (; v + n_v <= end; v += n_v)
		scores_tile(type, n_q, n_v, c, v, query, s, lds);
	if (n_v > 2)
		for (; v + 2 <= end; v += 2)
			scores_tile(type, n_q, 2, c, v, query, s, lds);
	for (; v < end; v++)
		scores_tile(type, n_q, 1, c, v, query, s, lds);
}

#define SCORES_CASE(n)									\
	case n:										\
		scores_group(type, n, c, v, end, query + (size_t)q * c->head_dim,		\
			     s + q * lds, lds);						\
		break

ATTENTION_INLINE void scores_of(const unsigned type, const struct cpu_kv_slice *c, unsigned n_q,
				const float *query, float *s, size_t lds)
{
	unsigned step = n_q > ATTENTION_MAX_GROUP ? NEAR_VECTORS : CPU_MAX_SLICE_VECTORS;

	for (unsigned v = 0, end; v < c->n_vectors; v = end) {
		end = c->n_vectors - v < step ? c->n_vectors : v + step;
		for (unsigned q = 0, n; q < n_q; q += n) {
			n = cpu_query_group(ATTENTION_MAX_GROUP, n_q - q);
			switch (n) {
			SCORES_CASE(1);
			SCORES_CASE(2);
			SCORES_CASE(4);
#if LANES >= 8
			SCORES_CASE(6);
#endif
#if LANES == 16
			SCORES_CASE(8);
			SCORES_CASE(12);
#endif
			}
		}
	}
}

/* --- weights --- */

static void to_halves(const float *x, uint16_t *out)
{
	for (unsigned i = 0; i < CPU_KV_GROUP; i += LANES)
		vec_store_f16(out + i, vec_load(x + i));
}

static void bend(float *s, unsigned n, float cap, float slope, float distance)
{
	float places[LANES];

	for (unsigned i = 0; i < LANES; i++)
		places[i] = (float)i;
	for (unsigned i = 0; i < n; i += LANES) {
		vec from = vec_add(vec_load(places), vec_set1(distance + (float)i));
		vec score = vec_load(s + i);

		if (cap > 0)
			score = capped(score, vec_set1(cap));
		vec_store(s + i, vec_fma(vec_set1(slope), from, score));
	}
}

static float softmax(float *s, unsigned n, float *max, float *total)
{
	vec most = vec_set1(*max), sum = vec_set1(0);
	float shrink, new_max;
	float first[LANES];

	for (unsigned i = 0; i < n; i += LANES)
		most = vec_max(vec_load(s + i), most);
	new_max = vec_max_lane(most);
	for (unsigned i = 0; i < n; i += LANES) {
		vec p = vec_exp(vec_sub(vec_load(s + i), vec_set1(new_max)));

		vec_store(s + i, p);
		sum = vec_add(sum, p);
	}
	vec_store(first, vec_exp(vec_set1(*max - new_max)));
	shrink = first[0];
	*total = *total * shrink + vec_sum(sum);
	*max = new_max;
	return shrink;
}

static void merge(float *max, float *total, float *sum, float next_max, float next_total,
		  const float *next_sum, unsigned n)
{
	float most = next_max > *max ? next_max : *max, keep[LANES], add[LANES];

	vec_store(keep, vec_exp(vec_set1(*max - most)));
	vec_store(add, vec_exp(vec_set1(next_max - most)));
	for (unsigned i = 0; i < n; i += LANES)
		vec_store(sum + i, vec_fma(vec_load(next_sum + i), vec_set1(add[0]),
					   vec_mul(vec_load(sum + i), vec_set1(keep[0]))));
	*total = *total * keep[0] + next_total * add[0];
	*max = most;
}

/* --- values --- */

/* Sums n_s strips from a column on, n_v vectors of each. The weights of strip s of query q are at
 * p[q * n_s + s] for types with scales, else at p[q]. */
ATTENTION_INLINE void values_tile(const unsigned type, const unsigned n_q, const unsigned n_s,
				  const unsigned n_v, const struct cpu_kv_slice *c,
				  unsigned column, const float *p, size_t ldp,
				  const float *shrink, float *out)
{
	const size_t size = kv_size(type);
	unsigned in_strip = column % CPU_KV_GROUP, strip = column - in_strip;
	size_t step = (c->value_width - strip < CPU_KV_GROUP ? c->value_width - strip :
		       CPU_KV_GROUP) * size;
	size_t next_strip = c->length * CPU_KV_GROUP * size;
	size_t first = ((size_t)strip * c->length + in_strip) * size;
	const unsigned n = n_s * n_v;
	vec sum[24];

	out += column;
	ATTENTION_UNROLL
	for (unsigned i = 0; i < n_q * n; i++)
		sum[i] = vec_mul(vec_load(out + i / n * c->value_width +
					  i % n / n_v * CPU_KV_GROUP + i % n_v * LANES),
				 vec_set1(shrink[i / n]));
	for (unsigned run = 0; run < c->n_runs; run++) {
		const char *values = (const char *)c->runs[run].values + first +
				     c->runs[run].from * step;
		const char *ahead = values + c->runs[run].ahead;
		const float *w = p + c->runs[run].first;
		const float *end = w + c->runs[run].n;

		w += c->runs[run].skip;
		values += c->runs[run].skip * step;
		ahead += c->runs[run].skip * step;
		for (; w < end; w++, values += step, ahead += step) {
			vec x[8];

			ATTENTION_UNROLL
			for (unsigned k = 0; k < n; k++) {
				size_t at = k / n_v * next_strip + k % n_v * LANES * size;

				x[k] = kv_load(type, values + at);
				kv_prefetch(type, k % n_v, ahead + at);
			}
			ATTENTION_UNROLL
			for (unsigned i = 0; i < n_q * n; i++) {
				unsigned q = query_of(i, n_q, n), k = vector_of(i, n_q, n);
				unsigned row = kv_is_scaled(type) ? q * n_s + k / n_v : q;

				sum[q * n + k] = vec_fma(vec_set1(w[row * ldp]), x[k],
							 sum[q * n + k]);
			}
		}
	}
	ATTENTION_UNROLL
	for (unsigned i = 0; i < n_q * n; i++)
		vec_store(out + i / n * c->value_width + i % n / n_v * CPU_KV_GROUP +
			  i % n_v * LANES, sum[i]);
}

/* Multiplies each position's weight by the position's scale, for n_s strips. */
ATTENTION_INLINE void scale_weights(const struct cpu_kv_slice *c, unsigned strip, unsigned n_s,
				    unsigned n_q, const float *p, size_t ldp, float *scaled)
{
	for (unsigned q = 0; q < n_q; q++, p += ldp)
		for (unsigned s = 0; s < n_s; s++, scaled += ldp)
			for (unsigned r = 0; r < c->n_runs; r++) {
				const struct cpu_kv_run *run = &c->runs[r];
				const uint16_t *scales = run->value_scales +
							 (size_t)(strip + s) * c->key_stride;

				for (unsigned i = 0; i < run->n; i += LANES)
					vec_store(scaled + run->first + i,
						  vec_mul(vec_load(p + run->first + i),
							  kv_load_scales(scales + i, run->ahead)));
			}
}

/* Handles columns from..end of at most two strips; two only if both are whole. */
ATTENTION_INLINE void values_group(const unsigned type, const unsigned n_q,
				   const struct cpu_kv_slice *c, unsigned column, unsigned end,
				   const float *p, size_t ldp, const float *shrink, float *scratch,
				   float *out)
{
	const unsigned n_v = vectors_beside(n_q, STRIP_VECTORS);
	unsigned n_s = end - column > CPU_KV_GROUP ? 2 : 1;

	if (kv_is_scaled(type)) {
		scale_weights(c, column / CPU_KV_GROUP, n_s, n_q, p, ldp, scratch);
		p = scratch;
	}
	if (n_q <= PAIR_QUERIES && n_s == 2) {
		values_tile(type, n_q, 2, STRIP_VECTORS, c, column, p, ldp, shrink, out);
		return;
	}
	for (; column + n_v * LANES <= end; column += n_v * LANES)
		values_tile(type, n_q, 1, n_v, c, column, p, ldp, shrink, out);
	for (; column < end; column += LANES)
		values_tile(type, n_q, 1, 1, c, column, p, ldp, shrink, out);
}

#define VALUES_CASE(n)									\
	case n:										\
		values_group(type, n, c, column, end, p + q * ldp, ldp, shrink + q, scratch,	\
			     out + (size_t)q * c->value_width);				\
		break

ATTENTION_INLINE void values_of(const unsigned type, const struct cpu_kv_slice *c, unsigned n_q,
				const float *p, size_t ldp, const float *shrink, float *scratch,
				float *out)
{
	unsigned pair = 2 * CPU_KV_GROUP;

	for (unsigned column = 0, end; column < c->value_width; column = end) {
		unsigned step = n_q <= PAIR_QUERIES && c->value_width - column >= pair ? pair :
				CPU_KV_GROUP;

		end = c->value_width - column < step ? c->value_width : column + step;
		for (unsigned q = 0, n; q < n_q; q += n) {
			n = cpu_query_group(ATTENTION_MAX_GROUP, n_q - q);
			switch (n) {
			VALUES_CASE(1);
			VALUES_CASE(2);
			VALUES_CASE(4);
#if LANES >= 8
			VALUES_CASE(6);
#endif
#if LANES == 16
			VALUES_CASE(8);
			VALUES_CASE(12);
#endif
			}
		}
	}
}

/* --- for each type --- */

#define ATTENTION_TYPE(name, type)							\
static void scores_##name(const struct cpu_kv_slice *slice, unsigned n_q, const float *query, \
			  float *s, size_t lds)						\
{											\
	scores_of(type, slice, n_q, query, s, lds);					\
}											\
											\
static void values_##name(const struct cpu_kv_slice *slice, unsigned n_q, const float *p,	\
			  size_t ldp, const float *shrink, float *scratch, float *out)	\
{											\
	values_of(type, slice, n_q, p, ldp, shrink, scratch, out);				\
}

#define ATTENTION_UNPACK(name, type)							\
static void kv_unpack_##name(const void *stored, size_t n, float *out)			\
{											\
	for (size_t i = 0; i < n; i += LANES)						\
		vec_store(out + i, kv_load(type, (const char *)stored + i * kv_size(type)));	\
}

ATTENTION_TYPE(f32, CPU_KV_F32)
ATTENTION_TYPE(f16, CPU_KV_F16)
ATTENTION_TYPE(bf16, CPU_KV_BF16)
ATTENTION_UNPACK(f16, CPU_KV_F16)
ATTENTION_UNPACK(bf16, CPU_KV_BF16)

#if LANES == 16
#include "backend/cpu/isa/attention_int_avx512.h"
#define IF_INTEGERS(function) function
#define IF_CODES(function) NULL
#else
ATTENTION_TYPE(q8_0, CPU_KV_Q8_0)
ATTENTION_TYPE(codes, CPU_KV_CODES)
ATTENTION_UNPACK(q8_0, CPU_KV_Q8_0)
#define IF_INTEGERS(function) NULL
#define IF_CODES(function) function
#endif

#define ATTENTION_KERNELS {								\
	.max_group = ATTENTION_MAX_GROUP,						\
	.round_query = IF_INTEGERS(round_query),					\
	.scores = { scores_f32, scores_f16, scores_bf16, scores_q8_0,			\
		    IF_CODES(scores_codes) },						\
	.values = { values_f32, values_f16, values_bf16, values_q8_0,			\
		    IF_CODES(values_codes) },						\
	.unpack = { NULL, kv_unpack_f16, kv_unpack_bf16, IF_CODES(kv_unpack_q8_0), NULL },	\
	.to_halves = to_halves,								\
	.bend = bend,									\
	.softmax = softmax,								\
	.merge = merge,									\
}

#endif
