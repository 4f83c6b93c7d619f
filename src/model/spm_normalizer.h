/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPM_NORMALIZER_H
#define STAGECOACH_MODEL_SPM_NORMALIZER_H
/*
 * spm_normalizer - writes a text as SentencePiece does before it looks for pieces:
 * - user-defined pieces are kept as they are; of several the longest counts;
 * - elsewhere the longest rule of the compiled rules applies (model/charsmap.h);
 * - a byte that is no UTF-8 becomes U+FFFD;
 * - spaces in front, behind, and more than one in a row are left out, if the model says so;
 * - a space is put in front of the text, or behind it, if the model says so;
 * - spaces become U+2581.
 * Reads tokenizer.ggml.{precompiled_charsmap,remove_extra_whitespaces,add_space_prefix} and
 * KEY_SPM_*, which say what GGUF has no key for.
 * Private to the tokenizer. Thread: read-only after creation.
 * Source: normalizer.cc of SentencePiece.
 */
#include "model/vocab.h"

/* Flags. The model's own tokenizer is SentencePiece: user-defined tokens are pieces of the text. */
#define KEY_SPM_EXACT "stagecoach.tokenizer.sentencepiece"
#define KEY_SPM_SUFFIX "stagecoach.tokenizer.space_suffix"	/* the space stands behind */
#define KEY_SPM_KEEPS "stagecoach.tokenizer.keeps_spaces"	/* they do not become U+2581 */

struct spm_normalizer;

/* Returns true if a file has rules that the plain replacement of spaces (model/spm.h) leaves
 * out. */
bool spm_normalizer_is_needed(const struct gguf *gguf);

/* Borrows vocab and gguf until destroy. SC_E_FORMAT: bad rules. SC_E_NOMEM. */
must_check enum sc_status spm_normalizer_create(const struct vocab *vocab, const struct gguf *gguf,
						struct spm_normalizer **normalizer_out,
						struct error *err);
void spm_normalizer_destroy(struct spm_normalizer *normalizer);

/* Returns the length of the longest user-defined piece that text starts with, and its token; 0:
 * none. */
size_t spm_normalizer_symbol(const struct spm_normalizer *normalizer, const char *text,
			     size_t n_bytes, uint32_t *token_out);

/* Writes the normalized text to out, whose content is replaced. SC_E_NOMEM. SC_E_TOO_LARGE: more
 * than 2^31 bytes. */
must_check enum sc_status spm_normalizer_run(const struct spm_normalizer *normalizer,
					     const char *text, size_t n_bytes, struct buf *out);

#endif
