/* SPDX-License-Identifier: Apache-2.0 */
/* What steps and their answers have room for: biases and bans of new sequences, and the likeliest
 * tokens. And what a step says of each token. */
#include "coordinator/breakers.h"

#include "tests/coordinator/step_sim.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MAX_CONTEXT = 64, MAX_SEQUENCES = 1024, N_VOCAB = 600 };

static struct sequence sequences[MAX_SEQUENCES];
static struct share_job jobs[MAX_SEQUENCES];
static uint32_t n_sequences;
static struct sampling_bias biases[STEP_MAX_BIASES];
static uint32_t bans[STEP_MAX_BANS];

static struct scheduler_config config_of(uint32_t max_rows)
{
	return (struct scheduler_config){
		.limits = {
			.max_rows = max_rows, .max_sequences = MAX_SEQUENCES, .n_groups = 1,
			.max_blocks = { 4096 }, .table_blocks = { MAX_CONTEXT / 16 },
			.block_length = 16, .max_context = MAX_CONTEXT, .n_vocab = N_VOCAB, .dim = 1,
		},
		.window = 1,
		.n_stages = 1,
		.prompt_chunk = max_rows,
	};
}

static void start(uint32_t max_rows)
{
	const struct scheduler_config config = config_of(max_rows);

	n_sequences = 0;
	for (uint32_t i = 0; i < STEP_MAX_BIASES; i++)
		biases[i] = (struct sampling_bias){ i, -1 };
	for (uint32_t i = 0; i < STEP_MAX_BANS; i++)
		bans[i] = i;
	step_sim_start(&config);
}

static void stop(void)
{
	step_sim_stop();
	for (uint32_t i = 0; i < n_sequences; i++)
		sequence_deinit(&sequences[i]);
}

/* A sequence of n_prompt tokens and room for many more, not yet given to the scheduler. */
static struct sequence *make(uint32_t n_prompt)
{
	struct sequence *sequence = &sequences[n_sequences];
	uint32_t prompt[MAX_CONTEXT];

	for (uint32_t i = 0; i < n_prompt; i++)
		prompt[i] = 'a' + i % 26;
	assert_int_equal(sequence_init(sequence, prompt, n_prompt, MAX_CONTEXT,
				       &sim.config.limits), SC_OK);
	sequence->sampling = (struct sampling){ .seed = n_sequences + 1, .top_p = 1, SAMPLING_OFF };
	sequence->biases = biases;
	sequence->bans = bans;
	share_job_init(&jobs[n_sequences], &sim.clients[0]);
	sequence->share = &jobs[n_sequences++];
	return sequence;
}

static bool take_token(void *arg, struct sequence *sequence, const struct token_record *record,
		       const struct token_top *tops)
{
	(void)arg;
	(void)tops;
	(void)record;
	return sequence->n_tokens < MAX_CONTEXT;
}

static void new_sequences_wait_until_a_step_has_room_for_their_biases(void **state)
{
	enum { N = 9 };
	uint32_t n_started = 0, n_steps = 0;

	(void)state;
	start(256);
	for (uint32_t i = 0; i < N; i++) {
		struct sequence *sequence = make(3);

		sequence->sampling.n_biases = STEP_MAX_BIASES;
		sequence->sampling.n_bans = STEP_MAX_BANS - 1;
		scheduler_add(sim.scheduler, sequence);
	}
	while (n_started < N) {
		uint32_t n_new = 0;

		assert_non_null(step_sim_make());
		for (uint32_t i = 0; i < sim.step.n_segments; i++)
			n_new += !!(sim.step.segments[i].flags & SEGMENT_NEW);
		assert_true(n_new <= 3);	/* 3 * (512 + 64) of 2048 words */
		n_started += n_new;
		n_steps++;
		step_sim_answer(take_token);
	}
	assert_int_equal(n_steps, N / 3);
	stop();
}

/* 1024 sequences with 20 likeliest tokens each: 819 fit. The others are not forgotten. */
static void decoding_sequences_wait_until_an_answer_has_room(void **state)
{
	(void)state;
	start(MAX_SEQUENCES);
	for (uint32_t i = 0; i < MAX_SEQUENCES; i++) {
		struct sequence *sequence = make(1);

		sequence->sampling.flags = SAMPLING_LOGPROB;
		sequence->sampling.n_tops = STEP_MAX_TOPS_EACH;
		scheduler_add(sim.scheduler, sequence);
	}
	for (uint32_t n = 0; n < 60; n++) {
		struct sim_flight *flight = step_sim_make();

		assert_non_null(flight);
		assert_true(flight->tokens.n_tops <= STEP_MAX_TOPS);
		step_sim_answer(take_token);
	}
	for (uint32_t i = 0; i < MAX_SEQUENCES; i++)
		assert_true(sequences[i].n_tokens > 20);
	stop();
}

