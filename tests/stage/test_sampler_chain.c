/* SPDX-License-Identifier: Apache-2.0 */
/* All samplers, in all orders, against full sorts in double: the same token from the same logits,
 * sampling and tokens before. */
#include "stage/philox.h"
#include "stage/sampler.h"
#include "tests/stage/reference_sampler.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_VOCAB = 700, MAX_PAST = 300, MAX_ROWS = 64, BLOCK_LENGTH = 7,
       MAX_BLOCKS = MAX_PAST / BLOCK_LENGTH + 1 };

static struct backend *backend;

/* --- a row with all that it depends on --- */

struct trial {
	uint32_t n_vocab;
	float logits[MAX_VOCAB];
	uint32_t past[MAX_PAST + BLOCK_LENGTH];
	uint32_t position;
	struct {
		struct sampling sampling;
		uint64_t extra[STEP_MAX_BIASES + STEP_MAX_BANS / 2];
	} words;
	struct sampling_bias biases[STEP_MAX_BIASES];
	uint32_t bans[STEP_MAX_BANS];
	/* The past as a stage holds it. */
	uint32_t pool[MAX_BLOCKS * BLOCK_LENGTH];
	uint32_t blocks[MAX_BLOCKS];
};

/* A number below n, of an endless row of such numbers for each seed. */
struct numbers {
	uint32_t seed, next;
};

static double uniform(struct numbers *numbers)
{
	return philox_uniform(numbers->seed, 99, numbers->next++);
}

static uint32_t below(struct numbers *numbers, uint32_t n)
{
	return (uint32_t)(uniform(numbers) * n);
}

/* The given values are drawn alike. */
#define N_OF(...) ((uint32_t)(sizeof (float[]){ __VA_ARGS__ } / sizeof(float)))
#define ONE_OF(numbers, ...) \
	((const float[]){ __VA_ARGS__ })[below(numbers, N_OF(__VA_ARGS__))]

static void place_past(struct trial *trial)
{
	for (uint32_t i = 0; i < MAX_BLOCKS; i++) {
		trial->blocks[i] = i * 5 % MAX_BLOCKS;
		memcpy(trial->pool + trial->blocks[i] * BLOCK_LENGTH,
		       trial->past + i * BLOCK_LENGTH, BLOCK_LENGTH * sizeof *trial->past);
	}
}

/* Few different tokens, and a text that repeats itself. */
static void fill_past(struct trial *trial, struct numbers *numbers)
{
	uint32_t n_kinds = 1 + below(numbers, trial->n_vocab < 40 ? trial->n_vocab : 40);
	uint32_t period = 1 + below(numbers, 60), n_odd = below(numbers, 3) * 20;
	bool has_breakers = below(numbers, 2);

	trial->position = below(numbers, MAX_PAST);
	for (uint32_t i = 0; i < MAX_PAST; i++) {
		trial->past[i] = below(numbers, n_kinds);
		if (i >= period && below(numbers, 100) >= n_odd)
			trial->past[i] = step_token(trial->past[i - period]);
		if (has_breakers && trial->past[i] % 5 == 3)
			trial->past[i] |= STEP_TOKEN_BREAKER;
	}
	place_past(trial);
}

static void fill_logits(struct trial *trial, struct numbers *numbers)
{
	double coarse = below(numbers, 3) ? 1e-4 : 0.5, width = ONE_OF(numbers, 1, 4, 12, 30);
	uint32_t n_left_out = below(numbers, 4) ? 0 : below(numbers, trial->n_vocab);

	for (uint32_t i = 0; i < trial->n_vocab; i++)
		trial->logits[i] = (float)(coarse * floor((uniform(numbers) - 0.5) * width /
							  coarse));
	for (uint32_t i = 0; i < n_left_out; i++)
		trial->logits[1 + below(numbers, trial->n_vocab - 1)] = -INFINITY;
}

