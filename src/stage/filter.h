/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_FILTER_H
#define STAGECOACH_STAGE_FILTER_H
/*
 * filter - which tokens of a row of logits may be drawn.
 * A filter does not list what it keeps: it gives the worst candidate that still stays, its bound.
 * Candidates are totally ordered, so filters combine by taking the better bound.
 *
 * The work is in proportion to the number of blocks and to the size of the blocks whose maximum
 * reaches the bound. In the worst case (a flat distribution) it is a few passes over the row.
 * Sums are in double, in an order that only the logits decide.
 *
 * Pure functions over the caller's memory. Thread: any; several rows at once.
 */
#include "wire/step.h"

struct candidate {
	float value;	/* logit */
	uint32_t token;
};

/* Logits without NaN and +infinity, at least one of them finite. */
struct logit_row {
	const float *logits;	/* [n], host memory */
	uint32_t n;
	const float *maxima;	/* [n_blocks], see BACKEND_LOGIT_BLOCK */
	uint32_t n_blocks;
	struct candidate best;	/* the largest, of the lowest token among equals */
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

/* Whether filter_bound needs the total of the row's weights. */
static inline bool filter_needs_total(const struct sampling *sampling, uint32_t n_vocab)
{
	return sampling->top_p < 1 && (!sampling->top_k || sampling->top_k >= n_vocab);
}

/* The bound of top-k, top-p and min-p, as sampler.h defines them. total is the sum of
 * e^(logit - best) over the row; it is read if filter_needs_total. */
struct candidate filter_bound(const struct logit_row *row, const struct sampling *sampling,
			      double total, struct filter_scratch *scratch);

#endif
