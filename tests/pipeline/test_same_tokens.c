/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first promise: a job's tokens, and the bits of the logits behind them, do not depend on the
 * number of stages, the window, the chunks of the prompt, or who else is in the step.
 * Every job is first run alone on one stage; then all together in every arrangement, arriving and
 * leaving at random.
 */
#include "tests/pipeline/rig.h"

#include "event/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MAX_JOBS 32
#define MAX_PROMPT 90
#define MAX_NEW 24

/* A job and what it must give. */
struct wanted {
	struct job_request request;
	uint32_t prompt[MAX_PROMPT];
	uint32_t n_tokens;
	uint32_t tokens[MAX_NEW];
	uint64_t hashes[MAX_NEW];
	uint32_t n_scores;
	float scores[MAX_PROMPT];
};

static struct wanted wanted[MAX_JOBS];
static uint64_t random_state = 42;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((random_state >> 33) % below);
}

static void make_request(struct wanted *w, unsigned i)
{
	uint32_t n_prompt = 1 + draw(i % 4 ? 20 : MAX_PROMPT);

	for (uint32_t k = 0; k < n_prompt; k++)
		w->prompt[k] = draw(256);
	w->request = (struct job_request){
		.prompt_tokens = w->prompt,
		.n_prompt_tokens = n_prompt,
		.max_tokens = 1 + draw(MAX_NEW),
		.ignore_end = true,
		.temperature = i % 2 ? 1.0f : 0.0f,
		.top_k = i % 3 ? 0 : 40,
		.top_p = i % 5 ? 1.0f : 0.9f,
		.min_p = i % 7 ? 0.0f : 0.02f,
		.seed = i,
	};
	if (n_prompt > 1 && i % 3)
		w->request.score_from = 1 + draw(n_prompt - 1);
}

static struct job *submit(struct rig *rig, const struct wanted *w)
{
	struct error err;
	struct job *job;

	if (job_submit(rig->coordinator, &w->request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

static void keep_scores(const struct job *job, struct wanted *w)
{
	const float *scores = job_prompt_scores(job, &w->n_scores);

	for (uint32_t k = 0; k < w->n_scores; k++)
		w->scores[k] = scores[k];
}

/* Alone, the logits come in order: one row per drawn token. */
static void run_each_alone(enum tensor_type kv_type)
{
	struct rig_options options = rig_defaults;
	struct rig rig;

	options.kv_type = kv_type;
	options.n_stages = 1;
	options.window = 1;
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		const struct output *output;
		struct job *job;
		size_t first;

		rig_start(&rig, &options);
		first = rig.n_logits;	/* behind the probe's */
		job = submit(&rig, &wanted[i]);
		rig_wait(&rig, job_is_ended(job));
		assert_int_equal(job_state(job), JOB_DONE);
		output = job_output(job, 0);
		wanted[i].n_tokens = output->n_tokens;
		assert_int_equal(output->n_tokens, wanted[i].request.max_tokens);
		for (uint32_t k = 0; k < output->n_tokens; k++)
			wanted[i].tokens[k] = output->tokens[k].id;
		keep_scores(job, &wanted[i]);
		job_release(job);
		rig_stop(&rig);
		assert_int_equal(rig.n_logits, first + wanted[i].n_tokens);
		for (uint32_t k = 0; k < wanted[i].n_tokens; k++)
			wanted[i].hashes[k] = rig.logits[first + k].hash;
		rig_free_logits(&rig);
	}
}

static int make_requests(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_JOBS; i++)
		make_request(&wanted[i], i);
	run_each_alone(TENSOR_F32);
	return 0;
}

static void check_job(const struct job *job, const struct wanted *w)
{
	const struct output *output = job_output(job, 0);
	const float *scores;
	uint32_t n_scores;

	assert_int_equal(job_state(job), JOB_DONE);
	assert_int_equal(output->finish, FINISH_LENGTH);
	assert_int_equal(output->n_tokens, w->n_tokens);
	for (uint32_t k = 0; k < w->n_tokens; k++)
		assert_int_equal(output->tokens[k].id, w->tokens[k]);
	scores = job_prompt_scores(job, &n_scores);
	assert_int_equal(n_scores, w->request.score_from ? w->request.n_prompt_tokens -
							   w->request.score_from : 0);
	for (uint32_t k = 0; k < n_scores; k++) {
		assert_true(scores[k] < 0.0f);
		assert_memory_equal(&scores[k], &w->scores[k], sizeof scores[0]);
	}
}

/* The first n_jobs together; a quarter of them gets a twin that leaves in the middle. */
static void run_together(const struct rig_options *options, unsigned n_jobs)
{
	struct job *jobs[MAX_JOBS], *twins[MAX_JOBS] = { 0 };
	unsigned n_submitted = 0, n_ended = 0;
	struct rig rig;

	rig_start(&rig, options);
	assert_int_equal(rig.phase, COORDINATOR_READY);
	while (n_ended < n_jobs) {
		if (n_submitted < n_jobs && (!n_submitted || !draw(3))) {
			jobs[n_submitted] = submit(&rig, &wanted[n_submitted]);
			if (!draw(4))
				twins[n_submitted] = submit(&rig, &wanted[n_submitted]);
			n_submitted++;
		}
		loop_turn(rig.loop, n_submitted == n_jobs);
		n_ended = 0;
		for (unsigned i = 0; i < n_submitted; i++) {
			n_ended += job_is_ended(jobs[i]);
			if (twins[i] && !draw(20))
				job_cancel(twins[i]);
		}
	}
	for (unsigned i = 0; i < n_jobs; i++) {
		check_job(jobs[i], &wanted[i]);
		job_release(jobs[i]);
		if (twins[i])
			job_release(twins[i]);
	}
	rig_stop(&rig);
	for (unsigned i = 0; i < n_jobs; i++)
		for (uint32_t k = 0; k < wanted[i].n_tokens; k++)
			assert_true(rig_has_logits(&rig,
						   (uint32_t)wanted[i].request.n_prompt_tokens + k,
						   wanted[i].hashes[k]));
	rig_free_logits(&rig);
}

/* Sanitizers look for other things than bits, and are ten times slower: a part is enough there. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define EVERY 16
#else
#define EVERY 1
#endif

static void the_same_bits_for_every_split_window_and_chunk(void **state)
{
	static const unsigned stages[] = { 1, 2, 3, 8 };
	enum { N_STAGES = 4, N_WINDOWS = 9, N_CHUNKS = 16, MAX_CHUNK = 64 };
	struct rig_options options = rig_defaults;
	unsigned n_run = 0;

	(void)state;
	for (unsigned n = 0; n < N_STAGES * N_WINDOWS * N_CHUNKS; n++) {
		unsigned split = n / N_CHUNKS;

		/* A part still has every number of stages with every window. */
		if (n % EVERY != split % EVERY)
			continue;
		/* Each split and window has sixteen of the chunks, each chunk many of those. */
		options.prompt_chunk = 1 + (n % N_CHUNKS * 4 + split) % MAX_CHUNK;
		options.window = 1 + split % N_WINDOWS;
		options.n_stages = stages[split / N_WINDOWS];
		options.n_threads = 1 + n % 2;
		run_together(&options, n % 5 ? 1 + draw(MAX_JOBS) : MAX_JOBS);
		n_run++;
	}
	print_message("%u arrangements, up to %u sequences each\n", n_run, MAX_JOBS);
}

