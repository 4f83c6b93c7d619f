/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/job_settings.h"

#include "base/parse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The three kinds of "the last N tokens" of llama.cpp: 0 is none, -1 is all. */
static bool read_last_n(int64_t setting, uint32_t *last_n_out)
{
	*last_n_out = setting < 0 ? 0 : (uint32_t)setting;
	return setting != 0;
}

static void set_penalties(const struct config *config, struct job_request *r)
{
	if (read_last_n(config->repeat_last_n, &r->penalty_last_n)) {
		r->repetition_penalty = (float)config->repeat_penalty;
		r->presence_penalty = (float)config->presence_penalty;
		r->frequency_penalty = (float)config->frequency_penalty;
	}
	if (read_last_n(config->dry_penalty_last_n, &r->dry_last_n))
		r->dry_multiplier = (float)config->dry_multiplier;
	r->dry_base = (float)config->dry_base;
	r->dry_allowed_length = config->dry_allowed_length;
}

/* "none" clears the list, as in llama.cpp. */
static void set_breakers(const struct config *config, struct job_request *r)
{
	const struct text_list *list = &config->dry_sequence_breakers;

	if (!list->n)
		return;
	r->dry_breakers = (const char *const *)list->texts;
	r->n_dry_breakers = list->n == 1 && !strcmp(list->texts[0], "none") ? 0 : list->n;
}

static void set_numbers(const struct config *config, struct job_request *r)
{
	r->n_sequences = config->n_sequences;
	r->max_tokens = config->n_predict >= 0 ? (uint32_t)config->n_predict : JOB_UNLIMITED;
	r->min_tokens = config->min_tokens;
	r->ignore_end = config->ignore_eos;
	r->parse_special = config_parses_special(config);
	r->special = config->special ? SPECIAL_NAMES : SPECIAL_HIDDEN;
	r->wants_logprobs = config->wants_logprobs || config->n_top_logprobs;
	r->n_top_logprobs = config->n_top_logprobs;
	r->deadline_ms = (uint64_t)(config->job_timeout * 1e3);
	r->temperature = (float)config->temperature;
	r->dynatemp_range = (float)config->dynatemp_range;
	r->dynatemp_exponent = (float)config->dynatemp_exp;
	r->top_k = config->top_k;
	r->top_p = (float)config->top_p;
	r->min_p = (float)config->min_p;
	r->typical_p = (float)config->typical;
	r->top_n_sigma = config->top_nsigma > 0 ? (float)config->top_nsigma : 0;
	r->xtc_probability = (float)config->xtc_probability;
	r->xtc_threshold = (float)config->xtc_threshold;
	r->seed = config->seed >= 0 ? (uint64_t)config->seed : job_random_seed();
}

static enum sc_status set_samplers(const struct config *config, struct job_request *r,
				   struct error *err)
{
	if (*config->samplers && *config->sampler_seq)
		return error_set(err, SC_E_INVALID, "expected --samplers or --sampler-seq, found "
				 "both");
	if (*config->sampler_seq)
		return job_samplers_read_letters(config->sampler_seq, r->samplers, &r->n_samplers,
						 err);
	return job_samplers_read(config->samplers, r->samplers, &r->n_samplers, err);
}

static bool is_token(uint64_t id, uint32_t n_vocab)
{
	return n_vocab ? id < n_vocab : id < UINT32_MAX;
}

static enum sc_status refuse_token(const char *flag, uint64_t id, uint32_t n_vocab,
				   struct error *err)
{
	return error_set(err, SC_E_INVALID, "%s: expected a token id below %u, found %llu", flag,
			 n_vocab ? n_vocab : UINT32_MAX, (unsigned long long)id);
}

static enum sc_status set_stop_tokens(const struct config *config, uint32_t n_vocab,
				      struct job_settings *settings, struct error *err)
{
	const struct text_list *list = &config->stop_tokens;

	for (uint32_t i = 0; i < list->n; i++) {
		uint64_t id;

		if (!parse_u64(list->texts[i], &id))
			return error_set(err, SC_E_INVALID, "--stop-token: expected a token id, "
					 "found '%s'", list->texts[i]);
		if (!is_token(id, n_vocab))
			return refuse_token("--stop-token", id, n_vocab, err);
		settings->stop_tokens[i] = (uint32_t)id;
	}
	settings->request.stop_tokens = settings->stop_tokens;
	settings->request.n_stop_tokens = list->n;
	return SC_OK;
}

/* "15043+1", "15043-0.5", "15043-inf". */
static bool read_bias(const char *text, uint64_t *id_out, float *bias_out)
{
	size_t n_digits = strspn(text, "0123456789");
	const char *number = text + n_digits;
	char digits[24];
	double bias;

	if (!n_digits || n_digits >= sizeof digits || (*number != '+' && *number != '-'))
		return false;
	memcpy(digits, text, n_digits);
	digits[n_digits] = '\0';
	if (!strcmp(number, "-inf"))
		bias = -INFINITY;
	else if (strchr("+-", number[1]) || !parse_f64(number + 1, &bias))
		return false;
	else if (*number == '-')
		bias = -bias;
	*bias_out = (float)bias;
	return parse_u64(digits, id_out);
}

static enum sc_status set_biases(const struct config *config, uint32_t n_vocab,
				 struct job_settings *settings, struct error *err)
{
	const struct text_list *list = &config->logit_biases;

	for (uint32_t i = 0; i < list->n; i++) {
		struct token_bias *bias = &settings->biases[i];
		uint64_t id;

		if (!read_bias(list->texts[i], &id, &bias->bias))
			return error_set(err, SC_E_INVALID, "--logit-bias: expected TOKEN+BIAS or "
					 "TOKEN-BIAS, as in 15043-1 or 15043-inf, found '%s'",
					 list->texts[i]);
		if (!is_token(id, n_vocab))
			return refuse_token("--logit-bias", id, n_vocab, err);
		bias->token = (uint32_t)id;
	}
	settings->request.biases = settings->biases;
	settings->request.n_biases = list->n;
	return SC_OK;
}

enum sc_status job_settings_read(const struct config *config, uint32_t n_vocab,
				 struct job_settings *settings_out, struct error *err)
{
	struct job_request *r = &settings_out->request;
	enum sc_status status;

	*r = job_request_default();
	set_numbers(config, r);
	set_penalties(config, r);
	set_breakers(config, r);
	r->stops = (const char *const *)config->stops.texts;
	r->n_stops = config->stops.n;
	status = set_samplers(config, r, err);
	if (status == SC_OK)
		status = set_stop_tokens(config, n_vocab, settings_out, err);
	if (status == SC_OK)
		status = set_biases(config, n_vocab, settings_out, err);
	if (status == SC_OK && r->min_tokens > r->max_tokens)
		return error_set(err, SC_E_INVALID, "--min-tokens: expected at most --n-predict "
				 "(%u), found %u", r->max_tokens, r->min_tokens);
	return status;
}
