/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/proto_message.h"

#include "gateway/generate_request.h"
#include "gateway/plain_text.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define REQUEST (&stagecoach__v1__generate_request__descriptor)

static void a_request_of_a_megabyte_of_tokens_is_unpacked(void **state)
{
	Stagecoach__V1__GenerateRequest message = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Tokens tokens = STAGECOACH__V1__TOKENS__INIT;
	struct proto_request request;
	struct generate_request job;
	struct error err;
	size_t n_bytes;
	uint8_t *bytes;

	(void)state;
	tokens.n_ids = 1 << 20;
	tokens.ids = calloc(tokens.n_ids, sizeof *tokens.ids);	/* a byte each on the wire */
	assert_non_null(tokens.ids);
	message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TOKENS;
	message.tokens = &tokens;
	n_bytes = stagecoach__v1__generate_request__get_packed_size(&message);
	bytes = malloc(n_bytes);
	assert_non_null(bytes);
	stagecoach__v1__generate_request__pack(&message, bytes);
	assert_int_equal(proto_request_unpack(&request, REQUEST, bytes, n_bytes, &err), SC_OK);
	assert_int_equal(generate_request_read((void *)request.message, NULL, false, &job, &err), SC_OK);
	assert_int_equal(job.job.n_prompt_tokens, 1 << 20);
	proto_request_deinit(&request);
	free(bytes);
	free(tokens.ids);
}

static void a_message_that_takes_too_much_memory_is_refused(void **state)
{
	size_t n_bytes = 1 << 20;
	uint8_t *bytes = malloc(n_bytes);
	struct proto_request request;
	struct error err;

	(void)state;
	assert_non_null(bytes);
	/* An unknown field, again and again: two bytes that cost dozens in memory. */
	for (size_t i = 0; i < n_bytes; i += 2) {
		bytes[i] = 15 << 3;
		bytes[i + 1] = 0;
	}
	assert_int_equal(proto_request_unpack(&request, REQUEST, bytes, n_bytes, &err),
			 SC_E_INVALID);
	assert_true(request.is_too_large);
	assert_non_null(strstr(err.text, "takes more than"));
	proto_request_deinit(&request);
	free(bytes);
}

static void what_is_no_message_is_named(void **state)
{
	struct proto_request request;
	struct error err;

	(void)state;
	assert_int_equal(proto_request_unpack(&request, REQUEST, (const uint8_t *)"\xff\xff", 2,
					      &err), SC_E_INVALID);
	assert_string_equal(err.text, "the request is not a valid stagecoach.v1.GenerateRequest "
			    "message");
	assert_false(request.is_too_large);
	proto_request_deinit(&request);
}

static void what_is_not_set_has_its_default(void **state)
{
	Stagecoach__V1__GenerateRequest message = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Sampling sampling = STAGECOACH__V1__SAMPLING__INIT;
	struct generate_request job;
	struct generate_request other;
	struct error err;

	(void)state;
	assert_int_equal(generate_request_read(&message, NULL, false, &job, &err), SC_E_INVALID);
	assert_string_equal(err.text, "prompt: expected text, raw_text, tokens or chat");
	message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	message.text = (char *)(uintptr_t)"hello";
	assert_int_equal(generate_request_read(&message, NULL, false, &job, &err), SC_OK);
	assert_int_equal(job.job.prompt_bytes, 5);
	assert_true(job.job.temperature == 0.8f && job.job.top_k == 40 && job.job.top_p == 0.95f &&
		    job.job.min_p == 0.05f);
	assert_int_equal(generate_request_read(&message, NULL, false, &other, &err), SC_OK);
	assert_true(other.job.seed != job.job.seed);

	message.sampling = &sampling;
	sampling._temperature_case = STAGECOACH__V1__SAMPLING___TEMPERATURE_TEMPERATURE;
	sampling._top_k_case = STAGECOACH__V1__SAMPLING___TOP_K_TOP_K;
	sampling._seed_case = STAGECOACH__V1__SAMPLING___SEED_SEED;
	sampling.seed = 42;
	assert_int_equal(generate_request_read(&message, NULL, false, &job, &err), SC_OK);
	assert_true(job.job.temperature == 0.0f && job.job.top_k == 0 && job.job.top_p == 0.95f);
	assert_int_equal(job.job.seed, 42);
}

