/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/samplers.h"

#include <math.h>
#include <string.h>

enum { N_BIASES = 40 };

static struct token_bias biases[N_BIASES];
static const char *const breakers[] = { "a", "c", "e", "g" };

static void set_penalties(struct job_request *r, uint32_t last_n)
{
	r->repetition_penalty = 1.3f;
	r->presence_penalty = 0.4f;
	r->frequency_penalty = 0.2f;
	r->penalty_last_n = last_n;
}

static void set_dry(struct job_request *r)
{
	r->dry_multiplier = 0.8f;
	r->dry_base = 1.75f;
	r->dry_allowed_length = 1;
	r->dry_breakers = breakers;
	r->n_dry_breakers = 4;
}

/* A few letters come again and again, so that there are repetitions to penalize, of which breakers
 * end some. */
static void set_few_letters(struct job_request *r)
{
	static const struct token_bias letters[] = { { 'a', 6 }, { 'b', 6 }, { 'c', 6 }, { 'd', 6 },
						     { 'e', 6 }, { 'f', 6 }, { 'g', 6 }, { 'h', 6 } };

	r->biases = letters;
	r->n_biases = sizeof letters / sizeof letters[0];
}

/* The tokens of a small random model are all about as likely. */
static void set_filters(struct job_request *r)
{
	r->xtc_probability = 0.5f;
	r->xtc_threshold = 0.005f;
	r->typical_p = 0.7f;
	r->top_n_sigma = 2;
}

static void set_temperature(struct job_request *r)
{
	r->temperature = 0.9f;
	r->dynatemp_range = 0.5f;
	r->dynatemp_exponent = 1.2f;
}

static void set_biases(struct job_request *r)
{
	for (uint32_t i = 0; i < N_BIASES; i++)
		biases[i] = (struct token_bias){ 200 - 3 * i, i % 4 ? (float)i / 10 - 2 : -INFINITY };
	r->biases = biases;
	r->n_biases = N_BIASES;
	r->min_tokens = r->max_tokens < 6 ? r->max_tokens : 6;
}

static void set_order(struct job_request *r)
{
	static const uint8_t order[] = { SAMPLER_TEMPERATURE, SAMPLER_XTC, SAMPLER_MIN_P,
					 SAMPLER_PENALTIES, SAMPLER_TOP_K, SAMPLER_DRY };

	memcpy(r->samplers, order, sizeof order);
	r->n_samplers = sizeof order;
}

void samplers_choose(struct job_request *r, unsigned i)
{
	const unsigned kind = i % 8;

	if (kind == 1 || kind == 5 || kind == 7)
		set_penalties(r, kind == 1 ? 16 : 0);
	if (kind == 2 || kind == 5 || kind == 7)
		set_dry(r);
	if (kind == 2)
		set_few_letters(r);
	if (kind == 3 || kind == 5 || kind == 7)
		set_filters(r);
	if (kind == 4 || kind == 7)
		set_temperature(r);
	if (kind == 6 || kind == 7)
		set_biases(r);
	if (kind == 5)
		set_order(r);
	r->n_top_logprobs = kind ? i / 2 % 4 : 0;
	r->wants_logprobs |= r->n_top_logprobs && i % 3;
}

bool samplers_same_tops(const struct token_top *a, const struct token_top *b, size_t n)
{
	return !n || memcmp(a, b, n * sizeof a[0]) == 0;
}
