/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_DECODER_H
#define STAGECOACH_MODEL_DECODER_H
/*
 * decoder - the last steps of a pipeline: what each token prints. Steps that look at one token at a
 * time are applied once, when the vocabulary is loaded. What is left is a rule for the start of a
 * text. A chain of steps that cannot be taken apart like this is refused.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "base/buf.h"
#include "model/pipeline.h"

enum decoder_start {
	START_PLAIN,
	START_STRIP,	/* one `mark` at the start of the whole text is left out */
	START_DROP,	/* every `mark` of the first token is left out */
};

struct decoder {
	struct pipeline_steps steps;
	enum decoder_start start;
	struct gguf_string mark;	/* one character; of START_DROP as the token has it */
	bool joins_with_space;		/* no steps: tokens stand apart */
};

/* Borrows steps. SC_E_UNSUPPORTED: err names the step. */
must_check enum sc_status decoder_init(struct decoder *decoder, struct pipeline_steps steps,
				       struct error *err);

/* Appends what a token with this text prints. SC_E_NOMEM. */
must_check enum sc_status decoder_add(const struct decoder *decoder, struct gguf_string text,
				      struct buf *out);

#endif
