/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_WORD_MODEL_H
#define STAGECOACH_MODEL_WORD_MODEL_H
/*
 * word_model - the model of a pipeline: makes tokens of one word.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/merge.h"
#include "model/pipeline.h"
#include "model/vocab.h"

struct word_model;

/* Borrows pipeline, vocab and gguf until destroy. SC_E_UNSUPPORTED, SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status word_model_create(const struct pipeline *pipeline,
					    const struct vocab *vocab, const struct gguf *gguf,
					    struct word_model **model_out, struct error *err);
void word_model_destroy(struct word_model *model);

/* Returns true if the model can make fewer ids of a text than its bytes need, because it leaves
 * something out. */
bool word_model_drops_text(const struct word_model *model);

/* Appends the ids of word, 1 to 2^31 - 1 bytes long. Borrows scratch during the call.
 * SC_E_NOMEM. */
must_check enum sc_status word_model_encode(const struct word_model *model, const char *word,
					    size_t n_bytes, struct merger *scratch,
					    struct token_list *ids, struct error *err);

#endif
