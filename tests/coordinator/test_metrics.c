/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/metrics.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void value_belongs_to_the_first_bound_not_below_it(void **state)
{
	static const double bounds[] = { 1, 2.5, 10 };
	struct histogram h;

	(void)state;
	histogram_init(&h, bounds, 3);
	histogram_observe(&h, 0);
	histogram_observe(&h, 1);
	histogram_observe(&h, 1.01);
	histogram_observe(&h, 2.5);
	histogram_observe(&h, 10);
	histogram_observe(&h, 10.5);
	histogram_observe(&h, INFINITY);
	assert_int_equal(h.counts[0], 2);
	assert_int_equal(h.counts[1], 2);
	assert_int_equal(h.counts[2], 1);
	assert_int_equal(h.counts[3], 2);
	assert_int_equal(histogram_count(&h), 7);
}

static void sum_is_that_of_all_values_but_nan(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init_1_2_5(&h, 100);
	histogram_observe(&h, 3);
	histogram_observe(&h, NAN);
	histogram_observe(&h, 500);
	assert_true(h.sum == 503);
	assert_int_equal(histogram_count(&h), 2);
}

static void bounds_1_2_5_end_at_the_most(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init_1_2_5(&h, 100);
	assert_int_equal(h.n_bounds, 7);
	assert_true(h.bounds[6] == 100);
	histogram_init_1_2_5(&h, 99);
	assert_int_equal(h.n_bounds, 6);
	histogram_init_1_2_5(&h, 0);
	assert_int_equal(h.n_bounds, 0);
	histogram_observe(&h, 7);
	assert_int_equal(histogram_count(&h), 1);
	histogram_init_1_2_5(&h, UINT64_MAX);
	assert_true(h.n_bounds <= HISTOGRAM_MAX_BOUNDS);
}

static struct metrics m;

static uint64_t count(enum metric metric)
{
	return histogram_count(&m.histograms[metric]);
}

static double sum(enum metric metric)
{
	return m.histograms[metric].sum;
}

static void assert_near(double found, double expected)
{
	if (fabs(found - expected) > 1e-9)
		fail_msg("found %.12g, expected %.12g", found, expected);
}

static void sequence_is_measured_from_submission_to_end(void **state)
{
	const struct metrics_request request = { 1 * NS_PER_SECOND, 100, 64 };
	struct metrics_times times = { 0 };

	(void)state;
	metrics_init(&m, 4096);
	metrics_note_submitted(&m, 1);
	metrics_note_started(&times, 3 * NS_PER_SECOND);
	metrics_note_started(&times, 4 * NS_PER_SECOND);	/* it starts over */
	metrics_note_token(&m, &times, &request, 7 * NS_PER_SECOND);
	metrics_note_token(&m, &times, &request, 8 * NS_PER_SECOND);
	metrics_note_token(&m, &times, &request, 10 * NS_PER_SECOND);
	metrics_note_end(&m, &times, &request, FINISH_LENGTH, 10 * NS_PER_SECOND);
	metrics_note_end(&m, &times, &request, FINISH_CANCELLED, 11 * NS_PER_SECOND);
	assert_near(sum(METRIC_FIRST_TOKEN), 6);
	assert_int_equal(count(METRIC_INTER_TOKEN), 2);
	assert_near(sum(METRIC_INTER_TOKEN), 3);
	assert_near(sum(METRIC_TIME_PER_TOKEN), 1.5);
	assert_near(sum(METRIC_LATENCY), 9);
	assert_near(sum(METRIC_QUEUE), 2);
	assert_near(sum(METRIC_PREFILL), 4);
	assert_near(sum(METRIC_DECODE), 3);
	assert_near(sum(METRIC_INFERENCE), 7);
	assert_near(sum(METRIC_PROMPT_TOKENS), 100);
	assert_near(sum(METRIC_OUTPUT_TOKENS), 3);
	assert_near(sum(METRIC_MAX_TOKENS), 64);
	assert_int_equal(count(METRIC_LATENCY), 1);
	assert_int_equal(m.by_finish[FINISH_LENGTH], 1);
	assert_int_equal(m.by_finish[FINISH_CANCELLED], 0);
	assert_int_equal(m.n_ended, 1);
	assert_int_equal(m.prompt_tokens, 100);
	assert_int_equal(m.output_tokens, 3);
	assert_int_equal(m.most_positions, 103);
}

static void cancelled_sequence_is_counted_but_has_no_times(void **state)
{
	const struct metrics_request request = { NS_PER_SECOND, 100, 64 };
	struct metrics_times times = { 0 };

	(void)state;
	metrics_init(&m, 4096);
	metrics_note_submitted(&m, 1);
	metrics_note_end(&m, &times, &request, FINISH_CANCELLED, 5 * NS_PER_SECOND);
	assert_int_equal(m.by_finish[FINISH_CANCELLED], 1);
	assert_int_equal(m.n_ended, 1);
	assert_int_equal(m.prompt_tokens, 0);
	for (unsigned i = 0; i < N_METRICS; i++)
		assert_int_equal(count((enum metric)i), 0);
}

static void token_behind_a_prompt_alone_is_no_output(void **state)
{
	const struct metrics_request request = { NS_PER_SECOND, 100, 0 };
	struct metrics_times times = { 0 };

	(void)state;
	metrics_init(&m, 4096);
	metrics_note_started(&times, NS_PER_SECOND);
	metrics_note_token(&m, &times, &request, 2 * NS_PER_SECOND);
	metrics_note_end(&m, &times, &request, FINISH_LENGTH, 2 * NS_PER_SECOND);
	assert_int_equal(m.prompt_tokens, 100);
	assert_int_equal(m.output_tokens, 0);
	assert_near(sum(METRIC_OUTPUT_TOKENS), 0);
	assert_int_equal(count(METRIC_FIRST_TOKEN), 1);
}

/* What dashboards rely on: vLLM's bounds. */
static void bounds_are_those_of_vllm(void **state)
{
	(void)state;
	metrics_init(&m, 2048);
	assert_int_equal(m.histograms[METRIC_FIRST_TOKEN].n_bounds, 22);
	assert_int_equal(m.histograms[METRIC_INTER_TOKEN].n_bounds, 19);
	assert_int_equal(m.histograms[METRIC_TIME_PER_TOKEN].n_bounds, 19);
	assert_int_equal(m.histograms[METRIC_LATENCY].n_bounds, 21);
	assert_int_equal(m.histograms[METRIC_STEP_ROWS].n_bounds, 13);
	assert_int_equal(m.histograms[METRIC_PROMPT_TOKENS].n_bounds, 11);
	assert_int_equal(m.histograms[METRIC_N].n_bounds, 5);
	for (unsigned i = 0; i < N_METRICS; i++)
		for (unsigned k = 1; k < m.histograms[i].n_bounds; k++)
			assert_true(m.histograms[i].bounds[k] > m.histograms[i].bounds[k - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(value_belongs_to_the_first_bound_not_below_it),
		cmocka_unit_test(sum_is_that_of_all_values_but_nan),
		cmocka_unit_test(bounds_1_2_5_end_at_the_most),
		cmocka_unit_test(sequence_is_measured_from_submission_to_end),
		cmocka_unit_test(cancelled_sequence_is_counted_but_has_no_times),
		cmocka_unit_test(token_behind_a_prompt_alone_is_no_output),
		cmocka_unit_test(bounds_are_those_of_vllm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
