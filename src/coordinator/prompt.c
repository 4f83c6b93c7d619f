/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/prompt.h"

/* litellm and other clients know this case by the words "prompt is too long", and do not read the
 * error's code. */
#define TOO_LONG "The prompt is too long: shorten it or raise --ctx-size"

enum sc_status prompt_check_tokens(size_t n_tokens, uint32_t max_context, struct error *err)
{
	/* The last position must stay free for the first new token. */
	if (n_tokens < max_context)
		return SC_OK;
	return error_set(err, SC_E_TOO_LARGE,
			 "prompt: %zu tokens, but the context holds %u. " TOO_LONG, n_tokens,
			 max_context);
}

enum sc_status prompt_check_length(const struct tokenizer *tokenizer, uint32_t max_context,
				   const struct job_request *request, struct error *err)
{
	size_t longest = tokenizer_longest_token_bytes(tokenizer);
	size_t n_tokens;

	if (request->prompt_tokens)
		return prompt_check_tokens(request->n_prompt_tokens, max_context, err);
	n_tokens = longest ? request->prompt_bytes / longest : 0;
	if (n_tokens < max_context)
		return SC_OK;
	return error_set(err, SC_E_TOO_LARGE,
			 "prompt: %zu bytes are at least %zu tokens, but the context holds %u. "
			 TOO_LONG, request->prompt_bytes, n_tokens, max_context);
}

enum sc_status prompt_tokenize(const struct tokenizer *tokenizer, uint32_t max_context,
			       const struct job_request *request, struct token_list *tokens,
			       struct error *err)
{
	unsigned flags = TOKENIZE_ADD_BOS |
			 (request->parse_special ? TOKENIZE_PARSE_SPECIAL : 0);
	enum sc_status status = prompt_check_length(tokenizer, max_context, request, err);

	if (status != SC_OK)
		return status;
	if (!request->prompt_tokens)
		return tokenizer_encode(tokenizer, request->prompt ? request->prompt : "",
					request->prompt_bytes, flags, tokens, err);
	for (size_t i = 0; status == SC_OK && i < request->n_prompt_tokens; i++)
		status = token_list_add(tokens, request->prompt_tokens[i]);
	return status == SC_OK ? SC_OK : error_set(err, status, "out of memory for the prompt");
}
