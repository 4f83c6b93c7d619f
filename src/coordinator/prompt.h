/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PROMPT_H
#define STAGECOACH_COORDINATOR_PROMPT_H
/*
 * prompt - converts the text of a request to tokens.
 * This is the only part of a submission whose time grows with the text. It needs no coordinator, so
 * a long text can be tokenized on a helper thread before job_submit.
 * Thread: any.
 */
#include "coordinator/job.h"
#include "model/tokenizer.h"

/* SC_E_TOO_LARGE: n_tokens leave no room for a new token in max_context positions. */
must_check enum sc_status prompt_check_tokens(size_t n_tokens, uint32_t max_context,
					      struct error *err);

/* Checks the prompt's length in constant time. SC_E_TOO_LARGE: the prompt cannot fit into
 * max_context positions, because it has too many tokens, or because its text is too long for any
 * tokens of this vocabulary. */
must_check enum sc_status prompt_check_length(const struct tokenizer *tokenizer,
					      uint32_t max_context,
					      const struct job_request *request,
					      struct error *err);

/* Appends the prompt's tokens to `tokens`: those of its text, or the given ones. SC_E_TOO_LARGE as
 * prompt_check_length; nothing is tokenized then. SC_E_NOMEM. */
must_check enum sc_status prompt_tokenize(const struct tokenizer *tokenizer, uint32_t max_context,
					  const struct job_request *request,
					  struct token_list *tokens, struct error *err);

#endif