static void fill_extra(struct trial *trial, struct numbers *numbers)
{
	struct sampling *s = &trial->words.sampling;
	uint32_t token = 0;

	for (; below(numbers, 8) && token < trial->n_vocab; token += 1 + below(numbers, 30))
		trial->biases[s->n_biases++] = (struct sampling_bias){
			token, ONE_OF(numbers, 1, -2.5f, 30, -INFINITY, 1e9f),
		};
	token = 0;
	for (; below(numbers, 8) && token < trial->n_vocab; token += 1 + below(numbers, 30))
		trial->bans[s->n_bans++] = token;
}

static void fill_order(uint8_t *order, struct numbers *numbers)
{
	uint32_t n = 1 + below(numbers, N_SAMPLERS - 1);

	for (uint32_t i = 0; i < N_SAMPLERS - 1; i++)
		order[i] = (uint8_t)(i + 1);
	for (uint32_t i = 0; i < N_SAMPLERS - 1; i++) {
		uint32_t other = below(numbers, N_SAMPLERS - 1);
		uint8_t kind = order[i];

		order[i] = order[other];
		order[other] = kind;
	}
	memset(order + n, 0, N_SAMPLERS - 1 - n);
}

/* Each sampler is on in about every other trial. */
static struct sampling sampling_of(struct numbers *n, uint32_t n_vocab)
{
	struct sampling s = {
		.seed = n->seed, .stream = n->seed % 3, .flags = n->seed % 2,
		.temperature = ONE_OF(n, 0, 0.3f, 1, 2, 0.8f),
		.top_k = below(n, 2) ? 1 + below(n, n_vocab) : 0,
		.top_p = ONE_OF(n, 1, 1, 0.9f, 0.4f),
		.min_p = ONE_OF(n, 0, 0, 0.05f, 0.3f),
		.typical_p = ONE_OF(n, 1, 1, 0.9f, 0.5f, 0.1f),
		.top_n_sigma = ONE_OF(n, 0, 0, 1, 1.7f, 0.2f),
		.xtc_probability = ONE_OF(n, 0, 0.5f, 1),
		.xtc_threshold = ONE_OF(n, 0, 0.01f, 0.1f, 0.3f, 0.6f),
		.dynatemp_range = ONE_OF(n, 0, 0, 0.5f, 1.5f),
		.dynatemp_exponent = ONE_OF(n, 0, 1, 0.4f, 2),
		.repetition_penalty = ONE_OF(n, 1, 1.3f, 0.7f),
		.presence_penalty = ONE_OF(n, 0, 0, 0.6f, -1),
		.frequency_penalty = ONE_OF(n, 0, 0, 0.2f, -0.1f),
		.penalty_last_n = below(n, 2) ? below(n, MAX_PAST) : 0,
		.dry_multiplier = ONE_OF(n, 0, 0.8f, 2),
		.dry_base = ONE_OF(n, 1.75f, 1, 1.1f, 0.9f, 5),
		.dry_allowed_length = (uint32_t)ONE_OF(n, 2, 2, 0, 1, 7),
		.dry_last_n = below(n, 2) ? below(n, MAX_PAST) : 0,
		.n_prompt = below(n, MAX_PAST), .min_tokens = below(n, 60),
	};

	if (below(n, 3) == 0)
		fill_order(s.order, n);
	return s;
}

static void make_trial(struct trial *trial, uint32_t seed, uint32_t n_vocab)
{
	struct numbers numbers = { seed, 0 };

	memset(&trial->words, 0, sizeof trial->words);
	trial->n_vocab = n_vocab;
	trial->words.sampling = sampling_of(&numbers, n_vocab);
	fill_past(trial, &numbers);
	fill_logits(trial, &numbers);
	fill_extra(trial, &numbers);
}

static struct sampler_row row_of(struct trial *trial, struct token_record *record)
{
	struct sampling *s = &trial->words.sampling;
	struct sampling fixed = *s;

	sampling_write(&fixed, trial->biases, trial->bans, (uint64_t *)&trial->words);
	record->position = trial->position;
	return (struct sampler_row){
		.sampling = s, .record = record, .n_tops = s->n_tops,
		.past = { trial->pool, trial->blocks, BLOCK_LENGTH },
	};
}

