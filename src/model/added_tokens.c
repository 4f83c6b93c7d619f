/* SPDX-License-Identifier: Apache-2.0 */
#include "model/added_tokens.h"

#include "model/pairmap.h"
#include "model/special_trie.h"
#include "model/unicode_class.h"

#include <stdlib.h>

#define NO_STEP UINT32_MAX

struct node {
	uint32_t step;		/* of the token that ends here, or NO_STEP */
};

struct added_tokens {
	struct pipeline_steps steps;
	uint8_t *places;	/* [steps.n], enum added_place */
	struct pairmap *edges;	/* (node, byte) to node */
	struct node *nodes;	/* [0] is the root */
	size_t n_nodes;
	bool begins[256];	/* some token begins with this byte */
	bool eats_space;
};

/* Where a token may match. */
enum added_place { PLACE_ANY, PLACE_LOOKS_LIKE_CONTROL, PLACE_CONTROL };

static bool is_of_set(const struct pipeline_step *step, bool is_normalized)
{
	return !(step->args[1].number & ADDED_NORMALIZED) == !is_normalized;
}

static enum added_place place_of(const struct pipeline_step *step, const struct vocab *vocab)
{
	const uint32_t token = step->args[0].number;

	if (step->args[1].number & ADDED_SPECIAL || vocab->flags[token] & VOCAB_IS_END)
		return PLACE_CONTROL;
	return special_looks_like_control(step->args[2].text) ? PLACE_LOOKS_LIKE_CONTROL
							      : PLACE_ANY;
}

static enum sc_status add_text(struct added_tokens *tokens, struct masked_text text, uint32_t step)
{
	uint64_t at = 0;

	if (!text.n)
		return SC_OK;
	for (size_t i = 0; i < text.n; i++) {
		const uint8_t byte = (uint8_t)text.data[i];
		uint64_t next;
		enum sc_status status;

		if (!pairmap_find(tokens->edges, (uint32_t)at, byte, &next)) {
			next = tokens->n_nodes++;
			tokens->nodes[next].step = NO_STEP;
			status = pairmap_add(tokens->edges, (uint32_t)at, byte, next);
			if (status)
				return status;
		}
		at = next;
	}
	tokens->begins[(uint8_t)text.data[0]] = true;
	if (tokens->nodes[at].step == NO_STEP)
		tokens->nodes[at].step = step;
	return SC_OK;
}

/* The text by which a token is found. Borrows from the step or from scratch. */
static enum sc_status text_of(const struct pipeline_step *step, const struct normalizer *normalizer,
			      struct normalizer_scratch *scratch, struct masked_text *text_out,
			      struct error *err)
{
	*text_out = (struct masked_text){
		.data = step->args[2].text.data, .n = step->args[2].text.length,
	};
	if (!(step->args[1].number & ADDED_NORMALIZED))
		return SC_OK;
	return normalizer_run(normalizer, *text_out, scratch, text_out, err);
}

/* Adds the tokens of the set; without a trie yet, only counts the bytes of their texts. */
static enum sc_status for_all(struct added_tokens *tokens, bool is_normalized,
			      const struct normalizer *normalizer, size_t *n_bytes,
			      struct error *err)
{
	struct normalizer_scratch scratch = NORMALIZER_SCRATCH_INIT;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < tokens->steps.n && !status; i++) {
		struct masked_text text;

		if (!is_of_set(&tokens->steps.steps[i], is_normalized))
			continue;
		status = text_of(&tokens->steps.steps[i], normalizer, &scratch, &text, err);
		if (!status && tokens->nodes)
			status = add_text(tokens, text, (uint32_t)i);
		else if (!status)
			*n_bytes += text.n;
	}
	normalizer_scratch_deinit(&scratch);
	return status;
}

enum sc_status added_tokens_create(struct pipeline_steps steps, bool is_normalized,
				   const struct vocab *vocab,
				   const struct normalizer *normalizer,
				   struct added_tokens **tokens_out, struct error *err)
{
	struct added_tokens *tokens = calloc(1, sizeof *tokens);
	size_t n_bytes = 0;
	enum sc_status status = SC_E_NOMEM;

