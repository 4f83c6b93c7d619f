/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/statistics.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread spread_of(double *values, size_t n)
{
	qsort(values, n, sizeof values[0], compare);
	return (struct spread){
		.median = (values[(n - 1) / 2] + values[n / 2]) / 2,
		.least = values[0],
		.most = values[n - 1],
	};
}
