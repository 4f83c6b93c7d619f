/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"
#include "tests/sanitizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { EVERY = SANITIZED_EVERY(6), THREADS_STEP = SANITIZED_EVERY(2) };
enum { SHAPES_STEP = SANITIZED_EVERY(3) };	/* leaves every type its turn */

static const struct shape shapes[] = {
	{ SHAPE(1, 1, 1, 1, 1) },
	{ SHAPE(4, 4, 16, 16, 16) },
	{ SHAPE(8, 2, 48, 48, 16) },
	{ SHAPE(7, 1, 20, 12, 8), .window = 3 },
	{ SHAPE(6, 2, 64, 64, 32) },
	{ SHAPE(12, 1, 8, 8, 5), .has_slopes = true },
	{ SHAPE(4, 2, 33, 17, 100) },
	{ SHAPE(9, 3, 128, 128, 64), .cap = 3 },
	{ SHAPE(3, 1, 40, 40, 32) },
	{ SHAPE(10, 2, 80, 96, 32) },
	{ SHAPE(5, 5, 96, 64, 32), .window = 40, .cap = 5 },
	{ SHAPE(2, 1, 256, 256, 32) },
	{ SHAPE(4, 1, 256, 256, 32), .window = 100 },
	{ SHAPE(13, 1, 64, 112, 16) },
	{ SHAPE(4, 2, 64, 48, 17), .window = 20, .has_slopes = true },
	{ SHAPE(3, 3, 112, 112, 32) },
	{ SHAPE(8, 4, 120, 120, 32), .window = 64 },
	/* More query heads than a tile has queries, and nearly as many. */
	{ SHAPE(100, 1, 24, 20, 32), .window = 50, .has_slopes = true },
	{ SHAPE(71, 1, 64, 64, 16) },
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

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
		for (unsigned i = 0; i < N_SHAPES * N_KV_TYPES; i += SHAPES_STEP)
			check_shape(*isa, 1 + i % 4, shapes[i / N_KV_TYPES],
				    kv_types[i % N_KV_TYPES]);
	}
}

/* Long enough that threads share one row's positions. */
static void threads_leave_no_trace(void **state)
{
	static const struct shape long_shapes[] = {
		{ SHAPE(4, 2, 40, 24, 32) }, { SHAPE(1, 1, 64, 64, 32) },
		{ SHAPE(7, 1, 16, 16, 128) }, { SHAPE(2, 1, 32, 48, 300) },
	};

	(void)state;
	for (unsigned i = 0; i < 4 * N_KV_TYPES; i++) {
		struct shape shape = long_shapes[i / N_KV_TYPES];
		size_t n_out = (size_t)MAX_POSITIONS * shape.n_heads * shape.value_dim;
		float *first = floats_alloc(n_out), *y = floats_alloc(n_out);
		struct history s;

		history_init(&s, shape, kv_types[i % N_KV_TYPES], MAX_POSITIONS, 0, 1, i);
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

/* Of 32 positions, the default, which all others are compared with; then shorter and longer than a
 * vector and than a slice, multiples of either or not. */
static const unsigned block_lengths[] = { 32, 1, 8, 16, 24, 33, 48, 64, 100, 128, 160, 256, 1024 };
enum { N_BLOCK_LENGTHS = sizeof block_lengths / sizeof *block_lengths };

/* More than a part; heads and values end within a vector, a group and four codes. */
static void check_block_lengths(const char *isa, enum tensor_type type)
{
	static const struct shape block_shapes[] = {
		{ SHAPE(4, 2, 40, 24, 0) }, { SHAPE(12, 1, 33, 50, 0) },
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
	const struct shape shape = { SHAPE(4, 2, 128, 64, 32) };
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
		const struct shape shape = { SHAPE(1, 1, 64, 32, lengths[i]) };
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
	const struct shape shape = { SHAPE(1, 1, 16, 16, 16) };
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
	const struct shape shape = { SHAPE(2, 2, 48, 40, 16) };
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
	const struct shape shape = { SHAPE(4, 2, 24, 24, block_length) };
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
	const struct shape shape = { SHAPE(4, 2, 24, 24, 16) };
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
	config.type = TENSOR_F16;
	config.table_blocks = 4;
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_INVALID);
	config.window = 65;
	assert_int_equal(backend->ops->kv_create(backend, &config, &cache, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "4 blocks of 16 positions"));
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
