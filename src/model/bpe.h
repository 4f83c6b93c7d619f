/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_BPE_H
#define STAGECOACH_MODEL_BPE_H
/*
 * bpe - byte-level byte pair encoding: a text is cut into words; in each word, neighbouring byte
 * strings are joined in the order in which tokenizer.ggml.merges lists the pairs.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "model/merge.h"
#include "model/pretokenizer.h"
#include "model/vocab.h"

struct bpe;

/* Borrows vocab until destroy. Takes pre, also on failure; NULL: words come from bpe_encode_word.
 * ignores_merges: a word that is itself a token is not split. SC_E_FORMAT: tokenizer.ggml.merges is
 * missing, or a merge is not a pair. Pairs whose parts or result are not tokens are ignored. Of
 * equal pairs the first counts; without pre the last, as in the tokenizers package. */
must_check enum sc_status bpe_create(const struct vocab *vocab, struct pretokenizer *pre,
				     bool ignores_merges, const struct gguf *gguf,
				     struct bpe **bpe_out, struct error *err);
void bpe_destroy(struct bpe *bpe);

/* Returns true if encode drops some bytes, because they have no token and no replacement. */
bool bpe_leaves_out_bytes(const struct bpe *bpe);

/* Appends the ids of text. A byte that never occurs in UTF-8 and has no token becomes U+FFFD,
 * because vocabularies tend to lack these bytes. Any other byte without a token is dropped, as the
 * models' own tokenizers do. The unknown token is never used, because in some files it ends the
 * text.
 * Borrows scratch during the call. */
must_check enum sc_status bpe_encode(const struct bpe *bpe, const char *text, size_t n_bytes,
				     struct merger *scratch, struct token_list *ids,
				     struct error *err);

/* The same for one word. SC_E_NOMEM. */
must_check enum sc_status bpe_encode_word(const struct bpe *bpe, const char *word, size_t n_bytes,
					  struct merger *scratch, struct token_list *ids);

#endif
