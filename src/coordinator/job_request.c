/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/job_request.h"

#include <math.h>
#include <string.h>

#define MAX_TEMPERATURE 100.0f

static enum sc_status check_numbers(const struct job_request *r, struct error *err)
{
	const float most = STEP_MAX_PENALTY;
	const struct {
		const char *name;
		float value, least, most;
	} fields[] = {
		{ "temperature", r->temperature, 0, MAX_TEMPERATURE },
		{ "min_p", r->min_p, 0, 1 },
		{ "typical_p", r->typical_p, 0, 1 },
		{ "top_n_sigma", r->top_n_sigma, 0, most },
		{ "xtc_probability", r->xtc_probability, 0, 1 },
		{ "xtc_threshold", r->xtc_threshold, 0, 1 },
		{ "dynatemp_range", r->dynatemp_range, 0, MAX_TEMPERATURE },
		{ "dynatemp_exponent", r->dynatemp_exponent, 0, most },
		{ "repetition_penalty", r->repetition_penalty, 0, most },
		{ "presence_penalty", r->presence_penalty, -most, most },
		{ "frequency_penalty", r->frequency_penalty, -most, most },
		{ "dry_multiplier", r->dry_multiplier, 0, most },
		{ "dry_base", r->dry_base, r->dry_multiplier > 0 ? 1 : 0, most },
	};

	if (!(r->top_p > 0.0f && r->top_p <= 1.0f))
		return error_set(err, SC_E_INVALID, "top_p: expected above 0 and up to 1, found %g",
				 (double)r->top_p);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (!(fields[i].value >= fields[i].least && fields[i].value <= fields[i].most))
			return error_set(err, SC_E_INVALID, "%s: expected %g to %g, found %g",
					 fields[i].name, (double)fields[i].least,
					 (double)fields[i].most, (double)fields[i].value);
	return SC_OK;
}

static enum sc_status check_samplers(const struct job_request *r, struct error *err)
{
	if (r->n_samplers > JOB_MAX_SAMPLERS)
		return error_set(err, SC_E_INVALID, "samplers: expected at most %d, found %u",
				 JOB_MAX_SAMPLERS, r->n_samplers);
	for (uint32_t i = 0; i < r->n_samplers; i++)
		if (!r->samplers[i] || r->samplers[i] >= N_SAMPLERS ||
		    memchr(r->samplers, r->samplers[i], i))
			return error_set(err, SC_E_INVALID, "samplers: number %u is %u, expected "
					 "each sampler from 1 to %d at most once", i + 1,
					 r->samplers[i], N_SAMPLERS - 1);
	return SC_OK;
}

/* "stop: expected at most 16 strings, found 17". */
static enum sc_status check_count(const char *field, const char *things, uint32_t n, uint32_t most,
				  enum limit limit, struct limit_counts *refused,
				  struct error *err)
{
	if (n <= most)
		return SC_OK;
	limit_refuse(refused, limit);
	return error_set(err, SC_E_INVALID, "%s: expected at most %u %s, found %u", field, most,
			 things, n);
}

static enum sc_status check_text(const char *field, uint32_t i, const char *text,
				 struct limit_counts *refused, struct error *err)
{
	size_t n = strlen(text);

	if (n && n <= JOB_MAX_STOP_BYTES)
		return SC_OK;
	if (n)
		limit_refuse(refused, LIMIT_STOP_BYTES);
	return error_set(err, SC_E_INVALID, "%s: string %u has %zu bytes, expected 1 to %u", field,
			 i + 1, n, JOB_MAX_STOP_BYTES);
}

static enum sc_status check_texts(const struct job_request *r, struct limit_counts *refused,
				  struct error *err)
{
	enum sc_status status = check_count("stop", "strings", r->n_stops, JOB_MAX_STOPS,
					    LIMIT_STOPS, refused, err);

