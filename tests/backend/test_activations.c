/* SPDX-License-Identifier: Apache-2.0 */
/* Activations and caps beside double, with the errors that isa/activations.h states. */
#include "oracle.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N_KINDS = ACTIVATION_XIELU + 1, N = 40000, EVERYWHERE = 100 };

static struct activation activation_of(unsigned kind)
{
	return (struct activation){
		.kind = (enum activation_kind)kind, .alpha_p = 0.8f, .alpha_n = 1.1f, .beta = 0.5f,
		.eps = -1e-6f,
	};
}

static double expected_of(const struct activation *a, double x)
{
	double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);

	switch (a->kind) {
	case ACTIVATION_GELU_TANH:
		return x / (1 + exp(-2 * u));
	case ACTIVATION_GELU_ERF:
		return x / 2 * erfc(-x / sqrt(2));
	case ACTIVATION_RELU:
		return fmax(x, 0);
	case ACTIVATION_RELU2:
		return pow(fmax(x, 0), 2);
	case ACTIVATION_XIELU:
		return x > 0 ? (double)a->alpha_p * x * x + (double)a->beta * x :
		       (double)a->alpha_n * (expm1(fmin(x, (double)a->eps)) - x) +
		       (double)a->beta * x;
	default:
		return x / (1 + exp(-x));
	}
}

/* Of both signs, from tiny to where all functions have flattened. */
static void fill_arguments(float *x)
{
	struct random random = { 5 };

	for (unsigned i = 0; i < N; i++) {
		float most = i % 4 == 0 ? 1e-3f : i % 4 == 1 ? 0.5f : i % 4 == 2 ? 4 : 30;

		x[i] = random_float(&random) * most;
	}
	x[0] = 0;
	x[1] = -0.0f;
	x[2] = FLT_MIN;
}

static void on_every_cpu(void (*check)(struct backend *backend))
{
	for (const char *const *isa = oracle_isas; *isa; isa++)
		for (unsigned n_threads = 1; n_threads <= 3; n_threads += 2) {
			struct backend *backend = open_cpu(*isa, n_threads, 1, 64);

			if (!backend)
				continue;
			check(backend);
			backend->ops->close(backend);
		}
}

/* What an activation may be off by: 1.3e-7 of the argument, or of a larger result; xIELU sums two
 * terms of the argument's size. */
static double tolerance(const struct activation *a, double x, double y)
{
	double size = fmax(fabs(x), fabs(y));

	return (a->kind == ACTIVATION_XIELU ? 2.5e-7 : 1.3e-7) * size + 1e-37;
}

static void check_kind(struct backend *backend, const struct activation *a, const float *x,
		       const float *up)
{
	float *plain = floats_alloc(N), *gated = floats_alloc(N);

	backend->ops->activate(backend, a, x, NULL, N, plain);
	backend->ops->activate(backend, a, x, up, N, gated);
	for (unsigned i = 0; i < N; i++) {
		double expected = expected_of(a, (double)x[i]);

		if (!(fabs((double)plain[i] - expected) <= tolerance(a, (double)x[i], expected)))
			fail_msg("activation %d of %.9g: %.9g, expected %.9g", a->kind, (double)x[i],
				 (double)plain[i], expected);
		if (gated[i] != plain[i] * up[i])
			fail_msg("activation %d of %.9g: %.9g, but gates as %.9g", a->kind,
				 (double)x[i], (double)plain[i], (double)(gated[i] / up[i]));
	}
	/* The same element in another place has the same bits. */
	for (unsigned n = 1; n < 40; n++) {
		float piece[40];

		backend->ops->activate(backend, a, x + EVERYWHERE, up + EVERYWHERE, n, piece);
		assert_memory_equal(piece, gated + EVERYWHERE, n * sizeof *piece);
	}
	memcpy(plain, up, N * sizeof *up);
	backend->ops->activate(backend, a, x, plain, N, plain);
	assert_memory_equal(plain, gated, N * sizeof *plain);
	memcpy(plain, x, N * sizeof *x);
	backend->ops->activate(backend, a, plain, up, N, plain);
	assert_memory_equal(plain, gated, N * sizeof *plain);
	free(plain);
	free(gated);
}

static void check_activations(struct backend *backend)
{
	float *x = floats_alloc(N), *up = floats_alloc(N);
	struct random random = { 6 };

	fill_arguments(x);
	random_fill(&random, up, N);
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		const struct activation a = activation_of(kind);

		check_kind(backend, &a, x, up);
	}
	free(x);
	free(up);
}

