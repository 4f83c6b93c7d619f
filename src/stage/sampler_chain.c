/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/sampler_chain.h"

#include "stage/filter.h"
#include "stage/inversion.h"
#include "stage/penalties.h"
#include "stage/philox.h"
#include "stage/shapers.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The random number that decides whether XTC applies is independent of the draw's. */
#define XTC_STREAM UINT32_C(0x80000000)

struct sampler_chain {
	const struct backend *backend;
	struct candidates candidates;
	double temperature;		/* values are still to be divided by it */
	struct typical_scratch scratch;
	double *sums;			/* of weights in blocks of candidates */
	uint32_t *marks;		/* [n_vocab], zeros between samplers */
	uint32_t *tokens;		/* [max_context] past tokens of the row */
	uint32_t *lengths;		/* [max_context] */
};

static const uint8_t default_order[] = {
	SAMPLER_PENALTIES, SAMPLER_DRY, SAMPLER_TOP_N_SIGMA, SAMPLER_TOP_K, SAMPLER_TYPICAL,
	SAMPLER_TOP_P, SAMPLER_MIN_P, SAMPLER_XTC, SAMPLER_TEMPERATURE, SAMPLER_NONE,
};

/* --- memory --- */

static uint32_t n_blocks_of(uint32_t n_vocab)
{
	return (uint32_t)div_up(n_vocab, BACKEND_LOGIT_BLOCK);
}

uint64_t sampler_chain_position_bytes(void)
{
	const struct sampler_chain *chain = NULL;	/* for the sizes of its arrays' elements */

	return sizeof *chain->tokens + sizeof *chain->lengths;
}

uint64_t sampler_chain_bytes(uint32_t n_vocab, uint32_t max_context)
{
	const struct sampler_chain *chain = NULL;

	return sizeof *chain + candidates_bytes(n_vocab) +
	       n_blocks_of(n_vocab) * (sizeof *chain->sums + sizeof *chain->scratch.maxima) +
	       n_vocab * (sizeof *chain->marks + sizeof *chain->scratch.scores) +
	       max_context * sampler_chain_position_bytes();
}

enum sc_status sampler_chain_create(const struct backend *backend, uint32_t n_vocab,
				    uint32_t max_context, struct sampler_chain **chain_out)
{
	struct sampler_chain *chain = calloc(1, sizeof *chain);
	uint32_t n_blocks = n_blocks_of(n_vocab);

	if (!chain)
		return SC_E_NOMEM;
	chain->backend = backend;
	chain->scratch.scores = calloc(n_vocab, sizeof *chain->scratch.scores);
	chain->scratch.maxima = calloc(n_blocks, sizeof *chain->scratch.maxima);
	chain->sums = calloc(n_blocks, sizeof *chain->sums);
	chain->marks = calloc(n_vocab, sizeof *chain->marks);
	chain->tokens = calloc(max_context, sizeof *chain->tokens);
	chain->lengths = calloc(max_context, sizeof *chain->lengths);
	if (candidates_init(&chain->candidates, n_vocab) != SC_OK || !chain->scratch.scores ||
	    !chain->scratch.maxima || !chain->sums || !chain->marks || !chain->tokens ||
	    !chain->lengths) {
		sampler_chain_destroy(chain);
		return SC_E_NOMEM;
	}
	*chain_out = chain;
	return SC_OK;
}

void sampler_chain_destroy(struct sampler_chain *chain)
{
	if (!chain)
		return;
	candidates_deinit(&chain->candidates);
	free(chain->scratch.scores);
	free(chain->scratch.maxima);
	free(chain->sums);
	free(chain->marks);
	free(chain->tokens);
	free(chain->lengths);
	free(chain);
}

/* --- which samplers are on --- */

static const uint8_t *order_of(const struct sampling *s)
{
	return s->order[0] ? s->order : default_order;
}

static bool are_bans_on(const struct sampling *s, uint32_t position)
{
	return s->n_bans && position < (uint64_t)s->n_prompt + s->min_tokens;
}

static bool is_xtc_on(const struct sampling *s)
{
	return s->xtc_probability > 0 && s->xtc_threshold <= 0.5f;
}

/* Samplers that can drop the best candidate or change the order of candidates. */
static bool changes_best(const struct sampling *s)
{
	return s->typical_p < 1 || is_xtc_on(s) || s->dynatemp_range > 0;
}

