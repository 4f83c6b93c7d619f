/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bench_test.h"

#include "base/clock.h"
#include "base/integers.h"

#include <stdio.h>
#include <stdlib.h>

/* Sequences that begin together do not draw their first tokens in the same step: those that are
 * ahead go on for so long that nobody ends while the others are measured. */
#define LEAD 32

/* Jobs that run side by side. */
struct crowd {
	const struct bench_run *run;
	struct session *session;
	uint32_t n;
	struct job *jobs[SESSION_MAX_JOBS];
	uint32_t *tokens;	/* [n_tokens] that prompts are made of */
	size_t n_tokens;
	uint64_t started_ns;
};

void bench_test_name(const struct bench_test *test, char name[BENCH_NAME_MAX])
{
	char crowd[16] = "", depth[16] = "";

	if (test->n_sequences > 1)
		snprintf(crowd, sizeof crowd, " x%u", test->n_sequences);
	if (test->depth)
		snprintf(depth, sizeof depth, " @ d%u", test->depth);
	if (test->kind == BENCH_MIXED)
		snprintf(name, BENCH_NAME_MAX, "pp%u+tg%u", test->n_prompt, test->n_gen);
	else if (test->kind == BENCH_DECODE || test->kind == BENCH_DEEP_DECODE)
		snprintf(name, BENCH_NAME_MAX, "tg%u%s%s", test->n_gen, crowd, depth);
	else
		snprintf(name, BENCH_NAME_MAX, "pp%u%s%s", test->n_prompt, crowd, depth);
}

/* Parts at a depth lie around it, so that the one in the middle begins there. */
static uint32_t first_of_parts(uint32_t depth, uint32_t n_part, uint32_t n_parts)
{
	uint64_t before = (uint64_t)n_part * (n_parts / 2);

	return before < depth ? depth - (uint32_t)before : 1;
}

uint32_t bench_test_positions(const struct bench_test *test, uint32_t n_repetitions,
			      uint32_t n_chunk)
{
	uint32_t n_part = (uint32_t)round_up(test->n_prompt, n_chunk);

	switch (test->kind) {
	case BENCH_DEEP_PROMPT:
		return first_of_parts(test->depth, n_part, n_repetitions) +
		       n_repetitions * n_part + 1;
	case BENCH_DEEP_DECODE:
		return first_of_parts(test->depth, test->n_gen, n_repetitions) +
		       n_repetitions * test->n_gen + LEAD + 1;
	default:
		return test->n_prompt + test->n_gen + LEAD + 1;
	}
}

uint64_t bench_test_rows(const struct bench_test *test, uint32_t n_repetitions, uint32_t n_chunk)
{
	const uint32_t n_deep = bench_test_positions(test, n_repetitions, n_chunk);

	switch (test->kind) {
	case BENCH_DEEP_PROMPT:
		return n_deep;
	case BENCH_DEEP_DECODE:
		return n_deep - LEAD;
	default:
		return (uint64_t)(n_repetitions + 1) * test->n_sequences *
		       (test->n_prompt + test->n_gen);
	}
}

/* --- jobs --- */

/* Ids all over the vocabulary: what a token is makes no difference to how long it takes. */
static enum sc_status crowd_init(struct crowd *crowd, const struct bench_run *run,
				 size_t n_tokens, struct error *err)
{
	uint64_t state = 42;

	*crowd = (struct crowd){ .run = run, .session = run->session, .n_tokens = n_tokens };
	crowd->tokens = calloc(n_tokens, sizeof crowd->tokens[0]);
	if (!crowd->tokens)
		return error_set(err, SC_E_NOMEM, "out of memory for a prompt of %zu tokens",
				 n_tokens);
	for (size_t i = 0; i < n_tokens; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		crowd->tokens[i] = (uint32_t)(state >> 33) % run->n_vocab;
	}
	return SC_OK;
}

static enum sc_status crowd_submit(struct crowd *crowd, uint32_t n, uint32_t n_prompt,
				   uint32_t max_tokens, struct error *err)
{
	const struct job_request request = {
		.prompt_tokens = crowd->tokens,
		.n_prompt_tokens = n_prompt,
		.max_tokens = max_tokens,
		.ignore_end = true,
		.top_p = 1.0f,
	};

	crowd->started_ns = clock_ns();
	while (crowd->n < n) {
		enum sc_status status = session_submit(crowd->session, &request,
						       &crowd->jobs[crowd->n], err);

		if (status != SC_OK)
			return status;
		crowd->n++;
	}
	return SC_OK;
}

