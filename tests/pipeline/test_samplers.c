/* SPDX-License-Identifier: Apache-2.0 */
/* What a request's samplers, biases and ends do to its output, from the request to the text. */
#include "tests/pipeline/rig.h"
#include "tests/pipeline/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { N = 40 };

static struct rig rig;

static int start(void **state)
{
	(void)state;
	rig_start(&rig, &rig_defaults);
	return rig.phase != COORDINATOR_READY;
}

static int stop(void **state)
{
	(void)state;
	rig_stop(&rig);
	rig_free_logits(&rig);
	rig_model_close();
	return 0;
}

static struct job_request greedy(void)
{
	return (struct job_request){
		.prompt = "To be, or not", .prompt_bytes = 13, .max_tokens = N, .ignore_end = true,
		.top_p = 1.0f,
	};
}

/* The job is done. The caller releases it. */
static struct job *run(const struct job_request *request)
{
	struct error err;
	struct job *job;

	if (engine_submit(rig.engine, request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	rig_wait(&rig, job_is_ended(job));
	if (job_state(job) != JOB_DONE)
		fail_msg("%s", job_error(job)->text);
	return job;
}

/* The ids that the request draws: N at most. */
static uint32_t ids_of(const struct job_request *request, uint32_t ids[N])
{
	struct job *job = run(request);
	const struct output *output = job_output(job, 0);
	uint32_t n = output->n_tokens;

	for (uint32_t i = 0; i < n; i++)
		ids[i] = output->tokens[i].id;
	job_release(job);
	return n;
}

static bool are_same(const struct job_request *a, const struct job_request *b)
{
	uint32_t left[N], right[N], n = ids_of(a, left);

	return n == ids_of(b, right) && !memcmp(left, right, n * sizeof left[0]);
}

/* How many different tokens there are in ids. */
static uint32_t count_different(const uint32_t *ids, uint32_t n)
{
	uint32_t n_different = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = 0;

		while (ids[k] != ids[i])
			k++;
		n_different += k == i;
	}
	return n_different;
}

static void every_kind_of_sampler_changes_the_tokens(void **state)
{
	(void)state;
	for (unsigned i = 1; i < 8; i++) {
		struct job_request plain = greedy(), other = greedy();

		plain.temperature = other.temperature = i == 1 || i == 2 ? 0 : 1;
		plain.seed = other.seed = 3;
		samplers_choose(&other, i);
		if (are_same(&plain, &other))
			fail_msg("kind %u changes nothing", i);
		assert_true(are_same(&other, &other));
	}
}

static void penalties_make_an_output_use_more_tokens(void **state)
{
	struct job_request request = greedy();
	uint32_t ids[N], n_plain = count_different(ids, ids_of(&request, ids));

	(void)state;
	request.frequency_penalty = 100;
	request.presence_penalty = 100;
	assert_int_equal(count_different(ids, ids_of(&request, ids)), N);
	assert_true(n_plain < N);
	/* Only the last four count. */
	request.penalty_last_n = 4;
	ids_of(&request, ids);
	for (uint32_t i = 4; i < N; i++)
		assert_int_equal(count_different(ids + i - 4, 5), 5);
}

/* Where every token ends a repetition there is none. */
static void breakers_end_the_repetitions_of_dry(void **state)
{
	static const char *const none[] = { "\x01" };
	static const char *all[256];
	static char letters[256][2];
	struct job_request plain = greedy(), dry = greedy();

	(void)state;
	/* The same again and again, so that there is something to penalize. */
	plain.prompt = dry.prompt = "ab ab ab ab ab ab ab ";
	plain.prompt_bytes = dry.prompt_bytes = 21;
	dry.dry_multiplier = 5;
	dry.dry_base = 2;
	dry.dry_allowed_length = 1;
	dry.dry_breakers = none;
	dry.n_dry_breakers = 1;
	assert_false(are_same(&plain, &dry));
	for (int i = 0; i < 16; i++) {
		letters[i][0] = " abcdefghijklmno"[i];
		all[i] = letters[i];
	}
	dry.dry_breakers = all;
	dry.n_dry_breakers = 16;
	dry.max_tokens = plain.max_tokens = 1;
	assert_true(are_same(&plain, &dry));
}

static void a_bias_of_minus_infinity_keeps_a_token_out_and_a_large_one_brings_it(void **state)
{
	struct job_request request = greedy();
	struct token_bias bias;
	uint32_t ids[N];

	(void)state;
	ids_of(&request, ids);
	bias = (struct token_bias){ ids[0], -INFINITY };
	request.biases = &bias;
	request.n_biases = 1;
	ids_of(&request, ids);
	for (uint32_t i = 0; i < N; i++)
		assert_int_not_equal(ids[i], bias.token);
	bias.bias = 1e6f;
	ids_of(&request, ids);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(ids[i], bias.token);
	/* Of two biases of a token the sum counts. */
	request.biases = (const struct token_bias[]){ bias, { bias.token, -INFINITY } };
	request.n_biases = 2;
	ids_of(&request, ids);
	assert_int_not_equal(ids[0], bias.token);
}

/* The prompt is fine, and so are the model's weights: the error says what to change. */
static void a_request_that_bars_all_tokens_is_told_so(void **state)
{
	static struct token_bias biases[JOB_MAX_BIASES];
	struct job_request request = greedy();
	uint32_t n_vocab = rig_model()->model->hparams.n_vocab;
	struct error err;
	struct job *job;

	(void)state;
	assert_true(n_vocab <= JOB_MAX_BIASES);
	for (uint32_t i = 0; i < n_vocab; i++)
		biases[i] = (struct token_bias){ i, -INFINITY };
	request.biases = biases;
	request.n_biases = n_vocab;
	if (engine_submit(rig.engine, &request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	rig_wait(&rig, job_is_ended(job));
	assert_int_equal(job_state(job), JOB_FAILED);
	assert_int_equal(job_error(job)->status, SC_E_INVALID);
	assert_non_null(strstr(job_error(job)->text, "leave no token for position"));
	job_release(job);
}

static void a_stop_token_ends_an_output_but_not_before_min_tokens(void **state)
{
	struct job_request request = greedy();
	const struct output *output;
	uint32_t ids[N], first;
	struct job *job;

	(void)state;
	ids_of(&request, ids);
	first = ids[0];
	request.stop_tokens = &first;
	request.n_stop_tokens = 1;
	job = run(&request);
	output = job_output(job, 0);
	assert_int_equal(output->n_tokens, 0);
	assert_int_equal(output->finish, FINISH_STOP);
	assert_int_equal(output->stop_cause, STOP_TOKEN);
	assert_int_equal(output->stop, first);
	job_release(job);
	request.min_tokens = 7;
	job = run(&request);
	output = job_output(job, 0);
	assert_true(output->n_tokens >= 7);
	for (uint32_t i = 0; i < output->n_tokens; i++)
		assert_int_not_equal(output->tokens[i].id, first);
	job_release(job);
}

/* The end token is made to come at once. */
static void the_end_token_waits_for_min_tokens(void **state)
{
	const struct token_bias bias = { TINY_EOS, 1000 };
	struct job_request request = greedy();
	struct job *job;

	(void)state;
	request.ignore_end = false;
	request.biases = &bias;
	request.n_biases = 1;
	for (uint32_t n = 0; n < 9; n += 4) {
		request.min_tokens = n;
		job = run(&request);
		assert_int_equal(job_output(job, 0)->n_tokens, n);
		assert_int_equal(job_output(job, 0)->finish, FINISH_STOP);
		assert_int_equal(job_output(job, 0)->stop_cause, STOP_END);
		assert_int_equal(job_output(job, 0)->stop, TINY_EOS);
		job_release(job);
	}
}

static void a_stop_string_says_which_it_was(void **state)
{
	char stop_text[4] = "";
	const char *const stops[] = { "\x01never", stop_text };
	struct job_request request = greedy();
	struct job *job = run(&request);

	(void)state;
	memcpy(stop_text, job_output(job, 0)->text.data, 1);
	job_release(job);
	request.stops = stops;
	request.n_stops = 2;
	job = run(&request);
	assert_int_equal(job_output(job, 0)->stop_cause, STOP_STRING);
	assert_int_equal(job_output(job, 0)->stop, 1);
	assert_string_equal(job_stop_string(job, 1), stop_text);
	job_release(job);
}

static void a_hidden_part_of_the_text_is_not_searched(void **state)
{
	const struct token_bias letters[] = { { 'a', 50 }, { 'b', 50 }, { 'c', 50 } };
	const char *const stops[] = { "b" };
	struct job_request request = greedy();
	size_t n_until_b, n_until_c;
	const char *text;
	struct job *job;

	(void)state;
	request.temperature = 3;
	request.seed = 5;
	request.biases = letters;
	request.n_biases = 3;
	job = run(&request);
	text = job_output(job, 0)->text.data;
	n_until_b = strcspn(text, "b");
	n_until_c = strcspn(text, "c");
	assert_true(n_until_b < strlen(text) && n_until_c < strlen(text));
	request.stops = stops;
	request.n_stops = 1;
	request.hidden_close = "c";
	request.starts_hidden = true;
	/* The first b behind the first c ends it. */
	for (int hides = 0; hides < 2; hides++) {
		struct job *other;
		size_t n_expected = n_until_b;

		request.starts_hidden = hides;
		if (hides)
			n_expected = n_until_c + strcspn(text + n_until_c, "b");
		other = run(&request);
		assert_int_equal(job_output(other, 0)->text.length, n_expected);
		job_release(other);
	}
	/* All of it is hidden. */
	request.hidden_open = "a";
	request.hidden_close = "\x01";
	request.starts_hidden = true;
	assert_int_equal(job_output(job, 0)->n_tokens, N);
	job_release(job);
	job = run(&request);
	assert_int_equal(job_output(job, 0)->n_tokens, N);
	assert_int_equal(job_output(job, 0)->finish, FINISH_LENGTH);
	job_release(job);
}

static void names_of_control_tokens_come_as_the_request_says(void **state)
{
	static const char *const expected[] = {
		[SPECIAL_HIDDEN] = "", [SPECIAL_NAMES] = "<|begin|><|begin|>",
		[SPECIAL_MARKED] = "\xff<|begin|>\xfe\xff<|begin|>\xfe",
	};
	const struct token_bias bias = { TINY_BOS, 1000 };
	struct job_request request = greedy();

	(void)state;
	request.biases = &bias;
	request.n_biases = 1;
	request.max_tokens = 2;
	for (unsigned i = 0; i < 3; i++) {
		struct job *job;

		request.special = (enum special_text)i;
		job = run(&request);
		assert_string_equal(job_output(job, 0)->text.data, expected[i]);
		job_release(job);
	}
}

/* Best first. The token is among them with the same bits, or is no likelier than the last. */
static void check_tops(const struct token_top *tops, uint32_t n_tops, uint32_t id, float logprob)
{
	bool is_among = false;

	for (uint32_t k = 0; k < n_tops; k++) {
		if (k)
			assert_true(tops[k].logprob <= tops[k - 1].logprob);
		if (tops[k].token == id)
			assert_memory_equal(&tops[k].logprob, &logprob, sizeof logprob);
		is_among |= tops[k].token == id;
	}
	assert_true(is_among || logprob <= tops[n_tops - 1].logprob);
}

/* Clients compare these numbers for equality. */
static void a_token_has_the_same_logprob_among_the_likeliest(void **state)
{
	struct job_request request = greedy();
	const struct token_top *tops;
	const struct output *output;
	const float *scores;
	uint32_t n_scores, n_tops;
	struct job *job;

	(void)state;
	request.wants_logprobs = true;
	request.n_top_logprobs = 20;
	request.score_from = 1;
	request.repetition_penalty = 1.5f;
	job = run(&request);
	output = job_output(job, 0);
	assert_int_equal(output->n_tops, 20);
	for (uint32_t i = 0; i < output->n_tokens; i++)
		check_tops(output->tops + i * 20, 20, output->tokens[i].id,
			   output->tokens[i].logprob);
	scores = job_prompt_scores(job, &n_scores);
	tops = job_prompt_tops(job, &n_tops);
	assert_int_equal(n_tops, 20);
	assert_true(n_scores > 5);
	for (uint32_t i = 0; i < n_scores; i++)
		assert_true(scores[i] <= tops[i * 20].logprob);
	job_release(job);
	/* Of a greedy output without penalties each token is the likeliest. */
	request.repetition_penalty = 0;
	job = run(&request);
	output = job_output(job, 0);
	for (uint32_t i = 0; i < output->n_tokens; i++) {
		assert_int_equal(output->tokens[i].id, output->tops[i * 20].token);
		assert_memory_equal(&output->tokens[i].logprob, &output->tops[i * 20].logprob, 4);
	}
	job_release(job);
}

static void likeliest_tokens_count_in_the_memory_of_jobs(void **state)
{
	struct rig_options options = rig_defaults;
	struct job_request request = greedy();
	struct error err;
	struct job *job;

	stop(state);
	options.max_job_bytes = 16 << 10;
	rig_start(&rig, &options);
	request.max_tokens = 200;
	request.wants_logprobs = true;
	job_release(run(&request));
	request.n_top_logprobs = 20;
	assert_int_equal(engine_submit(rig.engine, &request, &job, &err), SC_E_TOO_LARGE);
	stop(state);
	start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_sampler_changes_the_tokens),
		cmocka_unit_test(penalties_make_an_output_use_more_tokens),
		cmocka_unit_test(breakers_end_the_repetitions_of_dry),
		cmocka_unit_test(a_bias_of_minus_infinity_keeps_a_token_out_and_a_large_one_brings_it),
		cmocka_unit_test(a_request_that_bars_all_tokens_is_told_so),
		cmocka_unit_test(a_stop_token_ends_an_output_but_not_before_min_tokens),
		cmocka_unit_test(the_end_token_waits_for_min_tokens),
		cmocka_unit_test(a_stop_string_says_which_it_was),
		cmocka_unit_test(a_hidden_part_of_the_text_is_not_searched),
		cmocka_unit_test(names_of_control_tokens_come_as_the_request_says),
		cmocka_unit_test(a_token_has_the_same_logprob_among_the_likeliest),
		cmocka_unit_test(likeliest_tokens_count_in_the_memory_of_jobs),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
