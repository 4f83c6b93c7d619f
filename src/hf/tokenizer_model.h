/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_TOKENIZER_MODEL_H
#define STAGECOACH_HF_TOKENIZER_MODEL_H
/*
 * tokenizer_model - the tokenizer of a folder that has a model of SentencePiece (tokenizer.model,
 * spiece.model) and no tokenizer.json. The keys are those that llama.cpp's converter writes; the
 * key KEY_SPM_EXACT says in addition that texts are read exactly as SentencePiece reads them.
 * Tokens of added_tokens.json and of added_tokens_decoder in tokenizer_config.json come on top:
 * special ones are control tokens, the others user-defined.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/parts.h"

/* The name of the model's file in a folder, or NULL. */
const char *hf_tokenizer_model_name(const char *folder);

/* As hf_tokenizer_put, without the chat template. */
must_check enum sc_status hf_tokenizer_model_put(const char *folder, const char *name,
						 const json_t *config, uint32_t n_vocab,
						 struct gguf_head *head, struct error *err);

#endif
