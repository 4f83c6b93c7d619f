/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/job_sampling.h"

#include "base/integers.h"
#include "coordinator/sequence.h"
#include "coordinator/texts.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- numbers --- */

static bool has_sampler(const struct job_request *r, enum sampler_kind kind)
{
	return !r->n_samplers || memchr(r->samplers, kind, r->n_samplers);
}

/* Of a parameter that is off at 1, and at 0 in a request. */
static float off_at_one(float value)
{
	return value == 0 ? 1 : fmaxf(value, FLT_MIN);
}

static void set_filters(struct sampling *s, const struct job_request *r)
{
	if (has_sampler(r, SAMPLER_TOP_K))
		s->top_k = r->top_k;
	if (has_sampler(r, SAMPLER_TOP_P))
		s->top_p = r->top_p;
	if (has_sampler(r, SAMPLER_MIN_P))
		s->min_p = r->min_p;
	if (has_sampler(r, SAMPLER_TYPICAL))
		s->typical_p = off_at_one(r->typical_p);
	if (has_sampler(r, SAMPLER_TOP_N_SIGMA))
		s->top_n_sigma = r->top_n_sigma;
	if (has_sampler(r, SAMPLER_XTC) && r->xtc_probability > 0 && r->xtc_threshold <= 0.5f) {
		s->xtc_probability = r->xtc_probability;
		s->xtc_threshold = r->xtc_threshold;
	}
}

static void set_temperature(struct sampling *s, const struct job_request *r)
{
	if (!has_sampler(r, SAMPLER_TEMPERATURE))
		return;
	s->temperature = r->temperature;
	if (r->dynatemp_range > 0) {
		s->dynatemp_range = r->dynatemp_range;
		s->dynatemp_exponent = r->dynatemp_exponent;
	}
}

static void set_penalties(struct sampling *s, const struct job_request *r)
{
	bool has_penalties = off_at_one(r->repetition_penalty) != 1 || r->presence_penalty != 0 ||
			     r->frequency_penalty != 0;

	if (has_penalties && has_sampler(r, SAMPLER_PENALTIES)) {
		s->repetition_penalty = off_at_one(r->repetition_penalty);
		s->presence_penalty = r->presence_penalty;
		s->frequency_penalty = r->frequency_penalty;
		s->penalty_last_n = r->penalty_last_n;
	}
	if (r->dry_multiplier > 0 && has_sampler(r, SAMPLER_DRY)) {
		s->dry_multiplier = r->dry_multiplier;
		s->dry_base = r->dry_base;
		s->dry_allowed_length = r->dry_allowed_length;
		s->dry_last_n = r->dry_last_n;
	}
}

/* Sets the order, unless it is the usual one: what is missing is off already. */
static void set_order(struct sampling *s, const struct job_request *r)
{
	for (uint32_t i = 1; i < r->n_samplers; i++)
		if (r->samplers[i] < r->samplers[i - 1]) {
			memcpy(s->order, r->samplers, r->n_samplers);
			return;
		}
}

static struct sampling fixed_part(const struct job_request *r,
				  const struct job_sampling_context *context)
{
	struct sampling s = {
		.seed = r->seed,
		.flags = r->wants_logprobs ? SAMPLING_LOGPROB : 0,
		.temperature = 1,
		.top_p = 1,
		SAMPLING_OFF,
		.n_prompt = context->n_prompt,
		.min_tokens = (uint32_t)min_of(r->min_tokens, context->max_tokens),
	};

	set_temperature(&s, r);
	set_filters(&s, r);
	set_penalties(&s, r);
	set_order(&s, r);
	if (r->wants_logprobs || r->score_from)
		s.n_tops = (uint32_t)min_of(r->n_top_logprobs, context->n_vocab);
	return s;
}

/* --- lists --- */

