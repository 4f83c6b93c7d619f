/* SPDX-License-Identifier: Apache-2.0 */
/* What the flags of a job make of it. */
#include "cli/job_settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { N_VOCAB = 1000, MAX_FLAGS = 32 };

static struct config config;
static struct job_settings settings;

/* Reads the flags, which are separated by spaces, of `run -m x -p y`. */
static enum sc_status read(const char *flags, uint32_t n_vocab, struct error *err)
{
	static char words[512];
	char *argv[MAX_FLAGS] = { (char *)"run", (char *)"-m", (char *)"x", (char *)"-p",
				  (char *)"y" };
	int argc = 5;
	enum sc_status status;

	strcpy(words, flags);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	config_deinit(&config);
	status = config_load(&config, PROGRAM_RUN, NULL, argc, argv, err);
	return status == SC_OK ? job_settings_read(&config, n_vocab, &settings, err) : status;
}

static const struct job_request *accept(const char *flags)
{
	struct error err = { .text = "" };

	if (read(flags, N_VOCAB, &err) != SC_OK)
		fail_msg("%s: %s", flags, err.text);
	return &settings.request;
}

static void refuse(const char *flags, const char *text)
{
	struct error err = { .text = "" };

	assert_int_not_equal(read(flags, N_VOCAB, &err), SC_OK);
	if (!strstr(err.text, text))
		fail_msg("%s: expected \"%s\", found: %s", flags, text, err.text);
}

/* But for the seed, the stop strings and the lists, which are empty. */
static void without_flags_a_job_has_the_defaults_of_a_request(void **state)
{
	const struct job_request *r = accept(""), expected = job_request_default();

	(void)state;
	assert_true(r->temperature == expected.temperature && r->top_k == expected.top_k);
	assert_true(r->top_p == expected.top_p && r->min_p == expected.min_p);
	assert_true(r->typical_p == expected.typical_p);
	assert_true(r->top_n_sigma == expected.top_n_sigma);
	assert_true(r->xtc_probability == expected.xtc_probability);
	assert_true(r->xtc_threshold == expected.xtc_threshold);
	assert_true(r->dynatemp_range == expected.dynatemp_range);
	assert_true(r->dynatemp_exponent == expected.dynatemp_exponent);
	assert_true(r->repetition_penalty == expected.repetition_penalty);
	assert_true(r->presence_penalty == 0 && r->frequency_penalty == 0);
	assert_int_equal(r->penalty_last_n, expected.penalty_last_n);
	assert_true(r->dry_multiplier == 0 && r->dry_base == expected.dry_base);
	assert_int_equal(r->dry_allowed_length, expected.dry_allowed_length);
	assert_int_equal(r->dry_last_n, expected.dry_last_n);
	assert_int_equal(r->n_dry_breakers, expected.n_dry_breakers);
	assert_int_equal(r->max_tokens, JOB_UNLIMITED);
	assert_int_equal(r->n_sequences, 1);
	assert_int_equal(r->n_samplers + r->n_biases + r->n_stop_tokens + r->min_tokens, 0);
}

static void flags_set_what_they_name(void **state)
{
	const struct job_request *r;

	(void)state;
	r = accept("--typical 0.5 --top-nsigma 1.5 --xtc-probability 0.25 --xtc-threshold 0.2 "
		   "--dynatemp-range 0.5 --dynatemp-exp 2 --seed 9");
	assert_true(r->typical_p == 0.5f && r->top_n_sigma == 1.5f);
	assert_true(r->xtc_probability == 0.25f && r->xtc_threshold == 0.2f);
	assert_true(r->dynatemp_range == 0.5f && r->dynatemp_exponent == 2);
	assert_int_equal(r->seed, 9);
	r = accept("--repeat-penalty 1.25 --presence-penalty 0.5 --frequency-penalty -0.5 "
		   "--repeat-last-n 100");
	assert_true(r->repetition_penalty == 1.25f && r->presence_penalty == 0.5f);
	assert_true(r->frequency_penalty == -0.5f);
	assert_int_equal(r->penalty_last_n, 100);
	r = accept("--dry-multiplier 0.8 --dry-base 2 --dry-allowed-length 3 "
		   "--dry-penalty-last-n 200 --dry-sequence-breaker x --dry-sequence-breaker none");
	assert_true(r->dry_multiplier == 0.8f && r->dry_base == 2);
	assert_int_equal(r->dry_allowed_length, 3);
	assert_int_equal(r->dry_last_n, 200);
	assert_int_equal(r->n_dry_breakers, 2);
	assert_string_equal(r->dry_breakers[1], "none");
	r = accept("--min-tokens 5 -n 9 --stop-token 7 --stop-token 999");
	assert_int_equal(r->min_tokens, 5);
	assert_int_equal(r->max_tokens, 9);
	assert_int_equal(r->n_stop_tokens, 2);
	assert_int_equal(r->stop_tokens[1], 999);
	r = accept("--top-n-sigma -1 --typical-p 1 --repetition-penalty 1.5 --sampling-seq kt");
	assert_true(r->top_n_sigma == 0 && r->repetition_penalty == 1.5f);
	assert_int_equal(r->n_samplers, 2);
	assert_int_equal(r->samplers[1], SAMPLER_TEMPERATURE);
	r = accept("--samplers temperature;top_k");
	assert_int_equal(r->n_samplers, 2);
	assert_int_equal(r->samplers[1], SAMPLER_TOP_K);
}

