/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_TEXT_BPE_H
#define STAGECOACH_MODEL_TEXT_BPE_H
/*
 * text_bpe - byte pair encoding over characters, as the tokenizers package does it for the models
 * that came from SentencePiece (Llama 2, Mistral, Gemma, Phi-3): neighbouring pieces of a word are
 * joined in the order in which tokenizer.ggml.merges lists the pairs.
 * A character that is no token becomes its byte tokens, if the model falls back to bytes and has
 * all of them; otherwise the unknown token; otherwise it is left out, and its neighbours meet.
 * Bytes that are no UTF-8 count as characters that are no token.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/merge.h"
#include "model/pipeline.h"
#include "model/vocab.h"

struct text_bpe;

/* Borrows vocab and step (MODEL_BPE) until destroy. SC_E_FORMAT: bad merges. SC_E_NOMEM. */
must_check enum sc_status text_bpe_create(const struct vocab *vocab,
					  const struct pipeline_step *step,
					  const struct gguf *gguf, struct text_bpe **bpe_out,
					  struct error *err);
void text_bpe_destroy(struct text_bpe *bpe);

/* Returns true if a text can have fewer ids than its characters need, because some are left out or
 * many become one unknown token. */
bool text_bpe_drops_text(const struct text_bpe *bpe);

/* Appends the ids of a word, 1 to 2^31 - 1 bytes long. Borrows scratch. SC_E_NOMEM. */
must_check enum sc_status text_bpe_encode(const struct text_bpe *bpe, const char *word,
					  size_t n_bytes, struct merger *scratch,
					  struct token_list *ids);

#endif