static void activations_match_double_wherever_the_element_lies(void **state)
{
	(void)state;
	on_every_cpu(check_activations);
}

static void check_limits(struct backend *backend)
{
	const float x[] = { INFINITY, 1e30f, -1e30f, NAN, -FLT_MAX, 0 };

	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		const struct activation a = activation_of(kind);
		float y[6];

		backend->ops->activate(backend, &a, x, NULL, 6, y);
		assert_true(isinf(y[0]) && y[0] > 0);
		assert_true(y[1] >= 1e30f);
		assert_true(kind == ACTIVATION_XIELU ? y[2] > 0 : y[2] == 0);
		assert_true(isnan(y[3]));
		assert_true(kind == ACTIVATION_XIELU || y[4] == 0);
		assert_true(fabsf(y[5]) <= 2e-6f);
	}
}

static void activations_of_extremes_are_their_limits(void **state)
{
	(void)state;
	on_every_cpu(check_limits);
}

static void check_caps(struct backend *backend)
{
	static const float caps[] = { 0, 1, 30, 50 }, scales[] = { 1, 0.25f, -3 };
	float *x = floats_alloc(N), *y = floats_alloc(N);

	fill_arguments(x);
	for (unsigned i = 0; i < 12; i++) {
		float cap = caps[i % 4], scale = scales[i / 4];

		memcpy(y, x, N * sizeof *y);
		backend->ops->cap(backend, y, scale, cap, N - 1);
		assert_true(y[N - 1] == x[N - 1]);
		for (unsigned k = 0; k < N - 1; k++) {
			float scaled = scale * x[k];
			double expected = cap > 0 ? (double)cap * tanh((double)scaled / (double)cap) :
						    (double)scaled;
			/* tanh's 2.5 units, a division's and a product's rounding; and the rounding
			 * of numbers below the smallest normal one. */
			double most = cap > 0 ? 2.5e-7 * fabs(expected) + 1e-43 : 0;

			if (!(fabs((double)y[k] - expected) <= most))
				fail_msg("%.9g capped to %g: %.9g, expected %.9g", (double)scaled,
					 (double)cap, (double)y[k], expected);
		}
	}
	free(x);
	free(y);
}

static void caps_match_double(void **state)
{
	(void)state;
	on_every_cpu(check_caps);
}

static void check_tanh(struct backend *backend)
{
	float *x = floats_alloc(N), *y = floats_alloc(N);
	float odd[] = { INFINITY, -INFINITY, NAN, -0.0f };

	fill_arguments(x);
	memcpy(y, x, N * sizeof *y);
	backend->ops->cap(backend, y, 1, 1, N);
	for (unsigned i = 0; i < N; i++) {
		double expected = tanh((double)x[i]), unit = ldexp(1, -149);
		int exponent;

		frexp(expected, &exponent);
		unit = fmax(unit, ldexp(1, exponent - 24));
		if (!(fabs((double)y[i] - expected) <= 2.5 * unit))
			fail_msg("tanh(%.9g): %.9g, expected %.9g", (double)x[i], (double)y[i],
				 expected);
	}
	backend->ops->cap(backend, odd, 1, 1, 4);
	assert_true(odd[0] == 1 && odd[1] == -1 && isnan(odd[2]) && signbit(odd[3]));
	free(x);
	free(y);
}

static void tanh_errs_by_at_most_two_and_a_half_units(void **state)
{
	(void)state;
	on_every_cpu(check_tanh);
}

static void check_clamp(struct backend *backend)
{
	float x[] = { -3, -2, -1.5f, -0.0f, 2, 2.5f, INFINITY, -INFINITY, NAN, 7 };

	backend->ops->clamp(backend, x, 2, 9);
	assert_true(x[0] == -2 && x[1] == -2 && x[2] == -1.5f && x[3] == 0 && signbit(x[3]));
	assert_true(x[4] == 2 && x[5] == 2 && x[6] == 2 && x[7] == -2 && isnan(x[8]));
	assert_true(x[9] == 7);
}

static void what_is_beyond_a_limit_becomes_the_limit(void **state)
{
	(void)state;
	on_every_cpu(check_clamp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(activations_match_double_wherever_the_element_lies),
		cmocka_unit_test(activations_of_extremes_are_their_limits),
		cmocka_unit_test(caps_match_double),
		cmocka_unit_test(what_is_beyond_a_limit_becomes_the_limit),
		cmocka_unit_test(tanh_errs_by_at_most_two_and_a_half_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
