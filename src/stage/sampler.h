/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SAMPLER_H
#define STAGECOACH_STAGE_SAMPLER_H
/*
 * sampler - draws tokens from rows of logits, or scores tokens that are given.
 *
 * Filters run in the order of llama.cpp's default chain (its --samplers option), those of it that
 * we have: top-k, top-p, min-p, temperature. So the first three see probabilities at temperature 1:
 *	top-k	keeps the k largest logits;
 *	top-p	keeps the fewest of the largest whose probabilities sum to p of what top-k left;
 *	min-p	keeps what is at least min_p times as probable as the most probable token;
 *	temperature divides the remaining logits before the draw; 0 takes the largest.
 * The most probable token always stays. Among equal logits the lower token id counts as larger.
 *
 * The draw inverts the cumulative distribution of what is left, in order of token id, at
 * philox_uniform(seed, stream, position). It depends on nothing else.
 *
 * Only what is asked for is computed. Every row costs one pass for the largest logit and faults.
 * A log-probability costs the weights of the whole row. So does top-p without top-k. A draw costs
 * the weights of the blocks that hold a token which the filters keep.
 * The backend computes maxima and sums, and shares the rest out among its threads. e^x and
 * logarithms are those of base/portable_math.h, and sums have a fixed order. So a row's result
 * depends on nothing but its logits and its sampling.
 *
 * Borrows the backend. Sized once. Thread: the compute thread.
 */
#include "backend/backend.h"
#include "base/status.h"
#include "wire/step.h"

#include <stdint.h>

struct sampler;

/* A row of logits, and where its result goes. The record's sequence and position are set. */
struct sampler_row {
	const struct sampling *sampling;	/* draw a token, with parameters that step_decode
						 * lets pass; NULL: score the record's token */
	struct token_record *record;
};

/* SC_E_NOMEM. max_rows: of one call. */
must_check enum sc_status sampler_create(struct backend *backend, uint32_t n_vocab,
					 uint32_t max_rows, struct sampler **sampler_out);
void sampler_destroy(struct sampler *sampler);

/* Sets token, logprob and fault of each row's record. logits[n_rows][n_vocab] are in the device's
 * memory; host_logits are the same in host memory.
 *
 * logprob, for a scored token and where sampling has SAMPLING_LOGPROB: the natural logarithm of the
 * token's probability before all filters and at temperature 1; the lowest finite number when the
 * token's logit is -infinity. Else it is 0.
 * Logits of which one is NaN or +infinity, or none is finite, give no token: the record gets the
 * fault and the first token whose logit has it. */
void sampler_run(struct sampler *sampler, const float *logits, const float *host_logits,
		 const struct sampler_row *rows, uint32_t n_rows);

#endif
