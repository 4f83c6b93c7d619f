/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SAMPLER_H
#define STAGECOACH_STAGE_SAMPLER_H
/*
 * sampler - draws tokens from rows of logits, or scores given tokens.
 *
 * Filters run in the order of llama.cpp's default chain (its --samplers option), as far as they
 * exist here: top-k, top-p, min-p, temperature. The first three therefore see probabilities at
 * temperature 1:
 * - top-k keeps the k largest logits;
 * - top-p keeps the smallest set of the largest logits whose probabilities, relative to what top-k
 *   left, sum to p;
 * - min-p keeps tokens at least min_p times as probable as the most probable one;
 * - temperature divides the remaining logits before the draw; 0 takes the largest logit.
 * The most probable token always stays. Of equal logits, that of the lower token id counts as
 * larger.
 *
 * A draw inverts the cumulative distribution of the remaining tokens, in order of token id, at
 * philox_uniform(seed, stream, position). It depends on nothing else.
 *
 * Cost: every row needs one pass for the largest logit and for faults. A log-probability needs the
 * weights of the whole row; so does top-p without top-k. A draw needs the weights of the blocks
 * that contain a token which the filters keep. Nothing else is computed.
 * The backend computes maxima and sums and runs the rest on its threads. e^x and logarithms come
 * from base/portable_math.h, and sums have a fixed order, so a row's result depends only on its
 * logits and its sampling.
 *
 * Borrows the backend. Has a fixed size. Thread: the compute thread.
 */
#include "backend/backend.h"
#include "base/status.h"
#include "wire/step.h"

#include <stdint.h>

struct sampler;

/* A row of logits and the record for its result. The caller sets the record's sequence and
 * position. */
struct sampler_row {
	const struct sampling *sampling;	/* parameters of the draw, checked by
						 * step_decode; NULL: score the record's token */
	struct token_record *record;
};

/* Bytes that sampler_create takes. */
uint64_t sampler_bytes(uint32_t n_vocab, uint32_t max_rows);

/* max_rows: the most rows per call. SC_E_NOMEM. */
must_check enum sc_status sampler_create(struct backend *backend, uint32_t n_vocab,
					 uint32_t max_rows, struct sampler **sampler_out);
void sampler_destroy(struct sampler *sampler);

/* Sets token, logprob and fault of each row's record. logits[n_rows][n_vocab] are in device memory;
 * host_logits are the same logits in host memory.
 *
 * logprob is set for scored tokens and for draws with SAMPLING_LOGPROB, else 0. It is the natural
 * logarithm of the token's probability before all filters and at temperature 1. If the token's
 * logit is -infinity, it is the lowest finite number.
 * Faults: if a logit is NaN or +infinity, or none is finite, no token is drawn. The record then has
 * the fault and the first token whose logit has it. */
void sampler_run(struct sampler *sampler, const float *logits, const float *host_logits,
		 const struct sampler_row *rows, uint32_t n_rows);

#endif
