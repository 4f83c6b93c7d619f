/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SHAPERS_H
#define STAGECOACH_STAGE_SHAPERS_H
/*
 * shapers - the samplers of the chain that look at the whole shape of a distribution: top-n-sigma,
 * locally typical, XTC, dynamic temperature.
 * The rules are llama.cpp's. Two points are settled here that its code leaves open: values of
 * -infinity have the probability 0, and of equally typical candidates the lower token comes first.
 * Sums are double and have the order of the candidates.
 * Pure functions over the caller's memory. Thread: any.
 */
#include "stage/candidates.h"
#include "stage/search.h"

/* Sets values below largest - n * (standard deviation) to -infinity. Only finite values count. */
void shape_top_n_sigma(struct candidates *c, float n);

/* Memory for a second order of the candidates. */
struct typical_scratch {
	float *scores;			/* [n_vocab] */
	float *maxima;			/* of blocks of scores */
	struct search_scratch search;
};

/* Locally typical sampling: keeps the fewest candidates whose probabilities sum to more than p,
 * those first whose -log(probability) is closest to the entropy. */
void shape_typical(struct candidates *c, float p, struct typical_scratch *scratch);

/* XTC ("exclude top choices"): of the candidates with at least this probability, only the least
 * probable one stays. */
void shape_xtc(struct candidates *c, float threshold);

/* Dynamic temperature: from temperature - range (at least 0) to temperature + range, with (entropy
 * / largest possible entropy)^exponent. A single candidate has none: the result is 1. */
double dynamic_temperature(const struct candidates *c, float temperature, float range,
			   float exponent);

#endif
