/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_FILTER_H
#define STAGECOACH_STAGE_FILTER_H
/*
 * filter - top-k, top-p and min-p: which tokens of a row of logits may be drawn.
 * A filter does not list the tokens that it keeps. It returns their worst candidate, the bound.
 * Candidates are totally ordered, so the better bound of two filters is the bound of both together.
 * Pure functions over the caller's memory. Thread: any; several rows may run in parallel.
 */
#include "stage/search.h"
#include "wire/step.h"

/* The bound that keeps every token. */
extern const struct candidate filter_keep_all;

/* Returns true if filter_bound needs the total of the row's weights. */
static inline bool filter_needs_total(const struct sampling *sampling, uint32_t n_vocab)
{
	return sampling->top_p < 1 && (!sampling->top_k || sampling->top_k >= n_vocab);
}

/* Returns the bound of top-k, top-p and min-p together, as sampler.h defines them. total: the sum
 * of e^(logit - best) over the row; only read if filter_needs_total. */
struct candidate filter_bound(const struct logit_row *row, const struct sampling *sampling,
			      double total, struct search_scratch *scratch);

/* Two of them alone, after a filter whose bound is `bound`. goal: top_p times the sum of
 * e^(logit - best) of what that filter kept. */
struct candidate filter_top_p(const struct logit_row *row, struct candidate bound, double goal,
			      struct search_scratch *scratch);
struct candidate filter_min_p(const struct logit_row *row, struct candidate bound, float min_p);

#endif
