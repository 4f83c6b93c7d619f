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
#include "model/tokenizer.h"

/* Initial text size, so that the text rarely has to grow. */
#define OUTPUT_TEXT_BYTES_PER_TOKEN 4

struct output_writer {
	struct output output;		/* visible to watchers */
	struct output_token *tokens;	/* [max_tokens], owned; output.tokens */
	uint32_t max_tokens;
	enum finish_reason limit;	/* why it ends at max_tokens: LENGTH, or CONTEXT */
	bool ignore_end;
	const char *const *stops;	/* borrowed from the job */
	uint32_t n_stops;
	struct token_stream stream;	/* its with_special may be set after init */
	struct buf held;		/* decoded, but not visible yet */
	struct buf silent;		/* only with stop strings, one byte per byte of held: 1 if
					 * it belongs to an unprinted control token, else 0 */
};

/* is_at_start: the prompt has no text. max_tokens may be 0. */
must_check enum sc_status output_writer_init(struct output_writer *writer,
					     const struct tokenizer *tokenizer, bool is_at_start,
					     uint32_t max_tokens);
void output_writer_deinit(struct output_writer *writer);

/* Adds a token. output.finish tells whether it was the last. An end token adds no text, and with
 * max_tokens 0 no token does. */
must_check enum sc_status output_writer_add(struct output_writer *writer, uint32_t token,
					    float logprob);

/* Call when nothing will be added any more: releases memory that the output does not need. */
void output_writer_trim(struct output_writer *writer);

/* Ends the output for another reason. Text that was held back becomes visible. Does nothing if the
 * output has ended. */
void output_writer_finish(struct output_writer *writer, enum finish_reason reason);

#endif
