/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ROWS = 256, MAX_POSITIONS = 300 };

struct shape {
	unsigned n_heads;
	unsigned n_kv_heads;
	unsigned head_dim;
	unsigned value_dim;
	unsigned block_length;
};

static const struct shape shapes[] = {
	{ 1, 1, 1, 1, 1 },	{ 4, 4, 16, 16, 16 },	{ 8, 2, 48, 48, 16 },
	{ 7, 1, 20, 12, 8 },	{ 6, 2, 64, 64, 32 },	{ 12, 1, 8, 8, 5 },
	{ 4, 2, 33, 17, 100 },	{ 9, 3, 128, 128, 64 },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* One sequence's queries, keys and values, and where its blocks are. */
struct sequence {
	struct shape shape;
	unsigned n_positions;
	float *q;
	float *k;
	float *v;
	uint32_t blocks[MAX_POSITIONS];
};

static void sequence_init(struct sequence *s, struct shape shape, unsigned n_positions,
			  unsigned first_block, unsigned block_step, uint64_t seed)
{
	struct random random = { seed };
	size_t n_q = (size_t)n_positions * shape.n_heads * shape.head_dim;
	size_t n_k = (size_t)n_positions * shape.n_kv_heads * shape.head_dim;
	size_t n_v = (size_t)n_positions * shape.n_kv_heads * shape.value_dim;

	s->shape = shape;
	s->n_positions = n_positions;
	s->q = floats_alloc(n_q);
	s->k = floats_alloc(n_k);
	s->v = floats_alloc(n_v);
	random_fill(&random, s->q, n_q);
	random_fill(&random, s->k, n_k);
	random_fill(&random, s->v, n_v);
	for (size_t i = 0; i < n_q; i++)
		s->q[i] *= 4;
	for (unsigned i = 0; i * shape.block_length < n_positions; i++)
		s->blocks[i] = first_block + i * block_step;
}

static void sequence_deinit(struct sequence *s)
{
	free(s->q);
	free(s->k);
	free(s->v);
}

static float scale_of(struct shape shape)
{
	return 1 / sqrtf((float)shape.head_dim);
}

/* Softmax over all positions at once, in double. */
static void expected_head(const struct sequence *s, unsigned position, unsigned head, double *out)
{
	const struct shape *c = &s->shape;
	unsigned kv = head / (c->n_heads / c->n_kv_heads);
	const float *q = s->q + ((size_t)position * c->n_heads + head) * c->head_dim;
	double p[MAX_POSITIONS], max = -INFINITY, total = 0;

	for (unsigned i = 0; i <= position; i++) {
		const float *k = s->k + ((size_t)i * c->n_kv_heads + kv) * c->head_dim;

		p[i] = 0;
		for (unsigned d = 0; d < c->head_dim; d++)
			p[i] += (double)q[d] * (double)k[d] * (double)scale_of(*c);
		max = fmax(max, p[i]);
	}
	for (unsigned d = 0; d < c->value_dim; d++)
		out[d] = 0;
	for (unsigned i = 0; i <= position; i++) {
		const float *v = s->v + ((size_t)i * c->n_kv_heads + kv) * c->value_dim;

		p[i] = exp(p[i] - max);
		total += p[i];
		for (unsigned d = 0; d < c->value_dim; d++)
			out[d] += p[i] * (double)v[d];
	}
	for (unsigned d = 0; d < c->value_dim; d++)
		out[d] /= total;
}

static struct kv_cache *make_cache(struct backend *backend, struct shape shape, unsigned n_blocks)
{
	struct kv_cache_config config = {
		.n_layers = 2, .n_blocks = n_blocks, .block_length = shape.block_length,
		.n_kv_heads = shape.n_kv_heads, .head_dim = shape.head_dim,
		.value_dim = shape.value_dim,
	};
	struct kv_cache *cache;
	struct error err;

	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_OK);
	return cache;
}

/* Positions [first, first + n) of each sequence as one step, rows packed; results to their places
 * in out[i][n_positions][n_heads][value_dim]. */
