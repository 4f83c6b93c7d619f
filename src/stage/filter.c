/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/filter.h"

#include "base/portable_math.h"

#include <math.h>

/* A candidate whose logit is 10 below the best one is 1/22,000 times as probable. */
#define NEAR 10.0f

const struct candidate filter_keep_all = { -INFINITY, UINT32_MAX };

static double sum_kept(const struct logit_row *row, struct candidate bound)
{
	struct walk walk = walk_row(row, bound);
	struct candidate candidate;
	double sum = 0;

	while (walk_next(&walk, &candidate))
		sum += portable_exp((double)candidate.value - (double)row->best.value);
	return sum;
}

struct candidate filter_top_p(const struct logit_row *row, struct candidate bound, double goal,
			      struct search_scratch *scratch)
{
	const struct candidate near = { row->best.value - NEAR, UINT32_MAX };
	struct candidate found;

	/* Usually the few candidates near the best one are enough. */
	if (candidate_is_better(near, bound) &&
	    search_weight(row, row, near, goal, scratch, &found))
		return found;
	(void)search_weight(row, row, bound, goal, scratch, &found);
	return found;
}

/* p >= min_p * p_max is equivalent to logit >= largest + log(min_p). */
struct candidate filter_min_p(const struct logit_row *row, struct candidate bound, float min_p)
{
	double least = (double)row->best.value + portable_log((double)min_p);
	struct candidate at_least = { (float)least, UINT32_MAX };

	return candidate_is_better(at_least, bound) ? at_least : bound;
}

struct candidate filter_bound(const struct logit_row *row, const struct sampling *sampling,
			      double total, struct search_scratch *scratch)
{
	struct candidate bound = filter_keep_all;

	if (sampling->top_k > 0 && sampling->top_k < row->n) {
		bound = search_count(row, sampling->top_k, scratch);
		if (sampling->top_p < 1)
			total = sum_kept(row, bound);
	}
	if (sampling->top_p < 1)
		bound = filter_top_p(row, bound, (double)sampling->top_p * total, scratch);
	if (sampling->min_p > 0)
		bound = filter_min_p(row, bound, sampling->min_p);
	return bound;
}
