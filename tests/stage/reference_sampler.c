/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stage/reference_sampler.h"

#include "stage/philox.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
	double logit;
	uint32_t token;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->token < y->token ? -1 : 1;
}

static int compare_tokens(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return x->token < y->token ? -1 : 1;
}

static uint32_t keep(struct ranked *ranked, uint32_t n, const struct sampling *sampling)
{
	double total = 0, sum = 0, best = ranked[0].logit;
	uint32_t n_kept = sampling->top_k && sampling->top_k < n ? sampling->top_k : n;

	for (uint32_t i = 0; i < n_kept; i++)
		total += exp(ranked[i].logit - best);
	for (uint32_t i = 0; sampling->top_p < 1 && i < n_kept; i++) {
		sum += exp(ranked[i].logit - best);
		if (sum / total >= (double)sampling->top_p)
			n_kept = i + 1;
	}
	while (sampling->min_p > 0 &&
	       exp(ranked[n_kept - 1].logit - best) < (double)sampling->min_p)
		n_kept--;
	return n_kept;
}

uint32_t reference_draw(const float *logits, uint32_t n, const struct sampling *sampling,
			uint32_t position)
{
	struct ranked *ranked = calloc(n, sizeof *ranked);
	double total = 0, sum = 0, best, uniform;
	uint32_t i, token;

	if (!ranked)
		abort();
	for (i = 0; i < n; i++)
		ranked[i] = (struct ranked){ .logit = (double)logits[i], .token = i };
	qsort(ranked, n, sizeof ranked[0], compare_ranked);
	best = ranked[0].logit;
	n = sampling->temperature == 0 ? 1 : keep(ranked, n, sampling);
	qsort(ranked, n, sizeof ranked[0], compare_tokens);
	for (i = 0; i < n; i++)
		total += exp((ranked[i].logit - best) / (double)sampling->temperature);
	uniform = philox_uniform(sampling->seed, sampling->stream, position);
	for (i = 0; i < n - 1; i++) {
		sum += exp((ranked[i].logit - best) / (double)sampling->temperature);
		if (sum > uniform * total)
			break;
	}
	token = ranked[i].token;
	free(ranked);
	return token;
}

double reference_logprob(const float *logits, uint32_t n, uint32_t token)
{
	double best = (double)logits[0], total = 0;

	for (uint32_t i = 1; i < n; i++)
		best = fmax(best, (double)logits[i]);
	for (uint32_t i = 0; i < n; i++)
		total += exp((double)logits[i] - best);
	return (double)logits[token] - best - log(total);
}
