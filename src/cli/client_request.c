/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_request.h"

/* All of it, so that the flags' defaults hold also at a server that has others. */
static void set_sampling(Stagecoach__V1__Sampling *sampling, const struct config *config)
{
	sampling->_temperature_case = STAGECOACH__V1__SAMPLING___TEMPERATURE_TEMPERATURE;
	sampling->temperature = (float)config->temperature;
	sampling->_top_k_case = STAGECOACH__V1__SAMPLING___TOP_K_TOP_K;
	sampling->top_k = config->top_k;
	sampling->_top_p_case = STAGECOACH__V1__SAMPLING___TOP_P_TOP_P;
	sampling->top_p = (float)config->top_p;
	sampling->_min_p_case = STAGECOACH__V1__SAMPLING___MIN_P_MIN_P;
	sampling->min_p = (float)config->min_p;
	if (config->seed < 0)
		return;
	sampling->_seed_case = STAGECOACH__V1__SAMPLING___SEED_SEED;
	sampling->seed = (uint64_t)config->seed;
}

void client_request_init(struct client_request *request, const struct config *config,
			 const struct buf *text)
{
	Stagecoach__V1__GenerateRequest *message = &request->message;

	*request = (struct client_request){
		.message = STAGECOACH__V1__GENERATE_REQUEST__INIT,
		.sampling = STAGECOACH__V1__SAMPLING__INIT,
	};
	set_sampling(&request->sampling, config);
	message->sampling = &request->sampling;
	if (config->n_predict >= 0) {
		message->_max_tokens_case =
			STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
		message->max_tokens = (uint32_t)config->n_predict;
	}
	message->n = config->n_sequences;
	message->n_stop = config->stops.n;
	message->stop = config->stops.texts;
	message->ignore_end = config->ignore_eos;
	message->parse_special = config_parses_special(config);
	message->with_special = config->special;
	message->logprobs = config->wants_logprobs;
	message->prompt_progress = !config->is_quiet;
	message->timeout_ms = (uint64_t)(config->job_timeout * 1e3);
	/* Raw, so that the prompt may hold any bytes. */
	message->prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_RAW_TEXT;
	message->raw_text.data = (uint8_t *)text->data;
	message->raw_text.len = text->length;
}
