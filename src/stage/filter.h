/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_FILTER_H
#define STAGECOACH_STAGE_FILTER_H
/*
 * filter - decides which tokens of a row of logits may be drawn.
 * A filter does not list the tokens that it keeps. It returns their worst candidate, the bound.
 * Candidates are totally ordered, so the better bound of two filters is the bound of both together.
 *
 * The work is proportional to the number of blocks plus the size of the blocks whose maximum
 * reaches the bound. In the worst case (a flat distribution) it is a few passes over the row. Sums
 * are double, in an order that depends only on the logits.
 *
 * Pure functions over the caller's memory. Thread: any; several rows may run in parallel.
 */
#include "wire/step.h"

struct candidate {
	float value;	/* logit */
	uint32_t token;
};

/* Logits without NaN and +infinity. At least one must be finite. */
struct logit_row {
	const float *logits;	/* [n], host memory */
	uint32_t n;
	const float *maxima;	/* [n_blocks], see BACKEND_LOGIT_BLOCK */
	uint32_t n_blocks;
	struct candidate best;	/* the largest logit; of equal ones that of the lowest token */
};

enum { FILTER_CANDIDATES = 1024, FILTER_BUCKETS = 1024 };

struct filter_scratch {
	struct candidate candidates[FILTER_CANDIDATES];
	double buckets[FILTER_BUCKETS];
};

/* The bound that keeps every token. */
extern const struct candidate filter_keep_all;

static inline bool candidate_is_better(struct candidate a, struct candidate b)
{
	return a.value > b.value || (a.value == b.value && a.token < b.token);
}

/* Returns true if filter_bound needs the total of the row's weights. */
static inline bool filter_needs_total(const struct sampling *sampling, uint32_t n_vocab)
{
	return sampling->top_p < 1 && (!sampling->top_k || sampling->top_k >= n_vocab);
}

/* Returns the bound of top-k, top-p and min-p together, as sampler.h defines them. total: the sum
 * of e^(logit - best) over the row; only read if filter_needs_total. */
struct candidate filter_bound(const struct logit_row *row, const struct sampling *sampling,
			      double total, struct filter_scratch *scratch);

#endif
