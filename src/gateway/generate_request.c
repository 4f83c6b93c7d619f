/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/generate_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Also what control tokens print: a chat has its own way. */
static enum sc_status read_chat(const Stagecoach__V1__Chat *message,
				const struct chat_format *format, bool is_brief,
				struct generate_request *request, struct error *err)
{
	enum sc_status status = job_chat_create(message, format, is_brief, &request->chat, err);

	if (status == SC_OK)
		job_chat_set_up(request->chat, &request->job);
	return status;
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
	return error_set(err, SC_E_INVALID, "prompt: expected text, raw_text, tokens or chat");
}

/* What the client leaves open keeps its default. */
static void read_filters(const Stagecoach__V1__Sampling *s, struct job_request *job)
{
	if (s->_temperature_case)
		job->temperature = s->temperature;
	if (s->_top_k_case)
		job->top_k = s->top_k;
	if (s->_top_p_case)
		job->top_p = s->top_p;
	if (s->_min_p_case)
		job->min_p = s->min_p;
	job->typical_p = s->typical_p;
	job->top_n_sigma = s->top_n_sigma;
	job->xtc_probability = s->xtc_probability;
	if (s->_xtc_threshold_case)
		job->xtc_threshold = s->xtc_threshold;
	job->dynatemp_range = s->dynatemp_range;
	if (s->_dynatemp_exponent_case)
		job->dynatemp_exponent = s->dynatemp_exponent;
}

static void read_penalties(const Stagecoach__V1__Sampling *s, struct job_request *job)
{
	job->repetition_penalty = s->repetition_penalty;
	job->presence_penalty = s->presence_penalty;
	job->frequency_penalty = s->frequency_penalty;
	job->penalty_last_n = s->penalty_last_n;
	job->dry_multiplier = s->dry_multiplier;
	if (s->_dry_base_case)
		job->dry_base = s->dry_base;
	if (s->_dry_allowed_length_case)
		job->dry_allowed_length = s->dry_allowed_length;
	job->dry_last_n = s->dry_last_n;
	if (s->n_dry_breakers || s->without_dry_breakers) {
		job->dry_breakers = (const char *const *)s->dry_breakers;
		job->n_dry_breakers = (uint32_t)s->n_dry_breakers;
	}
}

static enum sc_status read_biases(const Stagecoach__V1__Sampling *s,
				  struct generate_request *request, struct error *err)
{
	if (!s->n_biases)
		return SC_OK;
	request->biases = calloc(s->n_biases, sizeof request->biases[0]);
	if (!request->biases)
		return error_set(err, SC_E_NOMEM, "out of memory for the biases");
	for (size_t i = 0; i < s->n_biases; i++)
		request->biases[i] = (struct token_bias){
			.token = s->biases[i]->token, .bias = s->biases[i]->bias,
		};
	request->job.biases = request->biases;
	request->job.n_biases = (uint32_t)s->n_biases;
	return SC_OK;
}

static enum sc_status read_samplers(const Stagecoach__V1__Sampling *s, struct job_request *job,
				    struct error *err)
{
	char names[JOB_MAX_SAMPLERS * 16 + 1] = "";
	size_t n = 0;

	for (size_t i = 0; i < s->n_samplers; i++) {
		if (n + strlen(s->samplers[i]) + 2 > sizeof names)
			return error_set(err, SC_E_INVALID, "samplers: expected at most %d names "
					 "of samplers", JOB_MAX_SAMPLERS);
		n += (size_t)snprintf(names + n, sizeof names - n, "%s;", s->samplers[i]);
	}
	return n ? job_samplers_read(names, job->samplers, &job->n_samplers, err) : SC_OK;
}

static enum sc_status read_sampling(const Stagecoach__V1__Sampling *sampling,
				    struct generate_request *request, struct error *err)
{
	static const Stagecoach__V1__Sampling none = STAGECOACH__V1__SAMPLING__INIT;
	const Stagecoach__V1__Sampling *s = sampling ? sampling : &none;
	enum sc_status status;

	read_filters(s, &request->job);
	read_penalties(s, &request->job);
	request->job.seed = s->_seed_case ? s->seed : job_random_seed();
	status = read_biases(s, request, err);
	return status == SC_OK ? read_samplers(s, &request->job, err) : status;
}

static void read_ends(const Stagecoach__V1__GenerateRequest *message, struct job_request *job)
{
	if (message->_max_tokens_case)
		job->max_tokens = message->max_tokens;
	job->min_tokens = message->min_tokens;
	job->ignore_end = message->ignore_end;
	job->stops = (const char *const *)message->stop;
	job->n_stops = (uint32_t)message->n_stop;
	job->stop_tokens = message->stop_tokens;
	job->n_stop_tokens = (uint32_t)message->n_stop_tokens;
	job->deadline_ms = message->timeout_ms;
}

enum sc_status generate_request_read(const Stagecoach__V1__GenerateRequest *message,
				     const struct chat_format *format, bool is_brief,
				     struct generate_request *request_out, struct error *err)
{
	struct job_request *job = &request_out->job;
	enum sc_status status;

	*request_out = (struct generate_request){ .job = job_request_default() };
	job->parse_special = message->parse_special;
	job->special = message->with_special ? SPECIAL_NAMES : SPECIAL_HIDDEN;
	if (message->prompt_case == STAGECOACH__V1__GENERATE_REQUEST__PROMPT_CHAT)
		status = read_chat(message->chat, format, is_brief, request_out, err);
	else
		status = read_prompt(message, job, err);
	if (status != SC_OK)
		return status;
	job->n_sequences = message->n;
	job->wants_logprobs = message->logprobs;
	job->n_top_logprobs = message->top_logprobs;
	read_ends(message, job);
	return read_sampling(message->sampling, request_out, err);
}

void generate_request_deinit(struct generate_request *request)
{
	free(request->biases);
	request->biases = NULL;
	job_chat_destroy(request->chat);
	request->chat = NULL;
}
