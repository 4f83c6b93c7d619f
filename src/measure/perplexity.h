/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MEASURE_PERPLEXITY_H
#define STAGECOACH_MEASURE_PERPLEXITY_H
/*
 * perplexity - measures how well a model predicts a text: e to the mean of -log p over its tokens.
 *
 * Scored tokens: the text is cut into chunks of n tokens. The first token of each chunk becomes BOS
 * if the vocabulary asks for it. Tokens from perplexity_first_scored(n) on are scored, so each has
 * at least half a chunk before it. llama.cpp's llama-perplexity does the same by default, so
 * results can be compared.
 * Thread: any, one at a time.
 */
#include <stddef.h>
#include <stdint.h>

/* Start with all zeros. */
struct perplexity {
	double sum;		/* of -log p */
	double sum_of_squares;
	uint64_t n;
};

/* The index of the first scored token in a chunk of n_chunk >= 4 tokens. */
static inline uint32_t perplexity_first_scored(uint32_t n_chunk)
{
	return n_chunk / 2 + 1;
}

void perplexity_add(struct perplexity *perplexity, const float *logprobs, size_t n);

/* At least one token must have been added. */
double perplexity_value(const struct perplexity *perplexity);
/* The standard error of the value; 0 for a single token. */
double perplexity_error(const struct perplexity *perplexity);

#endif
