/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_BACKEND_HISTORY_H
#define STAGECOACH_TESTS_BACKEND_HISTORY_H
/*
 * history - sequences with all their queries, keys and values, which tests of attention run through
 * a backend in steps and compare with softmax in double.
 */
#include "oracle.h"

enum { MAX_ROWS = 256, MAX_POSITIONS = 1200, MAX_HEADS = 100 };

struct shape {
	unsigned n_heads;
	unsigned n_kv_heads;
	unsigned head_dim;
	unsigned value_dim;
	unsigned block_length;
	unsigned window;
	unsigned table_blocks;
	float cap;
	bool has_slopes;
};

#define SHAPE(heads, kv_heads, keys, values, length) .n_heads = heads,			\
	.n_kv_heads = kv_heads, .head_dim = keys, .value_dim = values, .block_length = length

/* One sequence's queries, keys and values, and where its blocks are. */
struct history {
	struct shape shape;
	enum tensor_type type;
	unsigned n_positions;
	float *q;
	float *k;
	float *v;
	float *stored_k;	/* as the cache rounds them */
	float *stored_v;
	uint32_t blocks[MAX_POSITIONS];
};

/* Block i of the sequence is first_block + i * block_step. */
void history_init(struct history *s, struct shape shape, enum tensor_type type,
		  unsigned n_positions, unsigned first_block, unsigned block_step, uint64_t seed);
void history_deinit(struct history *s);

/* Softmax over all positions that the row sees at once, in double: out[value_dim]. */
void expected_head(const struct history *s, unsigned position, unsigned head, double *out);

struct kv_cache *make_cache(struct backend *backend, struct shape shape, enum tensor_type type,
			    unsigned n_blocks);

/* Positions [first, first + n) of each sequence as one step, rows packed; results to their places
 * in out[i][n_positions][n_heads][value_dim]. */
void run_step(struct backend *backend, struct kv_cache *cache, const struct history *s,
	      unsigned n_sequences, const unsigned *first, const unsigned *n, float **out);

/* Runs the sequence in steps of `chunk` rows, then the last row again, alone. */
void run_long(const char *isa, unsigned n_threads, const struct history *s, unsigned chunk,
	      float *out);

/* Compares every so many-th position with double. */
void check_close(const char *isa, const struct history *s, const float *out, unsigned step);

extern const enum tensor_type kv_types[];
enum { N_KV_TYPES = 4 };

/* Calls check for each instruction set of this machine, with each type. */
void for_each_isa(void (*check)(const char *isa, enum tensor_type type));

#endif
