/* SPDX-License-Identifier: Apache-2.0 */
/* What of a request is refused, and what becomes of its parameters of the draw. */
#include "coordinator/job_request.h"
#include "coordinator/job_sampling.h"
#include "coordinator/sequence.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { N_VOCAB = 1000 };

static uint32_t end_ids[200];
static struct token_list ends = { end_ids, 3, 3 };

static void expect_refused(const struct job_request *request, const char *text)
{
	struct error err = { .text = "" };

	assert_int_equal(job_request_check(request, N_VOCAB, NULL, &err), SC_E_INVALID);
	if (strncmp(err.text, text, strlen(text)))
		fail_msg("expected \"%s\", found: %s", text, err.text);
}

static void expect_accepted(const struct job_request *request)
{
	struct error err = { .text = "" };

	if (job_request_check(request, N_VOCAB, NULL, &err) != SC_OK)
		fail_msg("%s", err.text);
}

static void the_defaults_are_accepted(void **state)
{
	struct job_request request = job_request_default();

	(void)state;
	expect_accepted(&request);
	request = (struct job_request){ .top_p = 1 };
	expect_accepted(&request);
}

static void numbers_out_of_range_are_refused_by_name(void **state)
{
#define FIELD(name, low, high) { #name ":", offsetof(struct job_request, name), low, high }
	static const struct {
		const char *name;
		size_t offset;
		float low, high;	/* the first values that are refused */
	} fields[] = {
		FIELD(temperature, -0.1f, 100.1f),
		FIELD(top_p, 0, 1.01f),
		FIELD(min_p, -0.1f, 1.01f),
		FIELD(typical_p, -0.1f, 1.01f),
		FIELD(top_n_sigma, -0.1f, 1001),
		FIELD(xtc_probability, -0.1f, 1.01f),
		FIELD(xtc_threshold, -0.1f, 1.01f),
		FIELD(dynatemp_range, -0.1f, 100.1f),
		FIELD(dynatemp_exponent, -0.1f, 1001),
		FIELD(repetition_penalty, -0.1f, 1001),
		FIELD(presence_penalty, -1001, 1001),
		FIELD(frequency_penalty, -1001, 1001),
		FIELD(dry_multiplier, -0.1f, 1001),
		FIELD(dry_base, -0.1f, 1001),
	};

	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		const float bad[] = { fields[i].low, fields[i].high, NAN, INFINITY, -INFINITY };

		for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
			struct job_request request = job_request_default();

			memcpy((char *)&request + fields[i].offset, &bad[k], sizeof bad[k]);
			expect_refused(&request, fields[i].name);
		}
	}
}

static void a_base_of_dry_must_not_shrink(void **state)
{
	struct job_request request = job_request_default();

	(void)state;
	request.dry_base = 0.5f;
	expect_accepted(&request);
	request.dry_multiplier = 0.8f;
	expect_refused(&request, "dry_base: expected 1 to 1000, found 0.5");
}

static void lists_and_counts_are_bounded(void **state)
{
	static const char *const texts[17] = { "a", "a", "a", "a", "a", "a", "a", "a", "a",
					       "a", "a", "a", "a", "a", "a", "a", "a" };
	static const uint32_t tokens[65] = { 0 };
	static const struct token_bias biases[513];
	static const char *const empty[] = { "a", "" };
	struct job_request request = job_request_default();

	(void)state;
	request.n_stops = 17;
	request.stops = texts;
	expect_refused(&request, "stop: expected at most 16 strings, found 17");
	request.n_stops = 2;
	request.stops = empty;
	expect_refused(&request, "stop: string 2 has 0 bytes, expected 1 to 256");
	request.n_stops = 0;
	request.n_dry_breakers = 17;
	request.dry_breakers = texts;
	expect_refused(&request, "dry_sequence_breakers: expected at most 16 strings");
	request.n_dry_breakers = 2;
	request.dry_breakers = empty;
	expect_refused(&request, "dry_sequence_breakers: string 2 has 0 bytes");
	request.n_dry_breakers = 0;
	request.n_stop_tokens = 65;
	request.stop_tokens = tokens;
	expect_refused(&request, "stop_token_ids: expected at most 64 ids, found 65");
	request.n_stop_tokens = 64;
	request.n_biases = 513;
	request.biases = biases;
	expect_refused(&request, "logit_bias: expected at most 512 tokens, found 513");
	request.n_biases = 512;
	request.n_top_logprobs = 21;
	expect_refused(&request, "top_logprobs: expected at most 20 tokens, found 21");
	request.n_top_logprobs = 20;
	request.n_sequences = 65;
	expect_refused(&request, "n: expected at most 64 sequences, found 65");
	request.n_sequences = 64;
	expect_accepted(&request);
	request.max_tokens = 10;
	request.min_tokens = 11;
	expect_refused(&request, "min_tokens: expected at most max_tokens (10), found 11");
	request.min_tokens = 10;
	expect_accepted(&request);
}

