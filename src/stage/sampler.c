/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sampler.h"

#include "base/integers.h"
#include "base/portable_math.h"
#include "stage/filter.h"
#include "stage/philox.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* The state of a row. */
struct row {
	const struct sampling *sampling;
	struct token_record *record;
	struct logit_row logits;
	double total;			/* the sum of e^(logit - best), if needed */
	struct candidate bound;		/* the worst candidate that may be drawn */
	struct search_scratch scratch;
};

struct sampler {
	struct backend *backend;
	uint32_t n_vocab;
	uint32_t n_blocks;
	float *maxima;			/* [max_rows][n_blocks] */
	double *sums;			/* likewise */
	struct logit_sum *wanted;	/* [max_rows] sums of one call */
	struct row *rows;		/* [max_rows] */
	uint32_t n_rows;		/* of this call */
};

uint64_t sampler_bytes(uint32_t n_vocab, uint32_t max_rows)
{
	const struct sampler *s = NULL;	/* for the sizes of its arrays' elements */
	uint64_t n_blocks = div_up(n_vocab, BACKEND_LOGIT_BLOCK);

	return sizeof *s + max_rows * (n_blocks * (sizeof *s->maxima + sizeof *s->sums) +
				       sizeof *s->wanted + sizeof *s->rows);
}

enum sc_status sampler_create(struct backend *backend, uint32_t n_vocab, uint32_t max_rows,
			      struct sampler **sampler_out)
{
	struct sampler *sampler = calloc(1, sizeof *sampler);
	size_t n_blocks = div_up(n_vocab, BACKEND_LOGIT_BLOCK);

	if (!sampler)
		return SC_E_NOMEM;
	sampler->backend = backend;
	sampler->n_vocab = n_vocab;
	sampler->n_blocks = (uint32_t)n_blocks;
	sampler->maxima = calloc(max_rows * n_blocks, sizeof *sampler->maxima);
	sampler->sums = calloc(max_rows * n_blocks, sizeof *sampler->sums);
	sampler->wanted = calloc(max_rows, sizeof *sampler->wanted);
	sampler->rows = calloc(max_rows, sizeof *sampler->rows);
	if (!sampler->maxima || !sampler->sums || !sampler->wanted || !sampler->rows) {
		sampler_destroy(sampler);
		return SC_E_NOMEM;
	}
	*sampler_out = sampler;
	return SC_OK;
}

void sampler_destroy(struct sampler *sampler)
{
	if (!sampler)
		return;
	free(sampler->maxima);
	free(sampler->sums);
	free(sampler->wanted);
	free(sampler->rows);
	free(sampler);
}

/* --- what a row needs --- */

static bool is_fine(const struct row *row)
{
	return row->record->fault == TOKEN_FAULT_NONE;
}

static bool wants_logprob(const struct row *row)
{
	return is_fine(row) && (!row->sampling || (row->sampling->flags & SAMPLING_LOGPROB));
}

static bool is_greedy(const struct sampling *sampling)
{
	return sampling->temperature == 0 || sampling->top_k == 1;
}

static bool wants_draw(const struct row *row)
{
	return is_fine(row) && row->sampling && !is_greedy(row->sampling);
}

static bool wants_total(const struct row *row)
{
	return wants_logprob(row) ||
	       (wants_draw(row) && filter_needs_total(row->sampling, row->logits.n));
}

/* --- the largest logit, and faults --- */

/* Searches the first block with a fault; logit_maxima gives NaN for such a block. */
static enum token_fault find_odd(const struct logit_row *row, uint32_t block, uint32_t *token_out)
{
	uint32_t token = block * BACKEND_LOGIT_BLOCK;

	while (row->logits[token] < INFINITY)
		token++;
	*token_out = token;
	return isnan(row->logits[token]) ? TOKEN_FAULT_NAN : TOKEN_FAULT_INFINITE;
}

/* With a fault, *token_out is the first token whose logit has it. */
static enum token_fault find_best(struct logit_row *row, uint32_t *token_out)
{
	float largest = -INFINITY;
	uint32_t block = 0, token;

	for (uint32_t i = 0; i < row->n_blocks; i++) {
		if (isnan(row->maxima[i]))
			return find_odd(row, i, token_out);
		if (row->maxima[i] > largest) {
			largest = row->maxima[i];
			block = i;
		}
	}
	*token_out = 0;
	if (largest == -INFINITY)
		return TOKEN_FAULT_EMPTY;
	for (token = block * BACKEND_LOGIT_BLOCK; row->logits[token] != largest;)
		token++;
	row->best = (struct candidate){ row->logits[token], token };
	return TOKEN_FAULT_NONE;
}

static void survey(struct row *row)
{
	struct token_record *record = row->record;
	uint32_t token;

	record->logprob = 0;
	record->fault = find_best(&row->logits, &token);
	if (record->fault)
		record->token = token;
	else if (row->sampling)
		record->token = row->logits.best.token;
}

/* --- sums of weights --- */

static struct logit_sum *want_sum(struct sampler *sampler, uint32_t i, uint32_t *n_wanted)
{
	struct logit_sum *sum = &sampler->wanted[(*n_wanted)++];

