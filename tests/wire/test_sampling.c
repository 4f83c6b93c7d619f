/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/step.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct step_limits limits = {
	.max_rows = 8,
	.max_sequences = 4,
	.n_groups = 1,
	.max_blocks = { 16 },
	.table_blocks = { 8 },
	.block_length = 4,
	.max_context = 32,
	.n_vocab = 100,
	.dim = 5,
};

/* A sampling with three biases and two bans, in a step that begins one sequence. */
struct sample {
	struct sampling sampling;
	struct sampling_bias biases[3];
	uint32_t bans[3];
};

static const struct sample good = {
	.sampling = {
		.seed = 42, .stream = 1, .flags = SAMPLING_LOGPROB, .temperature = 0.8f,
		.top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .typical_p = 0.5f, .top_n_sigma = 1,
		.xtc_probability = 0.5f, .xtc_threshold = 0.1f, .dynatemp_range = 0.5f,
		.dynatemp_exponent = 1, .repetition_penalty = 1.1f, .presence_penalty = -2,
		.frequency_penalty = 2, .penalty_last_n = 64, .dry_multiplier = 0.8f,
		.dry_base = 1.75f, .dry_allowed_length = 2, .dry_last_n = 0, .n_prompt = 32,
		.min_tokens = 32, .n_tops = 20, .n_biases = 3, .n_bans = 2,
		.order = { SAMPLER_TEMPERATURE, SAMPLER_TOP_K, SAMPLER_PENALTIES, SAMPLER_DRY,
			   SAMPLER_TOP_N_SIGMA, SAMPLER_TYPICAL, SAMPLER_TOP_P, SAMPLER_MIN_P,
			   SAMPLER_XTC },
	},
	.biases = { { 0, 1.5f }, { 7, -INFINITY }, { 99, -100 } },
	.bans = { 2, 99 },
};

/* The sample's step, decoded. *words_out: the sampling's words in it. */
static enum sc_status decode(const struct sample *sample, struct sampling *found_out,
			     struct error *err)
{
	const uint32_t token = 1;
	const struct segment segment = { .flags = SEGMENT_NEW, .n_rows = 1, .n_blocks = 1 };
	struct step step = { .id = 1, .n_rows = 1, .n_segments = 1, .n_blocks = 1,
			     .segments = &segment, .blocks = &(uint32_t){ 0 },
			     .tokens = &token }, got;
	uint32_t n_words = sampling_words(&sample->sampling);
	uint64_t *words = calloc(n_words, sizeof *words);
	enum sc_status status;
	void *payload = NULL;

	assert_non_null(words);
	sampling_write(&sample->sampling, sample->biases, sample->bans, words);
	step.sampling = words;
	step.n_sampling = n_words;
	assert_int_equal(posix_memalign(&payload, 64, step_bytes(&step)), 0);
	step_encode(&step, payload);
	status = step_decode(payload, step_bytes(&step), &limits, &got, err);
	if (status == SC_OK) {
		*found_out = *segment_sampling(&got, got.segments);
		assert_memory_equal(sampling_biases(segment_sampling(&got, got.segments)),
				    sample->biases, found_out->n_biases * 8);
		assert_memory_equal(sampling_bans(segment_sampling(&got, got.segments)),
				    sample->bans, found_out->n_bans * 4);
	}
	free(payload);
	free(words);
	return status;
}

static void assert_good(const struct sample *sample)
{
	struct error err = { .text = "" };
	struct sampling found;

	if (decode(sample, &found, &err) != SC_OK)
		fail_msg("%s", err.text);
	assert_memory_equal(&found, &sample->sampling, sizeof found);
}

