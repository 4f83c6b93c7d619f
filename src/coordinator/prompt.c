/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/prompt.h"

/* The last position must stay free for the first new token. */
static enum sc_status check_length(const struct tokenizer *tokenizer, uint32_t max_context,
				   size_t n_bytes, struct error *err)
{
	size_t longest = tokenizer_longest_token_bytes(tokenizer);

	if (!longest || n_bytes / longest < max_context)
		return SC_OK;
	return error_set(err, SC_E_TOO_LARGE,
			 "prompt: %zu bytes are at least %zu tokens, but the context holds %u. "
			 "Shorten the prompt or raise --ctx-size", n_bytes, n_bytes / longest,
			 max_context);
}

enum sc_status prompt_tokenize(const struct tokenizer *tokenizer, uint32_t max_context,
			       const struct job_request *request, struct token_list *tokens,
			       struct error *err)
{
	unsigned flags = TOKENIZE_ADD_SPECIAL |
			 (request->parse_special ? TOKENIZE_PARSE_SPECIAL : 0);
	enum sc_status status = SC_OK;

	if (!request->prompt_tokens) {
		status = check_length(tokenizer, max_context, request->prompt_bytes, err);
		if (status != SC_OK)
			return status;
		return tokenizer_encode(tokenizer, request->prompt ? request->prompt : "",
					request->prompt_bytes, flags, tokens, err);
	}
	for (size_t i = 0; status == SC_OK && i < request->n_prompt_tokens; i++)
		status = token_list_add(tokens, request->prompt_tokens[i]);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory for the prompt");
}