static void draw(struct trial *trial, struct token_record *record)
{
	struct token_top tops[STEP_MAX_TOPS_EACH];
	struct sampler_row row = row_of(trial, record);
	struct sampler *sampler;

	assert_int_equal(sampler_create(backend, trial->n_vocab, 1, MAX_PAST, &sampler), SC_OK);
	sampler_run(sampler, trial->logits, trial->logits, &row, 1, tops);
	sampler_destroy(sampler);
}

static bool draw_slowly(const struct trial *trial, uint32_t *token_out)
{
	return reference_draw_after(trial->logits, trial->n_vocab, &trial->words.sampling,
				    trial->biases, trial->bans, trial->past, trial->position,
				    token_out);
}

/* --- tests --- */

static void draws_equal_full_sorts_in_double(void **state)
{
	static struct trial trial;
	uint32_t n_empty = 0, n_greedy = 0;

	(void)state;
	for (uint32_t seed = 0; seed < 20000; seed++) {
		struct token_record record = { 0 };
		uint32_t token = 0;
		bool has_token;

		make_trial(&trial, seed, 1 + seed * 31 % MAX_VOCAB);
		draw(&trial, &record);
		has_token = draw_slowly(&trial, &token);
		n_empty += !has_token;
		n_greedy += trial.words.sampling.temperature == 0;
		if (record.fault != (has_token ? TOKEN_FAULT_NONE : TOKEN_FAULT_BARRED) ||
		    record.token != token)
			fail_msg("trial %u: token %u, fault %u; expected token %u", seed,
				 record.token, record.fault, token);
	}
	print_message("%u rows without a token, %u of temperature 0\n", n_empty, n_greedy);
	assert_true(n_empty > 10 && n_greedy > 1000);
}

/* Rows of all kinds, those that need no chain among them. */
static void make_rows(struct trial *trials, uint32_t n_vocab)
{
	for (uint32_t i = 0; i < MAX_ROWS; i++) {
		struct sampling *s = &trials[i].words.sampling;

		make_trial(&trials[i], 5000 + i, n_vocab);
		s->n_tops = i % 3 == 1 ? (uint32_t)min_of(i % 21, n_vocab) : 0;
		if (i % 4 == 3)
			*s = (struct sampling){ .seed = i, .temperature = 1, .top_p = 0.9f,
						SAMPLING_OFF, .flags = i % 8 == 7,
						.n_tops = i % 8 == 7 };
	}
}

struct answer {
	struct token_record records[MAX_ROWS];
	struct token_top tops[MAX_ROWS * STEP_MAX_TOPS_EACH];
	uint32_t n_tops;
};

/* In groups of `most` rows. */
static void run_rows(struct backend *on, struct trial *trials, uint32_t n_vocab, uint32_t most,
		     struct answer *answer)
{
	static float logits[MAX_ROWS * MAX_VOCAB];
	struct sampler_row rows[MAX_ROWS];
	struct sampler *sampler;

	memset(answer, 0, sizeof *answer);
	assert_int_equal(sampler_create(on, n_vocab, most, MAX_PAST, &sampler), SC_OK);
	for (uint32_t first = 0, n; first < MAX_ROWS; first += n) {
		n = (uint32_t)min_of(most, MAX_ROWS - first);
		for (uint32_t i = 0; i < n; i++) {
			rows[i] = row_of(&trials[first + i], &answer->records[first + i]);
			memcpy(logits + i * n_vocab, trials[first + i].logits,
			       n_vocab * sizeof *logits);
			if ((first + i) % 16 == 15)
				rows[i].sampling = NULL;
		}
		answer->n_tops += sampler_run(sampler, logits, logits, rows, n,
					      answer->tops + answer->n_tops);
	}
	sampler_destroy(sampler);
}

