/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_request.h"

/* All of it, so that the flags' defaults hold also at a server that has others. */
static void set_filters(Stagecoach__V1__Sampling *s, const struct job_request *r)
{
	s->_temperature_case = STAGECOACH__V1__SAMPLING___TEMPERATURE_TEMPERATURE;
	s->temperature = r->temperature;
	s->_top_k_case = STAGECOACH__V1__SAMPLING___TOP_K_TOP_K;
	s->top_k = r->top_k;
	s->_top_p_case = STAGECOACH__V1__SAMPLING___TOP_P_TOP_P;
	s->top_p = r->top_p;
	s->_min_p_case = STAGECOACH__V1__SAMPLING___MIN_P_MIN_P;
	s->min_p = r->min_p;
	s->typical_p = r->typical_p;
	s->top_n_sigma = r->top_n_sigma;
	s->xtc_probability = r->xtc_probability;
	s->_xtc_threshold_case = STAGECOACH__V1__SAMPLING___XTC_THRESHOLD_XTC_THRESHOLD;
	s->xtc_threshold = r->xtc_threshold;
	s->dynatemp_range = r->dynatemp_range;
	s->_dynatemp_exponent_case =
		STAGECOACH__V1__SAMPLING___DYNATEMP_EXPONENT_DYNATEMP_EXPONENT;
	s->dynatemp_exponent = r->dynatemp_exponent;
}

static void set_penalties(Stagecoach__V1__Sampling *s, const struct job_request *r)
{
	s->repetition_penalty = r->repetition_penalty;
	s->presence_penalty = r->presence_penalty;
	s->frequency_penalty = r->frequency_penalty;
	s->penalty_last_n = r->penalty_last_n;
	s->dry_multiplier = r->dry_multiplier;
	s->_dry_base_case = STAGECOACH__V1__SAMPLING___DRY_BASE_DRY_BASE;
	s->dry_base = r->dry_base;
	s->_dry_allowed_length_case =
		STAGECOACH__V1__SAMPLING___DRY_ALLOWED_LENGTH_DRY_ALLOWED_LENGTH;
	s->dry_allowed_length = r->dry_allowed_length;
	s->dry_last_n = r->dry_last_n;
	s->dry_breakers = (char **)(uintptr_t)r->dry_breakers;
	s->n_dry_breakers = r->n_dry_breakers;
	s->without_dry_breakers = !r->n_dry_breakers;
}

static void set_lists(struct client_request *request)
{
	const struct job_request *r = &request->settings.request;
	Stagecoach__V1__Sampling *s = &request->sampling;

	for (uint32_t i = 0; i < r->n_biases; i++) {
		stagecoach__v1__token_bias__init(&request->biases[i]);
		request->biases[i].token = r->biases[i].token;
		request->biases[i].bias = r->biases[i].bias;
		request->bias_list[i] = &request->biases[i];
	}
	s->biases = request->bias_list;
	s->n_biases = r->n_biases;
	for (uint32_t i = 0; i < r->n_samplers; i++)
		request->samplers[i] = (char *)(uintptr_t)job_sampler_name(r->samplers[i]);
	s->samplers = request->samplers;
	s->n_samplers = r->n_samplers;
}

static void set_ends(Stagecoach__V1__GenerateRequest *message, const struct job_request *r)
{
	if (r->max_tokens != JOB_UNLIMITED) {
		message->_max_tokens_case =
			STAGECOACH__V1__GENERATE_REQUEST___MAX_TOKENS_MAX_TOKENS;
		message->max_tokens = r->max_tokens;
	}
	message->min_tokens = r->min_tokens;
	message->ignore_end = r->ignore_end;
	message->stop = (char **)(uintptr_t)r->stops;
	message->n_stop = r->n_stops;
	message->stop_tokens = (uint32_t *)(uintptr_t)r->stop_tokens;
	message->n_stop_tokens = r->n_stop_tokens;
	message->timeout_ms = r->deadline_ms;
}

enum sc_status client_request_init(struct client_request *request, const struct config *config,
				   struct error *err)
{
	Stagecoach__V1__GenerateRequest *message = &request->message;
	const struct job_request *r = &request->settings.request;
	enum sc_status status = job_settings_read(config, 0, &request->settings, err);

	if (status != SC_OK)
		return status;
	stagecoach__v1__generate_request__init(message);
	stagecoach__v1__sampling__init(&request->sampling);
	set_filters(&request->sampling, r);
	set_penalties(&request->sampling, r);
	set_lists(request);
	if (config->seed >= 0) {
		request->sampling._seed_case = STAGECOACH__V1__SAMPLING___SEED_SEED;
		request->sampling.seed = r->seed;
	}
	message->sampling = &request->sampling;
	set_ends(message, r);
	message->n = r->n_sequences;
	message->parse_special = r->parse_special;
	message->with_special = r->special == SPECIAL_NAMES;
	message->logprobs = r->wants_logprobs;
	message->top_logprobs = r->n_top_logprobs;
	message->prompt_progress = !config->is_quiet;
	return SC_OK;
}

void client_request_set_text(struct client_request *request, const struct buf *text)
{
	Stagecoach__V1__GenerateRequest *message = &request->message;

	/* Raw, so that the prompt may hold any bytes. */
	message->prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_RAW_TEXT;
	message->raw_text.data = (uint8_t *)text->data;
	message->raw_text.len = text->length;
}