/* 0 means none and -1 means all. */
static void the_last_tokens_are_counted_as_llama_cpp_does(void **state)
{
	const struct job_request *r = accept("--repeat-last-n 0 --repeat-penalty 2 "
					     "--presence-penalty 1 --frequency-penalty 1");

	(void)state;
	assert_true(r->repetition_penalty == 1 && r->presence_penalty == 0);
	assert_true(r->frequency_penalty == 0);
	r = accept("--repeat-last-n -1 --repeat-penalty 2");
	assert_true(r->repetition_penalty == 2);
	assert_int_equal(r->penalty_last_n, 0);
	r = accept("--dry-penalty-last-n 0 --dry-multiplier 2");
	assert_true(r->dry_multiplier == 0);
	r = accept("--dry-penalty-last-n -1 --dry-multiplier 2");
	assert_true(r->dry_multiplier == 2);
	assert_int_equal(r->dry_last_n, 0);
	assert_int_equal(accept("--dry-sequence-breaker none")->n_dry_breakers, 0);
}

static void biases_are_a_token_a_sign_and_a_number(void **state)
{
	const struct job_request *r;

	(void)state;
	r = accept("--logit-bias 5+1.5 -l 6-0.25 -l 7-inf -l 8+1e2");
	assert_int_equal(r->n_biases, 4);
	assert_true(r->biases[0].token == 5 && r->biases[0].bias == 1.5f);
	assert_true(r->biases[1].token == 6 && r->biases[1].bias == -0.25f);
	assert_true(r->biases[2].token == 7 && r->biases[2].bias == -INFINITY);
	assert_true(r->biases[3].token == 8 && r->biases[3].bias == 100);
	refuse("-l 5", "--logit-bias: expected TOKEN+BIAS or TOKEN-BIAS");
	refuse("-l +5", "found '+5'");
	refuse("-l 5+", "found '5+'");
	refuse("-l 5+inf", "found '5+inf'");
	refuse("-l 5+-1", "found '5+-1'");
	refuse("-l 5-nan", "found '5-nan'");
	refuse("-l 5=1", "found '5=1'");
	refuse("-l 99999999999999999999999999-1", "found '99999");
	refuse("-l 1000-1", "--logit-bias: expected a token id below 1000, found 1000");
}

static void mistakes_are_named(void **state)
{
	struct error err;

	(void)state;
	refuse("--stop-token 12x", "--stop-token: expected a token id, found '12x'");
	refuse("--stop-token 1000", "--stop-token: expected a token id below 1000, found 1000");
	assert_int_equal(read("--stop-token 1000", 0, &err), SC_OK);	/* of another's model */
	refuse("--stop-token 4294967296", "--stop-token: expected a token id");
	refuse("--samplers top_k;mirostat", "found 'mirostat'");
	refuse("--sampler-seq kk", "found 'k' again");
	refuse("--sampler-seq k --samplers top_k", "found both");
	refuse("-n 3 --min-tokens 4", "--min-tokens: expected at most --n-predict (3), found 4");
	refuse("--dry-base 0.5", "--dry-base: expected a number from 1 to 1000");
}

static int clean_up(void **state)
{
	(void)state;
	config_deinit(&config);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_flags_a_job_has_the_defaults_of_a_request),
		cmocka_unit_test(flags_set_what_they_name),
		cmocka_unit_test(the_last_tokens_are_counted_as_llama_cpp_does),
		cmocka_unit_test(biases_are_a_token_a_sign_and_a_number),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