static bool is_default_order(const struct sampling *s)
{
	return !s->order[0] || !memcmp(s->order, default_order, sizeof default_order);
}

bool sampler_chain_is_idle(const struct sampling *s, uint32_t position)
{
	return is_default_order(s) && !s->n_biases && !are_bans_on(s, position) &&
	       !penalties_are_on(s) && !dry_is_on(s) && s->top_n_sigma == 0 && !changes_best(s);
}

/* --- the tokens so far --- */

static uint32_t reach(bool is_on, uint32_t last_n)
{
	return !is_on ? 0 : last_n ? last_n : UINT32_MAX;
}

/* Copies as many of the last tokens as a sampler looks at. */
static struct past_tokens read_past(struct sampler_chain *chain, const struct chain_row *row)
{
	const struct sampling *s = row->sampling;
	uint32_t n_output = row->position - (uint32_t)min_of(row->position, s->n_prompt);
	uint32_t penalties = reach(penalties_are_on(s), s->penalty_last_n);
	uint32_t dry = reach(dry_is_on(s), s->dry_last_n);
	uint32_t n = (uint32_t)min_of(max_of(penalties, dry), row->position);

	past_read(&row->past, row->position - n, n, chain->tokens);
	return (struct past_tokens){ chain->tokens, n, (uint32_t)min_of(n_output, n) };
}

/* --- the samplers --- */

static void add_biases(struct candidates *c, const struct chain_row *row)
{
	const struct sampling *s = row->sampling;
	const struct sampling_bias *biases = sampling_biases(s);
	const uint32_t *bans = sampling_bans(s);
	bool has_bans = are_bans_on(s, row->position);

	for (uint32_t i = 0; i < s->n_biases; i++) {
		uint32_t token = biases[i].token;

		candidates_set(c, token, fminf(c->values[token] + biases[i].bias, FLT_MAX));
	}
	for (uint32_t i = 0; has_bans && i < s->n_bans; i++)
		candidates_set(c, bans[i], -INFINITY);
}

static void keep_best(struct candidates *c)
{
	struct logit_row row;

	if (candidates_row(c, &row))
		candidates_keep(c, &row, row.best);
}

/* Divides the values by the temperature, for samplers that come after it. If the best value leaves
 * float's range, then so do all differences between values. */
static void settle_temperature(struct sampler_chain *chain)
{
	struct candidates *c = &chain->candidates;
	double temperature = chain->temperature;
	struct logit_row row;

	chain->temperature = 1;
	if (temperature == 1 || !candidates_row(c, &row))
		return;
	if (fabs((double)row.best.value / temperature) > (double)FLT_MAX) {
		keep_best(c);
		return;
	}
	for (uint32_t i = 0; i < c->n; i++)
		c->values[i] = (float)((double)c->values[i] / temperature);
	candidates_survey(c);
}

static void set_temperature(struct sampler_chain *chain, const struct sampling *s)
{
	double temperature = (double)s->temperature;

	if (s->dynatemp_range > 0)
		temperature = dynamic_temperature(&chain->candidates, s->temperature,
						  s->dynatemp_range, s->dynatemp_exponent);
	if (temperature == 0)
		keep_best(&chain->candidates);
	else
		chain->temperature = temperature;
}

/* Sets the sums of e^((value - best) * scale) of each block of candidates. Returns their sum. */
static double weigh(struct sampler_chain *chain, const struct logit_row *row, double scale)
{
	const struct backend *backend = chain->backend;
	double total = 0;

	for (uint32_t block = 0; block < row->n_blocks; block++) {
		uint32_t first = block * BACKEND_LOGIT_BLOCK;
		uint32_t n = (uint32_t)min_of(row->n - first, BACKEND_LOGIT_BLOCK);

		chain->sums[block] = backend->ops->weigh_block(backend, row->logits + first, n,
							       row->best.value, scale);
		total += chain->sums[block];
	}
	return total;
}

static void run_top_k(struct sampler_chain *chain, uint32_t k)
{
	struct candidates *c = &chain->candidates;
	struct logit_row row;

	if (!k || !candidates_row(c, &row))
		return;
	candidates_keep_masked(c, k - (uint32_t)min_of(k, c->n));
	if (k < c->n)
		candidates_keep(c, &row, search_count(&row, k, &chain->scratch.search));
}