static void instructions_threads_and_rows_do_not_change_a_bit(void **state)
{
	enum { N_VOCAB = 533 };
	static struct trial trials[MAX_ROWS];
	static struct answer first, again;

	(void)state;
	make_rows(trials, N_VOCAB);
	run_rows(backend, trials, N_VOCAB, MAX_ROWS, &first);
	assert_true(first.n_tops > 50);
	for (enum cpu_isa isa = CPU_SCALAR; isa <= cpu_isa_best(); isa++)
		for (unsigned n_threads = 1; n_threads <= 4; n_threads++) {
			const struct backend_config config = {
				.isa = isa, .n_threads = n_threads, .max_rows = 1, .max_width = 1,
			};
			struct backend *other;
			struct error err;

			assert_int_equal(backend_cpu.open(0, &config, &other, &err), SC_OK);
			run_rows(other, trials, N_VOCAB, n_threads == 3 ? 7 : MAX_ROWS, &again);
			assert_memory_equal(&again, &first, sizeof first);
			run_rows(other, trials, N_VOCAB, 1, &again);
			assert_memory_equal(&again, &first, sizeof first);
			other->ops->close(other);
		}
}

/* The n likeliest, best first, by the raw logits. */
static void check_tops(const struct trial *trial, const struct token_record *record,
		       const struct token_top *tops)
{
	uint32_t n_better = 0;

	for (uint32_t i = 0; i < record->n_tops; i++) {
		float logit = trial->logits[tops[i].token];
		double truth = reference_logprob(trial->logits, trial->n_vocab, tops[i].token);

		assert_float_equal(tops[i].logprob, fmax(truth, -FLT_MAX), 1e-5);
		for (uint32_t k = n_better = 0; k < trial->n_vocab; k++)
			n_better += trial->logits[k] > logit ||
				    (trial->logits[k] == logit && k < tops[i].token);
		assert_int_equal(n_better, i);
		if (tops[i].token == record->token)
			assert_memory_equal(&tops[i].logprob, &record->logprob, sizeof(float));
	}
}

static void tops_are_the_likeliest_before_all_samplers(void **state)
{
	static struct trial trials[MAX_ROWS];
	static struct answer answer;

	(void)state;
	for (uint32_t n_vocab = 1; n_vocab < 600; n_vocab += 41) {
		const struct token_top *tops = answer.tops;

		make_rows(trials, n_vocab);
		run_rows(backend, trials, n_vocab, MAX_ROWS, &answer);
		for (uint32_t i = 0; i < MAX_ROWS; i++) {
			const struct token_record *record = &answer.records[i];
			const struct sampling *s = &trials[i].words.sampling;
			bool has_logprob = record->fault == TOKEN_FAULT_NONE &&
					   (i % 16 == 15 || s->flags);

			assert_int_equal(record->n_tops, has_logprob ? s->n_tops : 0);
			check_tops(&trials[i], record, tops);
			tops += record->n_tops;
		}
		assert_int_equal(tops - answer.tops, answer.n_tops);
	}
}

/* --- single rules, by hand --- */

static uint32_t greedy_after(const float *logits, uint32_t n, struct sampling s,
			     const uint32_t *past, uint32_t n_past)
{
	static struct trial trial;
	struct token_record record = { 0 };

	memset(&trial, 0, sizeof trial);
	trial.n_vocab = n;
	trial.position = n_past;
	trial.words.sampling = s;
	memcpy(trial.logits, logits, n * sizeof *logits);
	memcpy(trial.past, past, n_past * sizeof *past);
	place_past(&trial);
	draw(&trial, &record);
	assert_int_equal(record.fault, TOKEN_FAULT_NONE);
	return record.token;
}

/* 0 and 1 are in the prompt, 2 and 3 in the output. */
static void prompt_tokens_are_repeated_but_not_present(void **state)
{
	static const float logits[] = { 4, 3.5f, 3, 2.5f, 2 };
	static const uint32_t past[] = { 0, 1, 2, 3, 3 };
	struct sampling s = { .top_p = 1, SAMPLING_OFF, .n_prompt = 2 };

	(void)state;
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 0);
	s.repetition_penalty = 10;
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 4);
	s.penalty_last_n = 4;		/* token 0 is too long ago */
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 0);
	s = (struct sampling){ .top_p = 1, SAMPLING_OFF, .n_prompt = 2, .presence_penalty = 100 };
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 0);
	s.n_prompt = 1;
	s.presence_penalty = -1.1f;	/* encourages what has come */
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 1);
	s.presence_penalty = 0;
	s.frequency_penalty = -0.9f;	/* token 3 has come twice */
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 1);
	s.frequency_penalty = -1.1f;
	assert_int_equal(greedy_after(logits, 5, s, past, 5), 3);
}

