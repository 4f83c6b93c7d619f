/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_WORD_MODEL_H
#define STAGECOACH_MODEL_WORD_MODEL_H
/*
 * word_model - the model of a pipeline: makes tokens of one word.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/merge.h"
#include "model/pipeline.h"
#include "model/unigram.h"
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

/* Memory of one call, reused by later calls. */
struct word_scratch {
	struct merger merger;
	struct unigram_scratch cells;
};
#define WORD_SCRATCH_INIT { .merger = MERGER_INIT, .cells = UNIGRAM_SCRATCH_INIT }
void word_scratch_deinit(struct word_scratch *scratch);

/* Appends the ids of word, 1 to 2^31 - 1 bytes long. Borrows scratch during the call.
 * SC_E_NOMEM. */
must_check enum sc_status word_model_encode(const struct word_model *model, const char *word,
					    size_t n_bytes, struct word_scratch *scratch,
					    struct token_list *ids);

#endif
