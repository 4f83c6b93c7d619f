/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t n_blocks_of(uint32_t n)
{
	return (uint32_t)div_up(n, BACKEND_LOGIT_BLOCK);
}

uint64_t candidates_bytes(uint32_t n_vocab)
{
	const struct candidates *c = NULL;	/* for the sizes of its arrays' elements */

	return (uint64_t)n_vocab * (sizeof *c->values + sizeof *c->tokens) +
	       n_blocks_of(n_vocab) * sizeof *c->maxima;
}

enum sc_status candidates_init(struct candidates *c, uint32_t n_vocab)
{
	*c = (struct candidates){
		.values = calloc(n_vocab, sizeof *c->values),
		.tokens = calloc(n_vocab, sizeof *c->tokens),
		.maxima = calloc(n_blocks_of(n_vocab), sizeof *c->maxima),
	};
	return c->values && c->tokens && c->maxima ? SC_OK : SC_E_NOMEM;
}

void candidates_deinit(struct candidates *c)
{
	free(c->values);
	free(c->tokens);
	free(c->maxima);
	*c = (struct candidates){ 0 };
}

void candidates_fill(struct candidates *c, const struct logit_row *row)
{
	c->n = row->n;
	c->n_masked = 0;
	c->is_whole = true;
	memcpy(c->values, row->logits, row->n * sizeof *row->logits);
	memcpy(c->maxima, row->maxima, row->n_blocks * sizeof *row->maxima);
}

/* Several maxima side by side, because each comparison waits for the one before it. */
static float maximum(const float *values, uint32_t n)
{
	enum { SIDE = 8 };
	float max[SIDE];
	uint32_t i = 0;

	for (uint32_t k = 0; k < SIDE; k++)
		max[k] = -INFINITY;
	for (; i + SIDE <= n; i += SIDE)
		for (uint32_t k = 0; k < SIDE; k++)
			max[k] = values[i + k] > max[k] ? values[i + k] : max[k];
	for (; i < n; i++)
		max[0] = values[i] > max[0] ? values[i] : max[0];
	for (uint32_t k = 1; k < SIDE; k++)
		max[0] = max[k] > max[0] ? max[k] : max[0];
	return max[0];
}

static void survey_block(struct candidates *c, uint32_t block)
{
	uint32_t first = block * BACKEND_LOGIT_BLOCK;

	c->maxima[block] = maximum(c->values + first,
				   (uint32_t)min_of(c->n - first, BACKEND_LOGIT_BLOCK));
}

void candidates_survey(struct candidates *c)
{
	for (uint32_t block = 0; block < n_blocks_of(c->n); block++)
		survey_block(c, block);
}

void candidates_set(struct candidates *c, uint32_t i, float value)
{
	uint32_t block = i / BACKEND_LOGIT_BLOCK;
	float before = c->values[i];

	c->values[i] = value;
	if (value >= c->maxima[block])
		c->maxima[block] = value;
	else if (before == c->maxima[block])
		survey_block(c, block);
}

bool candidates_row(const struct candidates *c, struct logit_row *row_out)
{
	*row_out = (struct logit_row){
		.logits = c->values, .n = c->n,
		.maxima = c->maxima, .n_blocks = n_blocks_of(c->n),
	};
	return logit_row_find_best(row_out);
}

/* In place: what is kept moves to the front. */
static void keep_candidate(struct candidates *c, uint32_t i, uint32_t *n_kept)
{
	c->tokens[*n_kept] = candidates_token(c, i);
	c->values[(*n_kept)++] = c->values[i];
}

static void end_keeping(struct candidates *c, uint32_t n_kept)
{
	c->n = n_kept;
	c->is_whole = false;
	candidates_survey(c);
}

void candidates_keep(struct candidates *c, const struct logit_row *by, struct candidate bound)
{
	struct walk walk = walk_row(by, bound);
	struct candidate candidate;
	uint32_t n_kept = 0;

	while (walk_next(&walk, &candidate))
		keep_candidate(c, candidate.token, &n_kept);
	end_keeping(c, n_kept);
}

void candidates_mask(struct candidates *c, double least)
{
	uint32_t n_before = c->n, n_masked = c->n_masked;
	struct candidate bound = { (float)least, UINT32_MAX };
	struct logit_row row;

	if ((double)bound.value < least)
		bound.value = nextafterf(bound.value, INFINITY);
	if (!candidates_row(c, &row))
		return;
	candidates_keep(c, &row, bound);
	c->n_masked = n_masked + n_before - c->n;
}

void candidates_drop_better(struct candidates *c, struct candidate bound)
{
	uint32_t n_kept = 0;

	for (uint32_t i = 0; i < c->n; i++)
		if (!candidate_is_better((struct candidate){ c->values[i], i }, bound))
			keep_candidate(c, i, &n_kept);
	end_keeping(c, n_kept);
}
