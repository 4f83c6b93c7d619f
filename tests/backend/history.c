/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include "tests/sanitizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { EVERY = SANITIZED_EVERY(6) };

const enum tensor_type kv_types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0 };
_Static_assert(sizeof kv_types / sizeof *kv_types == N_KV_TYPES, "one number for both");

/* The nearest number of so many significant bits and no exponent below the least. */
static double nearest(double x, int n_bits, int least_exponent)
{
	int exponent;
	double unit;

	frexp(x, &exponent);
	unit = ldexp(1, (exponent > least_exponent ? exponent : least_exponent) - n_bits);
	return nearbyint(x / unit) * unit;
}

static float nearest_half(float x)
{
	return (float)fmax(-65504, fmin(65504, nearest((double)x, 11, -13)));
}

/* The largest is 127 scales; all divide as floats do. */
static void round_codes(const float *x, unsigned n, float *out)
{
	float max = 0, scale;

	for (unsigned i = 0; i < n; i++)
		max = fmaxf(max, fabsf(x[i]));
	scale = nearest_half(max / 127);
	for (unsigned i = 0; i < n; i++)
		out[i] = scale > 0 ?
			 scale * fmaxf(-127, fminf(127, roundf(x[i] * (1 / scale)))) : 0;
}

/* n vectors of dim elements each. */
static float *rounded(enum tensor_type type, const float *x, size_t n, unsigned dim)
{
	float *out = floats_alloc(n * dim);

	for (size_t i = 0; i < n * dim; i++)
		out[i] = type == TENSOR_F16 ? nearest_half(x[i]) :
			 type == TENSOR_BF16 ? (float)nearest((double)x[i], 8, -125) : x[i];
	for (size_t i = 0; type == TENSOR_Q8_0 && i < n; i++)
		for (unsigned d = 0; d < dim; d += 32)
			round_codes(x + i * dim + d, dim - d < 32 ? dim - d : 32,
				    out + i * dim + d);
	return out;
}

void history_init(struct history *s, struct shape shape, enum tensor_type type,
			 unsigned n_positions, unsigned first_block, unsigned block_step,
			 uint64_t seed)
{
	struct random random = { seed };
	size_t n_q = (size_t)n_positions * shape.n_heads * shape.head_dim;
	size_t n_k = (size_t)n_positions * shape.n_kv_heads * shape.head_dim;
	size_t n_v = (size_t)n_positions * shape.n_kv_heads * shape.value_dim;

	s->shape = shape;
	s->type = type;
	s->n_positions = n_positions;
	s->q = floats_alloc(n_q);
	s->k = floats_alloc(n_k);
	s->v = floats_alloc(n_v);
	random_fill(&random, s->q, n_q);
	random_fill(&random, s->k, n_k);
	random_fill(&random, s->v, n_v);
	for (size_t i = 0; i < n_q; i++)
		s->q[i] *= 4;
	s->stored_k = rounded(type, s->k, (size_t)n_positions * shape.n_kv_heads, shape.head_dim);
	s->stored_v = rounded(type, s->v, (size_t)n_positions * shape.n_kv_heads, shape.value_dim);
	for (unsigned i = 0; i * shape.block_length < n_positions; i++)
		s->blocks[i] = first_block + i * block_step;
}

void history_deinit(struct history *s)
{
	free(s->q);
	free(s->k);
	free(s->v);
	free(s->stored_k);
	free(s->stored_v);
}

static float scale_of(struct shape shape)
{
	return 1 / sqrtf((float)shape.head_dim);
}

/* As ALiBi has them. */
static float slope_of(const struct shape *shape, unsigned head)
{
	return shape->has_slopes ?
	       (float)exp2(-8 * (double)(head + 1) / (double)shape->n_heads) : 0;
}

static double bent(const struct shape *c, unsigned head, double score, double distance)
{
	if (c->cap > 0)
		score = (double)c->cap * tanh(score / (double)c->cap);
	return score + (double)slope_of(c, head) * distance;
}

void expected_head(const struct history *s, unsigned position, unsigned head, double *out)
{
	const struct shape *c = &s->shape;
	unsigned kv = head / (c->n_heads / c->n_kv_heads);
	const float *q = s->q + ((size_t)position * c->n_heads + head) * c->head_dim;
	unsigned begin = c->window && position >= c->window ? position + 1 - c->window : 0;
	double p[MAX_POSITIONS], max = -INFINITY, total = 0;

	for (unsigned i = begin; i <= position; i++) {
		const float *k = s->stored_k + ((size_t)i * c->n_kv_heads + kv) * c->head_dim;

		p[i] = 0;
		for (unsigned d = 0; d < c->head_dim; d++)
			p[i] += (double)q[d] * (double)k[d] * (double)scale_of(*c);
		p[i] = bent(c, head, p[i], (double)i - (double)position);
		max = fmax(max, p[i]);
	}
	for (unsigned d = 0; d < c->value_dim; d++)
		out[d] = 0;
	for (unsigned i = begin; i <= position; i++) {
		const float *v = s->stored_v + ((size_t)i * c->n_kv_heads + kv) * c->value_dim;

		p[i] = exp(p[i] - max);
		total += p[i];
		for (unsigned d = 0; d < c->value_dim; d++)
			out[d] += p[i] * (double)v[d];
	}
	for (unsigned d = 0; d < c->value_dim; d++)
		out[d] /= total;
}

struct kv_cache *make_cache(struct backend *backend, struct shape shape,
				   enum tensor_type type, unsigned n_blocks)
{
	struct kv_cache_config config = {
		.n_layers = 2, .n_blocks = n_blocks, .block_length = shape.block_length,
		.n_kv_heads = shape.n_kv_heads, .head_dim = shape.head_dim,
		.value_dim = shape.value_dim, .type = type, .window = shape.window,
		.table_blocks = shape.table_blocks,
	};
	struct kv_cache *cache;
	struct error err;

	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_OK);
	return cache;
}

