/* SPDX-License-Identifier: Apache-2.0 */
#include "oracle.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_ROWS = 65, MAX_WIDTH = 4096 };

static const unsigned widths[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 48, 80, 100, 1031 };
enum { N_WIDTHS = sizeof widths / sizeof *widths };

/* Calls check for every instruction set of this machine, with one thread and with four. */
static void on_every_cpu(void (*check)(struct backend *backend))
{
	for (const char *const *isa = oracle_isas; *isa; isa++)
		for (unsigned n_threads = 1; n_threads <= 4; n_threads += 3) {
			struct backend *backend = open_cpu(*isa, n_threads, MAX_ROWS, MAX_WIDTH);

			if (!backend)
				continue;
			check(backend);
			backend->ops->close(backend);
		}
}

static void assert_near(float found, double expected, double tolerance)
{
	if (!(fabs((double)found - expected) <= tolerance))
		fail_msg("%.9g, expected %.9g +- %.1g", (double)found, expected, tolerance);
}

/* In double; gain and bias of the vector's group, or NULL. */
static void expected_norm(enum norm_kind kind, const float *x, const float *gain,
			  const float *bias, double eps, unsigned n, double *out)
{
	double mean = 0, squares = 0;

	for (unsigned k = 0; k < n; k++)
		mean += kind == NORM_LAYER ? (double)x[k] / n : 0;
	for (unsigned k = 0; k < n; k++)
		squares += pow((double)x[k] - mean, 2) / n;
	for (unsigned k = 0; k < n; k++)
		out[k] = ((double)x[k] - mean) / sqrt(squares + eps) *
			 (gain ? (double)gain[k] : 1) + (bias ? (double)bias[k] : 0);
}

static void check_vector(const struct norm *norm, const float *x, unsigned group, unsigned n,
			 const float *y)
{
	static double expected[MAX_WIDTH];
	size_t at = norm->is_per_group ? (size_t)group * n : 0;
	const float *bias = norm->bias ? norm->bias + at : NULL;

	expected_norm(norm->kind, x, norm->gain ? norm->gain + at : NULL, bias, (double)norm->eps, n,
		      expected);
	/* The mean errs by a fraction of a unit of the largest element. */
	for (unsigned k = 0; k < n; k++)
		assert_near(y[k], expected[k], 1e-6 * fabs(expected[k]) +
			    (bias ? 1e-6 : 0) + (norm->kind == NORM_LAYER ? 2e-6 : 0));
}

/* All rows at once, then each alone, then in place. */
static void check_norm_of(struct backend *backend, const struct norm *norm, const float *x,
			  unsigned n, float *y)
{
	size_t width = (size_t)norm->n_groups * n;
	float *again = floats_alloc(MAX_ROWS * width);

	backend->ops->norm(backend, norm, x, MAX_ROWS, n, y);
	for (unsigned i = 0; i < MAX_ROWS * norm->n_groups; i++)
		check_vector(norm, x + (size_t)i * n, i % norm->n_groups, n, y + (size_t)i * n);
	for (unsigned row = 0; row < MAX_ROWS; row++)
		backend->ops->norm(backend, norm, x + row * width, 1, n, again + row * width);
	assert_memory_equal(again, y, MAX_ROWS * width * sizeof *y);
	memcpy(again, x, MAX_ROWS * width * sizeof *x);
	backend->ops->norm(backend, norm, again, MAX_ROWS, n, again);
	assert_memory_equal(again, y, MAX_ROWS * width * sizeof *y);
	free(again);
}

/* Both kinds, with gain, bias, both or neither, of all groups or of each. */
static void check_norm(struct backend *backend)
{
	float *x = floats_alloc(MAX_ROWS * MAX_WIDTH), *y = floats_alloc(MAX_ROWS * MAX_WIDTH);
	float gain[MAX_WIDTH], bias[MAX_WIDTH];
	struct random random = { 1 };

	random_fill(&random, x, MAX_ROWS * MAX_WIDTH);
	random_fill(&random, gain, MAX_WIDTH);
	random_fill(&random, bias, MAX_WIDTH);
	for (unsigned i = 0; i < N_WIDTHS * 16; i++) {
		unsigned choices = i % 16, n_groups = choices & 8 ? 3 : 1;
		const struct norm norm = {
			.kind = choices & 1 ? NORM_LAYER : NORM_RMS,
			.gain = choices & 2 ? NULL : gain, .bias = choices & 4 ? bias : NULL,
			.eps = 1e-5f, .n_groups = n_groups, .is_per_group = i / 16 % 2,
		};

		check_norm_of(backend, &norm, x, widths[i / 16], y);
	}
	free(x);
	free(y);
}

static void norms_match_double_and_do_not_depend_on_other_rows(void **state)
{
	(void)state;
	on_every_cpu(check_norm);
}

/* A difference of sums of squares would lose all digits. */
static void check_offset(struct backend *backend)
{
	enum { WIDTH = 768 };
	const struct norm norm = { .kind = NORM_LAYER, .eps = 1e-5f, .n_groups = 1 };
	float x[WIDTH], y[WIDTH];
	struct random random = { 8 };
	double expected[WIDTH];

	random_fill(&random, x, WIDTH);
	for (unsigned i = 0; i < WIDTH; i++)
		x[i] += 4096;
	backend->ops->norm(backend, &norm, x, 1, WIDTH, y);
	expected_norm(NORM_LAYER, x, NULL, NULL, (double)norm.eps, WIDTH, expected);
	/* A unit of the elements is 2^-11 at most; the mean errs by a tenth of it. */
	for (unsigned i = 0; i < WIDTH; i++)
		assert_near(y[i], expected[i], 2e-4);
}

