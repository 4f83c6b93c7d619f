/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_KERNELS_ATTENTION_H
#define STAGECOACH_BACKEND_CPU_KERNELS_ATTENTION_H
/*
 * kernels_attention - the inner loops of attention: a part of each instruction set's table
 * (kernels.h).
 *
 * Layout of a record. A record holds some positions of one key-value head: as many as a block or a
 * slice.
 * - Keys are [head_dim][key_stride] elements, so neighbouring positions are adjacent.
 * - Values are strips of CPU_KV_GROUP columns (the last strip may be narrower, a multiple of
 *   lanes). Each strip is [length][width of the strip]; length is the record's number of positions.
 * With this layout neither loop adds across a vector, and both read memory sequentially.
 *
 * Types with scales store codes. CPU_KV_GROUP elements of one position's key or value share a
 * float16 scale: key_scales and value_scales [groups][key_stride]. A table with round_query
 * multiplies codes of Q8_0 as integers, CPU_KV_QUAD adjacent codes at a time: keys are [head_dim /
 * 4][key_stride][4], each code + 128; strips of values are [length / 4][width of the strip][4];
 * head_dim and length are padded.
 *
 * Order. A score is the sum of its products in the order of the elements; with scales, of each
 * group's elements first, then of the groups. A result's element is the sum over positions in
 * order, where each weight is first multiplied by the position's scale. The order is the same for
 * any number of queries and for unpacked slices, so all paths give the same bits. Integers are
 * summed exactly, over a group of elements or over the positions of a slice. The rounding of
 * queries and weights depends only on the query and the positions that it sees.
 *
 * A slice is CPU_SLICE_POSITIONS positions, counted from the sequence's first position, whatever
 * the block length. The block length therefore changes no bit.
 */
#include <stddef.h>
#include <stdint.h>

/* Element types of the cache and of unpacked slices. */
enum cpu_kv_type {
	CPU_KV_F32,
	CPU_KV_F16,
	CPU_KV_BF16,
	CPU_KV_Q8_0,
	CPU_KV_CODES,		/* Q8_0's codes as floats; used only for unpacked slices */
	CPU_N_KV_TYPES,
};

enum {
	CPU_KV_GROUP = 32,		/* elements per scale; columns per strip */
	CPU_MAX_QUERY_GROUP = 12,	/* queries that share each load of keys and values */
	CPU_KV_QUAD = 4,		/* codes that one integer multiplication takes at once */
	/* Positions between two updates of the running maximum; with integers, also the positions
	 * whose weights share a scale. Results depend on this number. */
	CPU_SLICE_POSITIONS = 128,
	CPU_MIN_LANES = 4,
	CPU_MAX_SLICE_VECTORS = CPU_SLICE_POSITIONS / CPU_MIN_LANES,
	CPU_MAX_SLICE_RUNS = CPU_MAX_SLICE_VECTORS,	/* no run is shorter than a vector */
};

/* A slice's positions of one record. */
struct cpu_kv_run {
	const void *values;	/* values of the whole record */
	const uint16_t *value_scales;	/* value scales of the run's first position */
	ptrdiff_t ahead;	/* bytes from values to what to prefetch while they are summed */
	unsigned from;		/* the run's first position in the record: a multiple of lanes */
	unsigned n;		/* positions */
	unsigned first;		/* the run's first position in the slice's vectors: likewise */
	unsigned skip;		/* positions at its start, fewer than lanes, that
				 * no query sees and whose values may be anything */
};

/* Some consecutive positions of a sequence for one key-value head. */
struct cpu_kv_slice {
	unsigned head_dim;
	unsigned value_width;	/* a multiple of lanes */
	unsigned length;	/* of its records */
	unsigned key_stride;	/* of its records: a multiple of lanes */
	unsigned first;		/* the first vector's place in the slice: a multiple of lanes */
	unsigned n_vectors;	/* vectors of positions that some query sees */
	unsigned n_runs;
	ptrdiff_t ahead;	/* bytes from keys to what to prefetch while they are scored */
	const void *keys[CPU_MAX_SLICE_VECTORS];	/* keys of each vector's positions: row 0 */
	const uint16_t *key_scales[CPU_MAX_SLICE_VECTORS];
	struct cpu_kv_run runs[CPU_MAX_SLICE_RUNS];
};

struct cpu_attention_kernels {
	unsigned max_group;

	/* Rounds query i of n_q, times factor, for the scores of Q8_0. The rounded queries need at
	 * most as much memory as floats, with head_dim padded to whole groups. NULL: the kernels
	 * read floats. */
	void (*round_query)(const float *query, float factor, unsigned head_dim, unsigned n_q,
			    unsigned i, void *to);
	/* s[q][vector * lanes + lane] = query q times key, for n_q queries. Queries are stored
	 * group by group, query[head_dim][n], where cpu_query_group gives each n in turn, or as
	 * round_query stored them. */
	void (*scores[CPU_N_KV_TYPES])(const struct cpu_kv_slice *slice, unsigned n_q,
				       const float *query, float *s, size_t lds);
	/* out[q][value_width] = out * shrink[q] + weights p[q] times values.
	 * scratch: CPU_MAX_QUERY_GROUP * ldp floats. */
	void (*values[CPU_N_KV_TYPES])(const struct cpu_kv_slice *slice, unsigned n_q,
				       const float *p, size_t ldp, const float *shrink,
				       float *scratch, float *out);
	/* Converts n stored elements (codes without their scales) to floats; n is a multiple of
	 * lanes. NULL: unpacking saves no time. */
	void (*unpack[CPU_N_KV_TYPES])(const void *stored, size_t n, float *out);

	/* Rounds CPU_KV_GROUP finite floats within a half's range to the nearest halves. */
	void (*to_halves)(const float *x, uint16_t *out);
	/* Scores of neighbouring positions, the first of them `distance` after the query (not
	 * positive where it sees them): cap > 0: s = cap * tanh(s / cap); then
	 * s += slope * distance. n is a multiple of lanes. */
	void (*bend)(float *s, unsigned n, float cap, float slope, float distance);
	/* Turns one query's next n scores (a multiple of lanes) into weights relative to the new
	 * maximum. Returns the factor by which earlier sums shrink. Start with max -INFINITY and
	 * total 0. */
	float (*softmax)(float *s, unsigned n, float *max, float *total);
	/* Merges one query's result for later positions: sum[n], n a multiple of lanes. */
	void (*merge)(float *max, float *total, float *sum, float next_max, float next_total,
		      const float *next_sum, unsigned n);
};

/* The number of queries, of n, that the next group has. */
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
