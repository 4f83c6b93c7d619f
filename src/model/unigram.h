/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_UNIGRAM_H
#define STAGECOACH_MODEL_UNIGRAM_H
/*
 * unigram - Unigram encoding: of all ways to cut a text into pieces, the one whose scores have the
 * largest sum (Viterbi). A character that is no piece costs 10 more than the worst piece, and
 * becomes byte tokens or the unknown token. Adjacent unknown characters are one unknown token.
 *
 * Sums are rounded as the model's own tokenizer rounds them, because equal sums are frequent and
 * the order of additions decides between them: of equal sums the one found first counts, and starts
 * are tried from left to right.
 * - SentencePiece (model/spm_normalizer.h writes the text): sums are kept in float; user-defined
 *   pieces get a bonus; unused pieces do not exist; only pieces of the type normal count as worst.
 * - The tokenizers package, if the file has PIPELINE_KEY: sums are kept in double, user-
 *   defined, unused and byte pieces are like any other. A run of unknown characters that is itself
 *   a piece becomes that piece.
 *
 * Time: a text's bytes times the longest piece at most, about 3 steps per byte with public
 * vocabularies. Memory: 16 bytes for each byte of text since the last place that the best ways to
 * all later places pass. In text that is a few words back; a text that is made for it has no such
 * place.
 * Private to the tokenizer. Thread: read-only after creation.
 * Source: EncodeOptimized of SentencePiece, encode_optimized of the tokenizers package.
 */
#include "model/vocab.h"

/* An array of f64, read with PIPELINE_KEY only: one score per token of tokenizer.json's own
 * vocabulary, which are the first ids. Without the key all tokens are its own. */
#define KEY_UNIGRAM_SCORES "stagecoach.tokenizer.unigram_scores"

#define UNIGRAM_MAX_PIECE 4096	/* bytes */

struct unigram;

/* Memory of one call, reused by later calls. */
struct unigram_scratch {
	struct unigram_cell *cells;
	size_t n_cells;
	uint64_t n_steps;	/* steps through the trie in all calls: a measure of the work */
};
#define UNIGRAM_SCRATCH_INIT { 0 }
void unigram_scratch_deinit(struct unigram_scratch *scratch);

/* Borrows vocab until destroy. falls_back: unknown characters become byte tokens, if all are there.
 * SC_E_FORMAT: tokenizer.ggml.scores is missing or has a NaN.
 * SC_E_UNSUPPORTED: a piece is too long. SC_E_NOMEM. */
must_check enum sc_status unigram_create(const struct vocab *vocab, bool falls_back,
					 const struct gguf *gguf, struct unigram **unigram_out,
					 struct error *err);
void unigram_destroy(struct unigram *unigram);

/* Appends the ids of a normalized text, or of one word of it. At most 2^31 - 1 bytes. Without an
 * unknown token and byte tokens, unknown characters are left out. SC_E_NOMEM. */
must_check enum sc_status unigram_encode(const struct unigram *unigram, const char *text,
					 size_t n_bytes, struct unigram_scratch *scratch,
					 struct token_list *ids);

#endif