static void layer_norms_stay_exact_far_from_zero(void **state)
{
	(void)state;
	on_every_cpu(check_offset);
}

static void check_add(struct backend *backend)
{
	enum { N = 140001 };
	float *x = floats_alloc(N), *y = floats_alloc(N), *before = floats_alloc(N);
	struct random random = { 3 };

	random_fill(&random, x, N);
	random_fill(&random, y, N);
	for (size_t n = 1; n <= N; n = n * 5 + 3) {
		memcpy(before, x, N * sizeof *x);
		backend->ops->add(backend, x, y, 1, n);
		for (size_t i = 0; i < N; i++)
			assert_true(x[i] == (i < n ? before[i] + y[i] : before[i]));
		backend->ops->add(backend, x, y, -0.22f, n);
		for (size_t i = 0; i < n; i++) {
			double sum = (double)(before[i] + y[i]) - (double)0.22f * (double)y[i];

			assert_near(x[i], sum, 2e-7 * (fabs(sum) + 1));
		}
	}
	free(x);
	free(y);
	free(before);
}

static void sums_are_exact(void **state)
{
	(void)state;
	on_every_cpu(check_add);
}

struct rope_case {
	enum arch_rope layout;
	unsigned dim;
	unsigned head_dim;
	float scale;
};

static void expected_rotation(const struct rope_case *c, const float *frequency, uint32_t position,
			      const float *head, double *out)
{
	for (unsigned i = 0; i < c->head_dim; i++)
		out[i] = (double)head[i];
	for (unsigned i = 0; i < c->dim / 2; i++) {
		unsigned a = c->layout == ROPE_HALVES ? i : 2 * i;
		unsigned b = c->layout == ROPE_HALVES ? i + c->dim / 2 : 2 * i + 1;
		float product = (float)position * frequency[i];
		double angle = (double)product;

		out[a] = (double)head[a] * cos(angle) - (double)head[b] * sin(angle);
		out[b] = (double)head[b] * cos(angle) + (double)head[a] * sin(angle);
		out[a] *= (double)c->scale;
		out[b] *= (double)c->scale;
	}
}

static void check_rope_case(struct backend *backend, const struct rope_case *c)
{
	enum { N_HEADS = 3 };
	size_t width = (size_t)N_HEADS * c->head_dim;
	float *x = floats_alloc(MAX_ROWS * width), *before = floats_alloc(MAX_ROWS * width);
	float frequency[256];
	uint32_t positions[MAX_ROWS];
	struct rope_table table = { c->layout, c->dim, frequency, c->scale };
	struct random random = { 4 };

	random_fill(&random, before, MAX_ROWS * width);
	for (unsigned i = 0; i < c->dim / 2; i++)
		frequency[i] = (float)pow(10000, -2.0 * i / c->dim);
	/* Twice with the same positions, then others, then single rows. */
	for (unsigned pass = 0; pass < 4; pass++) {
		for (unsigned row = 0; row < MAX_ROWS; row++)
			positions[row] = pass < 2 ? row * 37 : (row * 7919 + pass) % 131072;
		memcpy(x, before, MAX_ROWS * width * sizeof *x);
		if (pass < 3)
			backend->ops->rope(backend, &table, x, positions, MAX_ROWS, N_HEADS,
					   c->head_dim);
		else
			for (unsigned row = 0; row < MAX_ROWS; row++)
				backend->ops->rope(backend, &table, x + row * width,
						   positions + row, 1, N_HEADS, c->head_dim);
		for (unsigned head = 0; head < MAX_ROWS * N_HEADS; head++) {
			double expected[512];

			expected_rotation(c, frequency, positions[head / N_HEADS],
					  before + (size_t)head * c->head_dim, expected);
			for (unsigned i = 0; i < c->head_dim; i++)
				assert_near(x[(size_t)head * c->head_dim + i], expected[i],
					    2e-7 * fmax(1, (double)c->scale));
		}
	}
	free(x);
	free(before);
}

static void check_rope(struct backend *backend)
{
	static const struct rope_case cases[] = {
		{ ROPE_HALVES, 2, 2, 1 }, { ROPE_HALVES, 12, 12, 1.25f },
		{ ROPE_HALVES, 64, 64, 1 }, { ROPE_HALVES, 64, 64, 0.5f },
		{ ROPE_HALVES, 20, 48, 1 }, { ROPE_HALVES, 128, 128, 1 },
		{ ROPE_HALVES, 512, 512, 1 }, { ROPE_INTERLEAVED, 2, 2, 1 },
		{ ROPE_INTERLEAVED, 12, 12, 1.25f }, { ROPE_INTERLEAVED, 64, 64, 1 },
		{ ROPE_INTERLEAVED, 18, 48, 1 }, { ROPE_INTERLEAVED, 128, 128, 1.4f },
	};

	for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
		check_rope_case(backend, &cases[i]);
}

static void rotations_match_double_whatever_was_rotated_before(void **state)
{
	(void)state;
	on_every_cpu(check_rope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(norms_match_double_and_do_not_depend_on_other_rows),
		cmocka_unit_test(layer_norms_stay_exact_far_from_zero),
		cmocka_unit_test(sums_are_exact),
		cmocka_unit_test(rotations_match_double_whatever_was_rotated_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