static void run_step(struct backend *backend, struct kv_cache *cache, const struct sequence *s,
		     unsigned n_sequences, const unsigned *first, const unsigned *n, float **out)
{
	const struct shape *c = &s->shape;
	size_t q_row = (size_t)c->n_heads * c->head_dim, k_row = (size_t)c->n_kv_heads * c->head_dim;
	size_t v_row = (size_t)c->n_kv_heads * c->value_dim;
	size_t out_row = (size_t)c->n_heads * c->value_dim;
	float *q = floats_alloc(MAX_ROWS * q_row), *k = floats_alloc(MAX_ROWS * k_row);
	float *v = floats_alloc(MAX_ROWS * v_row), *y = floats_alloc(MAX_ROWS * out_row);
	struct attention_span spans[8];
	unsigned row = 0;

	for (unsigned i = 0; i < n_sequences; i++) {
		spans[i] = (struct attention_span){ row, n[i], first[i], s[i].blocks };
		memcpy(q + row * q_row, s[i].q + first[i] * q_row, n[i] * q_row * sizeof *q);
		memcpy(k + row * k_row, s[i].k + first[i] * k_row, n[i] * k_row * sizeof *k);
		memcpy(v + row * v_row, s[i].v + first[i] * v_row, n[i] * v_row * sizeof *v);
		row += n[i];
	}
	assert_true(row <= MAX_ROWS);
	backend->ops->kv_write(backend, cache, 1, spans, n_sequences, k, v);
	backend->ops->attention(backend, cache, 1, spans, n_sequences, q, c->n_heads,
				scale_of(*c), y);
	for (unsigned i = 0; i < n_sequences; i++)
		memcpy(out[i] + first[i] * out_row, y + spans[i].first_row * out_row,
		       n[i] * out_row * sizeof *y);
	free(q);
	free(k);
	free(v);
	free(y);
}

static void check_close(const struct sequence *s, const float *out)
{
	const struct shape *c = &s->shape;

	for (unsigned position = 0; position < s->n_positions; position++)
		for (unsigned head = 0; head < c->n_heads; head++) {
			const float *y = out + ((size_t)position * c->n_heads + head) * c->value_dim;
			double expected[512];

			expected_head(s, position, head, expected);
			for (unsigned d = 0; d < c->value_dim; d++)
				/* Values are at most 1: their mean errs by the weights' errors. */
				if (!(fabs((double)y[d] - expected[d]) <= 4e-6))
					fail_msg("position %u head %u: %.9g, expected %.9g", position,
						 head, (double)y[d], expected[d]);
		}
}

/* A whole prompt, then the same in chunks of every size beside other sequences. */
static void check_shape(const char *isa, unsigned n_threads, struct shape shape)
{
	struct backend *backend = open_cpu(isa, n_threads, MAX_ROWS, 2048);
	unsigned n_blocks = 3 * (MAX_POSITIONS / shape.block_length + 1);
	struct kv_cache *cache = make_cache(backend, shape, n_blocks);
	unsigned n[3] = { 150, 77, 3 }, zero[3] = { 0, 0, 0 };
	struct sequence s[3];
	float *whole[3], *chunked[3];
	size_t n_out[3];

	for (unsigned i = 0; i < 3; i++) {
		/* Interleaved blocks, one sequence's in descending order. */
		sequence_init(&s[i], shape, n[i], i == 1 ? n_blocks - 2 - n_blocks % 3 : i,
			      i == 1 ? -3u : 3, i + 11);
		n_out[i] = (size_t)n[i] * shape.n_heads * shape.value_dim;
		whole[i] = floats_alloc(n_out[i]);
		chunked[i] = floats_alloc(n_out[i]);
	}
	run_step(backend, cache, s, 3, zero, n, whole);
	for (unsigned i = 0; i < 3; i++)
		check_close(&s[i], whole[i]);
	for (unsigned size = 1; size < 100; size = size * 3 + 1) {
		unsigned first[3] = { 0, 0, 0 };

		backend->ops->kv_destroy(backend, cache);
		cache = make_cache(backend, shape, n_blocks);
		while (first[0] < n[0]) {
			unsigned step[3];

			for (unsigned i = 0; i < 3; i++)
				step[i] = n[i] - first[i] < size + i ? n[i] - first[i] : size + i;
			run_step(backend, cache, s, 3, first, step, chunked);
			for (unsigned i = 0; i < 3; i++)
				first[i] += step[i];
		}
		for (unsigned i = 0; i < 3; i++)
			assert_memory_equal(whole[i], chunked[i], n_out[i] * sizeof(float));
	}
	for (unsigned i = 0; i < 3; i++) {
		sequence_deinit(&s[i]);
		free(whole[i]);
		free(chunked[i]);
	}
	backend->ops->kv_destroy(backend, cache);
	backend->ops->close(backend);
}