static void run_top_p(struct sampler_chain *chain, float p)
{
	struct candidates *c = &chain->candidates;
	struct logit_row row;

	if (p >= 1 || !candidates_row(c, &row))
		return;
	candidates_keep_masked(c, 0);
	candidates_keep(c, &row, filter_top_p(&row, filter_keep_all,
					      (double)p * weigh(chain, &row, 1),
					      &chain->scratch.search));
}

static void run_min_p(struct sampler_chain *chain, float min_p)
{
	struct candidates *c = &chain->candidates;
	struct logit_row row;

	if (min_p <= 0 || !candidates_row(c, &row))
		return;
	candidates_keep_masked(c, 0);
	candidates_keep(c, &row, filter_min_p(&row, filter_keep_all, min_p));
}

static void run_typical(struct sampler_chain *chain, float p)
{
	if (p >= 1)
		return;
	candidates_keep_masked(&chain->candidates, 0);
	shape_typical(&chain->candidates, p, &chain->scratch);
}

static void run_xtc(struct sampler_chain *chain, const struct chain_row *row)
{
	const struct sampling *s = row->sampling;

	if (is_xtc_on(s) && philox_uniform(s->seed, s->stream | XTC_STREAM, row->position) <
	    (double)s->xtc_probability)
		shape_xtc(&chain->candidates, s->xtc_threshold);
}

static void run_sampler(struct sampler_chain *chain, enum sampler_kind kind,
			const struct chain_row *row, const struct past_tokens *past)
{
	struct candidates *c = &chain->candidates;
	const struct sampling *s = row->sampling;

	switch (kind) {
	case SAMPLER_PENALTIES:
		if (penalties_are_on(s))
			penalties_apply(c, s, past, chain->marks);
		break;
	case SAMPLER_DRY:
		if (dry_is_on(s))
			dry_apply(c, s, past, chain->marks, chain->lengths);
		break;
	case SAMPLER_TOP_N_SIGMA:
		if (s->top_n_sigma > 0)
			shape_top_n_sigma(c, s->top_n_sigma);
		break;
	case SAMPLER_TOP_K:
		run_top_k(chain, s->top_k);
		break;
	case SAMPLER_TYPICAL:
		run_typical(chain, s->typical_p);
		break;
	case SAMPLER_TOP_P:
		run_top_p(chain, s->top_p);
		break;
	case SAMPLER_MIN_P:
		run_min_p(chain, s->min_p);
		break;
	case SAMPLER_XTC:
		run_xtc(chain, row);
		break;
	case SAMPLER_TEMPERATURE:
		set_temperature(chain, s);
		break;
	case SAMPLER_NONE:
	case N_SAMPLERS:
		break;
	}
}

/* --- the draw --- */

static uint32_t invert(struct sampler_chain *chain, const struct logit_row *left,
		       const struct chain_row *row)
{
	const struct sampling *s = row->sampling;
	double scale = 1 / chain->temperature;

	(void)weigh(chain, left, scale);
	return inversion_draw(left, filter_keep_all, scale, chain->sums,
			      philox_uniform(s->seed, s->stream, row->position));
}

/* Greedy, with nothing in the chain that could drop the best candidate: only its beginning needs to
 * run. */
static bool takes_best(const struct sampling *s)
{
	return s->temperature == 0 && is_default_order(s) && !changes_best(s);
}

bool sampler_chain_draw(struct sampler_chain *chain, const struct chain_row *row,
			uint32_t *token_out)
{
	const struct sampling *s = row->sampling;
	const uint8_t *order = order_of(s);
	struct past_tokens past = read_past(chain, row);
	struct candidates *c = &chain->candidates;
	struct logit_row left;
	uint32_t i;

	candidates_fill(c, row->logits);
	chain->temperature = 1;
	add_biases(c, row);
	for (; *order && !(takes_best(s) && *order > SAMPLER_DRY); order++) {
		settle_temperature(chain);
		run_sampler(chain, *order, row, &past);
	}
	if (!candidates_row(c, &left))
		return false;
	i = takes_best(s) ? left.best.token : invert(chain, &left, row);
	*token_out = candidates_token(c, i);
	return true;
}
