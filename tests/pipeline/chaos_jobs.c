/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos_jobs.h"

#include "tests/pipeline/samplers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*state >> 33) % below);
}

static void make_kind(struct chaos_kind *kind, unsigned i, uint64_t *state)
{
	static const uint32_t lengths[] = { 1, 5, 16, 17, 33, CHAOS_MAX_PROMPT };
	uint32_t n_prompt = lengths[i % 6];

	for (uint32_t k = 0; k < n_prompt; k++)
		kind->prompt[k] = draw(state, 256);
	kind->request = (struct job_request){
		.client = i % 3,
		.prompt_tokens = kind->prompt,
		.n_prompt_tokens = n_prompt,
		.n_sequences = i % 4 == 3 ? CHAOS_MAX_OUTPUTS : 1,
		.max_tokens = i % 5 == 4 ? 1 + i % 3 : CHAOS_MAX_NEW - i,
		.ignore_end = i % 2,
		.temperature = i % 2 ? 1.2f : 0.0f,
		.top_k = i % 3 ? 0 : 40,
		.top_p = i % 5 ? 1.0f : 0.9f,
		.min_p = i % 7 ? 0.0f : 0.02f,
		.wants_logprobs = true,
		.seed = 1000 + i,
		.score_from = n_prompt > 4 && i % 3 == 1 ? 2 : 0,
		.special = i % 2 ? SPECIAL_NAMES : SPECIAL_HIDDEN,
	};
	samplers_choose(&kind->request, i);
}

void chaos_kinds_make(struct chaos_kind kinds[CHAOS_N_KINDS])
{
	uint64_t state = 7;

	for (unsigned i = 0; i < CHAOS_N_KINDS; i++)
		make_kind(&kinds[i], i, &state);
}

void chaos_kind_keep(struct chaos_kind *kind, const struct job *job)
{
	const float *scores = job_prompt_scores(job, &kind->n_scores);

	const struct token_top *tops;
	uint32_t n_tops;

	assert_int_equal(job_state(job), JOB_DONE);
	for (uint32_t k = 0; k < kind->n_scores; k++)
		kind->scores[k] = scores[k];
	tops = job_prompt_tops(job, &n_tops);
	for (uint32_t k = 0; k < kind->n_scores * n_tops; k++)
		kind->score_tops[k] = tops[k];
	for (uint32_t i = 0; i < job_n_outputs(job); i++) {
		const struct output *output = job_output(job, i);
		struct chaos_result *result = &kind->results[i];

		assert_true(output->n_tokens <= CHAOS_MAX_NEW);
		assert_true(output->text.length < sizeof result->text);
		result->n_tokens = output->n_tokens;
		result->n_text = output->text.length;
		result->finish = output->finish;
		result->stop_cause = output->stop_cause;
		for (uint32_t k = 0; k < output->n_tokens; k++)
			result->tokens[k] = output->tokens[k];
		for (uint32_t k = 0; k < output->n_tokens * output->n_tops; k++)
			result->tops[k] = output->tops[k];
		memcpy(result->text, output->text.data, output->text.length);
	}
}

/* One string that ends the first output in the middle, and one that begins to match but never
 * does. */
static void add_stops(struct chaos_kind *kind)
{
	const struct chaos_result *result = &kind->results[0];
	size_t at = result->n_text * 2 / 3;

	if (result->n_text < 9)
		return;
	memcpy(kind->stops[0], result->text + at, 3);
	memcpy(kind->stops[1], result->text + at / 2, 3);
	memcpy(kind->stops[1] + 3, "\x01\x02", 2);
	for (unsigned k = 0; k < 2; k++)
		kind->stop_list[k] = kind->stops[k];
	kind->request.stops = kind->stop_list;
	kind->request.n_stops = 2;
}

/* A token in the middle of the first output ends it. */
static void add_stop_token(struct chaos_kind *kind)
{
	const struct chaos_result *result = &kind->results[0];

	if (!result->n_tokens)
		return;
	kind->stop_tokens[0] = result->tokens[result->n_tokens / 2].id;
	kind->request.stop_tokens = kind->stop_tokens;
	kind->request.n_stop_tokens = 1;
}

void chaos_kinds_add_stops(struct chaos_kind kinds[CHAOS_N_KINDS])
{
	for (unsigned i = 0; i < CHAOS_N_KINDS; i++)
		if (i % 3 == 2)
			add_stops(&kinds[i]);
		else if (i % 4 == 3)
			add_stop_token(&kinds[i]);
}

static bool differ(const struct output_token *a, const struct output_token *b)
{
	return a->id != b->id || a->text_end != b->text_end ||
	       memcmp(&a->logprob, &b->logprob, sizeof a->logprob) != 0;
}

static bool check_output(const struct chaos_result *result, const struct output *output,
			 bool is_done, char why[200])
{
	if (is_done ? output->n_tokens != result->n_tokens : output->n_tokens > result->n_tokens) {
		snprintf(why, 200, "%u tokens, expected %u", output->n_tokens, result->n_tokens);
		return false;
	}
	for (uint32_t k = 0; k < output->n_tokens; k++) {
		const struct output_token *token = &output->tokens[k], *wanted = &result->tokens[k];

		if (!differ(token, wanted))
			continue;
		snprintf(why, 200, "token %u: id %u (%a, text to %u), expected %u (%a, text to %u)",
			 k, token->id, (double)token->logprob, token->text_end, wanted->id,
			 (double)wanted->logprob, wanted->text_end);
		return false;
	}
	if (!samplers_same_tops(output->tops, result->tops, output->n_tokens * output->n_tops)) {
		snprintf(why, 200, "the likeliest tokens differ");
		return false;
	}
	if (!is_done)
		return true;
	if (output->stop_cause != result->stop_cause) {
		snprintf(why, 200, "stopped by %d, expected %d", output->stop_cause,
			 result->stop_cause);
		return false;
	}
	if (output->finish != result->finish || output->text.length != result->n_text ||
	    memcmp(output->text.data, result->text, result->n_text) != 0) {
		snprintf(why, 200, "finish %d with %zu bytes of text, expected %d with %zu",
			 output->finish, output->text.length, result->finish, result->n_text);
		return false;
	}
	return true;
}

static bool check_scores(const struct chaos_kind *kind, const struct job *job, char why[200])
{
	uint32_t n, n_tops;
	const float *scores = job_prompt_scores(job, &n);
	const struct token_top *tops;

	tops = job_prompt_tops(job, &n_tops);
	if (n == kind->n_scores && (!n || !memcmp(scores, kind->scores, n * sizeof scores[0])) &&
	    samplers_same_tops(tops, kind->score_tops, n * n_tops))
		return true;
	snprintf(why, 200, "the scores of the prompt differ");
	return false;
}

bool chaos_kind_check(const struct chaos_kind *kind, const struct job *job, char why[200])
{
	const bool is_done = job_state(job) == JOB_DONE;

	for (uint32_t i = 0; i < job_n_outputs(job); i++) {
		char text[200];

		if (check_output(&kind->results[i], job_output(job, i), is_done, text))
			continue;
		snprintf(why, 200, "output %u: %.180s", i, text);
		return false;
	}
	return !is_done || check_scores(kind, job, why);
}
