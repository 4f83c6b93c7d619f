/* SPDX-License-Identifier: Apache-2.0 */
#include "model/float16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void every_half_comes_back(void **state)
{
	(void)state;
	for (uint32_t half = 0; half < 0x10000; half++) {
		const float x = f16_to_f32((uint16_t)half);

		if (isnan(x))
			assert_true(isnan(f16_to_f32(f32_to_f16(x))));
		else
			assert_int_equal(f32_to_f16(x), half);
	}
}

/* Between two halves: below the middle, at it, above it. */
static void halves_are_rounded_to_the_nearest_and_ties_to_even(void **state)
{
	(void)state;
	for (uint32_t half = 0; half < 0x7bff; half++) {
		const float low = f16_to_f32((uint16_t)half);
		const float high = f16_to_f32((uint16_t)(half + 1));
		const float middle = 0.5f * (low + high);

		assert_int_equal(f32_to_f16(nextafterf(middle, 0.0f)), half);
		assert_int_equal(f32_to_f16(middle), half + (half & 1));
		assert_int_equal(f32_to_f16(nextafterf(middle, INFINITY)), half + 1);
		assert_int_equal(f32_to_f16(-middle), 0x8000 | (half + (half & 1)));
	}
}

static void what_is_too_large_for_a_half_is_infinite(void **state)
{
	(void)state;
	assert_int_equal(f32_to_f16(65519.0f), 0x7bff);
	assert_int_equal(f32_to_f16(65520.0f), 0x7c00);
	assert_int_equal(f32_to_f16(-1e30f), 0xfc00);
	assert_int_equal(f32_to_f16(INFINITY), 0x7c00);
	assert_int_equal(f32_to_f16(1e-30f), 0);
	assert_int_equal(f32_to_f16(-1e-30f), 0x8000);
}

static void bfloats_come_back_and_are_rounded_to_the_nearest(void **state)
{
	(void)state;
	for (uint32_t brain = 0; brain < 0x7f80; brain++) {
		const uint32_t middle_bits = brain << 16 | 0x8000;
		const float middle = load_lef32(&middle_bits);

		assert_int_equal(f32_to_bf16(bf16_to_f32((uint16_t)brain)), brain);
		assert_int_equal(f32_to_bf16(middle), brain + (brain & 1));
		assert_int_equal(f32_to_bf16(nextafterf(middle, INFINITY)), brain + 1);
	}
	assert_int_equal(f32_to_bf16(-INFINITY), 0xff80);
	assert_true(isnan(bf16_to_f32(f32_to_bf16(NAN))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_half_comes_back),
		cmocka_unit_test(halves_are_rounded_to_the_nearest_and_ties_to_even),
		cmocka_unit_test(what_is_too_large_for_a_half_is_infinite),
		cmocka_unit_test(bfloats_come_back_and_are_rounded_to_the_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
