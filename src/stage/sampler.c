/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sampler.h"

#include "base/integers.h"
#include "stage/filter.h"
#include "stage/inversion.h"
#include "stage/philox.h"
#include "stage/sampler_chain.h"
#include "stage/tops.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* The most chains that run at the same time. Together they draw 64 rows faster than any step of so
 * many rows is computed, and each has memory for a vocabulary. */
#define MAX_CHAINS 16

/* The state of a row. */
struct row {
	const struct sampler_row *asked;
	const struct sampling *sampling;
	struct token_record *record;
	bool is_chained;		/* drawn by a chain */
	struct logit_row logits;
	double total;			/* the sum of e^(logit - best), if needed */
	struct candidate bound;		/* the worst candidate that may be drawn */
	struct token_top *tops;
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
	struct sampler_chain **chains;	/* [n_chains] */
	uint32_t n_chains;
	atomic_uint next_row;		/* the next row to look at for a chain */
};

struct sampler_sizes sampler_sizes(uint32_t n_vocab, uint32_t max_rows)
{
	const struct sampler *s = NULL;	/* for the sizes of its arrays' elements */
	uint64_t n_blocks = div_up(n_vocab, BACKEND_LOGIT_BLOCK);

	return (struct sampler_sizes){
		.fixed_bytes = sizeof *s +
			       max_rows * (n_blocks * (sizeof *s->maxima + sizeof *s->sums) +
					   sizeof *s->wanted + sizeof *s->rows),
		.thread_bytes = sizeof *s->chains + sampler_chain_bytes(n_vocab, 0),
		.thread_position_bytes = sampler_chain_position_bytes(),
		.max_threads = (uint32_t)min_of(MAX_CHAINS, max_rows),
	};
}

static enum sc_status create_chains(struct sampler *sampler, uint32_t max_rows,
				    uint32_t max_context)
{
	unsigned n_threads = sampler->backend->ops->n_threads(sampler->backend);
	uint32_t n = (uint32_t)min_of(min_of(MAX_CHAINS, max_rows), n_threads);
	enum sc_status status = SC_OK;

	sampler->chains = calloc(n, sizeof *sampler->chains);
	if (!sampler->chains)
		return SC_E_NOMEM;
	sampler->n_chains = n;
	for (uint32_t i = 0; !status && i < n; i++)
		status = sampler_chain_create(sampler->backend, sampler->n_vocab, max_context,
					      &sampler->chains[i]);
	return status;
}

enum sc_status sampler_create(struct backend *backend, uint32_t n_vocab, uint32_t max_rows,
			      uint32_t max_context, struct sampler **sampler_out)
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
	if (!sampler->maxima || !sampler->sums || !sampler->wanted || !sampler->rows ||
	    create_chains(sampler, max_rows, max_context) != SC_OK) {
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
	for (uint32_t i = 0; i < sampler->n_chains; i++)
		sampler_chain_destroy(sampler->chains[i]);
	free(sampler->chains);
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
	return is_fine(row) && row->sampling && !row->is_chained && !is_greedy(row->sampling);
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
	for (uint32_t i = 0; i < row->n_blocks; i++)
		if (isnan(row->maxima[i]))
			return find_odd(row, i, token_out);
	*token_out = 0;
	return logit_row_find_best(row) ? TOKEN_FAULT_NONE : TOKEN_FAULT_EMPTY;
}

static void survey(struct row *row)
{
	struct token_record *record = row->record;
	uint32_t token;

	record->logprob = 0;
	record->n_tops = 0;
	record->fault = find_best(&row->logits, &token);
	if (record->fault)
		record->token = token;
	else if (row->sampling)
		record->token = row->logits.best.token;
}

