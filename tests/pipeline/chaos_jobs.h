/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_CHAOS_JOBS_H
#define STAGECOACH_TESTS_PIPELINE_CHAOS_JOBS_H
/*
 * chaos_jobs - jobs of many kinds with known results: what they gave when nothing disturbed them.
 * Tokens, log-probabilities, texts, ends and scores of prompts are compared bit by bit.
 * Everything aborts the test when it fails.
 */
#include "coordinator/job.h"

enum { CHAOS_N_KINDS = 12, CHAOS_MAX_OUTPUTS = 3, CHAOS_MAX_NEW = 40, CHAOS_MAX_PROMPT = 70,
       CHAOS_MAX_TOPS = 3 };

struct chaos_result {
	uint32_t n_tokens;
	struct output_token tokens[CHAOS_MAX_NEW];
	char text[1024];
	size_t n_text;
	enum finish_reason finish;
	enum stop_cause stop_cause;
	struct token_top tops[CHAOS_MAX_NEW * CHAOS_MAX_TOPS];
};

struct chaos_kind {
	struct job_request request;	/* its prompt and stops are below */
	uint32_t prompt[CHAOS_MAX_PROMPT];
	char stops[2][16];
	const char *stop_list[2];
	struct chaos_result results[CHAOS_MAX_OUTPUTS];
	uint32_t stop_tokens[1];
	float scores[CHAOS_MAX_PROMPT];
	uint32_t n_scores;
	struct token_top score_tops[CHAOS_MAX_PROMPT * CHAOS_MAX_TOPS];
};

/* Fills in the requests. */
void chaos_kinds_make(struct chaos_kind kinds[CHAOS_N_KINDS]);
/* The job of this kind has ended without disturbance: this is its result. */
void chaos_kind_keep(struct chaos_kind *kind, const struct job *job);
/* Gives some kinds stop strings and stop tokens that occur in their results, or nearly do. Their
 * results must be made again. */
void chaos_kinds_add_stops(struct chaos_kind kinds[CHAOS_N_KINDS]);

/* Compares a job with the result of its kind: all of it if the job is done, else what it has so
 * far. Returns false and a reason. */
bool chaos_kind_check(const struct chaos_kind *kind, const struct job *job, char why[200]);

#endif