static void all_of_sampling_reaches_the_job(void **state)
{
	Stagecoach__V1__GenerateRequest message = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	Stagecoach__V1__Sampling sampling = STAGECOACH__V1__SAMPLING__INIT;
	Stagecoach__V1__TokenBias bias = STAGECOACH__V1__TOKEN_BIAS__INIT;
	Stagecoach__V1__TokenBias *biases[] = { &bias };
	char *names[] = { (char *)(uintptr_t)"top_k", (char *)(uintptr_t)"temperature" };
	uint32_t stop_tokens[] = { 7, 9 };
	struct generate_request request;
	const struct job_request *job = &request.job;
	struct error err;

	(void)state;
	message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	message.text = (char *)(uintptr_t)"hello";
	message.sampling = &sampling;
	message.stop_tokens = stop_tokens;
	message.n_stop_tokens = 2;
	message.min_tokens = 3;
	message.top_logprobs = 4;
	bias.token = 5;
	bias.bias = -INFINITY;
	sampling.biases = biases;
	sampling.n_biases = 1;
	sampling.samplers = names;
	sampling.n_samplers = 2;
	sampling.repetition_penalty = 1.5f;
	sampling.dry_multiplier = 0.75f;
	sampling._dry_base_case = STAGECOACH__V1__SAMPLING___DRY_BASE_DRY_BASE;
	sampling.dry_base = 2.5f;
	assert_int_equal(generate_request_read(&message, NULL, false, &request, &err), SC_OK);
	assert_true(job->n_stop_tokens == 2 && job->stop_tokens[1] == 9);
	assert_true(job->min_tokens == 3 && job->n_top_logprobs == 4);
	assert_true(job->n_biases == 1 && job->biases[0].token == 5 &&
		    job->biases[0].bias == -INFINITY);
	assert_true(job->n_samplers == 2 && job->samplers[0] == SAMPLER_TOP_K &&
		    job->samplers[1] == SAMPLER_TEMPERATURE);
	assert_true(job->repetition_penalty == 1.5f && job->dry_multiplier == 0.75f &&
		    job->dry_base == 2.5f && job->dry_allowed_length == 2);
	assert_true(job->xtc_threshold == 0.1f && job->n_dry_breakers == 4);
	generate_request_deinit(&request);

	names[1] = (char *)(uintptr_t)"no_such";
	assert_int_equal(generate_request_read(&message, NULL, false, &request, &err), SC_E_INVALID);
	assert_non_null(strstr(err.text, "no_such"));
	generate_request_deinit(&request);
}

static void text_keeps_what_is_utf8_and_replaces_the_rest(void **state)
{
	static const struct {
		const char *bytes;
		size_t n_bytes;
		const char *text;
	} rows[] = {
		{ "", 0, "" },
		{ "plain", 5, "plain" },
		{ "\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80", 9,
		  "\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x98\x80" },
		{ "a\0b", 3, "a\xef\xbf\xbd" "b" },
		{ "\xff", 1, "\xef\xbf\xbd" },
		{ "x\xe6\xbc", 3, "x\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd" },		/* overlong NUL */
		{ "\xed\xa0\x80", 3,
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },	/* surrogate */
		{ "\xf4\x90\x80\x80", 4,
		  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },	/* beyond Unicode */
		{ "\x80z", 2, "\xef\xbf\xbdz" },
	};
	struct buf text = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(plain_text_set(&text, rows[i].bytes, rows[i].n_bytes), SC_OK);
		assert_string_equal(text.data, rows[i].text);
	}
	buf_deinit(&text);
}

static void strings_are_cut_at_a_whole_character(void **state)
{
	char out[6];

	(void)state;
	plain_text_copy("abc", out, sizeof out);
	assert_string_equal(out, "abc");
	plain_text_copy("abcd\xc3\xa4", out, sizeof out);
	assert_string_equal(out, "abcd");
	plain_text_copy("a\xff" "b", out, sizeof out);
	assert_string_equal(out, "a\xef\xbf\xbd" "b");
	plain_text_copy("\xff\xff", out, sizeof out);
	assert_string_equal(out, "\xef\xbf\xbd");
}

/* Of a valid message with text and two stop strings; the last character of `in` becomes NUL. */
static void expect_refused(const char *in, const char *field)
{
	char text[] = "a text", first[] = "one", second[] = "another";
	char *stops[] = { first, second };
	Stagecoach__V1__GenerateRequest message = STAGECOACH__V1__GENERATE_REQUEST__INIT;
	struct proto_request request;
	uint8_t bytes[256], *found;
	struct error err;
	size_t n_bytes;

	message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT;
	message.text = text;
	message.stop = stops;
	message.n_stop = 2;
	n_bytes = stagecoach__v1__generate_request__pack(&message, bytes);
	assert_int_equal(proto_request_unpack(&request, REQUEST, bytes, n_bytes, &err), SC_OK);
	proto_request_deinit(&request);
	found = memmem(bytes, n_bytes, in, strlen(in));
	assert_non_null(found);
	found[strlen(in) - 1] = '\0';
	assert_int_equal(proto_request_unpack(&request, REQUEST, bytes, n_bytes, &err),
			 SC_E_INVALID);
	assert_non_null(strstr(err.text, field));
	assert_non_null(strstr(err.text, "without NUL"));
	proto_request_deinit(&request);
}

static void a_string_with_nul_is_refused_not_cut(void **state)
{
	(void)state;
	expect_refused("a te", "text: ");
	expect_refused("on", "stop: ");
	expect_refused("another", "stop: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_of_a_megabyte_of_tokens_is_unpacked),
		cmocka_unit_test(a_message_that_takes_too_much_memory_is_refused),
		cmocka_unit_test(what_is_no_message_is_named),
		cmocka_unit_test(a_string_with_nul_is_refused_not_cut),
		cmocka_unit_test(what_is_not_set_has_its_default),
		cmocka_unit_test(all_of_sampling_reaches_the_job),
		cmocka_unit_test(text_keeps_what_is_utf8_and_replaces_the_rest),
		cmocka_unit_test(strings_are_cut_at_a_whole_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
