/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPM_H
#define STAGECOACH_MODEL_SPM_H
/*
 * spm - SentencePiece-style encoding: characters are joined as long as the joined text is in the
 * vocabulary, highest score first. Characters without a token become byte tokens or the unknown
 * token. Spaces are written as U+2581. Private to the tokenizer.
 */
#include "base/buf.h"
#include "model/merge.h"
#include "model/spm_normalizer.h"
#include "model/vocab.h"

/* Returns true if encode drops some characters, because they have no token, no byte tokens and no
 * unknown token. */
bool spm_leaves_out_bytes(const struct vocab *vocab);

/* Appends the ids of text, with a space in front if with_prefix. Borrows scratch and escaped during
 * the call. SC_E_NOMEM. SC_E_TOO_LARGE: more than 2^31 bytes, where a space counts as three. */
must_check enum sc_status spm_encode(const struct vocab *vocab, const char *text, size_t n_bytes,
				     bool with_prefix, struct merger *scratch, struct buf *escaped,
				     struct token_list *ids);

/* As spm_encode, for a text that normalizer wrote, and as SentencePiece: user-defined pieces are
 * never joined, and adjacent unknown characters are one unknown token. */
must_check enum sc_status spm_encode_normalized(const struct vocab *vocab,
						const struct spm_normalizer *normalizer,
						const char *text, size_t n_bytes,
						struct merger *scratch, struct token_list *ids);

#endif
