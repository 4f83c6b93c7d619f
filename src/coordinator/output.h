/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_OUTPUT_H
#define STAGECOACH_COORDINATOR_OUTPUT_H
/*
 * output_writer - turns the tokens of one sequence into text, and decides when the sequence is
 * over. Text that could still become a stop string is held back. Stop strings match the names of
 * control tokens ("<|im_end|>") even if these are not printed.
 * Thread: the loop's.
 */
#include "coordinator/job.h"
#include "coordinator/stop_scan.h"
#include "model/tokenizer.h"

/* Initial text size, so that the text rarely has to grow. */
#define OUTPUT_TEXT_BYTES_PER_TOKEN 4

/* Set after output_writer_init: limit, ignore_end, stop tokens and strings, min_tokens,
 * marks_special, stream.with_special and the scan's hidden parts. */
struct output_writer {
	struct output output;		/* visible to watchers */
	struct output_token *tokens;	/* [max_tokens], owned; output.tokens */
	struct token_top *tops;		/* [max_tokens][n_tops], owned; output.tops */
	uint32_t max_tokens;
	enum finish_reason limit;	/* why it ends at max_tokens: LENGTH, or CONTEXT */
	bool ignore_end;
	const uint32_t *stop_tokens;	/* borrowed from the job */
	uint32_t n_stop_tokens;
	const char *const *stops;	/* borrowed from the job */
	uint32_t n_stops;
	uint32_t min_tokens;		/* stop strings are not looked for in so many tokens */
	bool marks_special;		/* SPECIAL_MARKED */
	struct stop_scan scan;
	struct token_stream stream;
	struct buf held;		/* decoded, but not visible yet */
	size_t n_decided;		/* bytes of held in which no stop string begins, but which
					 * wait for the rest of a control token's name */
	struct buf marks;		/* [held.length] enum byte_mark, unless nothing is marked
					 * and there are no stop strings */
};

/* is_at_start: the prompt has no text. max_tokens may be 0. */
must_check enum sc_status output_writer_init(struct output_writer *writer,
					     const struct tokenizer *tokenizer, bool is_at_start,
					     uint32_t max_tokens);
/* The output has log-probabilities, and those of the n_tops likeliest tokens in each place.
 * SC_E_NOMEM. */
must_check enum sc_status output_writer_keep_logprobs(struct output_writer *writer,
						      uint32_t n_tops);
void output_writer_deinit(struct output_writer *writer);

/* Adds a token; tops has what output_writer_keep_logprobs asked for. output.finish tells whether it
 * was the last. An end token or a stop token adds no text, and with max_tokens 0 no token does. */
must_check enum sc_status output_writer_add(struct output_writer *writer, uint32_t token,
					    float logprob, const struct token_top *tops);

/* Call when nothing will be added any more: releases memory that the output does not need. */
void output_writer_trim(struct output_writer *writer);

/* Ends the output for another reason. Text that was held back becomes visible, up to a stop string:
 * then FINISH_STOP replaces FINISH_LENGTH and FINISH_CONTEXT. Does nothing if the output has
 * ended. */
void output_writer_finish(struct output_writer *writer, enum finish_reason reason);

#endif
