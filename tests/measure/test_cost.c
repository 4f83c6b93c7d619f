/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/cost.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_near(double value, double expected)
{
	if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
		fail_msg("%.12g, expected %.12g", value, expected);
}

/* A second for a gigabyte, or for 1, 2 or 4 giga multiply-adds. */
static const struct machine_speed speed = {
	.int8_macs = 4e9, .bf16_macs = 2e9, .f32_macs = 1e9, .read_bytes = 1e9,
};

static void one_sequence_reads_all_weights_and_its_context_for_a_token(void **state)
{
	const struct cost cost = { .weight_bytes = 1e6, .kv_bytes = 1e3, .layer_int8_macs = 1e6 };

	(void)state;
	assert_near(cost_decode_limit(&cost, &speed, 1, 0), 1000);
	assert_near(cost_decode_limit(&cost, &speed, 1, 1000), 500);
}

static void sequences_share_the_weights_until_arithmetic_is_slower(void **state)
{
	const struct cost cost = {
		.weight_bytes = 1e6, .layer_int8_macs = 600e3, .head_int8_macs = 200e3,
	};

	(void)state;
	/* A step reads for 1 ms; a row computes for 0.2 ms. */
	assert_near(cost_decode_limit(&cost, &speed, 4, 0), 4000);
	assert_near(cost_decode_limit(&cost, &speed, 10, 0), 5000);
}

static void each_kind_of_arithmetic_has_its_own_speed(void **state)
{
	const struct cost cost = {
		.layer_int8_macs = 4e6, .layer_bf16_macs = 2e6, .layer_f32_macs = 1e6,
		.attention_macs = 1e3,
	};
	struct machine_speed no_bf16 = speed;

	(void)state;
	assert_near(cost_decode_limit(&cost, &speed, 1, 0), 1 / 3e-3);
	assert_near(cost_decode_limit(&cost, &speed, 1, 1000), 1 / 4e-3);
	no_bf16.bf16_macs = 0;
	assert_near(cost_decode_limit(&cost, &no_bf16, 1, 0), 1 / 4e-3);
}

static void attention_over_bytes_takes_two_products_of_bytes(void **state)
{
	const struct cost cost = { .attention_macs = 1e3, .has_byte_attention = true };
	struct machine_speed slow_bytes = speed;

	(void)state;
	assert_near(cost_decode_limit(&cost, &speed, 1, 1000), 1 / 0.5e-3);
	assert_near(cost_prompt_limit(&cost, &speed, 199, 0, 512), 1 / 50e-6);
	slow_bytes.int8_macs = speed.f32_macs;
	assert_near(cost_decode_limit(&cost, &slow_bytes, 1, 1000), 1 / 1e-3);
}

static void a_prompt_computes_its_head_once(void **state)
{
	const struct cost cost = { .layer_int8_macs = 4e6, .head_int8_macs = 40e6 };

	(void)state;
	/* 10 rows of 1 ms, a head of 10 ms. */
	assert_near(cost_prompt_limit(&cost, &speed, 10, 0, 10), 10 / 20e-3);
}

static void a_prompt_row_sees_half_of_the_prompt_and_all_before_it(void **state)
{
	const struct cost cost = { .attention_macs = 1e3 };

	(void)state;
	assert_near(cost_prompt_limit(&cost, &speed, 199, 0, 512), 1 / 100e-6);
	assert_near(cost_prompt_limit(&cost, &speed, 199, 900, 512), 1 / 1000e-6);
}

/* A row sees 100 positions in some layers, all in the others. */
static void layers_with_a_window_read_no_more_than_the_window(void **state)
{
	const struct cost cost = {
		.weight_bytes = 1e6, .kv_bytes = 1e3, .attention_macs = 1e3,
		.windows = { { 100, 3e3, 2e3 } }, .n_windows = 1,
	};

	(void)state;
	assert_near(cost_step_bytes(&cost, 1, 50), 1e6 + 50 * 4e3);
	assert_near(cost_step_bytes(&cost, 2, 1000), 1e6 + 2 * (1000 * 1e3 + 100 * 3e3));
	assert_near(cost_decode_limit(&cost, &speed, 1, 1000), 1 / 2.3e-3);
	/* Rows of a prompt see 1 to 100 positions, then 100 each. */
	assert_near(cost_prompt_limit(&cost, &speed, 50, 0, 512), 1 / (25.5 * 3e-6));
	assert_near(cost_prompt_limit(&cost, &speed, 400, 600, 512),
		    1 / (800.5e-6 + 100 * 2e-6));
	assert_near(cost_prompt_limit(&cost, &speed, 400, 0, 512),
		    1 / (200.5e-6 + (100 * 50.5 + 300 * 100) / 400 * 2e-6));
}

static void small_steps_read_the_weights_more_often(void **state)
{
	const struct cost cost = { .weight_bytes = 1e6, .layer_int8_macs = 4e3 };

	(void)state;
	assert_near(cost_prompt_limit(&cost, &speed, 512, 0, 128), 128e3);
	assert_near(cost_prompt_limit(&cost, &speed, 512, 0, 64), 64e3);
	/* A short prompt is one step. */
	assert_near(cost_prompt_limit(&cost, &speed, 8, 0, 128), 8e3);
}

static void a_limit_of_memory_says_nothing_of_what_lies_in_caches(void **state)
{
	(void)state;
	/* All of it: whatever the rate is. */
	assert_true(cost_is_in_cache(50, 100, 8e6, 8e6));
	assert_true(cost_is_in_cache(157, 100, 8e6, 8e6));
	/* A part of it explains a rate beyond the limit, too small a part does not. */
	assert_false(cost_is_in_cache(99, 100, 9e6, 8e6));
	assert_true(cost_is_in_cache(157, 100, 32e6, 8e6));
	assert_false(cost_is_in_cache(157, 100, 33e6, 8e6));
	/* Nobody says how large the caches are. */
	assert_false(cost_is_in_cache(109, 100, 33e6, 0));
	assert_true(cost_is_in_cache(111, 100, 33e6, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_of_memory_says_nothing_of_what_lies_in_caches),
		cmocka_unit_test(one_sequence_reads_all_weights_and_its_context_for_a_token),
		cmocka_unit_test(sequences_share_the_weights_until_arithmetic_is_slower),
		cmocka_unit_test(each_kind_of_arithmetic_has_its_own_speed),
		cmocka_unit_test(attention_over_bytes_takes_two_products_of_bytes),
		cmocka_unit_test(a_prompt_computes_its_head_once),
		cmocka_unit_test(a_prompt_row_sees_half_of_the_prompt_and_all_before_it),
		cmocka_unit_test(layers_with_a_window_read_no_more_than_the_window),
		cmocka_unit_test(small_steps_read_the_weights_more_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