static void negative_logits_are_multiplied(void **state)
{
	static const float logits[] = { -1, -1.5f, -3 };
	static const uint32_t past[] = { 0 };
	struct sampling s = { .top_p = 1, SAMPLING_OFF };

	(void)state;
	s.repetition_penalty = 1.4f;
	assert_int_equal(greedy_after(logits, 3, s, past, 1), 0);
	s.repetition_penalty = 1.6f;
	assert_int_equal(greedy_after(logits, 3, s, past, 1), 1);
}

/* a b c a b: c would be the third token of a repetition. */
static void dry_ends_a_repetition_at_the_allowed_length(void **state)
{
	enum { A, B, C, D };
	static const float logits[] = { 0, 0, 5, 4.5f };
	static const uint32_t past[] = { A, B, C, A, B };
	uint32_t broken[] = { A, B, C, A, B | STEP_TOKEN_BREAKER };
	struct sampling s = { .top_p = 1, SAMPLING_OFF, .dry_multiplier = 0.8f,
			      .dry_base = 1.75f, .dry_allowed_length = 2 };

	(void)state;
	assert_int_equal(greedy_after(logits, 4, s, past, 5), D);
	s.dry_allowed_length = 3;
	assert_int_equal(greedy_after(logits, 4, s, past, 5), C);
	s.dry_allowed_length = 2;
	s.dry_last_n = 4;		/* b c a b: only b is repeated */
	assert_int_equal(greedy_after(logits, 4, s, past, 5), C);
	s.dry_last_n = 5;
	assert_int_equal(greedy_after(logits, 4, s, past, 5), D);
	assert_int_equal(greedy_after(logits, 4, s, broken, 5), C);
	/* A breaker itself is never discouraged. */
	broken[4] = B;
	broken[2] |= STEP_TOKEN_BREAKER;
	assert_int_equal(greedy_after(logits, 4, s, broken, 5), C);
}

static void bans_hold_until_min_tokens(void **state)
{
	static const float logits[] = { 1, 9, 2 };
	static struct trial trial;

	(void)state;
	for (uint32_t position = 3; position < 8; position++) {
		struct token_record record = { 0 };

		memset(&trial, 0, sizeof trial);
		memcpy(trial.logits, logits, sizeof logits);
		trial.n_vocab = 3;
		trial.position = position;
		trial.words.sampling = (struct sampling){
			.top_p = 1, SAMPLING_OFF, .n_prompt = 3, .min_tokens = 2, .n_bans = 1,
		};
		trial.bans[0] = 1;
		place_past(&trial);
		draw(&trial, &record);
		assert_int_equal(record.token, position < 5 ? 2 : 1);
	}
}

static void no_token_is_left_when_all_are_banned(void **state)
{
	static struct trial trial;
	struct token_record record = { .logprob = 7 };

	(void)state;
	memset(&trial, 0, sizeof trial);
	trial.n_vocab = 2;
	trial.words.sampling = (struct sampling){
		.temperature = 1, .top_p = 0.5f, SAMPLING_OFF, .flags = SAMPLING_LOGPROB,
		.n_tops = 2, .n_biases = 2,
	};
	trial.biases[0] = (struct sampling_bias){ 0, -INFINITY };
	trial.biases[1] = (struct sampling_bias){ 1, -INFINITY };
	draw(&trial, &record);
	assert_int_equal(record.fault, TOKEN_FAULT_BARRED);
	assert_int_equal(record.token, 0);
	assert_int_equal(record.n_tops, 0);
	assert_true(record.logprob == 0);
}

