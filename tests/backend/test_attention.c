/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"
#include "tests/sanitizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ROWS = 256, MAX_POSITIONS = 1200 };
enum { EVERY = SANITIZED_EVERY(6), THREADS_STEP = SANITIZED_EVERY(2) };

static const enum tensor_type types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0 };
enum { N_TYPES = sizeof types / sizeof *types };

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

#define SHAPE(heads, kv_heads, keys, values, length) { .n_heads = heads,			\
	.n_kv_heads = kv_heads, .head_dim = keys, .value_dim = values, .block_length = length }

static const struct shape shapes[] = {
	SHAPE(1, 1, 1, 1, 1),	SHAPE(4, 4, 16, 16, 16),	SHAPE(8, 2, 48, 48, 16),
	SHAPE(7, 1, 20, 12, 8),	SHAPE(6, 2, 64, 64, 32),	SHAPE(12, 1, 8, 8, 5),
	SHAPE(4, 2, 33, 17, 100),	SHAPE(9, 3, 128, 128, 64),	SHAPE(3, 1, 40, 40, 32),
	SHAPE(10, 2, 80, 96, 32),	SHAPE(5, 5, 96, 64, 32),	SHAPE(2, 1, 256, 256, 32),
	SHAPE(13, 1, 64, 112, 16),	SHAPE(4, 2, 64, 48, 17),
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

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

static void history_init(struct history *s, struct shape shape, enum tensor_type type,
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

static void history_deinit(struct history *s)
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

/* Softmax over all positions at once, in double. */
static void expected_head(const struct history *s, unsigned position, unsigned head, double *out)
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

static struct kv_cache *make_cache(struct backend *backend, struct shape shape,
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

/* Positions [first, first + n) of each sequence as one step, rows packed; results to their places
 * in out[i][n_positions][n_heads][value_dim]. */
static void run_step(struct backend *backend, struct kv_cache *cache, const struct history *s,
		     unsigned n_sequences, const unsigned *first, const unsigned *n, float **out)
{
	const struct shape *c = &s->shape;
	size_t q_row = (size_t)c->n_heads * c->head_dim;
	size_t k_row = (size_t)c->n_kv_heads * c->head_dim;
	size_t v_row = (size_t)c->n_kv_heads * c->value_dim;
	size_t out_row = (size_t)c->n_heads * c->value_dim;
	float slopes[16];
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

/* Every so many-th position. */
static void check_close(const char *isa, const struct history *s, const float *out, unsigned step)
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

/* A whole prompt, then the same in chunks of every size beside other sequences. */
static void check_shape(const char *isa, unsigned n_threads, struct shape shape,
			enum tensor_type type)
{
	struct backend *backend = open_cpu(isa, n_threads, MAX_ROWS, 2048);
	unsigned n_blocks = 3 * (150 / shape.block_length + 1);
	struct kv_cache *cache = make_cache(backend, shape, type, n_blocks);
	unsigned n[3] = { 150, 77, 3 }, zero[3] = { 0, 0, 0 };
	struct history s[3];
	float *whole[3], *chunked[3];
	size_t n_out[3];

	for (unsigned i = 0; i < 3; i++) {
		/* Interleaved blocks, one sequence's in descending order. */
		history_init(&s[i], shape, type, n[i], i == 1 ? n_blocks - 2 - n_blocks % 3 : i,
			     i == 1 ? -3u : 3, i + 11);
		n_out[i] = (size_t)n[i] * shape.n_heads * shape.value_dim;
		whole[i] = floats_alloc(n_out[i]);
		chunked[i] = floats_alloc(n_out[i]);
	}
	run_step(backend, cache, s, 3, zero, n, whole);
	for (unsigned i = 0; i < 3; i++)
		check_close(isa, &s[i], whole[i], 1);
	for (unsigned size = 1; size < 100; size = size * 3 + 1) {
		unsigned first[3] = { 0, 0, 0 };

		backend->ops->kv_destroy(backend, cache);
		cache = make_cache(backend, shape, type, n_blocks);
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
		history_deinit(&s[i]);
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
		for (unsigned i = 0; i < N_SHAPES * N_TYPES; i++)
			check_shape(*isa, 1 + i % 4, shapes[i / N_TYPES], types[i % N_TYPES]);
	}
}

/* Prompts of `chunk` rows, then the last row again, alone. */
static void run_long(const char *isa, unsigned n_threads, const struct history *s, unsigned chunk,
		     float *out)
{
	struct backend *backend = open_cpu(isa, n_threads, MAX_ROWS, 64);
	unsigned n_blocks = s->shape.table_blocks ? s->shape.table_blocks :
			    s->n_positions / s->shape.block_length + 1;
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

/* Long enough that threads share one row's positions. */
static void threads_leave_no_trace(void **state)
{
	static const struct shape long_shapes[] = {
		SHAPE(4, 2, 40, 24, 32), SHAPE(1, 1, 64, 64, 32),
		SHAPE(7, 1, 16, 16, 128), SHAPE(2, 1, 32, 48, 300),
	};

	(void)state;
	for (unsigned i = 0; i < 4 * N_TYPES; i++) {
		struct shape shape = long_shapes[i / N_TYPES];
		size_t n_out = (size_t)MAX_POSITIONS * shape.n_heads * shape.value_dim;
		float *first = floats_alloc(n_out), *y = floats_alloc(n_out);
		struct history s;

		history_init(&s, shape, types[i % N_TYPES], MAX_POSITIONS, 0, 1, i);
		for (const char *const *isa = oracle_isas; *isa; isa++) {
			struct backend *backend = open_cpu(*isa, 1, 1, 1);

			if (!backend)
				continue;
			backend->ops->close(backend);
			run_long(*isa, 1, &s, MAX_ROWS, first);
			check_close(*isa, &s, first, 23);
			for (unsigned n_threads = 2; n_threads <= 4; n_threads += THREADS_STEP) {
				run_long(*isa, n_threads, &s, n_threads * 50, y);
				assert_memory_equal(y, first, n_out * sizeof *y);
			}
		}
		history_deinit(&s);
		free(first);
		free(y);
	}
}

/* With each type. */
static void for_each_isa(void (*check)(const char *isa, enum tensor_type type))
{
	for (const char *const *isa = oracle_isas; *isa; isa++) {
		struct backend *backend = open_cpu(*isa, 1, 1, 1);

		if (!backend)
			continue;
		backend->ops->close(backend);
		for (unsigned i = 0; i < N_TYPES; i++)
			check(*isa, types[i]);
	}
}

/* Of 32 positions, the default, which all others are compared with; then shorter and longer than a
 * vector and than a slice, multiples of either or not. */
static const unsigned block_lengths[] = { 32, 1, 8, 16, 24, 33, 48, 64, 100, 128, 160, 256, 1024 };
enum { N_BLOCK_LENGTHS = sizeof block_lengths / sizeof *block_lengths };

/* More than a part; heads and values end within a vector, a group and four codes. */
static void check_block_lengths(const char *isa, enum tensor_type type)
{
	static const struct shape block_shapes[] = {
		SHAPE(4, 2, 40, 24, 0), SHAPE(12, 1, 33, 50, 0),
	};
	enum { N_POSITIONS = 700 };

	for (unsigned i = 0; i < 2 * N_BLOCK_LENGTHS; i++) {
		static float expected[N_POSITIONS * 12 * 50];
		struct shape shape = block_shapes[i / N_BLOCK_LENGTHS];
		size_t n_out = (size_t)N_POSITIONS * shape.n_heads * shape.value_dim;
		struct history s;
		float *out;

		if (i % N_BLOCK_LENGTHS % EVERY)
			continue;
		out = floats_alloc(n_out);
		shape.block_length = block_lengths[i % N_BLOCK_LENGTHS];
		history_init(&s, shape, type, N_POSITIONS, 0, 1, 8);
		run_long(isa, 1 + i % 3, &s, i % 2 ? 19 : MAX_ROWS, out);
		if (i % N_BLOCK_LENGTHS == 0)
			memcpy(expected, out, n_out * sizeof *out);
		else if (memcmp(expected, out, n_out * sizeof *out) != 0)
			fail_msg("%s, type %u: blocks of %u positions give other bits than blocks "
				 "of %u", isa, type, shape.block_length, block_lengths[0]);
		history_deinit(&s);
		free(out);
	}
}

static void block_lengths_leave_no_trace(void **state)
{
	(void)state;
	for_each_isa(check_block_lengths);
}

/* --- windows, caps and slopes --- */

/* The fewest blocks of a ring for steps of n rows. */
static unsigned ring_of(unsigned window, unsigned block_length, unsigned n)
{
	return (window - 1 + n + block_length - 1) / block_length + 1;
}

/* Windows that cut slices (128), parts (512) and blocks; one row, a vector, and more than all. */
static void check_windows(const char *isa, enum tensor_type type)
{
	static const unsigned windows[] = { 1, 5, 32, 33, 100, 129, 511, 600, 2000 };
	static const unsigned lengths[] = { 32, 5, 16, 48, 128, 256 };
	enum { N_POSITIONS = 1100, CHUNK = 100 };

	for (unsigned i = 0; i < 9 * 6; i++) {
		struct shape shape = SHAPE(4, 2, 40, 24, lengths[i % 6]);
		size_t n_out = (size_t)N_POSITIONS * 4 * 24;
		float *all, *ring;
		struct history s;

		if ((i + (unsigned)type) % (4 * EVERY))
			continue;
		all = floats_alloc(n_out);
		ring = floats_alloc(n_out);
		shape.window = windows[i / 6];
		shape.has_slopes = i / 4 % 4 == 1;
		shape.cap = i / 4 % 4 == 2 ? 2.5f : 0;
		history_init(&s, shape, type, N_POSITIONS, 0, 1, i);
		run_long(isa, 1 + i % 3, &s, MAX_ROWS, all);
		check_close(isa, &s, all, 37);
		for (unsigned chunk = 1; chunk <= CHUNK; chunk += CHUNK - 1) {
			s.shape.table_blocks = ring_of(shape.window, shape.block_length, chunk);
			run_long(isa, 1 + i % 2, &s, chunk, ring);
			if (memcmp(ring, all, n_out * sizeof *all) != 0)
				fail_msg("%s, type %u: window %u, blocks of %u: a ring of %u blocks gives "
					 "other bits than all blocks", isa, type, shape.window,
					 shape.block_length, s.shape.table_blocks);
		}
		history_deinit(&s);
		free(all);
		free(ring);
	}
}

static void windows_match_double_and_rings_leave_no_trace(void **state)
{
	(void)state;
	for_each_isa(check_windows);
}

/* Squares of what is off in every 29-th position, and of what the cache's rounding did to it. */
static void measure_errors(const struct history *s, const float *out, double *added_out,
			   double *rounding_out)
{
	struct history unrounded = *s;
	double expected[128], ideal[128];

	unrounded.stored_k = s->k;
	unrounded.stored_v = s->v;
	*added_out = *rounding_out = 0;
	for (unsigned position = 100; position < s->n_positions; position += 29)
		for (unsigned head = 0; head < s->shape.n_heads; head++) {
			size_t at = (size_t)position * s->shape.n_heads + head;

			expected_head(s, position, head, expected);
			expected_head(&unrounded, position, head, ideal);
			for (unsigned d = 0; d < s->shape.value_dim; d++) {
				double y = (double)out[at * s->shape.value_dim + d];

				*added_out += pow(y - expected[d], 2);
				*rounding_out += pow(expected[d] - ideal[d], 2);
			}
		}
}

/* Weights that are nearly even, and such that few count; some dimensions of queries are far larger
 * than others. */
static void arithmetic_errs_far_less_than_q8_0_rounds(void **state)
{
	static const float factors[] = { 0.1f, 1, 5 };
	const struct shape shape = SHAPE(4, 2, 128, 64, 32);
	size_t n_q = (size_t)1000 * 4 * 128;
	float *out = floats_alloc((size_t)1000 * 4 * 64);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct history s;

		history_init(&s, shape, TENSOR_Q8_0, 1000, 0, 1, 5 + i);
		for (size_t k = 0; k < n_q; k++)
			s.q[k] *= factors[i] * (k % 64 == 5 ? 6 : 1);
		for (const char *const *isa = oracle_isas; *isa; isa++) {
			struct backend *backend = open_cpu(*isa, 1, 1, 1);
			double added, rounding;

			if (!backend)
				continue;
			backend->ops->close(backend);
			run_long(*isa, 1, &s, MAX_ROWS, out);
			measure_errors(&s, out, &added, &rounding);
			if (!(sqrt(added) <= sqrt(rounding) / 50))
				fail_msg("%s, queries * %g: arithmetic errs by %g, rounding by %g",
					 *isa, (double)factors[i], sqrt(added), sqrt(rounding));
		}
		history_deinit(&s);
	}
	free(out);
}

/* All weights alike, all codes the largest: the most that integers are summed to. */
static void check_largest_sums(const char *isa, enum tensor_type type)
{
	static const unsigned lengths[] = { 5, 32, 128, 300 };

	for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		const struct shape shape = SHAPE(1, 1, 64, 32, lengths[i]);
		struct history s;
		float *out = floats_alloc((size_t)MAX_POSITIONS * shape.value_dim);

		history_init(&s, shape, type, MAX_POSITIONS, 0, 1, 1);
		for (size_t k = 0; k < (size_t)MAX_POSITIONS * shape.head_dim; k++) {
			s.q[k] = i % 2 ? 100 : -100;
			s.k[k] = 1;
		}
		for (size_t k = 0; k < (size_t)MAX_POSITIONS * shape.value_dim; k++)
			s.v[k] = k % 2 ? -1 : 1;
		run_long(isa, 1, &s, MAX_ROWS, out);
		for (size_t k = 0; k < (size_t)MAX_POSITIONS * shape.value_dim; k++)
			assert_float_equal(out[k], (k % 2 ? -1.0f : 1.0f), 1e-3f);
		history_deinit(&s);
		free(out);
	}
}

static void sums_of_the_largest_integers_fit(void **state)
{
	(void)state;
	for_each_isa(check_largest_sums);
}

static void check_extremes(const char *isa, enum tensor_type type)
{
	const struct shape shape = SHAPE(1, 1, 16, 16, 16);
	unsigned one = 1, zero = 0;
	float *out = floats_alloc(16);
	struct backend *backend = open_cpu(isa, 1, MAX_ROWS, 64);
	struct kv_cache *cache = make_cache(backend, shape, type, 1);
	struct history s;

	history_init(&s, shape, type, 1, 0, 1, 3);
	for (unsigned d = 0; d < 16; d++)
		s.v[d] = d % 2 ? -1e30f : 1e30f;
	run_step(backend, cache, &s, 1, &zero, &one, &out);
	for (unsigned d = 0; d < 16; d++)
		assert_true(isfinite(out[d]) && (out[d] < 0) == d % 2);
	memset(s.q, 0, 16 * sizeof *s.q);
	run_step(backend, cache, &s, 1, &zero, &one, &out);
	assert_true(isfinite(out[3]));
	s.q[5] = NAN;
	run_step(backend, cache, &s, 1, &zero, &one, &out);
	assert_true(isnan(out[3]));
	s.q[5] = 0;
	s.v[3] = NAN;
	run_step(backend, cache, &s, 1, &zero, &one, &out);
	assert_true(isnan(out[3]));
	history_deinit(&s);
	backend->ops->kv_destroy(backend, cache);
	backend->ops->close(backend);
	free(out);
}

/* And what is not a number leaves none. */
static void keys_and_values_too_large_for_the_type_stay_finite(void **state)
{
	(void)state;
	for_each_isa(check_extremes);
}

/* Keys and values are counted wherever they lie: in whole groups of 32 elements and in others. */
static void check_saturation(const char *isa, enum tensor_type type)
{
	const struct shape shape = SHAPE(2, 2, 48, 40, 16);
	const float values[] = { 65504, nextafterf(65504, INFINITY), 70000, -1e6f, -127 * 65504,
				 8.4e6f, -1e30f, NAN };
	enum { N_VALUES = sizeof values / sizeof *values, N = 80 };
	float *out = floats_alloc((size_t)N * 2 * 40);
	struct backend *backend = open_cpu(isa, 3, MAX_ROWS, 64);
	struct kv_cache *cache = make_cache(backend, shape, type, 8);
	unsigned n = N, zero = 0, layer = 99;
	uint64_t expected = type == TENSOR_F16 ? 2 * 6 : type == TENSOR_Q8_0 ? 2 * 2 : 0;
	struct history s;

	history_init(&s, shape, type, n, 0, 1, 3);
	run_step(backend, cache, &s, 1, &zero, &n, &out);
	assert_int_equal(backend->ops->kv_saturated(cache, &layer), 0);
	for (unsigned i = 0; i < N_VALUES; i++) {
		s.k[(size_t)i * 9 * 2 * 48 + (i * 17 + 30) % 96] = values[i];
		s.v[(size_t)i * 10 * 2 * 40 + (i * 13 + 31) % 80] = values[i];
	}
	run_step(backend, cache, &s, 1, &zero, &n, &out);
	assert_int_equal(backend->ops->kv_saturated(cache, &layer), expected);
	/* That of run_step. */
	assert_true(!expected || layer == 1);
	run_step(backend, cache, &s, 1, &zero, &n, &out);
	assert_int_equal(backend->ops->kv_saturated(cache, &layer), 2 * expected);
	history_deinit(&s);
	backend->ops->kv_destroy(backend, cache);
	backend->ops->close(backend);
	free(out);
}

static void keys_and_values_too_large_for_the_type_are_counted(void **state)
{
	(void)state;
	for_each_isa(check_saturation);
}

/* What lies in a block behind the last position is another sequence's, or nobody's. */
static void check_reused(const char *isa, enum tensor_type type, unsigned block_length)
{
	const struct shape shape = SHAPE(4, 2, 24, 24, block_length);
	unsigned n_long = 100, n_short = 37, zero = 0;
	float *out = floats_alloc(100 * 4 * 24), *fresh = floats_alloc(100 * 4 * 24);
	struct backend *backend = open_cpu(isa, 2, MAX_ROWS, 64);
	struct kv_cache *cache = make_cache(backend, shape, type, 100 / block_length + 1);
	struct history old, s;

	history_init(&old, shape, type, n_long, 0, 1, 1);
	history_init(&s, shape, type, n_short, 0, 1, 2);
	for (size_t i = 0; i < (size_t)n_long * 2 * 24; i++) {
		old.k[i] *= 1e30f;
		old.v[i] = i % 3 ? old.v[i] : NAN;
	}
	run_step(backend, cache, &s, 1, &zero, &n_short, &fresh);
	run_step(backend, cache, &old, 1, &zero, &n_long, &out);
	run_step(backend, cache, &s, 1, &zero, &n_short, &out);
	assert_memory_equal(out, fresh, (size_t)n_short * 4 * 24 * sizeof *out);
	backend->ops->kv_destroy(backend, cache);
	backend->ops->close(backend);
	history_deinit(&old);
	history_deinit(&s);
	free(out);
	free(fresh);
}

static void check_reused_blocks(const char *isa, enum tensor_type type)
{
	check_reused(isa, type, 16);
	check_reused(isa, type, 33);
	check_reused(isa, type, 256);
}

static void what_blocks_held_before_is_not_seen(void **state)
{
	(void)state;
	for_each_isa(check_reused_blocks);
}

/* Rows that see what is not finite, and those before them. Many at once are items of their own, of
 * few each part is. */
static void check_not_finite(const char *isa, enum tensor_type type)
{
	const struct shape shape = SHAPE(4, 2, 24, 24, 16);
	const unsigned n = 700, row = 4 * 24;
	float *whole = floats_alloc((size_t)n * row), *alone = floats_alloc((size_t)n * row);
	struct history s;

	history_init(&s, shape, type, n, 0, 1, 4);
	s.v[(size_t)41 * 2 * 24 + 5] = NAN;
	s.v[(size_t)600 * 2 * 24 + 30] = -INFINITY;
	s.k[(size_t)650 * 2 * 24 + 30] = NAN;
	run_long(isa, 1, &s, 1, alone);
	assert_true(isfinite(alone[40 * row + 5]) && isnan(alone[41 * row + 5]));
	/* The third head has the second head of keys, and sees that NaN in its second part. Q8_0
	 * has one scale for all of a value: there the infinity has spoiled it before. */
	assert_true(isnan(alone[650 * row + 2 * 24 + 5]));
	assert_true(type == TENSOR_Q8_0 || isfinite(alone[649 * row + 2 * 24 + 5]));
	for (unsigned i = 0; i < 6; i++) {
		unsigned n_threads = 1 + i / 2, chunk = i % 2 ? 16 : 255;

		run_long(isa, n_threads, &s, chunk, whole);
		for (size_t k = 0; k < (size_t)n * row; k++)
			if (memcmp(&whole[k], &alone[k], sizeof whole[k]) != 0 &&
			    !(isnan(whole[k]) && isnan(alone[k])))
				fail_msg("%s, type %u, %u threads, chunks of %u, row %zu, element "
					 "%zu: %g, alone %g", isa, type, n_threads, chunk, k / row,
					 k % row, (double)whole[k], (double)alone[k]);
	}
	history_deinit(&s);
	free(whole);
	free(alone);
}

static void what_is_not_finite_leaves_rows_before_it_alone(void **state)
{
	(void)state;
	for_each_isa(check_not_finite);
}

static void caches_out_of_range_are_refused(void **state)
{
	struct backend *backend = open_cpu("scalar", 1, 1, 1);
	struct kv_cache_config config = {
		.n_layers = 1, .n_blocks = 1, .block_length = 16, .n_kv_heads = 1,
		.value_dim = 16, .type = TENSOR_F32,
	};
	struct kv_cache *cache = NULL;
	struct error err;

	(void)state;
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_INVALID);
	config.n_layers = 1u << 16;
	config.n_blocks = UINT32_MAX;
	config.block_length = 1024;
	config.n_kv_heads = config.head_dim = config.value_dim = 1u << 14;
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_CAPACITY);
	config = (struct kv_cache_config){
		.n_layers = 1, .n_blocks = 1, .block_length = 16, .n_kv_heads = 1, .head_dim = 16,
		.value_dim = 16, .type = TENSOR_Q4_0,
	};
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "Q4_0"));
	assert_null(cache);
	backend->ops->kv_destroy(backend, NULL);
	backend->ops->close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attention_matches_double_and_chunks_of_prompts_leave_no_trace),
		cmocka_unit_test(threads_leave_no_trace),
		cmocka_unit_test(block_lengths_leave_no_trace),
		cmocka_unit_test(windows_match_double_and_rings_leave_no_trace),
		cmocka_unit_test(arithmetic_errs_far_less_than_q8_0_rounds),
		cmocka_unit_test(sums_of_the_largest_integers_fit),
		cmocka_unit_test(keys_and_values_too_large_for_the_type_stay_finite),
		cmocka_unit_test(keys_and_values_too_large_for_the_type_are_counted),
		cmocka_unit_test(what_blocks_held_before_is_not_seen),
		cmocka_unit_test(what_is_not_finite_leaves_rows_before_it_alone),
		cmocka_unit_test(caches_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