	for (uint32_t i = 0; status == SC_OK && i < r->n_stops; i++)
		status = check_text("stop", i, r->stops[i], refused, err);
	if (status == SC_OK)
		status = check_count("dry_sequence_breakers", "strings", r->n_dry_breakers,
				     JOB_MAX_DRY_BREAKERS, LIMIT_BREAKERS, refused, err);
	for (uint32_t i = 0; status == SC_OK && i < r->n_dry_breakers; i++)
		status = check_text("dry_sequence_breakers", i, r->dry_breakers[i], refused, err);
	if (status == SC_OK && r->hidden_open)
		status = check_text("hidden_open", 0, r->hidden_open, refused, err);
	if (status == SC_OK && r->hidden_close)
		status = check_text("hidden_close", 0, r->hidden_close, refused, err);
	if (status == SC_OK && (r->hidden_open || r->starts_hidden) && !r->hidden_close)
		return error_set(err, SC_E_INVALID, "hidden_close: expected the text that ends "
				 "what is hidden, found none");
	return status;
}

static enum sc_status check_token(const char *field, uint32_t token, uint32_t n_vocab,
				  struct error *err)
{
	if (token < n_vocab)
		return SC_OK;
	return error_set(err, SC_E_INVALID, "%s: expected token ids below %u, found %u", field,
			 n_vocab, token);
}

static enum sc_status check_bias(const struct token_bias *bias, uint32_t n_vocab,
				 struct error *err)
{
	if (bias->bias == -INFINITY || fabsf(bias->bias) <= STEP_MAX_BIAS)
		return check_token("logit_bias", bias->token, n_vocab, err);
	return error_set(err, SC_E_INVALID, "logit_bias: the bias of token %u is %g, expected "
			 "-%g to %g, or -infinity", bias->token, (double)bias->bias,
			 (double)STEP_MAX_BIAS, (double)STEP_MAX_BIAS);
}

static enum sc_status check_tokens(const struct job_request *r, uint32_t n_vocab,
				   struct limit_counts *refused, struct error *err)
{
	enum sc_status status = check_count("stop_token_ids", "ids", r->n_stop_tokens,
					    JOB_MAX_STOP_TOKENS, LIMIT_STOP_TOKENS, refused, err);

	for (uint32_t i = 0; status == SC_OK && i < r->n_stop_tokens; i++)
		status = check_token("stop_token_ids", r->stop_tokens[i], n_vocab, err);
	if (status == SC_OK)
		status = check_count("logit_bias", "tokens", r->n_biases, JOB_MAX_BIASES,
				     LIMIT_BIASES, refused, err);
	for (uint32_t i = 0; status == SC_OK && i < r->n_biases; i++)
		status = check_bias(&r->biases[i], n_vocab, err);
	return status;
}

static enum sc_status check_counts(const struct job_request *r, struct limit_counts *refused,
				   struct error *err)
{
	enum sc_status status = check_count("n", "sequences", r->n_sequences, JOB_MAX_SEQUENCES,
					    LIMIT_SEQUENCES, refused, err);

	if (status == SC_OK)
		status = check_count("top_logprobs", "tokens", r->n_top_logprobs,
				     JOB_MAX_TOP_LOGPROBS, LIMIT_TOP_LOGPROBS, refused, err);
	if (status == SC_OK && r->min_tokens > r->max_tokens)
		return error_set(err, SC_E_INVALID, "min_tokens: expected at most max_tokens (%u), "
				 "found %u", r->max_tokens, r->min_tokens);
	return status;
}

enum sc_status job_request_check(const struct job_request *request, uint32_t n_vocab,
				 struct limit_counts *refused, struct error *err)
{
	enum sc_status status = check_counts(request, refused, err);

	if (status == SC_OK)
		status = check_texts(request, refused, err);
	if (status == SC_OK)
		status = check_numbers(request, err);
	if (status == SC_OK)
		status = check_samplers(request, err);
	if (status == SC_OK)
		status = check_tokens(request, n_vocab, refused, err);
	return status;
}
