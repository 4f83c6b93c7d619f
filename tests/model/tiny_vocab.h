/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_TINY_VOCAB_H
#define STAGECOACH_TESTS_MODEL_TINY_VOCAB_H
/*
 * tiny_vocab - vocabularies of a few tokens as GGUF metadata, for tests of tokenizers. Each is
 * described token by token; files can then be spoilt through the writer before they are opened.
 * Fails the test (or aborts) when something that must work does not.
 */
#include "model/gguf.h"
#include "model/tokenizer.h"
#include "tests/model/gguf_writer.h"

/* The numbers of tokenizer.ggml.token_type. */
enum { T_NORMAL = 1, T_UNKNOWN, T_CONTROL, T_USER_DEFINED, T_UNUSED, T_BYTE };

struct tiny_token {
	const char *text;
	float score;
	int type;
};

/* Tokens 0 to 258 of every SentencePiece vocabulary here: <unk>, <s>, </s>, the bytes. */
#define TINY_SPM_BYTE(byte) (3 + (byte))
#define TINY_SPM_FIRST 259

/* tokenizer.ggml.{model,tokens,scores,token_type}: the tokens above, then n more. */
void tiny_vocab_spm(struct gguf_writer *w, const struct tiny_token *tokens, size_t n);

/* For Unigram ("t5"), which has no byte tokens of its own: <pad>, </s>, <unk>, then n more. */
#define TINY_UNIGRAM_FIRST 3
void tiny_vocab_unigram(struct gguf_writer *w, const struct tiny_token *tokens, size_t n);

/* The same for byte-level BPE, with tokenizer.ggml.{pre,merges}: the bytes of the alphabet are
 * tokens 0 to 255, then n more. pre NULL: the file does not say. */
#define TINY_BPE_FIRST 256
void tiny_vocab_bpe(struct gguf_writer *w, const char *pre, const struct tiny_token *tokens,
		    size_t n, const char *const *merges, size_t n_merges);

/* A tokenizer and the file that it borrows. */
struct tiny_tokenizer {
	struct buf file;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
};

/* Finish the file, open it and create its tokenizer; deinits w in any case. On failure there is
 * nothing to destroy. */
enum sc_status tiny_tokenizer_create(struct tiny_tokenizer *tiny, struct gguf_writer *w,
				     struct error *err);
void tiny_tokenizer_destroy(struct tiny_tokenizer *tiny);

#endif
