/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SEARCH_H
#define STAGECOACH_STAGE_SEARCH_H
/*
 * search - finds the bound of the best candidates of a row: so many of them, or as many as have so
 * much weight together.
 * Nothing is sorted as a whole. A search keeps a range of values that contains the bound. While the
 * range has more candidates than the scratch memory, the search narrows it by a histogram.
 *
 * The work is proportional to the number of blocks plus the size of the blocks whose maximum
 * reaches the bound. In the worst case (a flat distribution) it is a few passes over the row. Sums
 * are double, in an order that depends only on the logits.
 *
 * Pure functions over the caller's memory. Thread: any; several rows may run in parallel.
 */
#include "stage/logit_row.h"

enum { SEARCH_CANDIDATES = 1024, SEARCH_BUCKETS = 1024 };

struct search_scratch {
	struct candidate candidates[SEARCH_CANDIDATES];
	double buckets[SEARCH_BUCKETS];
};

/* Returns the bound of the k best candidates. k: 1 to row->n. */
struct candidate search_count(const struct logit_row *row, uint32_t k,
			      struct search_scratch *scratch);

/* Finds the bound of the best candidates whose weights together reach `goal`. Candidates worse than
 * `worst` do not take part. A candidate's weight is e^(logit - best) of its token in `weights`,
 * which may be `row`. Returns false, and sets *bound_out to `worst`, if all weights together do not
 * reach the goal. */
bool search_weight(const struct logit_row *row, const struct logit_row *weights,
		   struct candidate worst, double goal, struct search_scratch *scratch,
		   struct candidate *bound_out);

#endif