static uint32_t steps_in_flight(const struct crowd *crowd)
{
	struct coordinator_status status;

	engine_status(session_engine(crowd->session), &status);
	return status.steps_in_flight;
}

/* Leaves an idle pipeline. */
static enum sc_status crowd_disperse(struct crowd *crowd, struct error *err)
{
	enum sc_status status = SC_OK;

	while (crowd->n) {
		struct job *job = crowd->jobs[--crowd->n];

		job_cancel(job);
		session_forget(crowd->session, job);
	}
	while (status == SC_OK && steps_in_flight(crowd))
		status = session_turn(crowd->session, err);
	return status;
}

static enum sc_status crowd_turn(struct crowd *crowd, struct error *err)
{
	enum sc_status status = session_turn(crowd->session, err);

	crowd->run->on_turn(crowd->run->arg);
	for (uint32_t i = 0; status == SC_OK && i < crowd->n; i++) {
		if (job_state(crowd->jobs[i]) != JOB_FAILED)
			continue;
		*err = *job_error(crowd->jobs[i]);
		status = err->status;
	}
	return status;
}

static uint32_t n_drawn(const struct crowd *crowd, uint32_t i)
{
	return job_output(crowd->jobs[i], 0)->n_tokens;
}

static uint64_t count_drawn(const struct crowd *crowd)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < crowd->n; i++)
		n += n_drawn(crowd, i);
	return n;
}

/* Until every sequence has drawn a token. */
static enum sc_status wait_for_first(struct crowd *crowd, struct error *err)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; status == SC_OK && i < crowd->n;) {
		if (n_drawn(crowd, i))
			i++;
		else
			status = crowd_turn(crowd, err);
	}
	return status;
}

static bool has_ended(const struct crowd *crowd)
{
	for (uint32_t i = 0; i < crowd->n; i++)
		if (!job_is_ended(crowd->jobs[i]))
			return false;
	return true;
}

/* What a test counts: tokens that were drawn, or rows that were answered. */
typedef uint64_t count_fn(const struct crowd *crowd);

/* Until there are n, or nobody makes any more. */
static enum sc_status wait_for_count(struct crowd *crowd, count_fn *count, uint64_t n,
				     struct error *err)
{
	enum sc_status status = SC_OK;

	while (status == SC_OK && count(crowd) < n && !has_ended(crowd))
		status = crowd_turn(crowd, err);
	return status;
}

/* --- parts of a test --- */

/* How far a test was at a time. */
struct mark {
	uint64_t n;
	uint64_t ns;
};

/* Parts that end at first + n_part and so on; before them the crowd came from `begin` to first. A
 * loop that slept through several takes them together: the later ones have the rate of all. */
static enum sc_status run_parts(struct crowd *crowd, count_fn *count, uint64_t begin,
				uint64_t first, uint64_t n_part, uint32_t n_parts,
				double *rates_out, struct error *err)
{
	struct mark before = { begin, crowd->started_ns }, last = { count(crowd), clock_ns() };
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; status == SC_OK && i < n_parts; i++) {
		struct mark now;

		status = wait_for_count(crowd, count, first + (i + 1) * n_part, err);
		now = (struct mark){ count(crowd), clock_ns() };
		if (now.n > last.n) {
			before = last;
			last = now;
		}
		rates_out[i] = (double)(last.n - before.n) / clock_seconds(last.ns - before.ns);
	}
	return status;
}

/* --- tests --- */

static double rate_since(uint64_t started_ns, double n_tokens)
{
	return n_tokens / clock_seconds(clock_ns() - started_ns);
}

static enum sc_status run_prompts(struct crowd *crowd, const struct bench_test *test,
				  double *rate_out, struct error *err)
{
	enum sc_status status = crowd_submit(crowd, test->n_sequences, test->n_prompt, 1, err);

	if (status == SC_OK)
		status = wait_for_first(crowd, err);
	*rate_out = rate_since(crowd->started_ns, (double)test->n_sequences * test->n_prompt);
	return status;
}

static enum sc_status run_mixed(struct crowd *crowd, const struct bench_test *test,
				double *rate_out, struct error *err)
{
	enum sc_status status = crowd_submit(crowd, 1, test->n_prompt, test->n_gen, err);

	if (status == SC_OK)
		status = wait_for_count(crowd, count_drawn, test->n_gen, err);
	*rate_out = rate_since(crowd->started_ns, (double)test->n_prompt + test->n_gen);
	return status;
}

