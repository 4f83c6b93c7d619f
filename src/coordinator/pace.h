/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PACE_H
#define STAGECOACH_COORDINATOR_PACE_H
/*
 * pace - how long steps take, learnt from steps that were answered.
 *
 * A step costs
 *	a fixed time, to read the weights;
 *	a time for each row;
 *	a time for each position that a row attends to.
 * These three are fitted to the steps seen so far by least squares of the relative error, none of
 * them below 0. Steps with about equally many rows (within a factor of two) are kept as one running
 * mean, so a thousand small steps do not hide what the large ones said. Means that were not
 * renewed for long count for less.
 *
 * Steps are not quite such a sum, because rows are computed in tiles. So a prediction is corrected:
 * it is multiplied by what the mean of about equally many rows took over what the fit says of it.
 *
 * Before steps of different sizes were seen, all time counts as that of rows: too much for larger
 * steps, too little for smaller ones.
 *
 * Plain arithmetic: no clock, no memory of its own.
 */
#include <stdint.h>

enum { PACE_N_MEANS = 32, PACE_N_TERMS = 3 };

/* What the time of a step depends on. */
struct pace_load {
	uint32_t n_rows;
	uint64_t n_positions;	/* that its rows attend to, all together */
};

struct pace_mean {
	double terms[PACE_N_TERMS];	/* 1, rows, positions */
	double ns;
	uint64_t seen_at;		/* value of n_seen then; 0: never */
};

struct pace {
	struct pace_mean means[PACE_N_MEANS];	/* by the bits of n_rows */
	double ns_of[PACE_N_TERMS];
	uint64_t n_seen;
};

/* Rows of a sequence from position first on. */
static inline uint64_t pace_positions(uint32_t first, uint32_t n_rows)
{
	return (uint64_t)n_rows * first + (uint64_t)n_rows * (n_rows + 1) / 2;
}

/* A step of one row at least took ns. */
void pace_note(struct pace *pace, struct pace_load load, double ns);

/* The time that a step will take, in ns; 0 before the first was noted. */
double pace_predict(const struct pace *pace, struct pace_load load);

/* How many rows of one sequence, from position first on, can be added to a step with this load, so
 * that all of it takes ns at most. */
uint32_t pace_rows_within(const struct pace *pace, struct pace_load load, double ns,
			  uint32_t first);

#endif
