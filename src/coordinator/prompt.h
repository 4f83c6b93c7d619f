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

/* SC_E_TOO_LARGE: a prompt of n_tokens leaves no room in max_context positions. */
must_check enum sc_status prompt_check_tokens(size_t n_tokens, uint32_t max_context,
					      struct error *err);

/* Takes no time. SC_E_TOO_LARGE: the prompt's tokens cannot fit into max_context positions: there
 * are too many, or the text is too long for any tokens of this vocabulary. */
must_check enum sc_status prompt_check_length(const struct tokenizer *tokenizer,
					      uint32_t max_context,
					      const struct job_request *request,
					      struct error *err);

/* Append the tokens of the request's prompt to `tokens`: those of its text, or those that it gives.
 * SC_E_TOO_LARGE as prompt_check_length; then nothing is tokenized. SC_E_NOMEM. */
must_check enum sc_status prompt_tokenize(const struct tokenizer *tokenizer, uint32_t max_context,
					  const struct job_request *request,
					  struct token_list *tokens, struct error *err);

#endif
