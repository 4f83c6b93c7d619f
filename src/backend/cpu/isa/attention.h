/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_ISA_ATTENTION_H
#define STAGECOACH_BACKEND_CPU_ISA_ATTENTION_H
/*
 * attention - scores, softmax and weighted values; include after vec_*.h and exp.h.
 * Up to eight queries share each load of keys or values. The fewer the queries, the more vectors
 * are summed side by side, so that eight sums or so are under way at any time.
 */
#include "backend/cpu/kernels.h"

#include <math.h>

static inline __attribute__((always_inline)) void
scores_tile(unsigned n_q, unsigned n_v, const float *query, size_t ldq, const float *const *keys,
	    size_t ldk, unsigned head_dim, float *s, size_t lds)
{
	vec sum[8];

#pragma GCC unroll 8
	for (unsigned i = 0; i < n_q * n_v; i++)
		sum[i] = vec_set1(0);
	for (unsigned d = 0; d < head_dim; d++) {
#pragma GCC unroll 8
		for (unsigned v = 0; v < n_v; v++) {
			vec k = vec_load(keys[v] + d * ldk);

#pragma GCC unroll 8
			for (unsigned q = 0; q < n_q; q++)
				sum[q * n_v + v] = vec_fma(vec_set1(query[d * ldq + q]), k,
							   sum[q * n_v + v]);
		}
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < n_q * n_v; i++)
		vec_store(s + i / n_v * lds + i % n_v * LANES, sum[i]);
}

static inline __attribute__((always_inline)) void
scores_q(unsigned n_q, unsigned n_v, const float *query, size_t ldq, const float *const *keys,
	 unsigned n_vectors, size_t ldk, unsigned head_dim, float *s, size_t lds)
{
	unsigned v = 0;

	for (; v + n_v <= n_vectors; v += n_v)
		scores_tile(n_q, n_v, query, ldq, keys + v, ldk, head_dim, s + v * LANES, lds);
	for (; v < n_vectors; v++)
		scores_tile(n_q, 1, query, ldq, keys + v, ldk, head_dim, s + v * LANES, lds);
}

static void scores(unsigned n_q, const float *query, size_t ldq, const float *const *keys,
		   unsigned n_vectors, size_t ldk, unsigned head_dim, float *s, size_t lds)
{
#define SCORES(n, n_v)									\
	case n:										\
		scores_q(n, n_v, query, ldq, keys, n_vectors, ldk, head_dim, s, lds);	\
		break
	switch (n_q) {
	SCORES(1, 4);
	SCORES(2, 4);
	SCORES(3, 2);
	SCORES(4, 2);
	SCORES(5, 1);
	SCORES(6, 1);
	SCORES(7, 1);
	SCORES(8, 1);
	}
#undef SCORES
}

static float softmax(float *s, unsigned n, float *max, float *sum)
{
	vec most = vec_set1(*max), total = vec_set1(0);
	float shrink, new_max;
	float first[LANES];

	for (unsigned i = 0; i < n; i += LANES)
		most = vec_max(vec_load(s + i), most);
	new_max = vec_max_lane(most);
	for (unsigned i = 0; i < n; i += LANES) {
		vec p = vec_exp(vec_sub(vec_load(s + i), vec_set1(new_max)));

		vec_store(s + i, p);
		total = vec_add(total, p);
	}
	vec_store(first, vec_exp(vec_set1(*max - new_max)));
	shrink = first[0];
	*sum = *sum * shrink + vec_sum(total);
	*max = new_max;
	return shrink;
}

static inline __attribute__((always_inline)) void
values_tile(unsigned n_q, unsigned n_v, const float *probability, size_t ldp,
	    const struct cpu_value_run *runs, unsigned n_runs, size_t ldv, unsigned at,
	    const float *shrink, float *out, size_t ldo)
{
	vec sum[8];

#pragma GCC unroll 8
	for (unsigned i = 0; i < n_q * n_v; i++)
		sum[i] = vec_mul(vec_load(out + i / n_v * ldo + at + i % n_v * LANES),
				 vec_set1(shrink[i / n_v]));
	for (unsigned run = 0; run < n_runs; run++) {
		const float *p = probability + runs[run].first;
		const float *value = runs[run].values + at;

		for (unsigned i = 0; i < runs[run].n; i++) {
#pragma GCC unroll 8
			for (unsigned v = 0; v < n_v; v++) {
				vec x = vec_load(value + i * ldv + v * LANES);

#pragma GCC unroll 8
				for (unsigned q = 0; q < n_q; q++)
					sum[q * n_v + v] = vec_fma(vec_set1(p[q * ldp + i]), x,
								   sum[q * n_v + v]);
			}
		}
	}
#pragma GCC unroll 8
	for (unsigned i = 0; i < n_q * n_v; i++)
		vec_store(out + i / n_v * ldo + at + i % n_v * LANES, sum[i]);
}

static inline __attribute__((always_inline)) void
values_q(unsigned n_q, unsigned n_v, const float *probability, size_t ldp,
	 const struct cpu_value_run *runs, unsigned n_runs, size_t ldv, unsigned n_vectors,
	 const float *shrink, float *out, size_t ldo)
{
	unsigned v = 0;

	for (; v + n_v <= n_vectors; v += n_v)
		values_tile(n_q, n_v, probability, ldp, runs, n_runs, ldv, v * LANES, shrink, out,
			    ldo);
	for (; v < n_vectors; v++)
		values_tile(n_q, 1, probability, ldp, runs, n_runs, ldv, v * LANES, shrink, out,
			    ldo);
}

static void values(unsigned n_q, const float *probability, size_t ldp,
		   const struct cpu_value_run *runs, unsigned n_runs, size_t ldv,
		   unsigned n_vectors, const float *shrink, float *out, size_t ldo)
{
#define VALUES(n, n_v)									\
	case n:										\
		values_q(n, n_v, probability, ldp, runs, n_runs, ldv, n_vectors, shrink,	\
			 out, ldo);							\
		break
	switch (n_q) {
	VALUES(1, 4);
	VALUES(2, 4);
	VALUES(3, 2);
	VALUES(4, 2);
	VALUES(5, 1);
	VALUES(6, 1);
	VALUES(7, 1);
	VALUES(8, 1);
	}
#undef VALUES
}

#endif