static void assert_refused(const struct sample *sample, const char *word)
{
	struct error err = { .text = "" };
	struct sampling found;

	assert_int_equal(decode(sample, &found, &err), SC_E_PROTOCOL);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void a_sampling_comes_back_as_it_was(void **state)
{
	struct sample sample = good;

	(void)state;
	assert_int_equal(sampling_words(&good.sampling), 15 + 3 + 1);
	assert_good(&sample);
	sample.sampling.n_bans = 1;		/* with padding */
	assert_int_equal(sampling_words(&sample.sampling), 15 + 3 + 1);
	assert_good(&sample);
	sample.sampling.n_biases = 0;
	assert_good(&sample);
	sample.sampling.n_bans = 0;
	assert_good(&sample);
	memset(sample.sampling.order, 0, sizeof sample.sampling.order);
	assert_good(&sample);
}

static void numbers_out_of_range_are_refused(void **state)
{
#define FIELD(name) { #name, offsetof(struct sampling, name) }
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		FIELD(temperature), FIELD(top_p), FIELD(min_p), FIELD(typical_p),
		FIELD(top_n_sigma), FIELD(xtc_probability), FIELD(xtc_threshold),
		FIELD(dynatemp_range), FIELD(dynatemp_exponent), FIELD(repetition_penalty),
		FIELD(presence_penalty), FIELD(frequency_penalty), FIELD(dry_multiplier),
		FIELD(dry_base),
	};
	const float bad[] = { NAN, INFINITY, -INFINITY, 1001, -1001 };

	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
			struct sample sample = good;

			memcpy((char *)&sample.sampling + fields[i].offset, &bad[k], sizeof bad[k]);
			assert_refused(&sample, fields[i].name);
		}
}

static void a_divisor_of_zero_is_refused(void **state)
{
	struct sample sample = good;

	(void)state;
	sample.sampling.repetition_penalty = 0;
	assert_refused(&sample, "repetition_penalty is 0");
	sample = good;
	sample.sampling.typical_p = 0;
	assert_refused(&sample, "typical_p is 0");
}

static void counts_and_flags_are_bounded(void **state)
{
	struct sample sample = good;

	(void)state;
	sample.sampling.flags = 2;
	assert_refused(&sample, "sampling.flags is 2");
	sample = good;
	sample.sampling.n_prompt = 33;
	assert_refused(&sample, "n_prompt is 33, expected at most 32");
	sample = good;
	sample.sampling.min_tokens = 33;
	assert_refused(&sample, "min_tokens is 33, expected at most 32");
	sample = good;
	sample.sampling.n_tops = 21;
	assert_refused(&sample, "n_tops is 21, expected at most 20");
}

static void an_order_names_each_sampler_once(void **state)
{
	struct sample sample = good;

	(void)state;
	sample.sampling.order[3] = SAMPLER_TOP_K;
	assert_refused(&sample, "order[3] is 4");
	sample.sampling.order[3] = N_SAMPLERS;
	assert_refused(&sample, "order[3] is 10");
	sample.sampling.order[3] = SAMPLER_NONE;
	assert_refused(&sample, "order[4] is 3");
	sample = good;
	sample.sampling.order[0] = SAMPLER_NONE;
	assert_refused(&sample, "order[1]");
}

static void biases_and_bans_ascend_and_are_in_range(void **state)
{
	struct sample sample = good;

	(void)state;
	sample.biases[2].token = 100;
	assert_refused(&sample, "bias 2 is for token 100, expected 8 or more and below 100");
	sample.biases[2].token = 7;
	assert_refused(&sample, "bias 2 is for token 7");
	sample = good;
	sample.biases[1].bias = INFINITY;
	assert_refused(&sample, "bias 1 is inf");
	sample.biases[1].bias = NAN;
	assert_refused(&sample, "bias 1 is");
	sample.biases[1].bias = -1.1e9f;
	assert_refused(&sample, "bias 1 is -1.1e+09");
	sample = good;
	sample.bans[1] = 2;
	assert_refused(&sample, "ban 1 is for token 2, expected 3 or more and below 100");
	sample.bans[1] = 100;
	assert_refused(&sample, "ban 1 is for token 100");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sampling_comes_back_as_it_was),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(a_divisor_of_zero_is_refused),
		cmocka_unit_test(counts_and_flags_are_bounded),
		cmocka_unit_test(an_order_names_each_sampler_once),
		cmocka_unit_test(biases_and_bans_ascend_and_are_in_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
