/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_TIMER_H
#define STAGECOACH_BENCH_TIMER_H
/* timer - how long calls take, for the measuring programs. */
#include "base/clock.h"

#include <time.h>

/* In seconds. A single thread is timed by its CPU time, so that other programs disturb less. */
static inline double timer_now(unsigned n_threads)
{
	struct timespec t;

	if (n_threads > 1)
		return clock_seconds(clock_ns());
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds per call: the least of n_trials trials, each of as many calls as fit into `seconds`. One
 * more call before them warms up. */
static inline double timer_least(unsigned n_threads, unsigned n_trials, double seconds,
				 void (*call)(void *arg), void *arg)
{
	double least = 1e9;

	call(arg);
	for (unsigned trial = 0; trial < n_trials; trial++) {
		const double start = timer_now(n_threads);
		double taken;
		unsigned n = 0;

		do {
			call(arg);
			n++;
			taken = timer_now(n_threads) - start;
		} while (taken < seconds);
		if (taken / n < least)
			least = taken / n;
	}
	return least;
}

#endif
