/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_BPE_H
#define STAGECOACH_MODEL_BPE_H
/*
 * bpe - byte-level byte pair encoding: a text is cut into words, and in each word the bytes are
 * joined in the order that tokenizer.ggml.merges lists the pairs.
 * Internal to the tokenizer. Thread: read-only after creation.
 */
#include "model/merge.h"
#include "model/pretokenizer.h"
#include "model/vocab.h"

struct bpe;

/* Borrows vocab until destroy; takes pre, also when it fails. SC_E_FORMAT: tokenizer.ggml.merges
 * is missing or one of them is no pair. Pairs of texts that are no tokens, or make none, are left
 * out; of equal pairs the first one counts. */
must_check enum sc_status bpe_create(const struct vocab *vocab, struct pretokenizer *pre,
				     const struct gguf *gguf, struct bpe **bpe_out,
				     struct error *err);
void bpe_destroy(struct bpe *bpe);

/* Some bytes have no token and nothing that stands for them, so encode leaves them out. */
bool bpe_leaves_out_bytes(const struct bpe *bpe);

/* Append the ids of text. A byte for which there is no token becomes U+FFFD if UTF-8 never has it:
 * vocabularies tend to leave those out. Else it is left out, as the models' own tokenizers do it.
 * Never the unknown token: in some files that is the end of the text.
 * scratch is the caller's memory for the time of the call. */
must_check enum sc_status bpe_encode(const struct bpe *bpe, const char *text, size_t n_bytes,
				     struct merger *scratch, struct token_list *ids,
				     struct error *err);

#endif
