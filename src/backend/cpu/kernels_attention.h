/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KERNELS_ATTENTION_H
#define STAGECOACH_BACKEND_CPU_KERNELS_ATTENTION_H
/*
 * kernels_attention - the inner loops of attention, a part of each instruction set's table; see
 * kernels.h for what such tables are.
 *
 * Layout of one block's keys for one key-value head: [head_dim][key_stride] elements, the scores of
 * neighbouring positions side by side. Layout of its values: strips of CPU_KV_GROUP columns (the
 * last one may be narrower, a multiple of lanes), each [block_length][width of the strip]. So
 * neither loop adds across a vector, and both read memory from one end to the other.
 *
 * Types with scales hold codes; CPU_KV_GROUP elements of one position's key or value share a
 * float16 scale: key_scales and value_scales [groups][key_stride]. A table with round_query
 * multiplies codes of Q8_0 as integers, CPU_KV_QUAD at a time, which lie together: keys are
 * [head_dim / 4][key_stride][4], each code + 128, and strips of values
 * [block_length / 4][width of the strip][4], head_dim and block_length padded to that.
 *
 * Order: a score is the sum of its products in the order of the elements (with scales: of each
 * group's, then of the groups); an element of a result the sum over positions in order, each
 * weight multiplied by the position's scale first. The same for any number of queries, and for a
 * chunk that was unpacked first, so all ways give the same bits. Integers are summed exactly, over
 * a group of elements or at most CPU_KV_PIECE positions of a chunk; what queries and weights are
 * rounded to depends on nothing but the query and the positions that it sees.
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
	CPU_KV_PIECE = 128,		/* positions at most whose weights get one scale for that */
	CPU_MAX_CHUNK_BLOCKS = 64,
	CPU_MAX_CHUNK_SCORES = 256,	/* of several blocks, their padding included */
	CPU_MAX_CHUNK_VECTORS = 256,
};

/* One block's part of a chunk. */
struct cpu_kv_run {
	const void *values;
	const uint16_t *value_scales;
	const void *ahead;	/* what to have near when this has been summed: as many bytes */
	unsigned n;		/* positions */
	unsigned first;		/* the place of their scores and weights: of whole blocks */
};

/* Some consecutive positions of a sequence for one key-value head. */
struct cpu_kv_chunk {
	unsigned head_dim;
	unsigned value_width;	/* a multiple of lanes */
	unsigned block_length;
	unsigned key_stride;	/* a multiple of lanes */
	unsigned n_vectors;	/* of positions; those of a block that nobody sees are left out */
	unsigned n_runs;
	size_t ahead;		/* bytes from keys to what to have near when these are scored */
	const void *keys[CPU_MAX_CHUNK_VECTORS];	/* of each vector's positions: row 0 */
	const uint16_t *key_scales[CPU_MAX_CHUNK_VECTORS];
	struct cpu_kv_run runs[CPU_MAX_CHUNK_BLOCKS];
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
