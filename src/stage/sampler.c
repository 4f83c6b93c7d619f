/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sampler.h"

#include "stage/philox.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Candidates whose logits are so much below the best one are 1/22,000 as probable. */
#define NEAR 10.0f

struct candidate {
	float value;	/* a logit, or in draw() a weight */
	uint32_t token;
};

/* What is known of a row of logits before anything is drawn. */
struct row {
	const float *logits;	/* [n_vocab] */
	struct candidate best;	/* the largest, of the lowest id among equals */
	double total;		/* of e^(logit - best.value), in order of token id */
};

struct sampler {
	uint32_t n_vocab;
	struct candidate candidates[];	/* [n_vocab] scratch */
};

/*
 * A filter does not list what it keeps: it gives the worst candidate that still stays. Candidates
 * are totally ordered, so filters combine by taking the better bound, and one pass over the
 * vocabulary collects the survivors in order of token id.
 */
static const struct candidate keep_all = { -INFINITY, UINT32_MAX };

static bool is_better(struct candidate a, struct candidate b)
{
	return a.value > b.value || (a.value == b.value && a.token < b.token);
}

enum sc_status sampler_create(uint32_t n_vocab, struct sampler **sampler_out)
{
	struct sampler *sampler = calloc(1, sizeof *sampler +
					 n_vocab * sizeof sampler->candidates[0]);

	if (!sampler)
		return SC_E_NOMEM;
	sampler->n_vocab = n_vocab;
	*sampler_out = sampler;
	return SC_OK;
}

void sampler_destroy(struct sampler *sampler)
{
	free(sampler);
}

/* With a fault best_out->token is the first token whose logit has it. */
static enum token_fault find_best(const float *logits, uint32_t n_vocab,
				  struct candidate *best_out)
{
	struct candidate best = { -INFINITY, 0 };

	for (uint32_t i = 0; i < n_vocab; i++) {
		if (!(logits[i] < INFINITY)) {
			best_out->token = i;
			return isnan(logits[i]) ? TOKEN_FAULT_NAN : TOKEN_FAULT_INFINITE;
		}
		if (logits[i] > best.value)
			best = (struct candidate){ logits[i], i };
	}
	*best_out = best;
	return best.value == -INFINITY ? TOKEN_FAULT_EMPTY : TOKEN_FAULT_NONE;
}

static double sum_weights(const float *logits, uint32_t n_vocab, float largest)
{
	double sum = 0;

	for (uint32_t i = 0; i < n_vocab; i++)
		sum += (double)expf(logits[i] - largest);
	return sum;
}

/* Restore the heap's order below `parent`. A heap's root is its best candidate, or with
 * worst_first its worst. */
static void heap_sift(struct candidate *heap, uint32_t n, uint32_t parent, bool worst_first)
{
	struct candidate moved = heap[parent];

	for (uint64_t child; (child = 2 * (uint64_t)parent + 1) < n; parent = (uint32_t)child) {
		if (child + 1 < n &&
		    is_better(heap[child + 1], heap[child]) != worst_first)
			child++;
		if (is_better(heap[child], moved) == worst_first)
			break;
		heap[parent] = heap[child];
	}
	heap[parent] = moved;
}

static void heap_build(struct candidate *heap, uint32_t n, bool worst_first)
{
	for (uint32_t parent = n / 2; parent-- > 0;)
		heap_sift(heap, n, parent, worst_first);
}

/* The k-th best: a heap holds the best k seen so far, the worst of them at its root. */
static struct candidate bound_top_k(struct sampler *sampler, const float *logits, uint32_t k)
{
	struct candidate *heap = sampler->candidates;

	for (uint32_t i = 0; i < k; i++)
		heap[i] = (struct candidate){ logits[i], i };
	heap_build(heap, k, true);
	for (uint32_t i = k; i < sampler->n_vocab; i++) {
		/* Equal to the root is worse than it, for ids go up. */
		if (logits[i] <= heap[0].value)
			continue;
		heap[0] = (struct candidate){ logits[i], i };
		heap_sift(heap, k, 0, true);
	}
	return heap[0];
}

/* Collect what is not worse than bound, in order of token id. */
static uint32_t collect(struct sampler *sampler, const float *logits, struct candidate bound)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sampler->n_vocab; i++) {
		struct candidate candidate = { logits[i], i };

		if (logits[i] >= bound.value && !is_better(bound, candidate))
			sampler->candidates[n++] = candidate;
	}
	return n;
}

/* Take the best of n candidates one by one until their weights sum to goal. False: they do not. The
 * last one taken is the bound. */