static void start_row(struct sampler *sampler, uint32_t i, const struct sampler_row *asked,
		      const float *host_logits)
{
	struct row *row = &sampler->rows[i];

	row->asked = asked;
	row->sampling = asked->sampling;
	row->record = asked->record;
	row->is_chained = row->sampling &&
			  !sampler_chain_is_idle(row->sampling, row->record->position);
	row->logits = (struct logit_row){
		.logits = host_logits + (size_t)i * sampler->n_vocab,
		.n = sampler->n_vocab,
		.maxima = sampler->maxima + (size_t)i * sampler->n_blocks,
		.n_blocks = sampler->n_blocks,
	};
	survey(row);
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

/* --- draws by top-k, top-p, min-p and temperature alone --- */

static void bound_row(void *arg, unsigned item)
{
	struct sampler *sampler = arg;
	struct row *row = &sampler->rows[item];

	if (wants_draw(row))
		row->bound = filter_bound(&row->logits, row->sampling, row->total, &row->scratch);
}

static uint32_t draw(const struct row *row, const struct logit_sum *weights)
{
	const struct sampling *sampling = row->sampling;

	return inversion_draw(&row->logits, row->bound, weights->scale, weights->sums_out,
			      philox_uniform(sampling->seed, sampling->stream,
					     row->record->position));
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

/* --- draws by chains --- */

static bool wants_chain(const struct row *row)
{
	return is_fine(row) && row->is_chained;
}

static void draw_chained(struct sampler_chain *chain, struct row *row)
{
	struct token_record *record = row->record;
	const struct chain_row asked = {
		.sampling = row->sampling,
		.logits = &row->logits,
		.position = record->position,
		.past = row->asked->past,
	};

	if (sampler_chain_draw(chain, &asked, &record->token))
		return;
	record->fault = TOKEN_FAULT_BARRED;
	record->token = 0;
}

/* A chain draws one row after the other, until all rows are taken. */
static void run_chain(void *arg, unsigned item)
{
	struct sampler *sampler = arg;
	uint32_t i;

	while ((i = atomic_fetch_add(&sampler->next_row, 1)) < sampler->n_rows)
		if (wants_chain(&sampler->rows[i]))
			draw_chained(sampler->chains[item], &sampler->rows[i]);
}

static void run_chains(struct sampler *sampler)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sampler->n_rows; i++)
		n += wants_chain(&sampler->rows[i]);
	atomic_store(&sampler->next_row, 0);
	if (n)
		sampler->backend->ops->share(sampler->backend,
					     (unsigned)min_of(n, sampler->n_chains), run_chain,
					     sampler);
}

/* --- log-probabilities --- */

static void find_tops(void *arg, unsigned item)
{
	struct sampler *sampler = arg;
	struct row *row = &sampler->rows[item];

	tops_find(&row->logits, row->total, row->record->n_tops, &row->scratch, row->tops);
}

static uint32_t set_logprobs(struct sampler *sampler, struct token_top *tops_out)
{
	uint32_t n_tops = 0;

	for (uint32_t i = 0; i < sampler->n_rows; i++) {
		struct row *row = &sampler->rows[i];

		if (!wants_logprob(row))
			continue;
		row->record->logprob = tops_logprob(&row->logits, row->total, row->record->token);
		row->record->n_tops = row->asked->n_tops;
		row->tops = tops_out + n_tops;
		n_tops += row->asked->n_tops;
	}
	if (n_tops)
		sampler->backend->ops->share(sampler->backend, sampler->n_rows, find_tops,
					     sampler);
	return n_tops;
}

uint32_t sampler_run(struct sampler *sampler, const float *logits, const float *host_logits,
		     const struct sampler_row *rows, uint32_t n_rows, struct token_top *tops_out)
{
	sampler->backend->ops->logit_maxima(sampler->backend, logits, n_rows, sampler->n_vocab,
					    sampler->maxima);
	sampler->n_rows = n_rows;
	for (uint32_t i = 0; i < n_rows; i++)
		start_row(sampler, i, &rows[i], host_logits);
	sum_totals(sampler, logits);
	draw_rows(sampler, logits);
	run_chains(sampler);
	return set_logprobs(sampler, tops_out);
}
