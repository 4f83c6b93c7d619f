/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sampler.h"

#include "stage/philox.h"
#include "tests/stage/reference_sampler.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define N_DRAWS 100000
#define MAX_VOCAB 600

static const struct sampling plain = { .seed = 7, .temperature = 1, .top_p = 1, SAMPLING_OFF };

static struct backend *backend;

static struct sampler *create(uint32_t n_vocab)
{
	struct sampler *sampler;

	assert_int_equal(sampler_create(backend, n_vocab, 1, 1, &sampler), SC_OK);
	return sampler;
}

/* sampling NULL: score. */
static void run_row(struct sampler *sampler, const float *logits, const struct sampling *sampling,
		    struct token_record *record)
{
	const struct sampler_row row = { .sampling = sampling, .record = record };

	sampler_run(sampler, logits, logits, &row, 1, NULL);
}

/* The record of a draw that has no fault. */
static struct token_record draw_record(struct sampler *sampler, const float *logits,
				       const struct sampling *sampling, uint32_t position)
{
	struct token_record record = { .position = position };
	struct sampling with_logprob = *sampling;

	with_logprob.flags = SAMPLING_LOGPROB;
	run_row(sampler, logits, &with_logprob, &record);
	assert_int_equal(record.fault, TOKEN_FAULT_NONE);
	assert_true(isfinite(record.logprob));
	return record;
}

/* Draw for positions 0 .. n_draws - 1 and count the tokens. */
static void count_draws(const float *logits, uint32_t n_vocab, struct sampling sampling,
			uint32_t n_draws, uint32_t *counts)
{
	struct sampler *sampler;
	uint32_t token;

	memset(counts, 0, n_vocab * sizeof *counts);
	sampler = create(n_vocab);
	for (uint32_t i = 0; i < n_draws; i++) {
		token = draw_record(sampler, logits, &sampling, i).token;
		assert_true(token < n_vocab);
		counts[token]++;
	}
	sampler_destroy(sampler);
}

static uint32_t draw_one(const float *logits, uint32_t n_vocab, struct sampling sampling,
			 uint32_t position, float *logprob_out)
{
	struct token_record record;
	struct sampler *sampler;

	sampler = create(n_vocab);
	record = draw_record(sampler, logits, &sampling, position);
	sampler_destroy(sampler);
	if (logprob_out)
		*logprob_out = record.logprob;
	return record.token;
}

/* Which tokens come up at all, as bits. */
static uint32_t tokens_seen(const float *logits, uint32_t n_vocab, struct sampling sampling)
{
	uint32_t counts[32];
	uint32_t seen = 0;

	count_draws(logits, n_vocab, sampling, 5000, counts);
	for (uint32_t i = 0; i < n_vocab; i++)
		if (counts[i])
			seen |= UINT32_C(1) << i;
	return seen;
}

/* Logits whose probabilities are 1/2, 1/4, 1/8, 1/16, 1/16, not in order of id. */
static const float halves[] = { -2.0794415f, -0.6931472f, -2.7725887f, -1.3862944f, -2.7725887f };
#define HALF 2u
#define QUARTER 8u
#define EIGHTH 1u
#define ALL_HALVES 31u

static void greedy_takes_the_lowest_id_among_maxima(void **state)
{
	const float logits[] = { 1, 5, 3, 5, 5, -2 };
	struct sampling greedy = { .temperature = 0, .top_p = 1, SAMPLING_OFF };

	(void)state;
	assert_int_equal(draw_one(logits, 6, greedy, 3, NULL), 1);
	greedy.top_k = 4;
	greedy.top_p = 0.1f;
	greedy.min_p = 0.9f;
	assert_int_equal(draw_one(logits, 6, greedy, 3, NULL), 1);
}