static bool take_until(struct sampler *sampler, uint32_t n, float largest, double goal,
		       struct candidate *bound_out)
{
	struct candidate *heap = sampler->candidates;
	double sum = 0;

	heap_build(heap, n, false);
	for (;;) {
		*bound_out = heap[0];
		sum += (double)expf(heap[0].value - largest);
		if (sum >= goal)
			return true;
		if (n == 1)
			return false;
		heap[0] = heap[--n];
		heap_sift(heap, n, 0, false);
	}
}

static double sum_candidates(const struct sampler *sampler, uint32_t n, float largest)
{
	double sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)expf(sampler->candidates[i].value - largest);
	return sum;
}

static struct candidate bound_top_p(struct sampler *sampler, const struct row *row,
				    struct candidate bound, float top_p)
{
	const float largest = row->best.value;
	const struct candidate near = { largest - NEAR, UINT32_MAX };
	double goal = (double)top_p * row->total;
	struct candidate last;
	uint32_t n;

	if (bound.token != keep_all.token) {
		n = collect(sampler, row->logits, bound);
		goal = (double)top_p * sum_candidates(sampler, n, largest);
	} else {
		/* A heap of all would give these first, too: mostly they are few and enough. */
		n = collect(sampler, row->logits, near);
		if (take_until(sampler, n, largest, goal, &last))
			return last;
		n = collect(sampler, row->logits, bound);
	}
	(void)take_until(sampler, n, largest, goal, &last);
	return last;
}

/* p >= min_p * p_max is logit >= largest + log(min_p). */
static struct candidate bound_min_p(float largest, struct candidate bound, float min_p)
{
	struct candidate at_least = { (float)((double)largest + log((double)min_p)), UINT32_MAX };

	return is_better(at_least, bound) ? at_least : bound;
}

/* Invert the cumulative distribution of the survivors at `uniform`. */
static uint32_t draw(struct sampler *sampler, uint32_t n, float largest, float temperature,
		     double uniform)
{
	struct candidate *survivors = sampler->candidates;
	double total = 0, sum = 0;
	uint32_t last = 0;

	for (uint32_t i = 0; i < n; i++) {
		double exponent = ((double)survivors[i].value - (double)largest) /
				  (double)temperature;

		survivors[i].value = expf((float)exponent);
		total += (double)survivors[i].value;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (survivors[i].value == 0)
			continue;
		last = i;
		sum += (double)survivors[i].value;
		if (sum > uniform * total)
			break;
	}
	/* Rounding may bring uniform * total up to total: then it is the last one. */
	return survivors[last].token;
}

static uint32_t sample(struct sampler *sampler, const struct row *row,
		       const struct sampling *sampling, uint32_t position)
{
	struct candidate bound = keep_all;

	if (sampling->top_k > 0 && sampling->top_k < sampler->n_vocab)
		bound = bound_top_k(sampler, row->logits, sampling->top_k);
	if (sampling->top_p < 1)
		bound = bound_top_p(sampler, row, bound, sampling->top_p);
	if (sampling->min_p > 0)
		bound = bound_min_p(row->best.value, bound, sampling->min_p);
	return draw(sampler, collect(sampler, row->logits, bound), row->best.value,
		    sampling->temperature,
		    philox_uniform(sampling->seed, sampling->stream, position));
}

/* False: the record has got the fault of these logits. */
static bool survey(const struct sampler *sampler, const float *logits, struct row *row_out,
		   struct token_record *record)
{
	struct row row = { .logits = logits };

	record->logprob = 0;
	record->fault = find_best(logits, sampler->n_vocab, &row.best);
	if (record->fault) {
		record->token = row.best.token;
		return false;
	}
	row.total = sum_weights(logits, sampler->n_vocab, row.best.value);
	*row_out = row;
	return true;
}

static float logprob_of(const struct row *row, uint32_t token)
{
	double logprob = (double)row->logits[token] - (double)row->best.value - log(row->total);

	return fmaxf((float)logprob, -FLT_MAX);
}

void sampler_score(const struct sampler *sampler, const float *logits,
		   struct token_record *record)
{
	struct row row;

	if (survey(sampler, logits, &row, record))
		record->logprob = logprob_of(&row, record->token);
}

void sampler_draw(struct sampler *sampler, const float *logits, const struct sampling *sampling,
		  struct token_record *record)
{
	struct row row;

	if (!survey(sampler, logits, &row, record))
		return;
	if (sampling->temperature == 0 || sampling->top_k == 1)
		record->token = row.best.token;
	else
		record->token = sample(sampler, &row, sampling, record->position);
	record->logprob = logprob_of(&row, record->token);
}
