/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/generate_request.h"

#include "base/clock.h"

#include <string.h>
#include <sys/random.h>

/* llama.cpp's defaults, because people's prompts are tuned for them. */
#define DEFAULT_TEMPERATURE 0.8f
#define DEFAULT_TOP_K 40
#define DEFAULT_TOP_P 0.95f
#define DEFAULT_MIN_P 0.05f

/* 32 bits, because people read the seed from a screen and type it again. */
static uint32_t random_seed(void)
{
	uint32_t seed;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
		seed = (uint32_t)(clock_ns() ^ clock_unix_ms());
	return seed;
}

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

static void read_sampling(const Stagecoach__V1__Sampling *sampling, struct job_request *request)
{
	static const Stagecoach__V1__Sampling none = STAGECOACH__V1__SAMPLING__INIT;
	const Stagecoach__V1__Sampling *s = sampling ? sampling : &none;

	request->temperature = s->_temperature_case ? s->temperature : DEFAULT_TEMPERATURE;
	request->top_k = s->_top_k_case ? s->top_k : DEFAULT_TOP_K;
	request->top_p = s->_top_p_case ? s->top_p : DEFAULT_TOP_P;
	request->min_p = s->_min_p_case ? s->min_p : DEFAULT_MIN_P;
	request->seed = s->_seed_case ? s->seed : random_seed();
}

enum sc_status generate_request_read(const Stagecoach__V1__GenerateRequest *message,
				     struct job_request *request_out, struct error *err)
{
	struct job_request request = {
		.parse_special = message->parse_special,
		.special = message->with_special ? SPECIAL_NAMES : SPECIAL_HIDDEN,
		.n_sequences = message->n,
		.max_tokens = message->_max_tokens_case ? message->max_tokens : JOB_UNLIMITED,
		.ignore_end = message->ignore_end,
		.wants_logprobs = message->logprobs,
		.stops = (const char *const *)message->stop,
		.deadline_ms = message->timeout_ms,
	};
	enum sc_status status = read_prompt(message, &request, err);

	if (status != SC_OK)
		return status;
	request.n_stops = (uint32_t)message->n_stop;
	read_sampling(message->sampling, &request);
	*request_out = request;
	return SC_OK;
}
