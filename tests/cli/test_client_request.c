/* SPDX-License-Identifier: Apache-2.0 */
/* What a server makes of a client's flags is what `run` makes of them. */
#include "cli/client_request.h"
#include "gateway/generate_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_FLAGS = 64 };

static struct config config;
static struct client_request request;
static struct generate_request received;

/* The flags of `generate -p x`, separated by spaces. */
static enum sc_status read(const char *flags, struct error *err)
{
	static char words[1024];
	char *argv[MAX_FLAGS] = { (char *)"generate", (char *)"-p", (char *)"x" };
	int argc = 3;
	enum sc_status status;

	strcpy(words, flags);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	config_deinit(&config);
	status = config_load(&config, PROGRAM_GENERATE, NULL, argc, argv, err);
	return status == SC_OK ? client_request_init(&request, &config, err) : status;
}

/* Sends the flags and compares what arrives. */
static void expect_same(const char *flags)
{
	const struct buf text = { .data = (char *)"x", .length = 1 };
	const struct job_request *sent = &request.settings.request, *r = &received.job;
	struct error err = { .text = "" };
	uint8_t bytes[4096];
	Stagecoach__V1__GenerateRequest *message;
	size_t n_bytes;

	if (read(flags, &err) != SC_OK)
		fail_msg("%s: %s", flags, err.text);
	client_request_set_text(&request, &text);
	n_bytes = stagecoach__v1__generate_request__get_packed_size(&request.message);
	assert_true(n_bytes <= sizeof bytes);
	stagecoach__v1__generate_request__pack(&request.message, bytes);
	message = stagecoach__v1__generate_request__unpack(NULL, n_bytes, bytes);
	assert_non_null(message);
	assert_int_equal(generate_request_read(message, NULL, false, &received, &err), SC_OK);
	assert_int_equal(r->prompt_bytes, 1);
#define SAME(field) assert_true(r->field == sent->field)
	SAME(temperature);
	SAME(top_k);
	SAME(top_p);
	SAME(min_p);
	SAME(typical_p);
	SAME(top_n_sigma);
	SAME(xtc_probability);
	SAME(xtc_threshold);
	SAME(dynatemp_range);
	SAME(dynatemp_exponent);
	SAME(repetition_penalty);
	SAME(presence_penalty);
	SAME(frequency_penalty);
	SAME(penalty_last_n);
	SAME(dry_multiplier);
	SAME(dry_base);
	SAME(dry_allowed_length);
	SAME(dry_last_n);
	SAME(n_dry_breakers);
	SAME(n_biases);
	SAME(n_samplers);
	SAME(max_tokens);
	SAME(min_tokens);
	SAME(ignore_end);
	SAME(n_stops);
	SAME(n_stop_tokens);
	SAME(deadline_ms);
	SAME(n_sequences);
	SAME(parse_special);
	SAME(special);
	SAME(wants_logprobs);
	SAME(n_top_logprobs);
	if (config.seed >= 0)
		SAME(seed);
#undef SAME
	for (uint32_t i = 0; i < r->n_dry_breakers; i++)
		assert_string_equal(r->dry_breakers[i], sent->dry_breakers[i]);
	for (uint32_t i = 0; i < r->n_biases; i++)
		assert_true(r->biases[i].token == sent->biases[i].token &&
			    r->biases[i].bias == sent->biases[i].bias);
	for (uint32_t i = 0; i < r->n_stops; i++)
		assert_string_equal(r->stops[i], sent->stops[i]);
	for (uint32_t i = 0; i < r->n_stop_tokens; i++)
		assert_int_equal(r->stop_tokens[i], sent->stop_tokens[i]);
	assert_memory_equal(r->samplers, sent->samplers, r->n_samplers);
	generate_request_deinit(&received);
	stagecoach__v1__generate_request__free_unpacked(message, NULL);
}

static void the_defaults_arrive(void **state)
{
	(void)state;
	expect_same("");
}

static void every_setting_of_sampling_arrives(void **state)
{
	(void)state;
	expect_same("--temp 0 --top-k 0 --top-p 1 --min-p 0 -s 9");
	assert_int_equal(received.job.seed, 9);
	expect_same("--temp 1.5 --top-k 7 --top-p 0.5 --min-p 0.25 --typical 0.75 --top-nsigma 2 "
		    "--xtc-probability 0.5 --xtc-threshold 0.2 --dynatemp-range 0.5 "
		    "--dynatemp-exp 2");
	assert_true(received.job.typical_p == 0.75f && received.job.dynatemp_exponent == 2);
	expect_same("--repeat-penalty 1.5 --presence-penalty 0.5 --frequency-penalty -0.5 "
		    "--repeat-last-n -1 --dry-multiplier 0.5 --dry-base 2 --dry-allowed-length 0 "
		    "--dry-penalty-last-n 9 --dry-sequence-breaker a --dry-sequence-breaker bc");
	assert_true(received.job.penalty_last_n == 0 && received.job.dry_last_n == 9 &&
		    received.job.n_dry_breakers == 2);
	expect_same("--dry-multiplier 0.5 --dry-sequence-breaker none");
	assert_int_equal(received.job.n_dry_breakers, 0);
	expect_same("--logit-bias 15-inf --logit-bias 16+0.5 --samplers top_k;temperature;xtc");
	assert_true(received.job.n_biases == 2 && received.job.n_samplers == 3);
	expect_same("--sampler-seq edskypmxt");
	assert_int_equal(received.job.n_samplers, 9);
}

static void every_setting_of_the_end_arrives(void **state)
{
	(void)state;
	expect_same("-n 0");
	expect_same("-n 9 --min-tokens 3 --stop one --stop two --stop-token 5 --stop-token 6 "
		    "--sequences 3 --timeout 1.5 --ignore-eos --special --logprobs");
	assert_true(received.job.n_stop_tokens == 2 && received.job.deadline_ms == 1500);
	expect_same("--top-logprobs 5");
	assert_true(received.job.wants_logprobs && received.job.n_top_logprobs == 5);
}

static void a_faulty_flag_is_refused_before_anything_is_sent(void **state)
{
	struct error err = { .text = "" };

	(void)state;
	assert_int_equal(read("--logit-bias 15", &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "--logit-bias: expected TOKEN+BIAS"));
	assert_int_equal(read("--samplers no_such", &err), SC_E_INVALID);
}

static int teardown(void **state)
{
	(void)state;
	config_deinit(&config);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_arrive),
		cmocka_unit_test(every_setting_of_sampling_arrives),
		cmocka_unit_test(every_setting_of_the_end_arrives),
		cmocka_unit_test(a_faulty_flag_is_refused_before_anything_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
