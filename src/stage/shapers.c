/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/shapers.h"

#include "base/portable_math.h"
#include "stage/filter.h"

#include <math.h>

/* --- top-n-sigma --- */

/* Sums are kept side by side, because each addition waits for the one before it. */
enum { SIDE = 8 };

static double join(const double *sums)
{
	double sum = 0;

	for (unsigned k = 0; k < SIDE; k++)
		sum += sums[k];
	return sum;
}

static double mean_of(const struct candidates *c, uint32_t *n_finite_out)
{
	double sums[SIDE] = { 0 };
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		bool is_finite = c->values[i] > -INFINITY;

		sums[i % SIDE] += is_finite ? (double)c->values[i] : 0;
		n += is_finite;
	}
	*n_finite_out = n;
	return join(sums) / n;
}

static double deviation_of(const struct candidates *c)
{
	double sums[SIDE] = { 0 };
	uint32_t n;
	double mean = mean_of(c, &n);

	for (uint32_t i = 0; i < c->n; i++) {
		double x = c->values[i] > -INFINITY ? (double)c->values[i] - mean : 0;

		sums[i % SIDE] += x * x;
	}
	return sqrt(join(sums) / n);
}

void shape_top_n_sigma(struct candidates *c, float n)
{
	struct logit_row row;
	double least;

	if (!candidates_row(c, &row))
		return;
	least = (double)row.best.value - (double)n * deviation_of(c);
	candidates_mask(c, least);
}

/* --- entropy --- */

/* A candidate's weight is w = e^x with x = value - largest value, and its probability w / total.
 * -log(probability) is log(total) - x. So the entropy is log(total) - mean, where mean is the
 * average of x by probability. */
struct moments {
	double total;
	double mean;
};

static double distance(const struct logit_row *row, uint32_t i)
{
	return (double)row->logits[i] - (double)row->best.value;
}

static struct moments moments_of(const struct logit_row *row)
{
	double total = 0, sum = 0;

	for (uint32_t i = 0; i < row->n; i++) {
		double x = distance(row, i), weight = portable_exp(x);

		if (weight == 0)
			continue;
		total += weight;
		sum += weight * x;
	}
	return (struct moments){ total, sum / total };
}

/* x^y for x from 0 on. */
static double power(double x, double y)
{
	if (y == 0)
		return 1;
	return x < 1e-300 ? 0 : portable_exp(y * portable_log(x));
}

double dynamic_temperature(const struct candidates *c, float temperature, float range,
			   float exponent)
{
	double least = fmax(0, (double)temperature - (double)range);
	double most = (double)temperature + (double)range;
	uint32_t n = c->n + c->n_masked;
	struct moments moments;
	struct logit_row row;
	double entropy;

	if (n <= 1 || !candidates_row(c, &row))
		return 1;
	moments = moments_of(&row);
	entropy = fmax(0, portable_log(moments.total) - moments.mean);
	return least + (most - least) * power(entropy / portable_log(n), (double)exponent);
}

/* --- locally typical --- */

/* |-log(probability) - entropy| is |x - mean|. The closest candidate becomes the best of the row of
 * scores. */
static void score(const struct logit_row *row, double mean, float *scores)
{
	for (uint32_t i = 0; i < row->n; i++)
		scores[i] = (float)-fabs(distance(row, i) - mean);
}

void shape_typical(struct candidates *c, float p, struct typical_scratch *scratch)
{
	struct candidates scored = {
		.n = c->n, .values = scratch->scores, .maxima = scratch->maxima,
	};
	struct moments moments;
	struct logit_row row, by;
	struct candidate bound;

	if (!candidates_row(c, &row))
		return;
	moments = moments_of(&row);
	score(&row, moments.mean, scratch->scores);
	candidates_survey(&scored);
	if (!candidates_row(&scored, &by))
		return;
	/* More than p, so the goal is the next larger number. */
	(void)search_weight(&by, &row, filter_keep_all,
			    nextafter((double)p * moments.total, INFINITY), &scratch->search,
			    &bound);
	candidates_keep(c, &by, bound);
}

/* --- XTC --- */

void shape_xtc(struct candidates *c, float threshold)
{
	struct candidate last = { INFINITY, 0 };
	struct logit_row row;
	double least;

	if (c->n < 2 || !candidates_row(c, &row))
		return;
	least = (double)threshold * moments_of(&row).total;
	for (uint32_t i = 0; i < c->n; i++) {
		double weight = portable_exp(distance(&row, i));
		struct candidate candidate = { c->values[i], i };

		if (weight > 0 && weight >= least && candidate_is_better(last, candidate))
			last = candidate;
	}
	if (last.value < INFINITY)
		candidates_drop_better(c, last);
}
