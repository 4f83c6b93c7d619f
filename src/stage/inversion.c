/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/inversion.h"

#include "base/portable_math.h"

static double add_up(const double *sums, uint32_t n)
{
	double total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += sums[i];
	return total;
}

/* sum: the sum of weights before the block. */
static uint32_t draw_in_block(const struct logit_row *row, struct candidate bound, double scale,
			      uint32_t block, double sum, double target)
{
	uint32_t first = block * BACKEND_LOGIT_BLOCK, drawn = first;
	uint32_t end = (uint32_t)min_of((uint64_t)first + BACKEND_LOGIT_BLOCK, row->n);

	for (uint32_t token = first; token < end; token++) {
		struct candidate candidate = { row->logits[token], token };
		double weight;

		if (candidate_is_better(bound, candidate))
			continue;
		weight = portable_exp(((double)candidate.value - (double)row->best.value) * scale);
		if (weight == 0)
			continue;
		drawn = token;
		sum += weight;
		if (sum > target)
			break;
	}
	return drawn;
}

uint32_t inversion_draw(const struct logit_row *row, struct candidate bound, double scale,
			const double *sums, double uniform)
{
	double target = add_up(sums, row->n_blocks) * uniform;
	double before = 0, sum = 0;
	uint32_t block = 0;

	for (uint32_t i = 0; i < row->n_blocks && !(sum > target); i++) {
		if (sums[i] == 0)
			continue;
		block = i;
		before = sum;
		sum += sums[i];
	}
	return draw_in_block(row, bound, scale, block, before, target);
}