	*sum = (struct logit_sum){
		.row = i,
		.largest = sampler->rows[i].logits.best.value,
		.scale = 1,
		.least = filter_keep_all.value,
		.last = filter_keep_all.token,
		.maxima = sampler->rows[i].logits.maxima,
		.sums_out = sampler->sums + (size_t)i * sampler->n_blocks,
	};
	return sum;
}

static double add_up(const double *sums, uint32_t n)
{
	double total = 0;

	for (uint32_t i = 0; i < n; i++)
		total += sums[i];
	return total;
}

static void sum_totals(struct sampler *sampler, const float *logits)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sampler->n_rows; i++)
		if (wants_total(&sampler->rows[i]))
			want_sum(sampler, i, &n);
	if (!n)
		return;
	sampler->backend->ops->logit_sums(sampler->backend, logits, sampler->n_vocab,
					  sampler->wanted, n);
	for (uint32_t i = 0; i < n; i++)
		sampler->rows[sampler->wanted[i].row].total =
			add_up(sampler->wanted[i].sums_out, sampler->n_blocks);
}

static float logprob_of(const struct row *row)
{
	double logprob = (double)row->logits.logits[row->record->token] -
			 (double)row->logits.best.value - portable_log(row->total);

	return fmaxf((float)logprob, -FLT_MAX);
}

/* --- draws --- */

static void bound_row(void *arg, unsigned item)
{
	struct sampler *sampler = arg;
	struct row *row = &sampler->rows[item];

	if (wants_draw(row))
		row->bound = filter_bound(&row->logits, row->sampling, row->total, &row->scratch);
}

/* Returns the token of the block at which the sum of weights (`sum` before the block) exceeds
 * target. If rounding prevents that, returns the last token with a weight. */
static uint32_t draw_in_block(const struct row *row, uint32_t block, double scale, double sum,
			      double target)
{
	const struct logit_row *logits = &row->logits;
	uint32_t first = block * BACKEND_LOGIT_BLOCK, drawn = first;
	uint32_t end = (uint32_t)min_of((uint64_t)first + BACKEND_LOGIT_BLOCK, logits->n);

	for (uint32_t token = first; token < end; token++) {
		struct candidate candidate = { logits->logits[token], token };
		double weight;

		if (candidate_is_better(row->bound, candidate))
			continue;
		weight = portable_exp(((double)candidate.value - (double)logits->best.value) *
				      scale);
		if (weight == 0)
			continue;
		drawn = token;
		sum += weight;
		if (sum > target)
			break;
	}
	return drawn;
}

/* Inverts the cumulative distribution of the tokens that the bound keeps. */
static uint32_t draw(const struct row *row, const struct logit_sum *weights)
{
	const struct sampling *sampling = row->sampling;
	uint32_t n_blocks = row->logits.n_blocks, block = 0;
	double before = 0, sum = 0;
	double target = add_up(weights->sums_out, n_blocks) *
			philox_uniform(sampling->seed, sampling->stream, row->record->position);

	for (uint32_t i = 0; i < n_blocks && !(sum > target); i++) {
		if (weights->sums_out[i] == 0)
			continue;
		block = i;
		before = sum;
		sum += weights->sums_out[i];
	}
	return draw_in_block(row, block, weights->scale, before, target);
}

static void draw_rows(struct sampler *sampler, const float *logits)
{
	const struct backend_ops *ops = sampler->backend->ops;
	uint32_t n = 0;

	for (uint32_t i = 0; i < sampler->n_rows; i++)
		if (wants_draw(&sampler->rows[i]))
			want_sum(sampler, i, &n)->scale =
				1 / (double)sampler->rows[i].sampling->temperature;
	if (!n)
		return;
	ops->share(sampler->backend, sampler->n_rows, bound_row, sampler);
	for (uint32_t i = 0; i < n; i++) {
		const struct row *row = &sampler->rows[sampler->wanted[i].row];

		sampler->wanted[i].least = row->bound.value;
		sampler->wanted[i].last = row->bound.token;
	}
	ops->logit_sums(sampler->backend, logits, sampler->n_vocab, sampler->wanted, n);
	for (uint32_t i = 0; i < n; i++) {
		struct row *row = &sampler->rows[sampler->wanted[i].row];

		row->record->token = draw(row, &sampler->wanted[i]);
	}
}

void sampler_run(struct sampler *sampler, const float *logits, const float *host_logits,
		 const struct sampler_row *rows, uint32_t n_rows)
{
	sampler->backend->ops->logit_maxima(sampler->backend, logits, n_rows, sampler->n_vocab,
					    sampler->maxima);
	sampler->n_rows = n_rows;
	for (uint32_t i = 0; i < n_rows; i++) {
		struct row *row = &sampler->rows[i];

		row->sampling = rows[i].sampling;
		row->record = rows[i].record;
		row->logits = (struct logit_row){
			.logits = host_logits + (size_t)i * sampler->n_vocab,
			.n = sampler->n_vocab,
			.maxima = sampler->maxima + (size_t)i * sampler->n_blocks,
			.n_blocks = sampler->n_blocks,
		};
		survey(row);
	}
	sum_totals(sampler, logits);
	draw_rows(sampler, logits);
	for (uint32_t i = 0; i < n_rows; i++)
		if (wants_logprob(&sampler->rows[i]))
			rows[i].record->logprob = logprob_of(&sampler->rows[i]);
}
