/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_OUTPUT_H
#define STAGECOACH_COORDINATOR_OUTPUT_H
/*
 * output_writer - turns the tokens of one sequence into text, and knows when it is over.
 * Text that could still become a stop string is held back until it cannot.
 * Thread: the loop's.
 */
#include "coordinator/job.h"
#include "model/tokenizer.h"

/* A first guess, so that text rarely grows later. */
#define OUTPUT_TEXT_BYTES_PER_TOKEN 4

struct output_writer {
	struct output output;		/* what watchers see */
	struct output_token *tokens;	/* [max_tokens], owned; output.tokens */
	uint32_t max_tokens;
	bool ignore_end;
	const char *const *stops;	/* borrowed from the job */
	uint32_t n_stops;
	struct token_stream stream;
	struct buf held;		/* decoded, not yet visible */
};

/* is_at_start: the prompt has no text of its own. */
must_check enum sc_status output_writer_init(struct output_writer *writer,
					     const struct tokenizer *tokenizer, bool is_at_start,
					     uint32_t max_tokens);
void output_writer_deinit(struct output_writer *writer);

/* Add a token; output.finish says whether it was the last. An end token adds nothing else. */
must_check enum sc_status output_writer_add(struct output_writer *writer, uint32_t token,
					    float logprob);

/* Nothing will be added any more: keep only the memory that the output needs. */
void output_writer_trim(struct output_writer *writer);

/* End for another reason; what was held back becomes visible. No effect when it has ended. */
void output_writer_finish(struct output_writer *writer, enum finish_reason reason);

#endif