void run_step(struct backend *backend, struct kv_cache *cache, const struct history *s,
		     unsigned n_sequences, const unsigned *first, const unsigned *n, float **out)
{
	const struct shape *c = &s->shape;
	size_t q_row = (size_t)c->n_heads * c->head_dim;
	size_t k_row = (size_t)c->n_kv_heads * c->head_dim;
	size_t v_row = (size_t)c->n_kv_heads * c->value_dim;
	size_t out_row = (size_t)c->n_heads * c->value_dim;
	float slopes[MAX_HEADS];
	const struct attention_shape shape = {
		.n_heads = c->n_heads, .scale = scale_of(*c), .cap = c->cap,
		.slopes = c->has_slopes ? slopes : NULL,
	};
	struct attention_span spans[8];
	unsigned n_rows = 0, row = 0;
	float *q, *k, *v, *y;

	for (unsigned i = 0; i < c->n_heads; i++)
		slopes[i] = slope_of(c, i);
	for (unsigned i = 0; i < n_sequences; i++)
		n_rows += n[i];
	assert_true(n_rows <= MAX_ROWS);
	/* No more than that, so that a sanitizer sees what goes beyond. */
	q = floats_alloc(n_rows * q_row);
	k = floats_alloc(n_rows * k_row);
	v = floats_alloc(n_rows * v_row);
	y = floats_alloc(n_rows * out_row);
	for (unsigned i = 0; i < n_sequences; i++) {
		spans[i] = (struct attention_span){ row, n[i], first[i], s[i].blocks };
		memcpy(q + row * q_row, s[i].q + first[i] * q_row, n[i] * q_row * sizeof *q);
		memcpy(k + row * k_row, s[i].k + first[i] * k_row, n[i] * k_row * sizeof *k);
		memcpy(v + row * v_row, s[i].v + first[i] * v_row, n[i] * v_row * sizeof *v);
		row += n[i];
	}
	backend->ops->kv_write(backend, cache, 1, spans, n_sequences, k, v);
	backend->ops->attention(backend, cache, 1, spans, n_sequences, q, &shape, y);
	for (unsigned i = 0; i < n_sequences; i++)
		memcpy(out[i] + first[i] * out_row, y + spans[i].first_row * out_row,
		       n[i] * out_row * sizeof *y);
	free(q);
	free(k);
	free(v);
	free(y);
}

/* What an element may be off by. Values are at most 1: their mean errs by the weights' errors.
 * Integers of 16 bits, root mean squares: queries, up to 4, err by 4 / 2^15 / sqrt(12) an element,
 * scores and weights by 2e-5, with k's root mean square of 1 / sqrt(3) and scores scaled by the
 * root of the dimension. Where one weight is all that counts, the rounding of 127 others adds
 * sqrt(127) * 2^-16 / sqrt(12) of v's root mean square, 3e-5. Hardly any sum comes near that. */
static double tolerance(const char *isa, enum tensor_type type)
{
	return type == TENSOR_Q8_0 && !strncmp(isa, "avx512", 6) ? 1e-4 : 4e-6;
}

void check_close(const char *isa, const struct history *s, const float *out, unsigned step)
{
	const struct shape *c = &s->shape;

	for (unsigned position = 0; position < s->n_positions; position += step * EVERY)
		for (unsigned head = 0; head < c->n_heads; head++) {
			size_t at = (size_t)position * c->n_heads + head;
			const float *y = out + at * c->value_dim;
			double expected[512];

			expected_head(s, position, head, expected);
			for (unsigned d = 0; d < c->value_dim; d++)
				if (!(fabs((double)y[d] - expected[d]) <= tolerance(isa, s->type)))
					fail_msg("%s, type %u, heads of %u and %u, position %u "
						 "head %u: %.9g, expected %.9g", isa, s->type,
						 c->head_dim, c->value_dim, position, head,
						 (double)y[d], expected[d]);
		}
}

void run_long(const char *isa, unsigned n_threads, const struct history *s, unsigned chunk,
		     float *out)
{
	struct backend *backend = open_cpu(isa, n_threads, MAX_ROWS, 64);
	unsigned n_blocks = s->blocks[0] + (s->shape.table_blocks ? s->shape.table_blocks :
					    s->n_positions / s->shape.block_length + 1);
	struct kv_cache *cache = make_cache(backend, s->shape, s->type, n_blocks);
	size_t row = (size_t)s->shape.n_heads * s->shape.value_dim;
	size_t last = (s->n_positions - 1) * row;
	float *kept = floats_alloc(row);
	unsigned n;

	for (unsigned first = 0; first < s->n_positions; first += n) {
		n = s->n_positions - first < chunk ? s->n_positions - first : chunk;
		run_step(backend, cache, s, 1, &first, &n, &out);
	}
	memcpy(kept, out + last, row * sizeof *out);
	n = s->n_positions - 1;
	run_step(backend, cache, s, 1, &n, &(unsigned){ 1 }, &out);
	assert_memory_equal(out + last, kept, row * sizeof *out);
	free(kept);
	backend->ops->kv_destroy(backend, cache);
	backend->ops->close(backend);
}

void for_each_isa(void (*check)(const char *isa, enum tensor_type type))
{
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, 1, 1);

		if (!backend)
			continue;
		backend->ops->close(backend);
		for (unsigned i = 0; i < N_KV_TYPES; i++)
			check(*isa, kv_types[i]);
	}
}