static void the_same_bits_when_blocks_run_out_and_sequences_start_over(void **state)
{
	struct coordinator_status status;
	struct rig_options options = rig_defaults;
	struct job *jobs[MAX_JOBS];
	struct rig rig;

	(void)state;
	options.n_stages = 3;
	options.prompt_chunk = 16;
	options.block_length = 4;
	options.kv_positions = rig_model()->model->hparams.n_context;
	/* The last bits of attention depend on the length of blocks, so alone means with these. */
	rig_start(&rig, &options);
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		jobs[i] = submit(&rig, &wanted[i]);
		rig_wait(&rig, job_is_ended(jobs[i]));
		keep_scores(jobs[i], &wanted[i]);
		job_release(jobs[i]);
	}
	rig_stop(&rig);
	rig_free_logits(&rig);
	rig_start(&rig, &options);
	for (unsigned i = 0; i < MAX_JOBS; i++)
		jobs[i] = submit(&rig, &wanted[i]);
	for (unsigned i = 0; i < MAX_JOBS; i++) {
		rig_wait(&rig, job_is_ended(jobs[i]));
		check_job(jobs[i], &wanted[i]);
		job_release(jobs[i]);
	}
	coordinator_status(rig.coordinator, &status);
	assert_true(status.preemptions > 0);
	assert_int_equal(status.n_blocks_free, status.n_blocks);
	rig_stop(&rig);
	rig_free_logits(&rig);
}

/* Rounded keys and values give other tokens, and these hold for every arrangement too. */
static void the_same_bits_for_every_type_of_keys_and_values(void **state)
{
	static const enum tensor_type types[] = { TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0 };
	struct rig_options options = rig_defaults;

	(void)state;
	for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
		options.kv_type = types[i];
		run_each_alone(types[i]);
		for (unsigned k = 0; k < 4; k++) {
			options.n_stages = 1 + k * 7 / 3;
			options.window = k ? 1 + draw(8) : 0;
			options.prompt_chunk = 1 + draw(40);
			options.n_threads = 1 + k % 4;
			run_together(&options, MAX_JOBS);
		}
	}
}

static int close_model(void **state)
{
	(void)state;
	rig_model_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bits_for_every_split_window_and_chunk),
		cmocka_unit_test(the_same_bits_when_blocks_run_out_and_sequences_start_over),
		cmocka_unit_test(the_same_bits_for_every_type_of_keys_and_values),
	};

	return cmocka_run_group_tests(tests, make_requests, close_model);
}
