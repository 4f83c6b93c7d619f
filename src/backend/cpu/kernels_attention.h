/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KERNELS_ATTENTION_H
#define STAGECOACH_BACKEND_CPU_KERNELS_ATTENTION_H
/*
 * kernels_attention - the inner loops of attention, a part of each instruction set's table; see
 * kernels.h for what such tables are.
 *
 * Layout of a record, which holds some positions of one key-value head (as many as a block, or as a
 * chunk): keys are [head_dim][key_stride] elements, the scores of neighbouring positions side by
 * side. Values are strips of CPU_KV_GROUP columns (the last one may be narrower, a multiple of
 * lanes), each [length][width of the strip], where length is the record's number of positions. So
 * neither loop adds across a vector, and both read memory from one end to the other.
 *
 * Types with scales hold codes; CPU_KV_GROUP elements of one position's key or value share a
 * float16 scale: key_scales and value_scales [groups][key_stride]. A table with round_query
 * multiplies codes of Q8_0 as integers, CPU_KV_QUAD at a time, which lie together: keys are
 * [head_dim / 4][key_stride][4], each code + 128, and strips of values
 * [length / 4][width of the strip][4], head_dim and length padded to that.
 *
 * Order: a score is the sum of its products in the order of the elements (with scales: of each
 * group's, then of the groups); an element of a result the sum over positions in order, each
 * weight multiplied by the position's scale first. The same for any number of queries, and for a
 * chunk that was unpacked first, so all ways give the same bits. Integers are summed exactly, over
 * a group of elements or the positions of a chunk; what queries and weights are rounded to depends
 * on nothing but the query and the positions that it sees.
 *
 * A chunk is CPU_CHUNK_POSITIONS positions of the sequence, counted from its first one, whatever
 * the length of a block is: so the length of a block changes no bit either.
 */
#include <stddef.h>
#include <stdint.h>

/* What lies in the cache, and what a chunk of it is unpacked to. */
enum cpu_kv_type {
	CPU_KV_F32,
	CPU_KV_F16,
	CPU_KV_BF16,
	CPU_KV_Q8_0,
	CPU_KV_CODES,		/* Q8_0's codes as floats: only ever unpacked, if at all */
	CPU_N_KV_TYPES,
};

enum {
	CPU_KV_GROUP = 32,		/* elements that share a scale; columns of a strip */
	CPU_MAX_QUERY_GROUP = 12,	/* queries that share a load of keys and values */
	CPU_KV_QUAD = 4,		/* codes that integers are multiplied by at once */
	/* Positions between two updates of the running maximum. With integers, their weights get
	 * one scale. Results depend on this number. */
	CPU_CHUNK_POSITIONS = 128,
	CPU_MIN_LANES = 4,
	CPU_MAX_CHUNK_VECTORS = CPU_CHUNK_POSITIONS / CPU_MIN_LANES,
	CPU_MAX_CHUNK_RUNS = CPU_MAX_CHUNK_VECTORS,	/* none is shorter than a vector */
};

/* A chunk's positions of one record. */
struct cpu_kv_run {
	const void *values;	/* of the whole record */
	const uint16_t *value_scales;	/* of the run's first position */
	ptrdiff_t ahead;	/* bytes from values to what to prefetch while they are summed */
	unsigned from;		/* the run's first position in the record: a multiple of lanes */
	unsigned n;		/* positions */
	unsigned first;		/* the run's first position in the chunk: likewise */
};

/* Some consecutive positions of a sequence for one key-value head. */
struct cpu_kv_chunk {
	unsigned head_dim;
	unsigned value_width;	/* a multiple of lanes */
	unsigned length;	/* of its records */
	unsigned key_stride;	/* of its records: a multiple of lanes */
	unsigned n_vectors;	/* of positions; those that nobody sees are left out */
	unsigned n_runs;
	ptrdiff_t ahead;	/* bytes from keys to what to prefetch while they are scored */
	const void *keys[CPU_MAX_CHUNK_VECTORS];	/* of each vector's positions: row 0 */
	const uint16_t *key_scales[CPU_MAX_CHUNK_VECTORS];
	struct cpu_kv_run runs[CPU_MAX_CHUNK_RUNS];
};

struct cpu_attention_kernels {
	unsigned max_group;

	/* Query i of n_q, times factor, for the scores of Q8_0. All take at most as much as floats
	 * would, with head_dim padded to whole groups. NULL: floats are what they read. */
	void (*round_query)(const float *query, float factor, unsigned head_dim, unsigned n_q,
			    unsigned i, void *to);
	/* s[q][vector * lanes + lane] = query q times key, for n_q queries that lie group by group:
	 * query[head_dim][n] for each n that cpu_query_group gives in turn; or as round_query
	 * has left them. */
	void (*scores[CPU_N_KV_TYPES])(const struct cpu_kv_chunk *chunk, unsigned n_q,
				       const float *query, float *s, size_t lds);
	/* out[q][value_width] = out * shrink[q] + weights p[q] times values.
	 * scratch: CPU_MAX_QUERY_GROUP * ldp floats. */
	void (*values[CPU_N_KV_TYPES])(const struct cpu_kv_chunk *chunk, unsigned n_q,
				       const float *p, size_t ldp, const float *shrink,
				       float *scratch, float *out);
	/* n elements, codes without their scales, as floats; n is a multiple of lanes. NULL: there
	 * is nothing to gain by it. */
	void (*unpack[CPU_N_KV_TYPES])(const void *stored, size_t n, float *out);

	/* One query's next n scores (a multiple of lanes) become weights relative to the new
	 * maximum; returns what earlier sums shrink by. Starts from max -INFINITY, total 0. */
	float (*softmax)(float *s, unsigned n, float *max, float *total);
	/* Adds what one query got from later positions: sum[n], n a multiple of lanes. */
	void (*merge)(float *max, float *total, float *sum, float next_max, float next_total,
		      const float *next_sum, unsigned n);
};

/* How many of n queries go together. */
static inline unsigned cpu_query_group(unsigned max_group, unsigned n)
{
	if (n >= 12 && max_group >= 12)
		return 12;
	if (n >= 8 && max_group >= 8)
		return 8;
	if (n >= 6 && max_group >= 6)
		return 6;
	return n >= 4 ? 4 : n >= 2 ? 2 : n;
}

#endif
