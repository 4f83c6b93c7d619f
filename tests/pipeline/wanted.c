/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/wanted.h"

#include "event/loop.h"

#include "tests/pipeline/samplers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

uint32_t wanted_draw(uint32_t below)
{
	static uint64_t state = 42;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((state >> 33) % below);
}

static void make_request(struct wanted *w, unsigned i)
{
	uint32_t n_prompt = 1 + wanted_draw(i % 4 ? 20 : MAX_PROMPT);

	for (uint32_t k = 0; k < n_prompt; k++)
		w->prompt[k] = wanted_draw(256);
	w->request = (struct job_request){
		.client = i % 5,
		.prompt_tokens = w->prompt,
		.n_prompt_tokens = n_prompt,
		.max_tokens = 1 + wanted_draw(MAX_NEW),
		.ignore_end = true,
		.temperature = i % 2 ? 1.0f : 0.0f,
		.top_k = i % 3 ? 0 : 40,
		.top_p = i % 5 ? 1.0f : 0.9f,
		.min_p = i % 7 ? 0.0f : 0.02f,
		.seed = i,
	};
	samplers_choose(&w->request, i);
	if (n_prompt > 1 && i % 3)
		w->request.score_from = 1 + wanted_draw(n_prompt - 1);
}

void wanted_make(struct wanted *wanted, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		make_request(&wanted[i], i);
}

struct job *wanted_submit(struct rig *rig, const struct wanted *w)
{
	struct error err;
	struct job *job;

	if (engine_submit(rig->engine, &w->request, &job, &err) != SC_OK)
		fail_msg("%s", err.text);
	return job;
}

void wanted_keep_scores(const struct job *job, struct wanted *w)
{
	const float *scores = job_prompt_scores(job, &w->n_scores);

	const struct token_top *tops;
	uint32_t n_tops;

	for (uint32_t k = 0; k < w->n_scores; k++)
		w->scores[k] = scores[k];
	tops = job_prompt_tops(job, &n_tops);
	assert_true(n_tops <= MAX_TOPS);
	if (w->n_scores && n_tops)
		memcpy(w->score_tops, tops, (size_t)w->n_scores * n_tops * sizeof tops[0]);
}

static bool has_token(const struct wanted *w, uint32_t token)
{
	for (uint32_t k = 0; k < w->request.n_prompt_tokens; k++)
		if (w->prompt[k] == token)
			return true;
	for (uint32_t k = 0; k < w->n_tokens; k++)
		if (w->tokens[k] == token)
			return true;
	return false;
}

uint32_t wanted_foreign_token(const struct wanted *wanted, unsigned n)
{
	uint32_t token = rig_model()->model->hparams.n_vocab;
	unsigned i;

	do {
		assert_true(token-- > 0);
		for (i = 0; i < n && !has_token(&wanted[i], token); i++)
			;
	} while (i < n);
	return token;
}

struct job *wanted_submit_spoilt(struct rig *rig, uint32_t token)
{
	struct wanted w;

	make_request(&w, 1 + wanted_draw(100));
	w.request.prompt_tokens = w.prompt;
	w.prompt[wanted_draw((uint32_t)w.request.n_prompt_tokens)] = token;
	return wanted_submit(rig, &w);
}

void wanted_check_spoilt(struct job *job)
{
	assert_int_equal(job_state(job), JOB_FAILED);
	assert_int_equal(job_error(job)->status, SC_E_NUMERIC);
	if (!strstr(job_error(job)->text, "stage 1 has NaN or infinity in token_embd.weight"))
		fail_msg("%s", job_error(job)->text);
	job_release(job);
}

/* Alone, the logits come in order: one row per drawn token. */
void wanted_run_alone(struct wanted *wanted, unsigned n, const struct rig_options *options)
{
	struct rig_options alone = *options;
	struct rig rig;

	alone.n_stages = 1;
	alone.n_threads = 1;
	alone.window = 1;
	rig_mend_token();
	for (unsigned i = 0; i < n; i++) {
		const struct output *output;
		struct job *job;
		size_t first;

		rig_start(&rig, &alone);
		first = rig.n_logits;	/* behind the probe's */
		job = wanted_submit(&rig, &wanted[i]);
		rig_wait(&rig, job_is_ended(job));
		assert_int_equal(job_state(job), JOB_DONE);
		output = job_output(job, 0);
		wanted[i].n_tokens = output->n_tokens;
		assert_int_equal(output->n_tokens, wanted[i].request.max_tokens);
		for (uint32_t k = 0; k < output->n_tokens; k++)
			wanted[i].tokens[k] = output->tokens[k].id;
		for (uint32_t k = 0; k < output->n_tokens * output->n_tops; k++)
			wanted[i].tops[k] = output->tops[k];
		wanted_keep_scores(job, &wanted[i]);
		job_release(job);
		rig_stop(&rig);
		assert_int_equal(rig.n_logits, first + wanted[i].n_tokens);
		for (uint32_t k = 0; k < wanted[i].n_tokens; k++)
			wanted[i].hashes[k] = rig.logits[first + k].hash;
		rig_free_logits(&rig);
	}
}