	if (!tokens)
		return error_set(err, status, "no memory for added tokens");
	tokens->steps = steps;
	tokens->places = malloc(steps.n + 1);
	if (!tokens->places)
		goto fail;
	for (size_t i = 0; i < steps.n; i++) {
		tokens->places[i] = (uint8_t)place_of(&steps.steps[i], vocab);
		if (is_of_set(&steps.steps[i], is_normalized) &&
		    steps.steps[i].args[1].number & (ADDED_LSTRIP | ADDED_RSTRIP))
			tokens->eats_space = true;
	}
	status = for_all(tokens, is_normalized, normalizer, &n_bytes, err);
	if (status)
		goto fail;
	status = SC_E_NOMEM;
	tokens->nodes = calloc(n_bytes + 1, sizeof tokens->nodes[0]);
	if (!tokens->nodes || pairmap_create(n_bytes, &tokens->edges))
		goto fail;
	tokens->nodes[0].step = NO_STEP;
	tokens->n_nodes = 1;
	status = for_all(tokens, is_normalized, normalizer, &n_bytes, err);
	if (status)
		goto fail;
	*tokens_out = tokens;
	return SC_OK;
fail:
	if (status == SC_E_NOMEM)
		error_set(err, status, "no memory for added tokens");
	added_tokens_destroy(tokens);
	return status;
}

void added_tokens_destroy(struct added_tokens *tokens)
{
	if (!tokens)
		return;
	pairmap_destroy(tokens->edges);
	free(tokens->nodes);
	free(tokens->places);
	free(tokens);
}

bool added_tokens_eat_space(const struct added_tokens *tokens)
{
	return tokens->eats_space;
}

/* Whether a mask lets the token be, which all its bytes up to the last must allow. */
static bool is_masked(const struct added_scan *scan, uint32_t step, bool is_run_allowed)
{
	return scan->text.mask && scan->tokens->places[step] != PLACE_ANY &&
	       (!is_run_allowed || !scan->is_control_allowed);
}

/* The longest token at `start`, or NO_STEP. */
static uint32_t match_here(const struct added_scan *scan, size_t start, size_t *end_out)
{
	const struct added_tokens *tokens = scan->tokens;
	uint32_t found = NO_STEP;
	bool is_run_allowed = true;
	uint64_t at = 0;

	for (size_t i = start; i < scan->text.n; i++) {
		uint32_t step;

		if (!pairmap_find(tokens->edges, (uint32_t)at, (uint8_t)scan->text.data[i], &at))
			break;
		if (scan->text.mask && !scan->text.mask[i])
			is_run_allowed = false;
		step = tokens->nodes[at].step;
		if (step == NO_STEP || is_masked(scan, step, is_run_allowed))
			continue;
		found = step;
		*end_out = i + 1;
	}
	return found;
}

/* Whether the token is good where it was found: control tokens may be forbidden altogether. */
static bool counts(const struct added_scan *scan, uint32_t step, size_t start, size_t end)
{
	const struct masked_text text = scan->text;

	if (!scan->is_control_allowed && scan->tokens->places[step] == PLACE_CONTROL)
		return false;
	if (!(scan->tokens->steps.steps[step].args[1].number & ADDED_SINGLE_WORD))
		return true;
	return !unicode_word_at_end(text.data, start) &&
	       !unicode_word_at_start(text.data + end, text.n - end);
}

static void take_space(struct added_scan *scan, uint32_t flags, struct added_match *match)
{
	const struct masked_text text = scan->text;

	if (flags & ADDED_LSTRIP && scan->last_end < match->start)
		match->start -= unicode_space_at_end(text.data + scan->last_end,
						     match->start - scan->last_end);
	else if (flags & ADDED_LSTRIP && match->start < scan->last_end)
		match->start = scan->last_end;
	if (flags & ADDED_RSTRIP)
		match->end += unicode_space_at_start(text.data + match->end, text.n - match->end);
}

bool added_scan_next(struct added_scan *scan, struct added_match *match_out)
{
	const struct added_tokens *tokens = scan->tokens;

	while (scan->at < scan->text.n) {
		const size_t start = scan->at;
		size_t end = start;
		uint32_t step = NO_STEP;

		if (tokens->begins[(uint8_t)scan->text.data[start]])
			step = match_here(scan, start, &end);
		if (step == NO_STEP) {
			scan->at++;
			continue;
		}
		scan->at = end;
		if (!counts(scan, step, start, end))
			continue;
		*match_out = (struct added_match){
			.start = start, .end = end, .token = tokens->steps.steps[step].args[0].number,
		};
		take_space(scan, tokens->steps.steps[step].args[1].number, match_out);
		scan->last_end = match_out->end;
		return true;
	}
	return false;
}
