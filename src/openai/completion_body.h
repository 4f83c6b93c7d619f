/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_COMPLETION_BODY_H
#define STAGECOACH_OPENAI_COMPLETION_BODY_H
/*
 * completion_body - what the body of POST /v1/completions says, with its prompts as tokens.
 * Ownership: owns everything; the JSON may go after read. deinit also after a fault.
 * Thread: any; one at a time.
 */
#include "openai/generation.h"
#include "openai/prompt_forms.h"

struct completion_body {
	struct generation generation;
	struct prompt_forms prompts;
	bool echoes;		/* the prompt comes first in the answer */
	bool has_logprobs;	/* of drawn tokens, and with echoes of the prompt's */
};

void completion_body_init(struct completion_body *body);
void completion_body_deinit(struct completion_body *body);

/* Faults are in the reader. The field "model" is not read here. */
void completion_body_read(struct completion_body *body, struct json_reader *reader,
			  const struct tokenizer *tokenizer, uint32_t max_context);

/* The job of prompt i; borrows from body. */
struct job_request completion_body_job(const struct completion_body *body, uint32_t i);

#endif
