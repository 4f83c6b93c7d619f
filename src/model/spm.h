/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPM_H
#define STAGECOACH_MODEL_SPM_H
/*
 * spm - SentencePiece-style encoding: characters are joined as long as a joined text is in the
 * vocabulary, the highest score first; characters that are no token become byte tokens, or the
 * unknown token. Spaces are written U+2581. Internal to the tokenizer.
 */
#include "base/buf.h"
#include "model/merge.h"
#include "model/vocab.h"

/* Some characters have no token, no byte tokens and no unknown token, so encode leaves them out. */
bool spm_leaves_out_bytes(const struct vocab *vocab);

/* Append the ids of text, with a space in front of it if with_prefix. scratch and escaped are the
 * caller's memory for the time of the call. SC_E_NOMEM; SC_E_TOO_LARGE over 2^31 bytes, of which
 * a space takes three. */
must_check enum sc_status spm_encode(const struct vocab *vocab, const char *text, size_t n_bytes,
				     bool with_prefix, struct merger *scratch, struct buf *escaped,
				     struct token_list *ids);

#endif