/* From when all sequences have begun: n_parts times n_gen tokens of each. */
static enum sc_status run_decode(struct crowd *crowd, const struct bench_test *test,
				 uint32_t n_prompt, uint32_t n_parts, double *rates_out,
				 struct error *err)
{
	uint64_t n_part = (uint64_t)test->n_gen * test->n_sequences;
	enum sc_status status;

	status = crowd_submit(crowd, test->n_sequences, n_prompt, n_parts * test->n_gen + LEAD,
			      err);
	if (status == SC_OK)
		status = wait_for_first(crowd, err);
	if (status == SC_OK)
		status = run_parts(crowd, count_drawn, 0, count_drawn(crowd), n_part, n_parts,
				   rates_out, err);
	return status;
}

static uint64_t count_rows(const struct crowd *crowd)
{
	struct coordinator_status status;

	engine_status(session_engine(crowd->session), &status);
	return status.rows;
}

/* One prompt, whose rows are counted as its steps are answered. A part is as long as the longest
 * step at least, so that each ends with an answer of its own. */
static enum sc_status run_deep_prompt(struct crowd *crowd, const struct bench_test *test,
				      const struct bench_run *run, double *rates_out,
				      struct error *err)
{
	const uint32_t n_parts = run->n_repetitions;
	const uint32_t n_part = (uint32_t)round_up(test->n_prompt, run->n_chunk);
	const uint32_t n_before = first_of_parts(test->depth, n_part, n_parts);
	const uint64_t begin = count_rows(crowd), first = begin + n_before;
	enum sc_status status;

	status = crowd_submit(crowd, 1, n_before + n_parts * n_part, 1, err);
	if (status == SC_OK)
		status = wait_for_count(crowd, count_rows, first, err);
	if (status == SC_OK)
		status = run_parts(crowd, count_rows, begin, first, n_part, n_parts, rates_out,
				   err);
	return status;
}

static enum sc_status run_once(struct crowd *crowd, const struct bench_test *test,
			       double *rate_out, struct error *err)
{
	switch (test->kind) {
	case BENCH_PROMPT:
	case BENCH_QUEUE:
		return run_prompts(crowd, test, rate_out, err);
	case BENCH_MIXED:
		return run_mixed(crowd, test, rate_out, err);
	default:
		return run_decode(crowd, test, 1, 1, rate_out, err);
	}
}

static enum sc_status run_deep(struct crowd *crowd, const struct bench_test *test,
			       const struct bench_run *run, double *rates_out, struct error *err)
{
	enum sc_status status;

	run->between(run->arg);
	if (test->kind == BENCH_DEEP_PROMPT)
		status = run_deep_prompt(crowd, test, run, rates_out, err);
	else
		status = run_decode(crowd, test,
				    first_of_parts(test->depth, test->n_gen, run->n_repetitions),
				    run->n_repetitions, rates_out, err);
	if (status == SC_OK)
		status = crowd_disperse(crowd, err);
	if (status == SC_OK)
		run->between(run->arg);
	return status;
}

static enum sc_status run_all(struct crowd *crowd, const struct bench_test *test,
			      const struct bench_run *run, double *rates_out, struct error *err)
{
	enum sc_status status = SC_OK;
	double warm;

	for (uint32_t i = 0; status == SC_OK && i <= run->n_repetitions; i++) {
		status = run_once(crowd, test, i ? &rates_out[i - 1] : &warm, err);
		if (status == SC_OK)
			status = crowd_disperse(crowd, err);
		if (status == SC_OK)
			run->between(run->arg);
	}
	return status;
}

enum sc_status bench_test_run(const struct bench_test *test, const struct bench_run *run,
			      double *rates_out, struct error *err)
{
	bool is_deep = test->kind == BENCH_DEEP_PROMPT || test->kind == BENCH_DEEP_DECODE;
	size_t n_tokens = bench_test_positions(test, run->n_repetitions, run->n_chunk);
	struct error ignored;
	struct crowd crowd;
	enum sc_status status = crowd_init(&crowd, run, n_tokens, err);
	enum sc_status end;

	if (status == SC_OK)
		status = is_deep ? run_deep(&crowd, test, run, rates_out, err)
				 : run_all(&crowd, test, run, rates_out, err);
	/* Jobs must be let go of in any case; a second error says nothing new. */
	end = crowd_disperse(&crowd, status == SC_OK ? err : &ignored);
	free(crowd.tokens);
	return status == SC_OK ? end : status;
}
