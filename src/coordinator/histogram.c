/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/histogram.h"

#include <assert.h>
#include <math.h>

static const double bounds_1_2_5[] = {
	1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6,
	5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9, 5e9,
};
enum { N_BOUNDS_1_2_5 = sizeof bounds_1_2_5 / sizeof bounds_1_2_5[0] };

void histogram_init(struct histogram *histogram, const double *bounds, unsigned n_bounds)
{
	assert(n_bounds <= HISTOGRAM_MAX_BOUNDS);
	*histogram = (struct histogram){ .bounds = bounds, .n_bounds = n_bounds };
}

void histogram_init_1_2_5(struct histogram *histogram, uint64_t max)
{
	unsigned n = 0;

	while (n < N_BOUNDS_1_2_5 && bounds_1_2_5[n] <= (double)max)
		n++;
	histogram_init(histogram, bounds_1_2_5, n);
}

void histogram_observe(struct histogram *histogram, double value)
{
	unsigned first = 0, end = histogram->n_bounds;

	if (isnan(value))
		return;
	while (first < end) {
		unsigned middle = (first + end) / 2;

		if (histogram->bounds[middle] < value)
			first = middle + 1;
		else
			end = middle;
	}
	histogram->counts[first]++;
	histogram->sum += value;
}

uint64_t histogram_count(const struct histogram *histogram)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= histogram->n_bounds; i++)
		n += histogram->counts[i];
	return n;
}
