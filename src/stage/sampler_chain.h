/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SAMPLER_CHAIN_H
#define STAGECOACH_STAGE_SAMPLER_CHAIN_H
/*
 * sampler_chain - draws a token for one row by the whole chain of samplers, on a list of candidates
 * of its own. sampler.h says what the samplers do. sampler.c draws rows that use only top-k, top-p,
 * min-p and temperature without such a list; the chain draws all others.
 * The row itself stays as it is, because log-probabilities are those of the raw logits.
 * Owns its memory, of fixed size. Thread: one at a time; several chains may run in parallel.
 */
#include "stage/candidates.h"
#include "stage/past.h"
#include "wire/step.h"

struct sampler_chain;

/* What a draw depends on. */
struct chain_row {
	const struct sampling *sampling;	/* with its biases and bans behind it */
	const struct logit_row *logits;
	uint32_t position;		/* of the token to be drawn */
	struct past_view past;		/* tokens at all positions below */
};

/* Returns true if the row can be drawn by top-k, top-p, min-p and temperature alone, in this order.
 * Penalties that are on but have no token to apply to still need the chain. */
bool sampler_chain_is_idle(const struct sampling *sampling, uint32_t position);

/* Bytes that sampler_chain_create takes, and those among them for each position of a context. */
uint64_t sampler_chain_bytes(uint32_t n_vocab, uint32_t max_context);
uint64_t sampler_chain_position_bytes(void);

/* Borrows the backend. max_context: the most tokens of a sequence. SC_E_NOMEM. */
must_check enum sc_status sampler_chain_create(const struct backend *backend, uint32_t n_vocab,
					       uint32_t max_context,
					       struct sampler_chain **chain_out);
void sampler_chain_destroy(struct sampler_chain *chain);

/* Draws a token. Returns false if biases, bans and penalties leave none. */
bool sampler_chain_draw(struct sampler_chain *chain, const struct chain_row *row,
			uint32_t *token_out);

#endif
