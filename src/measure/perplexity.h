/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MEASURE_PERPLEXITY_H
#define STAGECOACH_MEASURE_PERPLEXITY_H
/*
 * perplexity - how well a model knows a text: e to the mean of -log p over its tokens.
 *
 * Which tokens: the text is cut into chunks of n tokens; the first of each becomes BOS where the
 * vocabulary asks for one, and those from perplexity_first_scored(n) on are scored, so that each
 * has half a chunk or more before it. This is what llama.cpp's llama-perplexity does by default,
 * and numbers of the two may be compared.
 * Thread: any, one at a time.
 */
#include <stddef.h>
#include <stdint.h>

/* All zeros: nothing was added. */
struct perplexity {
	double sum;		/* of -log p */
	double sum_of_squares;
	uint64_t n;
};

/* The index in a chunk of n_chunk >= 4 tokens from which they are scored. */
static inline uint32_t perplexity_first_scored(uint32_t n_chunk)
{
	return n_chunk / 2 + 1;
}

void perplexity_add(struct perplexity *perplexity, const float *logprobs, size_t n);

/* At least one token was added. */
double perplexity_value(const struct perplexity *perplexity);
/* The standard error of the value; 0 for a single token. */
double perplexity_error(const struct perplexity *perplexity);

#endif