static void a_single_candidate_is_the_greedy_one(void **state)
{
	const float logits[] = { 1, 5, 3, 5, 5, -2 };
	struct sampling one = plain;

	(void)state;
	one.temperature = 100;
	one.top_k = 1;
	assert_int_equal(tokens_seen(logits, 6, one), 1u << 1);
	one.top_k = 0;
	one.top_p = 0;
	assert_int_equal(tokens_seen(logits, 6, one), 1u << 1);
}

/* Expected probabilities are computed here, in double. */
static void check_chi_square(const float *logits, uint32_t n, struct sampling sampling,
			     double limit)
{
	uint32_t counts[32];
	double weights[32], total = 0, chi_square = 0;

	count_draws(logits, n, sampling, N_DRAWS, counts);
	for (uint32_t i = 0; i < n; i++)
		total += weights[i] = exp((double)logits[i] / (double)sampling.temperature);
	for (uint32_t i = 0; i < n; i++) {
		double expected = weights[i] / total * N_DRAWS;

		chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
	}
	print_message("temperature %g seed %u: chi-square %.2f, limit %.2f\n",
		      (double)sampling.temperature, (unsigned)sampling.seed, chi_square, limit);
	assert_true(chi_square < limit);
}

static void frequencies_follow_the_softmax(void **state)
{
	/* 9 degrees of freedom: 5 % of all seeds lie above this limit. */
	static const double limit = 16.92;
	const float logits[] = { 0.5f, -1, 2, 0, 1.25f, -2, 0.75f, 1.5f, -0.5f, 0.1f };
	const float temperatures[] = { 0.5f, 1, 2 };
	struct sampling sampling = plain;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		sampling.temperature = temperatures[i];
		for (sampling.seed = 1; sampling.seed <= 3; sampling.seed++) {
			sampling.stream = (uint32_t)sampling.seed * 11;
			check_chi_square(logits, 10, sampling, limit);
		}
	}
}

static void top_k_keeps_the_largest_and_the_lower_ids_of_ties(void **state)
{
	const float logits[] = { 0, 1, 0.5f, 1, 0.5f, 0.5f, 0.25f };
	struct sampling sampling = plain;

	(void)state;
	sampling.top_k = 2;
	assert_int_equal(tokens_seen(logits, 7, sampling), 1u << 1 | 1u << 3);
	sampling.top_k = 4;
	assert_int_equal(tokens_seen(logits, 7, sampling),
			 1u << 1 | 1u << 3 | 1u << 2 | 1u << 4);
	sampling.top_k = 7;
	assert_int_equal(tokens_seen(logits, 7, sampling), 127);
	sampling.top_k = 4000000000u;
	assert_int_equal(tokens_seen(logits, 7, sampling), 127);
}

static void top_p_keeps_the_fewest_that_sum_to_p(void **state)
{
	struct sampling sampling = plain;

	(void)state;
	sampling.top_p = 0.49f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF);
	sampling.top_p = 0.51f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER);
	sampling.top_p = 0.76f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER | EIGHTH);
	sampling.top_p = 0.9f;		/* the first of two equal ones is enough */
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER | EIGHTH | 1u << 2);
	sampling.top_p = 0.99f;
	assert_int_equal(tokens_seen(halves, 5, sampling), ALL_HALVES);
}

static void min_p_is_relative_to_the_most_probable(void **state)
{
	struct sampling sampling = plain;

	(void)state;
	sampling.min_p = 0.6f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF);
	sampling.min_p = 0.4f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER);
	sampling.min_p = 0.2f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER | EIGHTH);
	sampling.min_p = 0.1f;
	assert_int_equal(tokens_seen(halves, 5, sampling), ALL_HALVES);
	sampling.min_p = 1;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF);
}

static void filters_run_top_k_top_p_min_p_then_temperature(void **state)
{
	struct sampling sampling = plain;

	(void)state;
	/* 0.66 of everything needs two tokens, 0.66 of the best two needs one. */
	sampling.top_p = 0.66f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER);
	sampling.top_k = 2;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF);
	/* A temperature before the filters would make all tokens alike and keep them. */
	sampling = plain;
	sampling.temperature = 100;
	sampling.top_p = 0.7f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER);
	sampling.top_p = 1;
	sampling.min_p = 0.4f;
	assert_int_equal(tokens_seen(halves, 5, sampling), HALF | QUARTER);
}

