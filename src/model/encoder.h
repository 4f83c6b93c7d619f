/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ENCODER_H
#define STAGECOACH_MODEL_ENCODER_H
/*
 * encoder - makes ids of a text by the steps of a pipeline (pipeline.h).
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/masked_text.h"
#include "model/pipeline.h"
#include "model/tokenizer.h"
#include "model/vocab.h"

struct encoder;

/* Reads the pipeline, loads the vocabulary as the pipeline needs it, and makes the steps. vocab is
 * as for vocab_load. Borrows gguf and vocab until destroy; vocab also borrows from the encoder: it
 * must be deinited first. SC_E_UNSUPPORTED: err names the step. SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status encoder_create(const struct gguf *gguf, struct vocab *vocab,
					 struct encoder **encoder_out, struct error *err);
void encoder_destroy(struct encoder *encoder);

/* Appends the ids that the template puts in front of a text. SC_E_NOMEM. */
must_check enum sc_status encoder_begin(const struct encoder *encoder, struct token_list *ids);

/* Appends the ids of text. SC_E_NOMEM, SC_E_TOO_LARGE: ids may hold some of them. */
must_check enum sc_status encoder_encode(const struct encoder *encoder, struct masked_text text,
					 bool is_control_allowed, struct token_list *ids,
					 struct error *err);

/* As tokenizer_longest_token_bytes; n_longest: bytes of the longest key or special token. */
size_t encoder_longest_token_bytes(const struct encoder *encoder, size_t n_longest);

#endif
