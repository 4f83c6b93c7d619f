/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/perplexity.h"

#include <math.h>

void perplexity_add(struct perplexity *p, const float *logprobs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double loss = -(double)logprobs[i];

		p->sum += loss;
		p->sum_of_squares += loss * loss;
	}
	p->n += n;
}

double perplexity_value(const struct perplexity *p)
{
	return exp(p->sum / (double)p->n);
}

/* The standard error of the mean, propagated through the exponential. */
double perplexity_error(const struct perplexity *p)
{
	double mean = p->sum / (double)p->n;
	double variance = p->sum_of_squares / (double)p->n - mean * mean;

	if (p->n < 2 || variance <= 0)
		return 0;
	return perplexity_value(p) * sqrt(variance / (double)(p->n - 1));
}