static void draws_equal_a_full_sort_in_double(void **state)
{
	static float logits[MAX_VOCAB];
	struct sampler *sampler;
	uint32_t n_drawn[MAX_VOCAB] = { 0 }, n_distinct = 0;

	(void)state;
	for (uint32_t trial = 0; trial < 4000; trial++) {
		uint32_t n = 1 + (uint32_t)(philox_uniform(1, trial, 0) * (MAX_VOCAB - 1));
		double coarse = trial % 3 ? 1e-4 : 0.5;	/* many ties every third time */
		struct sampling sampling = {
			SAMPLING_OFF,
			.seed = trial,
			.stream = trial % 5,
			.temperature = (float)(0.1 + 2 * philox_uniform(1, trial, 1)),
			.top_k = trial & 1 ? 1 + (uint32_t)(philox_uniform(1, trial, 2) * n) : 0,
			.top_p = trial & 2 ? (float)philox_uniform(1, trial, 3) : 1,
			.min_p = trial & 4 ? (float)philox_uniform(1, trial, 4) * 0.3f : 0,
		};
		uint32_t token;

		for (uint32_t i = 0; i < n; i++)
			logits[i] = (float)(coarse * floor((philox_uniform(2, trial, i) * 12 - 6) /
							   coarse));
		sampler = create(n);
		token = draw_record(sampler, logits, &sampling, trial).token;
		sampler_destroy(sampler);
		assert_int_equal(token, reference_draw(logits, n, &sampling, trial));
		n_distinct += !n_drawn[token]++;
	}
	assert_true(n_distinct > 300);
}

/* Where the best are close together top-p needs only them, where the tail is heavy nearly all: the
 * sampler goes different ways. */
static void top_p_is_exact_in_light_and_in_heavy_tails(void **state)
{
	static float logits[MAX_VOCAB];
	struct sampler *sampler;

	(void)state;
	sampler = create(MAX_VOCAB);
	for (uint32_t trial = 0; trial < 2000; trial++) {
		/* The best one, 0 to 20 above 599 others that spread over 0 to 4. */
		const float lead = (float)(trial % 21);
		const struct sampling sampling = {
			.seed = trial, .temperature = 1 + (float)(trial % 4),
			.top_p = (float)philox_uniform(3, trial, 0),
			.top_k = trial % 5 ? 0 : 100, SAMPLING_OFF,
		};
		uint32_t token;

		for (uint32_t i = 0; i < MAX_VOCAB; i++)
			logits[i] = (float)(philox_uniform(4, trial, i) * (trial % 5));
		logits[trial % MAX_VOCAB] = 4 + lead;
		token = draw_record(sampler, logits, &sampling, trial).token;
		assert_int_equal(token, reference_draw(logits, MAX_VOCAB, &sampling, trial));
	}
	sampler_destroy(sampler);
}

static void logprob_is_the_log_softmax_before_filters(void **state)
{
	float logprob;
	struct sampling sampling = plain;
	static const float large[] = { 1e30f, 1e30f, -1e30f };
	static const float wide[] = { 88.5f, -3.4e38f, 0, 3e38f };

	(void)state;
	sampling.top_k = 2;
	sampling.temperature = 3;
	for (uint32_t position = 0; position < 20; position++) {
		uint32_t token = draw_one(halves, 5, sampling, position, &logprob);

		assert_float_equal(logprob, halves[token], 1e-6);
	}
	draw_one(halves, 5, (struct sampling){ SAMPLING_OFF }, 0, &logprob);
	assert_float_equal(logprob, -0.6931472f, 1e-6);
	draw_one(large, 3, plain, 0, &logprob);
	assert_float_equal(logprob, -0.6931472f, 1e-6);
	assert_int_equal(draw_one(wide, 4, plain, 0, &logprob), 3);
	assert_float_equal(logprob, 0, 0);
}