static void scored_prompts_take_fewer_rows_if_the_answer_is_full(void **state)
{
	static float scores[MAX_SEQUENCES][MAX_CONTEXT];
	struct token_top *tops = calloc(40 * MAX_CONTEXT * STEP_MAX_TOPS_EACH, sizeof *tops);
	uint32_t n_rows = 0, n_steps = 0;

	(void)state;
	assert_non_null(tops);
	start(MAX_SEQUENCES);
	for (uint32_t i = 0; i < 40; i++) {
		struct sequence *sequence = make(60);

		sequence->sampling.n_tops = STEP_MAX_TOPS_EACH;
		sequence->score_from = 2;
		sequence->scores = scores[i];
		sequence->score_tops = tops + i * MAX_CONTEXT * STEP_MAX_TOPS_EACH;
		scheduler_add(sim.scheduler, sequence);
	}
	while (n_rows < 40 * 60) {
		struct sim_flight *flight = step_sim_make();

		assert_non_null(flight);
		assert_true(flight->tokens.n_tops <= STEP_MAX_TOPS);
		for (uint32_t i = 0; i < sim.step.n_segments; i++)
			if (sim.step.segments[i].first_position < 60)
				n_rows += sim.step.segments[i].n_rows;
		n_steps++;
		step_sim_answer(take_token);
	}
	assert_true(n_steps >= 3);	/* 40 * 58 * 20 of 16384 */
	for (uint32_t i = 0; i < 40; i++)
		for (uint32_t k = 2; k < 60; k++) {
			assert_true(scores[i][k - 2] == -(float)k);
			assert_int_equal(sequences[i].score_tops[(k - 2) * 20 + 19].token,
					 stage_checker_top(k, 19).token);
		}
	stop();
	free(tops);
}

/* A step says of every row whether its token ends a repetition, also when the sequence starts
 * over. */
static void tokens_that_end_a_repetition_are_marked(void **state)
{
	static const char *const texts[] = { "b", "yz", "c" };
	struct buf file = BUF_INIT;
	struct model *model = tiny_model_open(&tiny_llama, &file);
	struct breakers breakers = { .texts = texts, .n_texts = 3 };
	struct tokenizer *tokenizer;
	struct sequence *sequence;

	(void)state;
	assert_int_equal(tokenizer_create(model->gguf, &tokenizer, NULL), SC_OK);
	breakers.tokenizer = tokenizer;
	start(32);
	sequence = make(5);
	sequence->breakers = &breakers;
	scheduler_add(sim.scheduler, sequence);
	for (int round = 0; round < 2; round++) {
		assert_non_null(step_sim_make());
		assert_true(sim.step.n_rows >= 5);
		for (uint32_t i = 0; i < 5; i++)
			assert_int_equal(sim.step.tokens[i],
					 ('a' + i) | (i == 1 || i == 2 ? STEP_TOKEN_BREAKER : 0));
		step_sim_answer(take_token);
		assert_true(sequence->tokens[5] < N_VOCAB);
		(void)scheduler_suspend(sim.scheduler, sequence);
		scheduler_add(sim.scheduler, sequence);
	}
	stop();
	tokenizer_destroy(tokenizer);
	model_close(model);
	buf_deinit(&file);
}

static void min_tokens_fit_into_a_context_that_became_shorter(void **state)
{
	struct sequence *sequence;
	const struct sampling *sampling;

	(void)state;
	start(32);
	sequence = make(5);
	sequence->sampling.min_tokens = 5000;
	scheduler_add(sim.scheduler, sequence);
	assert_non_null(step_sim_make());	/* else the stage refuses it */
	sampling = segment_sampling(&sim.step, sim.step.segments);
	assert_int_equal(sampling->min_tokens, MAX_CONTEXT);
	step_sim_answer(take_token);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_sequences_wait_until_a_step_has_room_for_their_biases),
		cmocka_unit_test(decoding_sequences_wait_until_an_answer_has_room),
		cmocka_unit_test(scored_prompts_take_fewer_rows_if_the_answer_is_full),
		cmocka_unit_test(tokens_that_end_a_repetition_are_marked),
		cmocka_unit_test(min_tokens_fit_into_a_context_that_became_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
