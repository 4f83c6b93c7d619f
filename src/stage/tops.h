/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_TOPS_H
#define STAGECOACH_STAGE_TOPS_H
/*
 * tops - log-probabilities by the raw logits of a row, and the row's likeliest tokens.
 * Pure functions over the caller's memory. Thread: any.
 */
#include "stage/search.h"
#include "wire/step.h"

/* The natural logarithm of a token's probability. total: the sum of e^(logit - best) over the row.
 * -infinity becomes the lowest finite number. */
float tops_logprob(const struct logit_row *row, double total, uint32_t token);

/* The n likeliest tokens, best first; of equal ones the lower token first. n is at most
 * STEP_MAX_TOPS_EACH and row->n. */
void tops_find(const struct logit_row *row, double total, uint32_t n,
	      struct search_scratch *scratch, struct token_top *tops_out);

#endif