/* As many as the request says, and the same. */
static void check_tops(const struct job *job, const struct wanted *w)
{
	const struct job_request *r = &w->request;
	const struct output *output = job_output(job, 0);
	const struct token_top *tops;
	uint32_t n_tops;

	assert_int_equal(output->n_tops, r->wants_logprobs ? r->n_top_logprobs : 0);
	assert_true(samplers_same_tops(output->tops, w->tops, w->n_tokens * output->n_tops));
	tops = job_prompt_tops(job, &n_tops);
	assert_int_equal(n_tops, r->score_from ? r->n_top_logprobs : 0);
	assert_true(samplers_same_tops(tops, w->score_tops, w->n_scores * n_tops));
}

void wanted_check(const struct job *job, const struct wanted *w)
{
	const struct output *output = job_output(job, 0);
	const float *scores;
	uint32_t n_scores;

	if (job_state(job) != JOB_DONE)
		fail_msg("%s", job_error(job)->text);
	assert_int_equal(output->finish, FINISH_LENGTH);
	assert_int_equal(output->n_tokens, w->n_tokens);
	for (uint32_t k = 0; k < w->n_tokens; k++)
		assert_int_equal(output->tokens[k].id, w->tokens[k]);
	check_tops(job, w);
	scores = job_prompt_scores(job, &n_scores);
	assert_int_equal(n_scores, w->request.score_from ? w->request.n_prompt_tokens -
							   w->request.score_from : 0);
	for (uint32_t k = 0; k < n_scores; k++) {
		assert_true(scores[k] < 0.0f);
		assert_memory_equal(&scores[k], &w->scores[k], sizeof scores[0]);
	}
}

void wanted_run_together(const struct wanted *wanted, unsigned n_jobs,
			 const struct rig_options *options)
{
	struct job *jobs[MAX_JOBS], *twins[MAX_JOBS] = { 0 }, *spoilt[MAX_JOBS] = { 0 };
	uint32_t token = wanted_foreign_token(wanted, n_jobs);
	unsigned n_submitted = 0, n_ended = 0;
	struct rig rig;

	if (rig_can_spoil())
		rig_spoil_token(token);
	rig_start(&rig, options);
	assert_int_equal(rig.phase, COORDINATOR_READY);
	while (n_ended < n_jobs) {
		if (n_submitted < n_jobs && (!n_submitted || !wanted_draw(3))) {
			jobs[n_submitted] = wanted_submit(&rig, &wanted[n_submitted]);
			if (!wanted_draw(4))
				twins[n_submitted] = wanted_submit(&rig, &wanted[n_submitted]);
			if (rig_can_spoil() && !wanted_draw(3))
				spoilt[n_submitted] = wanted_submit_spoilt(&rig, token);
			n_submitted++;
		}
		loop_turn(rig.loop, n_submitted == n_jobs);
		n_ended = 0;
		for (unsigned i = 0; i < n_submitted; i++) {
			n_ended += job_is_ended(jobs[i]) &&
				   (!spoilt[i] || job_is_ended(spoilt[i]));
			if (twins[i] && !wanted_draw(20))
				job_cancel(twins[i]);
		}
	}
	for (unsigned i = 0; i < n_jobs; i++) {
		wanted_check(jobs[i], &wanted[i]);
		job_release(jobs[i]);
		if (twins[i])
			job_release(twins[i]);
		if (spoilt[i])
			wanted_check_spoilt(spoilt[i]);
	}
	rig_stop(&rig);
	for (unsigned i = 0; i < n_jobs; i++)
		for (uint32_t k = 0; k < wanted[i].n_tokens; k++)
			assert_true(rig_has_logits(&rig,
						   (uint32_t)wanted[i].request.n_prompt_tokens + k,
						   wanted[i].hashes[k]));
	rig_free_logits(&rig);
}
