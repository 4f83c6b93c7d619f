/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/tops.h"

#include "base/portable_math.h"

#include <float.h>
#include <math.h>

float tops_logprob(const struct logit_row *row, double total, uint32_t token)
{
	double logprob = (double)row->logits[token] - (double)row->best.value -
			 portable_log(total);

	return fmaxf((float)logprob, -FLT_MAX);
}

/* Puts the candidate in its place among the n before it. */
static void insert(struct candidate *sorted, uint32_t n, struct candidate candidate)
{
	for (; n && candidate_is_better(candidate, sorted[n - 1]); n--)
		sorted[n] = sorted[n - 1];
	sorted[n] = candidate;
}

void tops_find(const struct logit_row *row, double total, uint32_t n,
	      struct search_scratch *scratch, struct token_top *tops_out)
{
	struct candidate sorted[STEP_MAX_TOPS_EACH], candidate;
	struct walk walk;
	uint32_t n_found = 0;

	if (!n)
		return;
	walk = walk_row(row, search_count(row, n, scratch));
	while (n_found < n && walk_next(&walk, &candidate))
		insert(sorted, n_found++, candidate);
	for (uint32_t i = 0; i < n; i++)
		tops_out[i] = (struct token_top){
			sorted[i].token, tops_logprob(row, total, sorted[i].token),
		};
}
