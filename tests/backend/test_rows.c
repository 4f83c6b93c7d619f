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

static void check_norm(struct backend *backend)
{
	const float eps = 1e-5f;
	float *x = floats_alloc(MAX_ROWS * MAX_WIDTH), *y = floats_alloc(MAX_ROWS * MAX_WIDTH);
	float gain[2048], alone[2048];
	const struct norm norm = { .kind = NORM_RMS, .gain = gain, .eps = eps, .n_groups = 1 };
	struct random random = { 1 };

	random_fill(&random, x, MAX_ROWS * MAX_WIDTH);
	random_fill(&random, gain, 2048);
	for (unsigned i = 0; i < N_WIDTHS; i++) {
		unsigned n = widths[i];

		backend->ops->norm(backend, &norm, x, MAX_ROWS, n, y);
		for (unsigned row = 0; row < MAX_ROWS; row++) {
			double mean = 0;

			for (unsigned k = 0; k < n; k++)
				mean += (double)x[row * n + k] * (double)x[row * n + k] / n;
			for (unsigned k = 0; k < n; k++) {
				double expected = (double)x[row * n + k] /
						  sqrt(mean + (double)eps) * (double)gain[k];

				assert_near(y[row * n + k], expected, 1e-6 * fabs(expected));
			}
			backend->ops->norm(backend, &norm, x + row * n, 1, n, alone);
			assert_memory_equal(alone, y + row * n, n * sizeof *y);
		}
		backend->ops->norm(backend, &norm, y, 1, n, y);
	}
	free(x);
	free(y);
}

static void norms_match_double_and_do_not_depend_on_other_rows(void **state)
{
	(void)state;
	on_every_cpu(check_norm);
}

static const struct activation silu = { .kind = ACTIVATION_SILU };

static void check_swiglu(struct backend *backend)
{
	enum { N = 40000 };
	float *gate = floats_alloc(N), *up = floats_alloc(N), *out = floats_alloc(N);
	struct random random = { 2 };

	random_fill(&random, up, N);
	for (unsigned i = 0; i < N; i++)
		gate[i] = random_float(&random) * (i % 3 ? 8 : 120);
	gate[0] = 0;
	backend->ops->activate(backend, &silu, gate, up, N, out);
	for (unsigned i = 0; i < N; i++) {
		double g = (double)gate[i], expected = g / (1 + exp(-g)) * (double)up[i];

		assert_near(out[i], expected, 3e-7 * fabs(expected) + 2e-36);
	}
	/* The same element in another place has the same bits. */
	for (unsigned n = 1; n < 40; n++) {
		float piece[40];

		backend->ops->activate(backend, &silu, gate + 1000, up + 1000, n, piece);
		assert_memory_equal(piece, out + 1000, n * sizeof *piece);
	}
	backend->ops->activate(backend, &silu, gate, up, N, gate);
	assert_memory_equal(gate, out, N * sizeof *out);
	free(gate);
	free(up);
	free(out);
}

static void gates_match_double_wherever_the_element_lies(void **state)
{
	(void)state;
	on_every_cpu(check_swiglu);
}

static void check_gate_limits(struct backend *backend)
{
	float gate[4] = { -INFINITY, INFINITY, NAN, -FLT_MAX };
	float up[4] = { 1, 1, 1, 1 }, out[4];

	backend->ops->activate(backend, &silu, gate + 1, up, 3, out + 1);
	assert_true(isinf(out[1]) && out[1] > 0);
	assert_true(isnan(out[2]));
	assert_true(out[3] == 0);
}

static void gates_keep_infinities_and_nans_apart(void **state)
{
	(void)state;
	on_every_cpu(check_gate_limits);
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
	}
}

static void check_rope_case(struct backend *backend, const struct rope_case *c)
{
	enum { N_HEADS = 3 };
	size_t width = (size_t)N_HEADS * c->head_dim;
	float *x = floats_alloc(MAX_ROWS * width), *before = floats_alloc(MAX_ROWS * width);
	float frequency[256];
	uint32_t positions[MAX_ROWS];
	struct rope_table table = { c->layout, c->dim, frequency, 1 };
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
				assert_near(x[(size_t)head * c->head_dim + i], expected[i], 2e-7);
		}
	}
	free(x);
	free(before);
}

static void check_rope(struct backend *backend)
{
	static const struct rope_case cases[] = {
		{ ROPE_HALVES, 2, 2 }, { ROPE_HALVES, 12, 12 }, { ROPE_HALVES, 64, 64 },
		{ ROPE_HALVES, 20, 48 }, { ROPE_HALVES, 128, 128 }, { ROPE_HALVES, 512, 512 },
		{ ROPE_INTERLEAVED, 2, 2 }, { ROPE_INTERLEAVED, 12, 12 },
		{ ROPE_INTERLEAVED, 64, 64 }, { ROPE_INTERLEAVED, 18, 48 },
		{ ROPE_INTERLEAVED, 128, 128 },
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
		cmocka_unit_test(gates_match_double_wherever_the_element_lies),
		cmocka_unit_test(gates_keep_infinities_and_nans_apart),
		cmocka_unit_test(sums_are_exact),
		cmocka_unit_test(rotations_match_double_whatever_was_rotated_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
