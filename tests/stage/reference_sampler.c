/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stage/reference_sampler.h"

#include "stage/philox.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

struct ranked {
	double logit;
	double score;
	uint32_t token;
};

/* The candidates that are left, and the tokens before. */
struct story {
	const struct sampling *sampling;
	struct ranked *ranked;
	uint32_t n;
	const uint32_t *past;
	uint32_t position;
	bool is_last;		/* the sampler that runs is the last one: its logits are not
				 * stored as floats any more */
};

static int by_logit(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->token < y->token ? -1 : 1;
}

static int by_score(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->score != y->score)
		return x->score < y->score ? -1 : 1;
	return x->token < y->token ? -1 : 1;
}

static int by_token(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->token < y->token ? -1 : 1;
}

static void sort(struct story *story)
{
	qsort(story->ranked, story->n, sizeof story->ranked[0], by_logit);
}

/* Of sorted candidates. */
static double weight(const struct story *story, uint32_t i)
{
	return exp(story->ranked[i].logit - story->ranked[0].logit);
}

static double total(const struct story *story)
{
	double sum = 0;

	for (uint32_t i = 0; i < story->n; i++)
		sum += weight(story, i);
	return sum;
}

/* --- what the tokens so far change --- */

static uint32_t window_start(const struct story *story, uint32_t last_n)
{
	return last_n && last_n < story->position ? story->position - last_n : 0;
}

static void penalise(struct story *story, struct ranked *r)
{
	const struct sampling *s = story->sampling;
	uint32_t n_all = 0, n_output = 0;
	float logit = (float)r->logit;

	if (s->repetition_penalty == 1 && !s->presence_penalty && !s->frequency_penalty)
		return;
	for (uint32_t i = window_start(story, s->penalty_last_n); i < story->position; i++)
		if (step_token(story->past[i]) == r->token) {
			n_all++;
			n_output += i >= s->n_prompt;
		}
	if (n_all)
		logit = logit > 0 ? logit / s->repetition_penalty : logit * s->repetition_penalty;
	if (n_output)
		logit -= (float)n_output * s->frequency_penalty + s->presence_penalty;
	r->logit = (double)fminf(logit, FLT_MAX);
}

/* How many tokens before `at` equal the last ones of all, up to a breaker. */
static uint32_t repetition_before(const struct story *story, uint32_t start, uint32_t at)
{
	uint32_t n = 0;

	while (at - n > start && story->past[at - 1 - n] == story->past[story->position - 1 - n] &&
	       !(story->past[at - 1 - n] & STEP_TOKEN_BREAKER))
		n++;
	return n;
}

static uint32_t tokens_since_breaker(const struct story *story, uint32_t start)
{
	uint32_t n = 0;

	while (story->position - n > start &&
	       !(story->past[story->position - 1 - n] & STEP_TOKEN_BREAKER))
		n++;
	return n;
}

static void discourage(struct story *story, struct ranked *r, uint32_t start)
{
	const struct sampling *s = story->sampling;
	uint32_t longest = 0;
	bool is_found = false;
	double exponent, most = s->dry_base > 1.000001f ?
				floor(88.7228391 / log((double)s->dry_base)) : INFINITY;

	for (uint32_t at = start + 1; at < story->position; at++) {
		uint32_t n = repetition_before(story, start, at);

		if (story->past[at] != r->token || n < s->dry_allowed_length)
			continue;
		is_found = true;
		longest = n > longest ? n : longest;
	}
	if (!is_found)
		return;
	exponent = fmin(longest - s->dry_allowed_length, most);
	r->logit = (double)((float)r->logit - (float)((double)s->dry_multiplier *
						      pow((double)s->dry_base, exponent)));
}

