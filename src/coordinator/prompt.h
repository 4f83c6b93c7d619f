/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PROMPT_H
#define STAGECOACH_COORDINATOR_PROMPT_H
/*
 * prompt - from the text of a request to its tokens.
 * This is the part of a submission whose time grows with the text. It needs no coordinator, so a
 * long text can be tokenized on a helper thread before job_submit.
 * Thread: any.
 */
#include "coordinator/job.h"
#include "model/tokenizer.h"

/* Append the tokens of the request's prompt to `tokens`: its text's, or those that it gives.
 * SC_E_TOO_LARGE: the text is so long that its tokens cannot fit into max_context positions,
 * whatever they are; then nothing is tokenized. SC_E_NOMEM. */
must_check enum sc_status prompt_tokenize(const struct tokenizer *tokenizer, uint32_t max_context,
					  const struct job_request *request,
					  struct token_list *tokens, struct error *err);

#endif
