/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SAMPLER_H
#define STAGECOACH_STAGE_SAMPLER_H
/*
 * sampler - draws tokens from rows of logits, or scores given tokens.
 *
 * A draw runs a chain of samplers on the row's logits, in the order of sampling.order. The default
 * is llama.cpp's order, which is the order of this list. A sampler that is not in the order is off.
 * - Before the chain: biases are added, then banned tokens get -infinity, as long as the position
 *   is below n_prompt + min_tokens.
 * - penalties: repetition, presence and frequency of the tokens so far; see penalties.h.
 * - DRY: lowers logits of tokens that would continue a repetition; see penalties.h.
 * - top-n-sigma sets logits below largest - n * (standard deviation of all logits) to -infinity.
 * - top-k keeps the k largest logits.
 * - typical keeps the fewest tokens whose probabilities sum to more than p, those first whose
 *   -log(probability) is closest to the entropy.
 * - top-p keeps the smallest set of the largest logits whose probabilities sum to p.
 * - min-p keeps tokens at least min_p times as probable as the most probable one.
 * - XTC: with the given probability, of the tokens whose probability is at least the threshold only
 *   the least probable one stays. It is off above a threshold of 0.5.
 * - temperature divides the logits; 0 keeps only the largest. With a dynatemp_range the temperature
 *   is between temperature - range and temperature + range, by (entropy / largest possible
 *   entropy)^exponent.
 * Each sampler sees the probabilities of what those before it left. At least one token stays,
 * unless biases, bans and penalties take all. Of equal logits, that of the lower token id counts as
 * larger.
 * The samplers are llama.cpp's, with two exceptions: the scopes of penalties (penalties.h), and a
 * breaker of DRY is always a single token.
 *
 * A draw inverts the cumulative distribution of the remaining tokens, in order of token id, at
 * philox_uniform(seed, stream, position). XTC's chance is another number of that kind. A result
 * depends on the row's logits, its sampling and the tokens before it, and on nothing else: not on
 * other rows, threads or instruction sets.
 *
 * Cost: every row needs one pass for the largest logit and for faults. A log-probability needs the
 * weights of the whole row. Then there are two kinds of draws:
 * - If only top-k, top-p, min-p and temperature are on, in the default order, top-p without top-k
 *   needs the weights of the whole row, and the draw needs the weights of the blocks that contain a
 *   token which the filters keep. Nothing else is computed.
 * - Otherwise the draw copies the row, and each sampler passes once or twice over what is left of
 *   it. Penalties and DRY are linear in the number of tokens that they look at. Rows run in
 *   parallel, one per thread.
 * The backend computes maxima and sums and runs the rest on its threads. e^x and logarithms come
 * from base/portable_math.h, and sums have a fixed order.
 *
 * Borrows the backend. Has a fixed size. Thread: the compute thread.
 */
#include "backend/backend.h"
#include "base/status.h"
#include "stage/past.h"
#include "wire/step.h"

#include <stdint.h>

struct sampler;

/* A row of logits and the record for its result. The caller sets the record's sequence and
 * position. */
struct sampler_row {
	const struct sampling *sampling;	/* parameters of the draw with biases and bans
						 * behind them, checked by step_decode; NULL: score
						 * the record's token */
	struct token_record *record;
	uint32_t n_tops;			/* likeliest tokens, if the record gets a logprob */
	struct past_view past;			/* for draws: the tokens at all positions below the
						 * record's */
};

/* The bytes that sampler_create takes, by what they grow with. Up to max_threads threads of the
 * backend have memory of their own. */
struct sampler_sizes {
	uint64_t fixed_bytes;
	uint64_t thread_bytes;			/* of each thread */
	uint64_t thread_position_bytes;		/* of each thread and position of a context */
	uint32_t max_threads;
};
struct sampler_sizes sampler_sizes(uint32_t n_vocab, uint32_t max_rows);

/* max_rows: the most rows per call. max_context: the most tokens before a row's. SC_E_NOMEM. */
must_check enum sc_status sampler_create(struct backend *backend, uint32_t n_vocab,
					 uint32_t max_rows, uint32_t max_context,
					 struct sampler **sampler_out);
void sampler_destroy(struct sampler *sampler);

/* Sets token, logprob, fault and n_tops of each row's record. logits[n_rows][n_vocab] are in device
 * memory; host_logits are the same logits in host memory. The likeliest tokens of all records go to
 * tops_out one behind the other; returns their number.
 *
 * logprob is set for scored tokens and for draws with SAMPLING_LOGPROB, else 0. It is the natural
 * logarithm of the token's probability by the raw logits: before biases, penalties and filters, and
 * at temperature 1. If the token's logit is -infinity, it is the lowest finite number. Likeliest
 * tokens get their logprobs by the same function.
 * Faults: if a logit is NaN or +infinity, or none is finite, no token is drawn. The record then has
 * the fault and the first token whose logit has it. If biases, bans and penalties leave no token,
 * the record has TOKEN_FAULT_BARRED and token 0. */
uint32_t sampler_run(struct sampler *sampler, const float *logits, const float *host_logits,
		     const struct sampler_row *rows, uint32_t n_rows, struct token_top *tops_out);

#endif