static void dry(struct story *story)
{
	const struct sampling *s = story->sampling;
	uint32_t start = window_start(story, s->dry_last_n);

	if (s->dry_multiplier == 0 || s->dry_base < 1 ||
	    story->position - start <= s->dry_allowed_length ||
	    tokens_since_breaker(story, start) < s->dry_allowed_length)
		return;
	for (uint32_t i = 0; i < story->n; i++)
		discourage(story, &story->ranked[i], start);
}

/* --- samplers of the distribution; all take sorted candidates --- */

static void top_n_sigma(struct story *story)
{
	double mean = 0, variance = 0, best = story->ranked[0].logit, least;
	uint32_t n = 0;

	for (; n < story->n && story->ranked[n].logit > -INFINITY; n++)
		mean += story->ranked[n].logit;
	mean /= n;
	for (uint32_t i = 0; i < n; i++)
		variance += pow(story->ranked[i].logit - mean, 2) / n;
	least = best - (double)story->sampling->top_n_sigma * sqrt(variance);
	for (uint32_t i = 0; i < n && story->sampling->top_n_sigma > 0; i++)
		if (story->ranked[i].logit < least)
			story->ranked[i].logit = -INFINITY;
}

static void top_k(struct story *story)
{
	uint32_t k = story->sampling->top_k;

	if (k && k < story->n)
		story->n = k;
}

static void top_p(struct story *story)
{
	double sum = 0, all = total(story);

	for (uint32_t i = 0; story->sampling->top_p < 1 && i < story->n; i++) {
		sum += weight(story, i);
		if (sum / all >= (double)story->sampling->top_p)
			story->n = i + 1;
	}
}

static void min_p(struct story *story)
{
	while (story->sampling->min_p > 0 &&
	       weight(story, story->n - 1) < (double)story->sampling->min_p)
		story->n--;
}

static double entropy(const struct story *story)
{
	double sum = 0, all = total(story);

	for (uint32_t i = 0; i < story->n; i++) {
		double p = weight(story, i) / all;

		sum -= p > 0 ? p * log(p) : 0;
	}
	return sum;
}

static void typical(struct story *story)
{
	double expected = entropy(story), all = total(story), sum = 0;
	double best = story->ranked[0].logit;

	if (story->sampling->typical_p >= 1)
		return;
	for (uint32_t i = 0; i < story->n; i++)
		story->ranked[i].score = (double)(float)fabs(-(story->ranked[i].logit - best) +
							     log(all) - expected);
	qsort(story->ranked, story->n, sizeof story->ranked[0], by_score);
	for (uint32_t i = 0; i < story->n; i++) {
		sum += exp(story->ranked[i].logit - best);
		if (sum / all > (double)story->sampling->typical_p)
			story->n = i + 1;
	}
	sort(story);
}

static void xtc(struct story *story)
{
	const struct sampling *s = story->sampling;
	double all = total(story);
	uint32_t n = 0;

	if (s->xtc_threshold > 0.5f ||
	    philox_uniform(s->seed, s->stream | UINT32_C(1) << 31, story->position) >=
	    (double)s->xtc_probability)
		return;
	while (n < story->n && weight(story, n) > 0 &&
	       weight(story, n) / all >= (double)s->xtc_threshold)
		n++;
	if (n < 2)
		return;
	story->ranked += n - 1;
	story->n -= n - 1;
}

static void temperature(struct story *story)
{
	const struct sampling *s = story->sampling;
	double t = (double)s->temperature, range = (double)s->dynatemp_range;

	if (range > 0 && story->n == 1)
		return;
	if (range > 0)
		t = fmax(0, t - range) + (t + range - fmax(0, t - range)) *
		    pow(entropy(story) / log(story->n), (double)s->dynatemp_exponent);
	if (t == 0)
		story->n = 1;
	for (uint32_t i = 0; t > 0 && i < story->n; i++) {
		story->ranked[i].logit /= t;
		if (!story->is_last)
			story->ranked[i].logit = (double)(float)story->ranked[i].logit;
	}
}

/* --- the chain --- */

