/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_LOGIT_ROW_H
#define STAGECOACH_STAGE_LOGIT_ROW_H
/*
 * logit_row - a row of logits with the maximum of each block, and walks over its candidates.
 * Candidates are totally ordered: of equal logits, that of the lower token counts as better. A set
 * of the best candidates is therefore given by its worst one, the bound.
 * A walk skips blocks whose maximum is below the bound.
 * Pure functions over the caller's memory. Thread: any; several rows may run in parallel.
 */
#include "backend/backend.h"
#include "base/integers.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

struct candidate {
	float value;	/* logit */
	uint32_t token;
};

/* Logits without NaN and +infinity. At least one must be finite. */
struct logit_row {
	const float *logits;	/* [n], host memory */
	uint32_t n;
	const float *maxima;	/* [n_blocks], see BACKEND_LOGIT_BLOCK */
	uint32_t n_blocks;
	struct candidate best;	/* the largest logit; of equal ones that of the lowest token */
};

static inline bool candidate_is_better(struct candidate a, struct candidate b)
{
	return a.value > b.value || (a.value == b.value && a.token < b.token);
}

/* Sets row->best from the maxima. Returns false, and does not set it, if no logit is finite. */
static inline bool logit_row_find_best(struct logit_row *row)
{
	uint32_t block = 0, token;

	for (uint32_t i = 1; i < row->n_blocks; i++)
		if (row->maxima[i] > row->maxima[block])
			block = i;
	if (row->maxima[block] == -INFINITY)
		return false;
	for (token = block * BACKEND_LOGIT_BLOCK; row->logits[token] != row->maxima[block];)
		token++;
	row->best = (struct candidate){ row->logits[token], token };
	return true;
}

/* Visits the candidates of a row down to a bound, in order of token. */
struct walk {
	const struct logit_row *row;
	struct candidate worst;		/* the worst candidate that is still visited */
	uint32_t token;			/* the next token to look at */
	uint32_t end;			/* end of the block that contains token */
};

static inline struct walk walk_row(const struct logit_row *row, struct candidate worst)
{
	return (struct walk){ .row = row, .worst = worst };
}

static inline bool walk_next_block(struct walk *walk)
{
	const struct logit_row *row = walk->row;
	uint32_t block = walk->end / BACKEND_LOGIT_BLOCK + !!(walk->end % BACKEND_LOGIT_BLOCK);

	while (block < row->n_blocks && row->maxima[block] < walk->worst.value)
		block++;
	if (block >= row->n_blocks)
		return false;
	walk->token = block * BACKEND_LOGIT_BLOCK;
	walk->end = (uint32_t)min_of((uint64_t)walk->token + BACKEND_LOGIT_BLOCK, row->n);
	return true;
}

/* Returns false at the end of the row. */
static inline bool walk_next(struct walk *walk, struct candidate *candidate_out)
{
	do {
		for (; walk->token < walk->end; walk->token++) {
			float value = walk->row->logits[walk->token];

			if (value < walk->worst.value ||
			    (value == walk->worst.value && walk->token > walk->worst.token))
				continue;
			*candidate_out = (struct candidate){ value, walk->token++ };
			return true;
		}
	} while (walk_next_block(walk));
	return false;
}

#endif
