/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MEASURE_STATISTICS_H
#define STAGECOACH_MEASURE_STATISTICS_H
/* statistics - median and spread of a few repeated measurements. Thread: any. */
#include <stddef.h>

struct spread {
	double median;	/* of an even number: the mean of the two in the middle */
	double least;
	double most;
};

/* Sorts values[n], n at least 1. */
struct spread spread_of(double *values, size_t n);

#endif
