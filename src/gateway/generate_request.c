/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/generate_request.h"

#include <string.h>

static enum sc_status read_prompt(const Stagecoach__V1__GenerateRequest *message,
				  struct job_request *request, struct error *err)
{
	switch ((int)message->prompt_case) {
	case STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TEXT:
		request->prompt = message->text;
		request->prompt_bytes = strlen(message->text);
		return SC_OK;
	case STAGECOACH__V1__GENERATE_REQUEST__PROMPT_RAW_TEXT:
		request->prompt = message->raw_text.data ? (char *)message->raw_text.data : "";
		request->prompt_bytes = message->raw_text.len;
		return SC_OK;
	case STAGECOACH__V1__GENERATE_REQUEST__PROMPT_TOKENS:
		if (!message->tokens->n_ids)
			break;
		request->prompt_tokens = message->tokens->ids;
		request->n_prompt_tokens = message->tokens->n_ids;
		return SC_OK;
	}
	return error_set(err, SC_E_INVALID, "prompt: expected text, raw_text or tokens");
}

/* What the client leaves open keeps its default. */
static void read_sampling(const Stagecoach__V1__Sampling *sampling, struct job_request *request)
{
	static const Stagecoach__V1__Sampling none = STAGECOACH__V1__SAMPLING__INIT;
	const Stagecoach__V1__Sampling *s = sampling ? sampling : &none;

	if (s->_temperature_case)
		request->temperature = s->temperature;
	if (s->_top_k_case)
		request->top_k = s->top_k;
	if (s->_top_p_case)
		request->top_p = s->top_p;
	if (s->_min_p_case)
		request->min_p = s->min_p;
	request->seed = s->_seed_case ? s->seed : job_random_seed();
}

enum sc_status generate_request_read(const Stagecoach__V1__GenerateRequest *message,
				     struct job_request *request_out, struct error *err)
{
	struct job_request request = job_request_default();
	enum sc_status status = read_prompt(message, &request, err);

	if (status != SC_OK)
		return status;
	request.parse_special = message->parse_special;
	request.special = message->with_special ? SPECIAL_NAMES : SPECIAL_HIDDEN;
	request.n_sequences = message->n;
	if (message->_max_tokens_case)
		request.max_tokens = message->max_tokens;
	request.ignore_end = message->ignore_end;
	request.wants_logprobs = message->logprobs;
	request.stops = (const char *const *)message->stop;
	request.n_stops = (uint32_t)message->n_stop;
	request.deadline_ms = message->timeout_ms;
	read_sampling(message->sampling, &request);
	*request_out = request;
	return SC_OK;
}
