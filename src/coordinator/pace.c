/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/pace.h"

#include <math.h>
#include <stddef.h>

/* The part of a mean that a new step replaces. */
#define RENEWAL 0.25
/* One step that takes far longer than such steps did (another program had the processor) counts as
 * this many times the mean, or what was predicted for it. Steps that stay slow are believed after a
 * few. */
#define OUTLIER 2.0
/* A mean counts half when it is this many steps old. */
#define HALF_AGE 64.0
/* Rounds of the fit for each new step. It starts from the last one. */
enum { N_ROUNDS = 16 };

static unsigned mean_index(uint32_t n_rows)
{
	unsigned n_bits = 0;

	for (; n_rows > 1; n_rows >>= 1)
		n_bits++;
	return n_bits;
}

static void renew(struct pace_mean *mean, const double *terms, double ns, double predicted)
{
	if (mean->seen_at)
		ns = fmin(ns, OUTLIER * fmax(mean->ns, predicted));
	for (unsigned i = 0; i < PACE_N_TERMS; i++)
		mean->terms[i] = mean->seen_at
				 ? mean->terms[i] + RENEWAL * (terms[i] - mean->terms[i])
				 : terms[i];
	mean->ns = mean->seen_at ? mean->ns + RENEWAL * (ns - mean->ns) : ns;
}

/* The normal equations: matrix x = right. */
struct equations {
	double matrix[PACE_N_TERMS][PACE_N_TERMS];
	double right[PACE_N_TERMS];
};

static void add_mean(struct equations *e, const struct pace_mean *mean, uint64_t n_seen)
{
	double age = (double)(n_seen - mean->seen_at);
	double weight = 1 / (mean->ns * mean->ns * (1 + age / HALF_AGE));

	for (unsigned i = 0; i < PACE_N_TERMS; i++) {
		for (unsigned k = 0; k < PACE_N_TERMS; k++)
			e->matrix[i][k] += weight * mean->terms[i] * mean->terms[k];
		e->right[i] += weight * mean->terms[i] * mean->ns;
	}
}

/* Coordinate descent: one term after the other gets its best value beside the others, 0 at
 * least. */
static void fit(struct pace *pace)
{
	struct equations e = { .right = { 0 } };

	for (unsigned i = 0; i < PACE_N_MEANS; i++)
		if (pace->means[i].seen_at)
			add_mean(&e, &pace->means[i], pace->n_seen);
	for (unsigned round = 0; round < N_ROUNDS; round++) {
		for (unsigned i = 0; i < PACE_N_TERMS; i++) {
			double rest = e.right[i];

			for (unsigned k = 0; k < PACE_N_TERMS; k++)
				if (k != i)
					rest -= e.matrix[i][k] * pace->ns_of[k];
			pace->ns_of[i] = fmax(0, rest / e.matrix[i][i]);
		}
	}
}

void pace_note(struct pace *pace, struct pace_load load, double ns)
{
	const double terms[PACE_N_TERMS] = { 1, load.n_rows, (double)load.n_positions };
	struct pace_mean *mean = &pace->means[mean_index(load.n_rows)];

	ns = fmax(ns, 1);
	if (!pace->n_seen)
		pace->ns_of[1] = ns / load.n_rows;
	renew(mean, terms, ns, pace_predict(pace, load));
	mean->seen_at = ++pace->n_seen;
	fit(pace);
}

static double fitted(const struct pace *pace, const double *terms)
{
	double ns = 0;

	for (unsigned i = 0; i < PACE_N_TERMS; i++)
		ns += pace->ns_of[i] * terms[i];
	return ns;
}

/* The mean of steps with about n_rows rows, or else of the next smaller or larger ones; NULL: none
 * was seen. */
static const struct pace_mean *nearest_mean(const struct pace *pace, uint32_t n_rows)
{
	unsigned index = mean_index(n_rows);

	for (unsigned distance = 0; distance < PACE_N_MEANS; distance++) {
		if (index >= distance && pace->means[index - distance].seen_at)
			return &pace->means[index - distance];
		if (index + distance < PACE_N_MEANS && pace->means[index + distance].seen_at)
			return &pace->means[index + distance];
	}
	return NULL;
}

/* Steps of about n_rows rows took this many times what the fit says. The correction does not fade:
 * while steps of other sizes move the fit, a load like that of the mean is predicted to take what
 * the mean took. */
static double correction(const struct pace *pace, uint32_t n_rows)
{
	const struct pace_mean *mean = nearest_mean(pace, n_rows);
	double ns = mean ? fitted(pace, mean->terms) : 0;

	return ns > 0 ? mean->ns / ns : 1;
}

double pace_predict(const struct pace *pace, struct pace_load load)
{
	const double terms[PACE_N_TERMS] = { 1, load.n_rows, (double)load.n_positions };

	return fitted(pace, terms) * correction(pace, load.n_rows);
}

/* n rows from position p on cost n row + (n p + n^2 / 2) position: a quadratic equation in n. */
static double solve_rows(const struct pace *pace, double ns, uint32_t first)
{
	double linear = pace->ns_of[1] + pace->ns_of[2] * (first + 0.5);
	double half = pace->ns_of[2] / 2;
	/* The root, written so that it also holds when one of the two is 0. */
	double n_rows = 2 * ns / (linear + sqrt(linear * linear + 4 * half * ns));

	return fmin(n_rows, (double)(UINT32_MAX / 2));
}

/* The correction depends on the rows, and the rows on the correction: that of the rows without. */
uint32_t pace_rows_within(const struct pace *pace, struct pace_load load, double ns, uint32_t first)
{
	const double terms[PACE_N_TERMS] = { 1, load.n_rows, (double)load.n_positions };
	double taken = fitted(pace, terms);
	double n_rows = ns > taken ? solve_rows(pace, ns - taken, first) : 0;

	ns /= correction(pace, load.n_rows + (uint32_t)n_rows);
	return ns > taken ? (uint32_t)solve_rows(pace, ns - taken, first) : 0;
}
