/* SPDX-License-Identifier: Apache-2.0 */
/* What is learnt of the time that steps take. */
#include "coordinator/pace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A machine: ns that a step takes. */
static double machine(struct pace_load load)
{
	return 17e6 + 2.9e6 * load.n_rows + 700.0 * (double)load.n_positions;
}

static struct pace_load load_of(uint32_t n_rows, uint32_t first)
{
	return (struct pace_load){ n_rows, pace_positions(first, n_rows) };
}

static void note(struct pace *pace, uint32_t n_rows, uint32_t first)
{
	pace_note(pace, load_of(n_rows, first), machine(load_of(n_rows, first)));
}

static void assert_within(double value, double expected, double part)
{
	if (!(fabs(value - expected) <= part * expected))
		fail_msg("expected %g within %g, found %g", expected, part, value);
}

static void nothing_is_known_before_the_first_step(void **state)
{
	struct pace pace = { .n_seen = 0 };

	(void)state;
	assert_true(pace_predict(&pace, load_of(8, 0)) == 0);
	assert_int_equal(pace_rows_within(&pace, load_of(1, 0), 0, 0), 0);
	assert_int_equal(pace_rows_within(&pace, load_of(1, 0), -1, 5), 0);
}

static void one_kind_of_step_bounds_the_larger_ones(void **state)
{
	struct pace pace = { .n_seen = 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		note(&pace, 8, 100);
	assert_within(pace_predict(&pace, load_of(8, 100)), machine(load_of(8, 100)), 0.001);
	assert_true(pace_predict(&pace, load_of(64, 100)) > machine(load_of(64, 100)));
}

static void steps_of_several_sizes_tell_all_others(void **state)
{
	struct pace pace = { .n_seen = 0 };

	(void)state;
	for (uint32_t i = 0; i < 200; i++) {
		note(&pace, 8, 100 + i);
		note(&pace, 40, 20 * i);
		note(&pace, 256, 10 * i);
	}
	for (uint32_t n_rows = 1; n_rows <= 512; n_rows *= 2)
		for (uint32_t first = 0; first < 8000; first += 1000)
			assert_within(pace_predict(&pace, load_of(n_rows, first)),
				      machine(load_of(n_rows, first)), 0.1);
}

/* Decoding for long does not hide what prompts cost. */
static void small_steps_do_not_hide_the_large_ones(void **state)
{
	struct pace pace = { .n_seen = 0 };

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		note(&pace, 8, 100);
		note(&pace, 40, 100);
	}
	for (uint32_t i = 0; i < 100000; i++)
		note(&pace, 8, 100);
	assert_within(pace_predict(&pace, load_of(40, 100)), machine(load_of(40, 100)), 0.1);
}

static void one_slow_step_is_not_believed_but_many_are(void **state)
{
	struct pace pace = { .n_seen = 0 };
	double ns = machine(load_of(8, 0));

	(void)state;
	for (int i = 0; i < 50; i++)
		note(&pace, 8, 0);
	pace_note(&pace, load_of(8, 0), 1000 * ns);
	assert_true(pace_predict(&pace, load_of(8, 0)) < 1.3 * ns);
	for (int i = 0; i < 50; i++)
		pace_note(&pace, load_of(8, 0), 3 * ns);
	assert_within(pace_predict(&pace, load_of(8, 0)), 3 * ns, 0.01);
}

static void rows_within_a_time_take_that_time(void **state)
{
	const struct pace_load nothing = { 0, 0 };
	struct pace pace = { .ns_of = { 17e6, 2.9e6, 700 } };

	(void)state;
	for (uint32_t first = 0; first < 100000; first += 777) {
		uint32_t n = pace_rows_within(&pace, nothing, 217e6, first);
		const struct pace_load with = load_of(n, first), more = load_of(n + 1, first);

		assert_true(pace_predict(&pace, with) <= 217e6);
		assert_true(pace_predict(&pace, more) > 217e6);
	}
	pace.ns_of[2] = 0;
	assert_int_equal(pace_rows_within(&pace, nothing, 46e6 + 1, 5), 10);
	assert_int_equal(pace_rows_within(&pace, load_of(4, 0), 46e6 + 1, 5), 6);
	pace.ns_of[1] = 0;	/* rows cost nothing: more than there are */
	assert_true(pace_rows_within(&pace, nothing, 17e6 + 1, 5) > UINT32_MAX / 4);
}

/* A machine that computes rows in tiles of 6, and a large tile faster than a small one: no sum of
 * three terms. What such steps took of late corrects the sum. */
static double machine_of_tiles(uint32_t n_rows)
{
	return 10e6 + (n_rows < 16 ? 3e6 : n_rows < 32 ? 5e6 : 2e6) * ((n_rows + 5) / 6 * 6);
}

static void recent_steps_of_a_size_correct_what_is_predicted(void **state)
{
	struct pace pace = { .n_seen = 0 };
	uint32_t n_rows;

	(void)state;
	for (uint32_t i = 0; i < 50; i++) {
		pace_note(&pace, load_of(8, 0), machine_of_tiles(8));
		pace_note(&pace, load_of(256, 0), machine_of_tiles(256));
	}
	for (uint32_t i = 0; i < 50; i++)
		pace_note(&pace, load_of(24, 0), machine_of_tiles(24));
	assert_within(pace_predict(&pace, load_of(24, 0)), machine_of_tiles(24), 0.01);
	n_rows = 8 + pace_rows_within(&pace, load_of(8, 0), machine_of_tiles(24), 0);
	assert_in_range(n_rows, 23, 25);
}

/* The machine gets slower while only large steps run. Small steps, not seen since, are still
 * predicted to take what they took. */
static void steps_not_seen_for_long_keep_their_time(void **state)
{
	struct pace pace = { .n_seen = 0 };
	double ns = machine(load_of(8, 100));

	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		note(&pace, 8, 100);
	for (uint32_t i = 0; i < 300; i++) {
		struct pace_load load = load_of(24, 20 * i);

		pace_note(&pace, load, (1 + i / 300.0) * machine(load));
	}
	assert_within(pace_predict(&pace, load_of(8, 100)), ns, 0.01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_before_the_first_step),
		cmocka_unit_test(one_kind_of_step_bounds_the_larger_ones),
		cmocka_unit_test(steps_of_several_sizes_tell_all_others),
		cmocka_unit_test(small_steps_do_not_hide_the_large_ones),
		cmocka_unit_test(one_slow_step_is_not_believed_but_many_are),
		cmocka_unit_test(rows_within_a_time_take_that_time),
		cmocka_unit_test(steps_not_seen_for_long_keep_their_time),
		cmocka_unit_test(recent_steps_of_a_size_correct_what_is_predicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