static void logprob_of_a_large_vocabulary_does_not_lose_its_tail(void **state)
{
	enum { N = 1 << 20 };
	float *logits = malloc(N * sizeof *logits);
	float logprob;

	(void)state;
	assert_non_null(logits);
	for (uint32_t i = 0; i < N; i++)
		logits[i] = i ? -17.0f : 0.0f;
	draw_one(logits, N, (struct sampling){ SAMPLING_OFF }, 0, &logprob);
	assert_float_equal(logprob, -log1p((N - 1) * exp(-17)), 1e-7);
	free(logits);
}

static void extreme_temperatures_stay_in_bounds(void **state)
{
	const float logits[] = { 1, 3, 2.9999998f, -INFINITY };
	uint32_t counts[4];
	struct sampling sampling = plain;

	(void)state;
	sampling.temperature = 1e-38f;
	assert_int_equal(tokens_seen(logits, 4, sampling), 1u << 1);
	sampling.temperature = 1000;
	count_draws(logits, 4, sampling, 30000, counts);
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(counts[i], 9700, 10300);
	assert_int_equal(counts[3], 0);
}

static void the_draw_depends_on_seed_stream_and_position_alone(void **state)
{
	enum { N = 64 };
	float logits[32] = { 0 }, other[32] = { 0, 9, 1 };
	uint32_t first[N], differing[3] = { 0 };
	struct sampling sampling = plain, variant;
	struct sampler *sampler;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		first[i] = draw_one(logits, 32, sampling, i, NULL);
	/* Backwards, from a used sampler, with others in between. */
	sampler = create(32);
	for (uint32_t i = N; i-- > 0;) {
		variant = sampling;
		variant.seed ^= i;
		variant.top_p = 0.5f;
		(void)draw_record(sampler, other, &variant, i);
		assert_int_equal(draw_record(sampler, logits, &sampling, i).token, first[i]);
	}
	sampler_destroy(sampler);
	for (uint32_t i = 0; i < N; i++) {
		variant = sampling;
		variant.seed++;
		differing[0] += draw_one(logits, 32, variant, i, NULL) != first[i];
		variant = sampling;
		variant.stream++;
		differing[1] += draw_one(logits, 32, variant, i, NULL) != first[i];
		differing[2] += draw_one(logits, 32, sampling, i + N, NULL) != first[i];
	}
	for (unsigned i = 0; i < 3; i++)
		assert_true(differing[i] > N / 2);
}

/* Draw and score: both give the fault, and the token whose logit has it. */
static void expect_fault(const float *logits, uint32_t n_vocab, float temperature,
			 enum token_fault fault, uint32_t token)
{
	struct token_record drawn = { .position = 3, .logprob = 99 };
	struct token_record scored = { .position = 3, .token = 1, .logprob = 99 };
	struct sampling sampling = plain;
	struct sampler *sampler;

	sampling.temperature = temperature;
	sampler = create(n_vocab);
	run_row(sampler, logits, &sampling, &drawn);
	run_row(sampler, logits, NULL, &scored);
	sampler_destroy(sampler);
	assert_int_equal(drawn.fault, fault);
	assert_int_equal(drawn.token, token);
	assert_true(drawn.logprob == 0);
	assert_memory_equal(&scored, &drawn, sizeof drawn);
}

