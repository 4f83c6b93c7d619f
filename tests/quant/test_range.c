/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/range.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { N = 256 };

/* The lowest and the highest value that a super-block may hold together, and the error that is
 * allowed as a part of the largest magnitude. Reason: two blocks may need scales of opposite signs,
 * and most sets of numbers have one more below zero than above. */
static const struct {
	enum tensor_type type;
	float low, high;
	double step;
} types[] = {
	{ TENSOR_F16, -65519.0f, 65519.0f, 0x1p-11 },
	{ TENSOR_BF16, -0x1.fefffep127f, 0x1.fefffep127f, 0x1p-8 },
	{ TENSOR_Q8_0, -8319008.0f, 8319008.0f, 0.51 / 127 },
	{ TENSOR_Q4_0, -524032.0f, 524032.0f, 0.20 },
	{ TENSOR_Q5_0, -1048064.0f, 1048064.0f, 0.10 },
	{ TENSOR_Q4_1, -65504.0f, 917056.0f, 0.15 },
	{ TENSOR_Q5_1, -65504.0f, 1965120.0f, 0.08 },
	{ TENSOR_Q2_K, -982560.0f, 1965120.0f, 0.50 },
	{ TENSOR_Q3_K, -8384512.0f, 8384512.0f, 0.40 },
	{ TENSOR_Q4_K, -4126752.0f, 57774528.0f, 0.15 },
	{ TENSOR_Q5_K, -4126752.0f, 123802560.0f, 0.08 },
	{ TENSOR_Q6_K, -268304384.0f, 268304384.0f, 0.04 },
	{ TENSOR_IQ4_NL, -8319008.0f, 8319008.0f, 0.20 },
	{ TENSOR_IQ4_XS, -266208256.0f, 266208256.0f, 0.20 },
	{ TENSOR_MXFP4, -FLT_MAX, FLT_MAX, 0.30 },
};

enum { N_TYPES = sizeof types / sizeof types[0] };

static const struct quant_kernels *kernels;

static int choose_kernels(void **state)
{
	(void)state;
	kernels = quant_kernels(cpu_isa_best());
	return 0;
}

/* Values all over the range, both ends in each block of 16. */
static void fill(size_t t, float *x)
{
	for (size_t i = 0; i < N; i++) {
		const double part = i % 16 / 15.0;

		x[i] = (float)((1.0 - part) * (double)types[t].low + part * (double)types[t].high);
	}
}

static void what_fits_is_near_when_it_is_read(void **state)
{
	float x[N], y[N];
	uint8_t bytes[4 * N];

	(void)state;
	for (size_t t = 0; t < N_TYPES; t++) {
		const double peak = fmax(-(double)types[t].low, (double)types[t].high);

		fill(t, x);
		assert_int_equal(quant_find_misfit(kernels, types[t].type, x, N), N);
		quant_encode(kernels, types[t].type, x, N, bytes);
		quant_decode(kernels, types[t].type, bytes, N, y);
		for (size_t i = 0; i < N; i++)
			if (!(fabs((double)x[i] - (double)y[i]) <= types[t].step * peak))
				fail_msg("%s, element %zu: expected %g, found %g",
					 tensor_type_info(types[t].type)->name, i, (double)x[i],
					 (double)y[i]);
	}
}

static void what_does_not_fit_is_found_where_it_is(void **state)
{
	float x[N];

	(void)state;
	for (size_t t = 0; t < N_TYPES; t++) {
		for (size_t i = 0; i < N; i += i % 16 ? 1 : 15) {	/* the ends of the range */
			fill(t, x);
			x[i] *= 1.001f;
			assert_int_equal(quant_find_misfit(kernels, types[t].type, x, N),
					 isinf(x[i]) || types[t].type != TENSOR_MXFP4 ? i : N);
			x[i] = -NAN;
			assert_int_equal(quant_find_misfit(kernels, types[t].type, x, N), i);
			x[i] = -INFINITY;
			assert_int_equal(quant_find_misfit(kernels, types[t].type, x, N), i);
		}
	}
}

/* A block of large values without small ones has a least value that is not zero. */
static void a_least_value_of_its_own_shifts_the_range(void **state)
{
	float x[N];

	(void)state;
	for (size_t i = 0; i < N; i++)
		x[i] = 65504.0f + (float)(i % 16) * 65504.0f;
	assert_int_equal(quant_find_misfit(kernels, TENSOR_Q4_1, x, N), N);
	x[40] = 0.0f;
	assert_int_equal(quant_find_misfit(kernels, TENSOR_Q4_1, x, N), 47);
	assert_int_equal(quant_find_misfit(kernels, TENSOR_Q5_1, x, N), N);
}

static void every_instruction_set_finds_the_same(void **state)
{
	float x[N];

	(void)state;
	for (unsigned isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++) {
		kernels = quant_kernels((enum cpu_isa)isa);
		for (size_t n = 1; n < 40; n++) {
			for (size_t i = 0; i < n; i++)
				x[i] = 65504.0f;
			assert_int_equal(quant_find_misfit(kernels, TENSOR_F16, x, n), n);
			x[n - 1] = 65520.0f;
			assert_int_equal(quant_find_misfit(kernels, TENSOR_F16, x, n), n - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_near_when_it_is_read),
		cmocka_unit_test(what_does_not_fit_is_found_where_it_is),
		cmocka_unit_test(a_least_value_of_its_own_shifts_the_range),
		cmocka_unit_test(every_instruction_set_finds_the_same),
	};

	return cmocka_run_group_tests(tests, choose_kernels, NULL);
}
