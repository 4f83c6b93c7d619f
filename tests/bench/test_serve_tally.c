/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/serve_tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define MS UINT64_C(1000000)

static struct tally tally;

static int make(void **state)
{
	struct error err;

	(void)state;
	return tally_init(&tally, 1000, &err);
}

static int drop(void **state)
{
	(void)state;
	tally_deinit(&tally);
	return 0;
}

static void add(uint64_t at_ms, bool is_background, uint32_t request, enum tally_kind kind,
		uint32_t n_tokens)
{
	struct tally_event event = { .at_ns = at_ms * MS, .request = request, .kind = kind,
				     .n_tokens = n_tokens & 0xffffff,
				     .is_background = is_background };

	assert_true(tally_add(&tally, event));
}

static struct numbers numbers_of(uint64_t start_ms, uint64_t end_ms)
{
	struct numbers numbers;

	assert_int_equal(tally_numbers(&tally, start_ms * MS, end_ms * MS, &numbers, NULL), SC_OK);
	return numbers;
}

static void expect(double found, double wanted)
{
	if (found < wanted - 1e-6 || found > wanted + 1e-6)
		fail_msg("%g instead of %g", found, wanted);
}

static void tokens_that_come_together_share_the_gap(void **state)
{
	struct numbers n;

	(void)state;
	add(100, false, 0, TALLY_DUE, 0);
	add(130, false, 0, TALLY_TOKENS, 2);	/* the second one has no gap */
	add(140, false, 0, TALLY_TOKENS, 1);
	add(170, false, 0, TALLY_TOKENS, 3);
	add(171, false, 0, TALLY_DONE, 0);
	n = numbers_of(100, 300);
	assert_int_equal(n.foreground.n_requests, 1);
	assert_int_equal(n.foreground.n_done, 1);
	assert_int_equal(n.foreground.n_tokens, 6);
	assert_int_equal(n.foreground.first.n, 1);
	expect(n.foreground.first.p50, 30);
	assert_int_equal(n.foreground.gap.n, 4);
	expect(n.foreground.gap.p99, 10);
	expect(n.foreground.longest_wait, 30);
	expect(n.foreground.whole.p50, 71);
	expect(n.seconds, 0.2);
}

static void percentiles_are_values_of_the_nearest_rank(void **state)
{
	struct numbers n;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {	/* 1 to 100 ms, not in order */
		add(0, false, i, TALLY_DUE, 0);
		add(1 + i * 37 % 100, false, i, TALLY_TOKENS, 1);
	}
	n = numbers_of(0, 1000);
	assert_int_equal(n.foreground.first.n, 100);
	expect(n.foreground.first.p50, 50);
	expect(n.foreground.first.p90, 90);
	expect(n.foreground.first.p99, 99);
	expect(n.foreground.first.most, 100);
	assert_int_equal(n.foreground.gap.n, 0);
	expect(n.foreground.gap.p99, 0);
}

static void a_gap_over_an_edge_belongs_to_the_time_of_the_long_prompt(void **state)
{
	struct numbers n;

	(void)state;
	add(0, true, 0, TALLY_DUE, 0);
	add(5, true, 0, TALLY_TOKENS, 1);	/* no gap */
	add(10, true, 0, TALLY_TOKENS, 1);	/* begins before the start: in no window */
	add(20, true, 0, TALLY_TOKENS, 1);
	add(31, true, 0, TALLY_TOKENS, 1);	/* before: 10 and 11 */
	add(40, false, 1, TALLY_DUE, 0);
	add(51, true, 0, TALLY_TOKENS, 1);	/* begins before, ends during: 20 */
	add(100, false, 1, TALLY_TOKENS, 1);
	add(101, true, 0, TALLY_TOKENS, 1);	/* begins during, ends after: 50 */
	add(113, true, 0, TALLY_TOKENS, 1);	/* after: 12 */
	add(120, false, 1, TALLY_DONE, 0);
	add(200, true, 0, TALLY_CUT, 0);
	n = numbers_of(8, 200);
	assert_int_equal(n.background.n_cut, 1);
	assert_int_equal(n.background.gap.n, 6);
	assert_int_equal(n.windows[WINDOW_BEFORE].gap.n, 2);
	expect(n.windows[WINDOW_BEFORE].gap.p50, 10);
	expect(n.windows[WINDOW_BEFORE].gap.p99, 11);
	expect(n.windows[WINDOW_BEFORE].seconds, 0.032);
	assert_int_equal(n.windows[WINDOW_DURING].gap.n, 2);
	expect(n.windows[WINDOW_DURING].gap.p50, 20);
	expect(n.windows[WINDOW_DURING].longest_wait, 50);
	expect(n.windows[WINDOW_DURING].seconds, 0.06);
	assert_int_equal(n.windows[WINDOW_AFTER].gap.n, 1);
	expect(n.windows[WINDOW_AFTER].gap.p50, 12);
	expect(n.windows[WINDOW_AFTER].seconds, 0.1);
}

static void times_of_prompts_that_overlap_count_once(void **state)
{
	struct numbers n;

	(void)state;
	add(10, false, 0, TALLY_DUE, 0);
	add(30, false, 1, TALLY_DUE, 0);
	add(40, false, 0, TALLY_TOKENS, 1);
	add(70, false, 1, TALLY_FAILED, 0);	/* waited until then */
	add(90, false, 2, TALLY_DUE, 0);
	add(95, false, 2, TALLY_TOKENS, 1);
	n = numbers_of(0, 100);
	expect(n.windows[WINDOW_BEFORE].seconds, 0.01);
	expect(n.windows[WINDOW_DURING].seconds, 0.065);
	expect(n.windows[WINDOW_AFTER].seconds, 0.025);
	assert_int_equal(n.foreground.n_failed, 1);
	assert_int_equal(n.foreground.first.n, 2);
}

static void tokens_outside_of_the_span_do_not_count_as_speed(void **state)
{
	struct numbers n;

	(void)state;
	add(0, false, 0, TALLY_DUE, 0);
	add(9, false, 0, TALLY_TOKENS, 1);
	add(10, false, 0, TALLY_TOKENS, 1);
	add(20, false, 0, TALLY_TOKENS, 1);
	add(21, false, 0, TALLY_TOKENS, 1);
	n = numbers_of(10, 20);
	assert_int_equal(n.foreground.n_tokens, 2);
	assert_int_equal(n.foreground.gap.n, 3);
}

static void nothing_at_all_gives_zeros(void **state)
{
	struct numbers n = numbers_of(0, 0);

	(void)state;
	assert_int_equal(n.foreground.n_requests, 0);
	expect(n.foreground.first.p99, 0);
	expect(n.windows[WINDOW_DURING].gap.p99, 0);
}

static void a_full_tally_says_so(void **state)
{
	struct tally small;
	struct error err;

	(void)state;
	assert_int_equal(tally_init(&small, 2, &err), SC_OK);
	assert_true(tally_add(&small, (struct tally_event){ .at_ns = 1 }));
	assert_true(tally_add(&small, (struct tally_event){ .at_ns = 2 }));
	assert_false(tally_add(&small, (struct tally_event){ .at_ns = 3 }));
	tally_deinit(&small);
}

#define test_of(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_of(tokens_that_come_together_share_the_gap),
		test_of(percentiles_are_values_of_the_nearest_rank),
		test_of(a_gap_over_an_edge_belongs_to_the_time_of_the_long_prompt),
		test_of(times_of_prompts_that_overlap_count_once),
		test_of(tokens_outside_of_the_span_do_not_count_as_speed),
		test_of(nothing_at_all_gives_zeros),
		test_of(a_full_tally_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