static int by_token(const void *a, const void *b)
{
	const struct sampling_bias *left = a, *right = b;

	return left->token < right->token ? -1 : left->token > right->token;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* Adds up what a sorted list says of the same token. Returns the number of tokens. */
static uint32_t merge_biases(struct sampling_bias *biases, uint32_t n)
{
	uint32_t n_merged = 0;

	for (uint32_t i = 0; i < n; i++)
		if (n_merged && biases[n_merged - 1].token == biases[i].token)
			biases[n_merged - 1].bias += biases[i].bias;
		else
			biases[n_merged++] = biases[i];
	for (uint32_t i = 0; i < n_merged; i++)
		if (biases[i].bias != -INFINITY)
			biases[i].bias = fminf(fmaxf(biases[i].bias, -STEP_MAX_BIAS),
					       STEP_MAX_BIAS);
	return n_merged;
}

static enum sc_status make_biases(struct job_sampling *sampling, const struct job_request *r)
{
	if (!r->n_biases)
		return SC_OK;
	sampling->biases = calloc(r->n_biases, sizeof sampling->biases[0]);
	if (!sampling->biases)
		return SC_E_NOMEM;
	for (uint32_t i = 0; i < r->n_biases; i++)
		sampling->biases[i] = (struct sampling_bias){ r->biases[i].token,
							      r->biases[i].bias };
	qsort(sampling->biases, r->n_biases, sizeof sampling->biases[0], by_token);
	sampling->fixed.n_biases = merge_biases(sampling->biases, r->n_biases);
	return SC_OK;
}

/* Sorts tokens[n] and drops repetitions. Returns how many are left. */
static uint32_t sort_tokens(uint32_t *tokens, uint32_t n)
{
	uint32_t n_left = 0;

	qsort(tokens, n, sizeof tokens[0], by_number);
	for (uint32_t i = 0; i < n; i++)
		if (!n_left || tokens[n_left - 1] != tokens[i])
			tokens[n_left++] = tokens[i];
	return n_left;
}

/* Until min_tokens are there, neither the model's end tokens nor the job's stop tokens are
 * drawn. */
static enum sc_status make_bans(struct job_sampling *sampling, const struct job_request *r,
				const struct job_sampling_context *context, struct error *err)
{
	const struct token_list *ends = context->ends;
	size_t n = ends->n + r->n_stop_tokens;
	uint32_t *bans;

	if (!sampling->fixed.min_tokens || !n)
		return SC_OK;
	bans = calloc(n, sizeof bans[0]);
	if (!bans)
		return SC_E_NOMEM;
	sampling->bans = bans;
	if (ends->n)
		memcpy(bans, ends->ids, ends->n * sizeof bans[0]);
	if (r->n_stop_tokens)
		memcpy(bans + ends->n, r->stop_tokens, r->n_stop_tokens * sizeof bans[0]);
	n = sort_tokens(bans, (uint32_t)n);
	if (n > STEP_MAX_BANS)
		return error_set(err, SC_E_INVALID, "min_tokens: %zu end tokens of this model and "
				 "stop tokens would have to be held back, but at most %d can be: "
				 "leave min_tokens out", n, STEP_MAX_BANS);
	sampling->fixed.n_bans = (uint32_t)n;
	return SC_OK;
}

static enum sc_status copy_breakers(struct job_sampling *sampling, const struct job_request *r,
				    const struct job_sampling_context *context)
{
	if (!sampling->fixed.dry_multiplier || !r->n_dry_breakers)
		return SC_OK;
	sampling->breaker_texts = texts_copy(r->dry_breakers, r->n_dry_breakers);
	if (!sampling->breaker_texts)
		return SC_E_NOMEM;
	sampling->breakers = (struct breakers){
		.tokenizer = context->tokenizer,
		.texts = (const char *const *)sampling->breaker_texts,
		.n_texts = r->n_dry_breakers,
	};
	return SC_OK;
}

/* --- life --- */

enum sc_status job_sampling_init(struct job_sampling *sampling, const struct job_request *request,
				 const struct job_sampling_context *context, struct error *err)
{
	struct job_sampling made = { .fixed = fixed_part(request, context) };
	enum sc_status status = make_biases(&made, request);

	if (status == SC_OK)
		status = copy_breakers(&made, request, context);
	if (status == SC_OK)
		status = make_bans(&made, request, context, err);
	if (status == SC_OK) {
		*sampling = made;
		return SC_OK;
	}
	if (status == SC_E_NOMEM)
		error_set(err, status, "out of memory for a job");
	job_sampling_deinit(&made);
	return status;
}

void job_sampling_deinit(struct job_sampling *sampling)
{
	free(sampling->biases);
	free(sampling->bans);
	free(sampling->breaker_texts);
	*sampling = (struct job_sampling){ 0 };
}

void job_sampling_lend(const struct job_sampling *sampling, uint32_t stream,
		       struct sequence *sequence)
{
	sequence->sampling = sampling->fixed;
	sequence->sampling.stream = stream;
	sequence->biases = sampling->biases;
	sequence->bans = sampling->bans;
	sequence->breakers = sampling->breakers.n_texts ? &sampling->breakers : NULL;
}

uint64_t job_sampling_bytes(const struct job_request *request)
{
	return request->n_biases * sizeof(struct sampling_bias) + STEP_MAX_BANS * sizeof(uint32_t) +
	       texts_bytes(request->dry_breakers, request->n_dry_breakers);
}