static void logits_that_are_not_finite_give_a_fault_and_its_token(void **state)
{
	static const struct {
		float value;
		enum token_fault fault;
	} bad[] = {
		{ NAN, TOKEN_FAULT_NAN }, { INFINITY, TOKEN_FAULT_INFINITE },
		{ -NAN, TOKEN_FAULT_NAN },
	};
	const float nothing[] = { -INFINITY, -INFINITY, -INFINITY };

	(void)state;
	for (unsigned i = 0; i < 18; i++) {
		float logits[] = { 1, -INFINITY, 3 };

		logits[i % 3] = bad[i / 3 % 3].value;
		expect_fault(logits, 3, i < 9 ? 0 : 1, bad[i / 3 % 3].fault, i % 3);
		/* The first of several is told. */
		logits[2] = bad[i % 2].value;
		if (i % 3 < 2)
			expect_fault(logits, 3, 1, bad[i / 3 % 3].fault, i % 3);
	}
	expect_fault(nothing, 3, 0, TOKEN_FAULT_EMPTY, 0);
	expect_fault(nothing, 3, 1, TOKEN_FAULT_EMPTY, 0);
}

static void one_finite_logit_is_enough_whatever_the_options(void **state)
{
	const float logits[] = { -INFINITY, -INFINITY, -3e38f, -INFINITY };
	const float temperatures[] = { 0, 1e-45f, 1, 1000 };

	(void)state;
	for (unsigned i = 0; i < 4 * 3 * 3 * 3; i++) {
		struct sampling sampling = {
			.temperature = temperatures[i % 4], SAMPLING_OFF,
			.top_k = i / 4 % 3 * 2,
			.top_p = i / 12 % 3 ? i / 12 % 3 == 1 ? 1e-45f : 0.5f : 1,
			.min_p = i / 36 % 3 ? i / 36 % 3 == 1 ? 1 : 1e-45f : 0,
		};
		float logprob;

		assert_int_equal(draw_one(logits, 4, sampling, i, &logprob), 2);
		assert_true(logprob == 0);
	}
}

/* A difference of two logits may be more than a float holds. */
static void a_score_is_finite_however_improbable(void **state)
{
	const float logits[] = { 3e38f, -3e38f, -INFINITY };
	struct sampler *sampler;

	(void)state;
	sampler = create(3);
	for (uint32_t token = 0; token < 3; token++) {
		struct token_record record = { .token = token };

		run_row(sampler, logits, NULL, &record);
		assert_int_equal(record.fault, TOKEN_FAULT_NONE);
		assert_int_equal(record.token, token);
		assert_true(record.logprob == (token ? -FLT_MAX : 0));
	}
	sampler_destroy(sampler);
}

static int open_backend(void **state)
{
	const struct backend_config config = { .n_threads = 2, .max_rows = 1, .max_width = 1 };
	struct error err;

	(void)state;
	return backend_cpu.open(0, &config, &backend, &err);
}

static int close_backend(void **state)
{
	(void)state;
	backend->ops->close(backend);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greedy_takes_the_lowest_id_among_maxima),
		cmocka_unit_test(a_single_candidate_is_the_greedy_one),
		cmocka_unit_test(frequencies_follow_the_softmax),
		cmocka_unit_test(top_k_keeps_the_largest_and_the_lower_ids_of_ties),
		cmocka_unit_test(top_p_keeps_the_fewest_that_sum_to_p),
		cmocka_unit_test(min_p_is_relative_to_the_most_probable),
		cmocka_unit_test(filters_run_top_k_top_p_min_p_then_temperature),
		cmocka_unit_test(draws_equal_a_full_sort_in_double),
		cmocka_unit_test(top_p_is_exact_in_light_and_in_heavy_tails),
		cmocka_unit_test(logprob_is_the_log_softmax_before_filters),
		cmocka_unit_test(logprob_of_a_large_vocabulary_does_not_lose_its_tail),
		cmocka_unit_test(extreme_temperatures_stay_in_bounds),
		cmocka_unit_test(the_draw_depends_on_seed_stream_and_position_alone),
		cmocka_unit_test(logits_that_are_not_finite_give_a_fault_and_its_token),
		cmocka_unit_test(one_finite_logit_is_enough_whatever_the_options),
		cmocka_unit_test(a_score_is_finite_however_improbable),
	};

	return cmocka_run_group_tests(tests, open_backend, close_backend);
}
