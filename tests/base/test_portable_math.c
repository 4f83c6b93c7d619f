/* SPDX-License-Identifier: Apache-2.0 */
#include "base/portable_math.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <xxhash.h>

#define N 1000000

/* Number i of an even spread over [0, 1). */
static double spread(uint32_t i)
{
	return (double)(i * UINT32_C(0x9e3779b9)) / 4294967296.0;
}

static void exp_is_as_exact_as_it_says(void **state)
{
	long double worst = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		double x = -spread(i) * (i % 3 ? 20 : 708);
		long double truth = expl((long double)x);
		long double error = fabsl((long double)portable_exp(x) / truth - 1);

		worst = error > worst ? error : worst;
	}
	print_message("worst relative error %.2Lg\n", worst);
	assert_true(worst < 1.2e-10L);
}

static void exp_is_exact_at_its_ends(void **state)
{
	(void)state;
	assert_true(portable_exp(0.0) == 1);
	assert_true(portable_exp(-0.0) == 1);
	assert_true(portable_exp(-(double)INFINITY) == 0);
	assert_true(portable_exp(-1e300) == 0);
	assert_true(portable_exp(nextafter(PORTABLE_EXP_LOWEST, -1000)) == 0);
	assert_true(portable_exp(PORTABLE_EXP_LOWEST) > DBL_MIN);
	assert_true(portable_exp(709) > 8e307 && portable_exp(709) < 9e307);
}

static void log_is_as_exact_as_doubles_are(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		double x = ldexp(0.5 + spread(i), (int)(i % 300) - 150);
		long double truth = logl((long double)x);
		long double error = fabsl((long double)portable_log(x) - truth);

		assert_true(error <= 2 * DBL_EPSILON * fabsl(truth));
	}
	assert_true(portable_log(1.0) == 0);
}

/* The promise: whatever compiler, processor and C library. */
static void bits_are_the_same_everywhere(void **state)
{
	XXH64_hash_t hash = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		double results[2] = {
			portable_exp(-100 * spread(i)), portable_log(1 + 1e5 * spread(i)),
		};

		hash = XXH3_64bits_withSeed(results, sizeof results, hash);
	}
	print_message("0x%016llx\n", (unsigned long long)hash);
	assert_true(hash == UINT64_C(0xf3e4cd61a3802d5d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exp_is_as_exact_as_it_says),
		cmocka_unit_test(exp_is_exact_at_its_ends),
		cmocka_unit_test(log_is_as_exact_as_doubles_are),
		cmocka_unit_test(bits_are_the_same_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
