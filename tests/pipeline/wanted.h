/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_WANTED_H
#define STAGECOACH_TESTS_PIPELINE_WANTED_H
/*
 * wanted - jobs whose tokens and logits are known because they ran alone, and runs of many together
 * that must give the same. Everything aborts the test when it fails.
 */
#include "tests/pipeline/rig.h"

#define MAX_JOBS 32
#define MAX_PROMPT 90
#define MAX_NEW 24
#define MAX_TOPS 3

/* A job and what it must give. */
struct wanted {
	struct job_request request;	/* its prompt is the one below */
	uint32_t prompt[MAX_PROMPT];
	uint32_t n_tokens;
	uint32_t tokens[MAX_NEW];
	uint64_t hashes[MAX_NEW];	/* of the logits behind them */
	uint32_t n_scores;
	float scores[MAX_PROMPT];
	struct token_top tops[MAX_NEW * MAX_TOPS];
	struct token_top score_tops[MAX_PROMPT * MAX_TOPS];
};

/* Pseudo-random, the same in every run of a program. */
uint32_t wanted_draw(uint32_t below);

/* Requests 0 .. n - 1, of all kinds. */
void wanted_make(struct wanted *wanted, unsigned n);

struct job *wanted_submit(struct rig *rig, const struct wanted *w);
void wanted_keep_scores(const struct job *job, struct wanted *w);

/* Each alone on one stage and thread: what options say of models and caches counts. */
void wanted_run_alone(struct wanted *wanted, unsigned n, const struct rig_options *options);

/* The job has ended with what is wanted. */
void wanted_check(const struct job *job, const struct wanted *w);

/* A token that no job of n has in its prompt or draws: spoilt, it is nobody else's affair. */
uint32_t wanted_foreign_token(const struct wanted *wanted, unsigned n);
/* A job that comes upon the token somewhere, and a check that it failed by it. */
struct job *wanted_submit_spoilt(struct rig *rig, uint32_t token);
void wanted_check_spoilt(struct job *job);

/* All n together, arriving at random; a quarter of them gets a twin that leaves in the middle, and
 * some a companion whose logits are not numbers, unless the weights are those of a file. */
void wanted_run_together(const struct wanted *wanted, unsigned n,
			 const struct rig_options *options);

#endif