static void what_exceeds_a_limit_is_counted_under_its_name(void **state)
{
	static const char *const texts[JOB_MAX_STOPS + 1];
	static const uint32_t tokens[JOB_MAX_STOP_TOKENS + 1];
	static const struct token_bias biases[JOB_MAX_BIASES + 1];
	static const struct {
		enum limit limit;
		struct job_request request;
	} cases[] = {
		{ LIMIT_SEQUENCES, { .n_sequences = JOB_MAX_SEQUENCES + 1 } },
		{ LIMIT_STOPS, { .stops = texts, .n_stops = JOB_MAX_STOPS + 1 } },
		{ LIMIT_STOP_TOKENS, { .stop_tokens = tokens,
				       .n_stop_tokens = JOB_MAX_STOP_TOKENS + 1 } },
		{ LIMIT_BIASES, { .biases = biases, .n_biases = JOB_MAX_BIASES + 1 } },
		{ LIMIT_TOP_LOGPROBS, { .n_top_logprobs = JOB_MAX_TOP_LOGPROBS + 1 } },
		{ LIMIT_BREAKERS, { .dry_breakers = texts,
				    .n_dry_breakers = JOB_MAX_DRY_BREAKERS + 1 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct job_request request = cases[i].request;
		struct limit_counts counts = { .n = { 0 } };
		struct error err;

		request.top_p = 1;
		assert_int_equal(job_request_check(&request, N_VOCAB, &counts, &err),
				 SC_E_INVALID);
		for (unsigned k = 0; k < N_LIMITS; k++)
			assert_int_equal(counts.n[k], k == cases[i].limit);
	}
}

static void token_ids_are_below_the_vocabulary(void **state)
{
	const uint32_t tokens[] = { 5, N_VOCAB };
	struct token_bias biases[] = { { 5, 1 }, { N_VOCAB, -1 } };
	struct job_request request = job_request_default();

	(void)state;
	request.stop_tokens = tokens;
	request.n_stop_tokens = 2;
	expect_refused(&request, "stop_token_ids: expected token ids below 1000, found 1000");
	request.n_stop_tokens = 1;
	request.biases = biases;
	request.n_biases = 2;
	expect_refused(&request, "logit_bias: expected token ids below 1000, found 1000");
	request.n_biases = 1;
	expect_accepted(&request);
	biases[0].bias = -INFINITY;
	expect_accepted(&request);
	biases[0].bias = INFINITY;
	expect_refused(&request, "logit_bias: the bias of token 5 is inf");
	biases[0].bias = NAN;
	expect_refused(&request, "logit_bias: the bias of token 5 is");
	biases[0].bias = 1.1e9f;
	expect_refused(&request, "logit_bias: the bias of token 5 is 1.1e+09");
}

static void samplers_are_known_and_named_once(void **state)
{
	struct job_request request = job_request_default();

	(void)state;
	request.n_samplers = 2;
	request.samplers[0] = SAMPLER_TOP_K;
	request.samplers[1] = SAMPLER_TOP_K;
	expect_refused(&request, "samplers: number 2 is 4");
	request.samplers[1] = N_SAMPLERS;
	expect_refused(&request, "samplers: number 2 is 10");
	request.samplers[1] = SAMPLER_NONE;
	expect_refused(&request, "samplers: number 2 is 0");
	request.samplers[1] = SAMPLER_XTC;
	expect_accepted(&request);
	request.n_samplers = 10;
	expect_refused(&request, "samplers: expected at most 9, found 10");
}

static void a_hidden_part_has_an_end(void **state)
{
	struct job_request request = job_request_default();

	(void)state;
	request.hidden_open = "<think>";
	expect_refused(&request, "hidden_close: expected the text that ends");
	request.hidden_open = NULL;
	request.starts_hidden = true;
	expect_refused(&request, "hidden_close: expected the text that ends");
	request.hidden_close = "";
	expect_refused(&request, "hidden_close: string 1 has 0 bytes");
	request.hidden_close = "</think>";
	expect_accepted(&request);
}

static void names_and_letters_of_samplers_are_llama_cpps(void **state)
{
	static const uint8_t all[] = { SAMPLER_PENALTIES, SAMPLER_DRY, SAMPLER_TOP_N_SIGMA,
				       SAMPLER_TOP_K, SAMPLER_TYPICAL, SAMPLER_TOP_P,
				       SAMPLER_MIN_P, SAMPLER_XTC, SAMPLER_TEMPERATURE };
	uint8_t found[JOB_MAX_SAMPLERS];
	struct error err;
	uint32_t n;

	(void)state;
	assert_int_equal(job_samplers_read("penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;"
					   "temperature", found, &n, &err), SC_OK);
	assert_int_equal(n, 9);
	assert_memory_equal(found, all, 9);
	assert_int_equal(job_samplers_read_letters("edskypmxt", found, &n, &err), SC_OK);
	assert_int_equal(n, 9);
	assert_memory_equal(found, all, 9);
	assert_int_equal(job_samplers_read("temp, top-k,  nucleus; typical", found, &n, &err),
			 SC_OK);
	assert_int_equal(n, 4);
	assert_int_equal(found[0], SAMPLER_TEMPERATURE);
	assert_int_equal(found[3], SAMPLER_TYPICAL);
	assert_int_equal(job_samplers_read("", found, &n, &err), SC_OK);
	assert_int_equal(n, 0);
	assert_int_equal(job_samplers_read("top_k;mirostat", found, &n, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "found 'mirostat'"));
	assert_int_equal(job_samplers_read("top_k;top-k", found, &n, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "found 'top-k' again"));
	assert_int_equal(job_samplers_read_letters("kz", found, &n, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "found 'z'"));
	assert_int_equal(job_samplers_read_letters("kk", found, &n, &err), SC_E_INVALID);
}

/* --- what steps carry --- */

static struct job_sampling made;

static const struct sampling *make(const struct job_request *request)
{
	const struct job_sampling_context context = {
		.ends = &ends, .n_vocab = N_VOCAB, .n_prompt = 12, .max_tokens = 50,
	};
	struct error err = { .text = "" };

	job_sampling_deinit(&made);
	expect_accepted(request);
	if (job_sampling_init(&made, request, &context, &err) != SC_OK)
		fail_msg("%s", err.text);
	return &made.fixed;
}

static int clean_up(void **state)
{
	(void)state;
	job_sampling_deinit(&made);
	return 0;
}

static void what_is_off_has_one_form(void **state)
{
	const struct sampling off = { .top_p = 1, SAMPLING_OFF, .n_prompt = 12 };
	struct job_request request = { .top_p = 1 };

	(void)state;
	assert_memory_equal(make(&request), &off, sizeof off);
	request.typical_p = request.repetition_penalty = 1;
	request.penalty_last_n = 64;
	request.dry_base = 1.75f;
	request.dry_allowed_length = 2;
	request.dry_last_n = 100;
	request.xtc_threshold = 0.1f;
	request.dynatemp_exponent = 2;
	assert_memory_equal(make(&request), &off, sizeof off);
	request.xtc_probability = 0.5f;
	request.xtc_threshold = 0.6f;
	assert_memory_equal(make(&request), &off, sizeof off);
}

static void what_is_on_is_carried(void **state)
{
	struct job_request request = job_request_default();
	const struct sampling *s;
	struct sequence sequence = { .n_prompt = 0 };

	(void)state;
	request.seed = 7;
	request.typical_p = 0.5f;
	request.top_n_sigma = 1.5f;
	request.xtc_probability = 0.25f;
	request.dynatemp_range = 0.5f;
	request.repetition_penalty = 1.25f;
	request.presence_penalty = -0.5f;
	request.frequency_penalty = 0.75f;
	request.dry_multiplier = 2;
	request.dry_last_n = 33;
	request.min_tokens = 8;
	request.wants_logprobs = true;
	request.n_top_logprobs = 5;
	s = make(&request);
	assert_int_equal(s->seed, 7);
	assert_true(s->temperature == 0.8f && s->top_k == 40 && s->top_p == 0.95f);
	assert_true(s->min_p == 0.05f && s->typical_p == 0.5f && s->top_n_sigma == 1.5f);
	assert_true(s->xtc_probability == 0.25f && s->xtc_threshold == 0.1f);
	assert_true(s->dynatemp_range == 0.5f && s->dynatemp_exponent == 1);
	assert_true(s->repetition_penalty == 1.25f && s->presence_penalty == -0.5f);
	assert_true(s->frequency_penalty == 0.75f && s->penalty_last_n == 64);
	assert_true(s->dry_multiplier == 2 && s->dry_base == 1.75f);
	assert_true(s->dry_allowed_length == 2 && s->dry_last_n == 33);
	assert_int_equal(s->min_tokens, 8);
	assert_int_equal(s->n_tops, 5);
	assert_int_equal(s->flags, SAMPLING_LOGPROB);
	job_sampling_lend(&made, 3, &sequence);
	assert_int_equal(sequence.sampling.stream, 3);
	assert_int_equal(sequence.breakers->n_texts, 4);
	assert_string_equal(sequence.breakers->texts[2], "\"");
	assert_int_equal(sequence.sampling.n_bans, ends.n);
}

static void samplers_that_are_left_out_are_off(void **state)
{
	struct job_request request = job_request_default();
	const struct sampling *s;
	struct error err;

	(void)state;
	request.repetition_penalty = 1.5f;
	request.dry_multiplier = 1;
	assert_int_equal(job_samplers_read("top_k;temperature", request.samplers,
					   &request.n_samplers, &err), SC_OK);
	s = make(&request);
	assert_true(s->repetition_penalty == 1 && s->dry_multiplier == 0);
	assert_true(s->top_k == 40 && s->top_p == 1 && s->min_p == 0);
	/* The usual order, so that none is given. */
	assert_int_equal(s->order[0], SAMPLER_NONE);
	assert_int_equal(job_samplers_read("temperature;top_k", request.samplers,
					   &request.n_samplers, &err), SC_OK);
	s = make(&request);
	assert_int_equal(s->order[0], SAMPLER_TEMPERATURE);
	assert_int_equal(s->order[1], SAMPLER_TOP_K);
	assert_int_equal(s->order[2], SAMPLER_NONE);
	assert_int_equal(job_samplers_read("top_k", request.samplers, &request.n_samplers, &err),
			 SC_OK);
	assert_true(make(&request)->temperature == 1);
}

static void biases_are_sorted_and_added_up(void **state)
{
	const struct token_bias biases[] = { { 9, 1 }, { 3, -2 }, { 9, 0.5f }, { 5, -INFINITY },
					     { 5, 100 }, { 0, 1e9f }, { 0, 1e9f } };
	struct job_request request = job_request_default();

	(void)state;
	request.biases = biases;
	request.n_biases = 7;
	assert_int_equal(make(&request)->n_biases, 4);
	assert_true(made.biases[0].token == 0 && made.biases[0].bias == STEP_MAX_BIAS);
	assert_true(made.biases[1].token == 3 && made.biases[1].bias == -2);
	assert_true(made.biases[2].token == 5 && made.biases[2].bias == -INFINITY);
	assert_true(made.biases[3].token == 9 && made.biases[3].bias == 1.5f);
}

static void bans_are_end_tokens_and_stop_tokens(void **state)
{
	const uint32_t stops[] = { 500, 2, 499, 500 };
	const uint32_t expected[] = { 0, 1, 2, 499, 500 };
	struct job_request request = job_request_default();
	const struct job_sampling_context context = { .ends = &ends, .n_vocab = N_VOCAB,
						      .max_tokens = 5 };
	struct error err;

	(void)state;
	request.stop_tokens = stops;
	request.n_stop_tokens = 4;
	assert_int_equal(make(&request)->n_bans, 0);
	request.min_tokens = 100;
	assert_int_equal(make(&request)->n_bans, 5);
	assert_memory_equal(made.bans, expected, sizeof expected);
	assert_int_equal(made.fixed.min_tokens, 50);	/* as many as there can be */
	ends.n = 125;
	assert_int_equal(make(&request)->n_bans, 127);
	ends.n = 127;
	assert_int_equal(job_sampling_init(&made, &request, &context, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "min_tokens: 129 end tokens of this model and stop tokens"));
	ends.n = 3;
}

static int set_up(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		end_ids[i] = i;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_accepted),
		cmocka_unit_test(numbers_out_of_range_are_refused_by_name),
		cmocka_unit_test(a_base_of_dry_must_not_shrink),
		cmocka_unit_test(lists_and_counts_are_bounded),
		cmocka_unit_test(what_exceeds_a_limit_is_counted_under_its_name),
		cmocka_unit_test(token_ids_are_below_the_vocabulary),
		cmocka_unit_test(samplers_are_known_and_named_once),
		cmocka_unit_test(a_hidden_part_has_an_end),
		cmocka_unit_test(names_and_letters_of_samplers_are_llama_cpps),
		cmocka_unit_test_teardown(what_is_off_has_one_form, clean_up),
		cmocka_unit_test_teardown(what_is_on_is_carried, clean_up),
		cmocka_unit_test_teardown(samplers_that_are_left_out_are_off, clean_up),
		cmocka_unit_test_teardown(biases_are_sorted_and_added_up, clean_up),
		cmocka_unit_test_teardown(bans_are_end_tokens_and_stop_tokens, clean_up),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