/* The largest finite logit stays finite, whatever is added or divided. */
static void extreme_logits_and_settings_draw_a_token(void **state)
{
	static const float values[] = { FLT_MAX, -FLT_MAX, 1e-45f, 0, -INFINITY, 3 };
	static const uint32_t past[] = { 0, 1, 2, 3, 4, 5 };

	(void)state;
	for (uint32_t i = 0; i < 6 * 6 * 6; i++) {
		const float logits[] = { values[i % 6], values[i / 6 % 6], values[i / 36], -1 };
		struct sampling s = {
			.temperature = i % 2 ? 1000 : 1e-45f, .top_p = 0.5f, .min_p = 1e-45f,
			.typical_p = 1e-45f, .top_n_sigma = 1000, .xtc_probability = 1,
			.dynatemp_range = i % 3 ? 1000 : 0, .dynatemp_exponent = 1000,
			.repetition_penalty = i % 4 ? 1e-38f : 1000, .presence_penalty = -1000,
			.frequency_penalty = i % 5 ? -1000 : 1000,
			.dry_multiplier = 1000, .dry_base = 1000,
			.order = { SAMPLER_TEMPERATURE, SAMPLER_PENALTIES, SAMPLER_DRY,
				   SAMPLER_XTC, SAMPLER_TYPICAL },
		};

		assert_true(greedy_after(logits, 4, s, past, i % 4 ? 4 : 0) < 4);
		memset(s.order, 0, sizeof s.order);
		assert_true(greedy_after(logits, 4, s, past, i % 4 ? 4 : 0) < 4);
	}
}

/* --- llama.cpp --- */

#define BREAKER STEP_TOKEN_BREAKER

/* What llama.cpp leaves of a row, with probabilities. */
static const struct llama_vector {
	struct sampling sampling;
	uint32_t n_vocab, n_past, n_left;
	float logits[24];
	uint32_t past[40];
	struct {
		uint32_t token;
		float probability;
	} left[24];
} llama_vectors[] = {
#include "tests/stage/llama_vectors.h"
};

/* Draws often, and compares how often each token comes. */
static void check_vector(const struct llama_vector *v, uint32_t index)
{
	enum { N_DRAWS = 4000 };
	static struct trial trial;
	uint32_t counts[24] = { 0 };
	double left[24] = { 0 };

	memset(&trial, 0, sizeof trial);
	trial.n_vocab = v->n_vocab;
	trial.position = v->n_past;
	memcpy(trial.logits, v->logits, sizeof v->logits);
	memcpy(trial.past, v->past, sizeof v->past);
	trial.words.sampling = v->sampling;
	place_past(&trial);
	for (uint32_t i = 0; i < N_DRAWS; i++) {
		struct token_record record = { 0 };

		trial.words.sampling.seed = i;
		draw(&trial, &record);
		counts[record.token]++;
	}
	for (uint32_t i = 0; i < v->n_left; i++)
		left[v->left[i].token] = (double)v->left[i].probability;
	for (uint32_t i = 0; i < v->n_vocab; i++) {
		double expected = left[i] * N_DRAWS;
		double most = left[i] > 0 ? 5 * sqrt(expected * (1 - left[i])) + 4 : 0;

		if (fabs(counts[i] - expected) > most)
			fail_msg("vector %u: token %u came %u times, expected %g", index, i,
				 counts[i], expected);
	}
}

static void draws_follow_the_distributions_of_llama_cpp(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < sizeof llama_vectors / sizeof llama_vectors[0]; i++)
		check_vector(&llama_vectors[i], i);
}

/* --- the backend --- */

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
		cmocka_unit_test(draws_equal_full_sorts_in_double),
		cmocka_unit_test(instructions_threads_and_rows_do_not_change_a_bit),
		cmocka_unit_test(tops_are_the_likeliest_before_all_samplers),
		cmocka_unit_test(prompt_tokens_are_repeated_but_not_present),
		cmocka_unit_test(negative_logits_are_multiplied),
		cmocka_unit_test(dry_ends_a_repetition_at_the_allowed_length),
		cmocka_unit_test(bans_hold_until_min_tokens),
		cmocka_unit_test(no_token_is_left_when_all_are_banned),
		cmocka_unit_test(extreme_logits_and_settings_draw_a_token),
		cmocka_unit_test(draws_follow_the_distributions_of_llama_cpp),
	};

	return cmocka_run_group_tests(tests, open_backend, close_backend);
}
