/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_JOB_SAMPLING_H
#define STAGECOACH_COORDINATOR_JOB_SAMPLING_H
/*
 * job_sampling - how a job's tokens are drawn, as steps carry it: what a request leaves open or
 * switches off has one form only, lists are sorted, and a token occurs once in them.
 * Owns its lists. The job's sequences borrow them.
 * Thread: the loop's.
 */
#include "coordinator/breakers.h"
#include "coordinator/job.h"

struct sequence;

struct job_sampling {
	struct sampling fixed;		/* of the first sequence; the others differ in stream */
	struct sampling_bias *biases;	/* [fixed.n_biases] */
	uint32_t *bans;			/* [fixed.n_bans] */
	char **breaker_texts;		/* one block with their text; NULL: none */
	struct breakers breakers;
};

/* What a request is completed with. */
struct job_sampling_context {
	const struct tokenizer *tokenizer;
	const struct token_list *ends;	/* the model's end tokens */
	uint32_t n_vocab;		/* of the model */
	uint32_t n_prompt;		/* tokens of the prompt */
	uint32_t max_tokens;		/* that each sequence may generate */
};

/* The request must have passed job_request_check. SC_E_NOMEM. SC_E_INVALID: too many tokens would
 * be banned until min_tokens. The caller calls job_sampling_deinit after success only. */
must_check enum sc_status job_sampling_init(struct job_sampling *sampling,
					    const struct job_request *request,
					    const struct job_sampling_context *context,
					    struct error *err);
/* Accepts a struct of zeros. */
void job_sampling_deinit(struct job_sampling *sampling);

/* Sets up the sequence, number `stream` of the job, which borrows from sampling. */
void job_sampling_lend(const struct job_sampling *sampling, uint32_t stream,
		       struct sequence *sequence);

/* Bytes that job_sampling_init allocates at most. */
uint64_t job_sampling_bytes(const struct job_request *request);

#endif