static void run(struct story *story, enum sampler_kind kind)
{
	void (*const filters[N_SAMPLERS])(struct story *) = {
		[SAMPLER_DRY] = dry, [SAMPLER_TOP_N_SIGMA] = top_n_sigma, [SAMPLER_TOP_K] = top_k,
		[SAMPLER_TYPICAL] = typical, [SAMPLER_TOP_P] = top_p, [SAMPLER_MIN_P] = min_p,
		[SAMPLER_XTC] = xtc, [SAMPLER_TEMPERATURE] = temperature,
	};

	for (uint32_t i = 0; kind == SAMPLER_PENALTIES && i < story->n; i++)
		penalise(story, &story->ranked[i]);
	if (kind != SAMPLER_PENALTIES)
		filters[kind](story);
	sort(story);
}

/* The candidates start in order of token. */
static void add_biases(struct story *story, const struct sampling_bias *biases,
		       const uint32_t *bans)
{
	const struct sampling *s = story->sampling;

	for (uint32_t i = 0; i < s->n_biases; i++) {
		struct ranked *r = &story->ranked[biases[i].token];

		r->logit = (double)fminf((float)r->logit + biases[i].bias, FLT_MAX);
	}
	for (uint32_t i = 0; story->position < (uint64_t)s->n_prompt + s->min_tokens &&
	     i < s->n_bans; i++)
		story->ranked[bans[i]].logit = -INFINITY;
}

static uint32_t draw(struct story *story)
{
	const struct sampling *s = story->sampling;
	double uniform = philox_uniform(s->seed, s->stream, story->position);
	double best = story->ranked[0].logit, all = total(story), sum = 0;
	uint32_t i;

	qsort(story->ranked, story->n, sizeof story->ranked[0], by_token);
	for (i = 0; i < story->n - 1; i++) {
		sum += exp(story->ranked[i].logit - best);
		if (sum > uniform * all)
			break;
	}
	return story->ranked[i].token;
}

bool reference_draw_after(const float *logits, uint32_t n, const struct sampling *sampling,
			  const struct sampling_bias *biases, const uint32_t *bans,
			  const uint32_t *past, uint32_t position, uint32_t *token_out)
{
	struct ranked *ranked = calloc(n, sizeof *ranked);
	struct story story = { sampling, ranked, n, past, position, false };
	bool is_drawn;

	if (!ranked)
		abort();
	for (uint32_t i = 0; i < n; i++)
		ranked[i] = (struct ranked){ .logit = (double)logits[i], .token = i };
	add_biases(&story, biases, bans);
	sort(&story);
	for (uint32_t i = 0; ranked[0].logit > -INFINITY && i < N_SAMPLERS - 1; i++) {
		story.is_last = i == N_SAMPLERS - 2 || !sampling->order[i + 1];
		if (!sampling->order[0])
			run(&story, (enum sampler_kind)(i + 1));
		else if (sampling->order[i])
			run(&story, sampling->order[i]);
	}
	is_drawn = story.ranked[0].logit > -INFINITY;
	if (is_drawn)
		*token_out = draw(&story);
	free(ranked);
	return is_drawn;
}

uint32_t reference_draw(const float *logits, uint32_t n, const struct sampling *sampling,
			uint32_t position)
{
	struct sampling plain = *sampling;
	uint32_t token;

	plain.repetition_penalty = 1;
	plain.presence_penalty = plain.frequency_penalty = plain.dry_multiplier = 0;
	plain.n_biases = plain.n_bans = 0;
	if (!reference_draw_after(logits, n, &plain, NULL, NULL, NULL, position, &token))
		abort();
	return token;
}

double reference_logprob(const float *logits, uint32_t n, uint32_t token)
{
	double best = (double)logits[0], all = 0;

	for (uint32_t i = 1; i < n; i++)
		best = fmax(best, (double)logits[i]);
	for (uint32_t i = 0; i < n; i++)
		all += exp((double)logits[i] - best);
	return (double)logits[token] - best - log(all);
}