static void attention_matches_double_and_chunks_of_prompts_leave_no_trace(void **state)
{
	(void)state;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, 1, 1);

		if (!backend) {
			print_message("%s: not on this machine\n", *isa);
			continue;
		}
		backend->ops->close(backend);
		for (unsigned i = 0; i < N_SHAPES; i++)
			check_shape(*isa, 1 + i % 4, shapes[i]);
	}
}

static void threads_leave_no_trace(void **state)
{
	const struct shape shape = { 8, 2, 48, 48, 16 };
	size_t n_out = 200 * 8 * 48;
	float *first = floats_alloc(n_out), *y = floats_alloc(n_out);
	unsigned n = 200, zero = 0;
	struct sequence s;

	(void)state;
	sequence_init(&s, shape, n, 0, 1, 5);
	for (const char *const *isa = oracle_isas; *isa; isa++)
		for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
			struct backend *backend = open_cpu(*isa, n_threads, MAX_ROWS, 64);
			struct kv_cache *cache;

			if (!backend)
				continue;
			cache = make_cache(backend, shape, 13);
			run_step(backend, cache, &s, 1, &zero, &n, n_threads == 1 ? &first : &y);
			if (n_threads > 1)
				assert_memory_equal(y, first, n_out * sizeof *y);
			backend->ops->kv_destroy(backend, cache);
			backend->ops->close(backend);
		}
	sequence_deinit(&s);
	free(first);
	free(y);
}

/* What lies in a block behind the last position is another sequence's, or nobody's. */
static void what_blocks_held_before_is_not_seen(void **state)
{
	const struct shape shape = { 4, 2, 24, 24, 16 };
	unsigned n_long = 100, n_short = 37, zero = 0;
	float *out = floats_alloc(100 * 4 * 24), *fresh = floats_alloc(100 * 4 * 24);
	struct sequence old, s;

	(void)state;
	sequence_init(&old, shape, n_long, 0, 1, 1);
	sequence_init(&s, shape, n_short, 0, 1, 2);
	for (size_t i = 0; i < (size_t)n_long * 2 * 24; i++)
		old.k[i] *= 1e30f;
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 2, MAX_ROWS, 64);
		struct kv_cache *cache;

		if (!backend)
			continue;
		cache = make_cache(backend, shape, 8);
		run_step(backend, cache, &s, 1, &zero, &n_short, &fresh);
		run_step(backend, cache, &old, 1, &zero, &n_long, &out);
		run_step(backend, cache, &s, 1, &zero, &n_short, &out);
		assert_memory_equal(out, fresh, (size_t)n_short * 4 * 24 * sizeof *out);
		backend->ops->kv_destroy(backend, cache);
		backend->ops->close(backend);
	}
	sequence_deinit(&old);
	sequence_deinit(&s);
	free(out);
	free(fresh);
}

static void caches_out_of_range_are_refused(void **state)
{
	struct backend *backend = open_cpu("scalar", 1, 1, 1);
	struct kv_cache_config config = { 1, 1, 16, 1, 0, 16 };
	struct kv_cache *cache = NULL;
	struct error err;

	(void)state;
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_INVALID);
	config = (struct kv_cache_config){ 1u << 16, UINT32_MAX, 1024, 1u << 14, 1u << 14, 1u << 14 };
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_CAPACITY);
	assert_null(cache);
	backend->ops->kv_destroy(backend, NULL);
	backend->ops->close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attention_matches_double_and_chunks_of_prompts_leave_no_trace),
		cmocka_unit_test(threads_leave_no_trace),
		cmocka_unit_test(what_blocks_held_before_is_not_seen),
		cmocka_unit_test(caches_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
