/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/perplexity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_near(double value, double expected)
{
	if (!(fabs(value - expected) <= 1e-6 * fabs(expected)))
		fail_msg("%.9g, expected %.9g", value, expected);
}

static void tokens_of_one_in_eight_make_a_perplexity_of_eight(void **state)
{
	const float logprob = logf(0.125f);
	const float all[5] = { logprob, logprob, logprob, logprob, logprob };
	struct perplexity p = { 0 };

	(void)state;
	perplexity_add(&p, all, 2);
	perplexity_add(&p, all, 3);
	assert_int_equal(p.n, 5);
	assert_near(perplexity_value(&p), 8);
	/* They are all alike; squares of rounded numbers need not be. */
	assert_true(perplexity_error(&p) < 1e-6);
}

static void it_is_the_geometric_mean_with_the_error_of_the_mean(void **state)
{
	const float logprobs[4] = { -1, -2, -3, -6 };
	struct perplexity p = { 0 };

	(void)state;
	perplexity_add(&p, logprobs, 4);
	assert_near(perplexity_value(&p), exp(3));
	/* Variance (4 + 1 + 0 + 9) / 4, divided by n - 1. */
	assert_near(perplexity_error(&p), exp(3) * sqrt(3.5 / 3));
}

static void one_token_has_no_error(void **state)
{
	const float logprob = -2;
	struct perplexity p = { 0 };

	(void)state;
	perplexity_add(&p, &logprob, 1);
	assert_near(perplexity_value(&p), exp(2));
	assert_true(perplexity_error(&p) == 0);
}

static void the_second_half_of_a_chunk_is_scored(void **state)
{
	(void)state;
	assert_int_equal(perplexity_first_scored(512), 257);
	assert_int_equal(perplexity_first_scored(5), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_of_one_in_eight_make_a_perplexity_of_eight),
		cmocka_unit_test(it_is_the_geometric_mean_with_the_error_of_the_mean),
		cmocka_unit_test(one_token_has_no_error),
		cmocka_unit_test(the_second_half_of_a_chunk_is_scored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
