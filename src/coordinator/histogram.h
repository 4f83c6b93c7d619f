/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_HISTOGRAM_H
#define STAGECOACH_COORDINATOR_HISTOGRAM_H
/*
 * histogram - counts values by size, as Prometheus wants them: a value belongs to the first bucket
 * whose bound is not below it, or to the last one, which has no bound.
 * A histogram has a fixed size: observing allocates nothing and costs a binary search.
 * Thread: one at a time.
 */
#include <stdint.h>

#define HISTOGRAM_MAX_BOUNDS 32

struct histogram {
	const double *bounds;	/* [n_bounds], ascending; borrowed */
	unsigned n_bounds;
	uint64_t counts[HISTOGRAM_MAX_BOUNDS + 1];	/* per bucket, not cumulative */
	double sum;
};

/* n_bounds is at most HISTOGRAM_MAX_BOUNDS. */
void histogram_init(struct histogram *histogram, const double *bounds, unsigned n_bounds);
/* The bounds 1, 2, 5, 10, 20, 50 and so on, up to max. */
void histogram_init_1_2_5(struct histogram *histogram, uint64_t max);

/* A value that is not a number counts as nothing. */
void histogram_observe(struct histogram *histogram, double value);

/* The number of values. */
uint64_t histogram_count(const struct histogram *histogram);

#endif
