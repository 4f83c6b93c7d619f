/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_TOKENIZER_H
#define STAGECOACH_MODEL_TOKENIZER_H
/*
 * tokenizer - text to token ids and back, from a GGUF file's metadata (tokenizer.ggml.*).
 * Two families: SentencePiece-style ("llama": scores, byte fallback, space prefix) and byte-level
 * BPE ("gpt2": merges, and a pre-tokenizer named by tokenizer.ggml.pre).
 * Thread: read-only after creation; encode and decode may run on several threads at once.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf;
struct tokenizer;

#define TOKEN_NONE UINT32_MAX

/* Borrows gguf until destroy. SC_E_UNSUPPORTED: a tokenizer model or pre-tokenizer that is not
 * known, by name. SC_E_FORMAT: arrays that do not fit together, ids out of range, bad merges. */
must_check enum sc_status tokenizer_create(const struct gguf *gguf,
					   struct tokenizer **tokenizer_out, struct error *err);
void tokenizer_destroy(struct tokenizer *tokenizer);

uint32_t tokenizer_n_vocab(const struct tokenizer *tokenizer);
uint32_t tokenizer_bos(const struct tokenizer *tokenizer);	/* or TOKEN_NONE */
uint32_t tokenizer_eos(const struct tokenizer *tokenizer);	/* or TOKEN_NONE */
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);

/* EOS, end of turn and the like: generation ends at such a token. */
bool tokenizer_is_end(const struct tokenizer *tokenizer, uint32_t token);

/* Control and unknown tokens print nothing. */
bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t token);

/* The bytes that token < n_vocab stands for, of a special token its name. Borrows from tokenizer;
 * no NUL behind them. */
const char *tokenizer_piece(const struct tokenizer *tokenizer, uint32_t token,
			    size_t *n_bytes_out);

/* The most bytes of text that one token can stand for: encode makes at least n_bytes / this many
 * ids from any n_bytes, whatever the flags. It only reads a number, so a caller can refuse a text
 * that cannot fit before it pays for encode. 0: there is no such bound, because this vocabulary
 * leaves out bytes that have no token, or white space behind special tokens (Phi-3). */
size_t tokenizer_longest_token_bytes(const struct tokenizer *tokenizer);

struct token_list {
	uint32_t *ids;		/* owned; freed by token_list_deinit */
	size_t n;
	size_t capacity;
};

void token_list_deinit(struct token_list *list);
must_check enum sc_status token_list_add(struct token_list *list, uint32_t id);

enum {
	TOKENIZE_ADD_SPECIAL = 1,	/* BOS (and EOS) where the vocabulary asks for it */
	TOKENIZE_PARSE_SPECIAL = 2,	/* control tokens written out in the text become ids */
};

/* Append the ids of text to ids. Any bytes are text: what is not UTF-8 goes byte by byte, and comes
 * back from decode where the vocabulary has a token for each byte; what has none becomes the
 * unknown token (SentencePiece) or is left out (byte-level; U+FFFD for bytes that UTF-8 never has).
 * Control tokens come only from flags: no other text becomes one, whatever the vocabulary's merges.
 * SC_E_NOMEM, or SC_E_TOO_LARGE over 2^31 bytes (a space takes three in SentencePiece), or where a
 * pre-tokenizer's pattern gives up, which no known text makes it do. On failure ids is
 * unchanged. */
must_check enum sc_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
					   size_t n_bytes, unsigned flags,
					   struct token_list *ids, struct error *err);

/* Append the text of ids: special tokens are left out unless with_special. A SentencePiece
 * vocabulary's first leading space is dropped, as encode put it there; one that encode put behind a
 * special or user-defined token stays, as in llama.cpp. Bytes come as they are, also where they are
 * not UTF-8.
 * SC_E_INVALID: an id outside the vocabulary. */
must_check enum sc_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
					   size_t n_ids, bool with_special, struct buf *text);

/* The same, but SC_E_TOO_LARGE, with nothing appended, where the text would be longer than
 * max_bytes: an id of one byte may stand for hundreds of bytes of text. */
must_check enum sc_status tokenizer_decode_within(const struct tokenizer *tokenizer,
						  const uint32_t *ids, size_t n_ids,
						  bool with_special, size_t max_bytes,
						  struct buf *text);

/* Decodes one token at a time and never hands out a part of a UTF-8 character: bytes of an
 * unfinished one wait for the next token. Bytes that can no longer become a character come out
 * as U+FFFD, one for each run that could have begun a character. Sized for any vocabulary;
 * allocates nothing of its own. */
struct token_stream {
	const struct tokenizer *tokenizer;
	bool is_at_start;	/* a leading space would be encode's own */
	uint8_t pending[4];
	unsigned n_pending;
};

/* is_at_start: what comes is the beginning of a text, not the continuation of a prompt. */
void token_stream_init(struct token_stream *stream, const struct tokenizer *tokenizer,
		       bool is_at_start);
must_check enum sc_status token_stream_add(struct token_stream *stream, uint32_t token,
					   struct buf *text);
/* The end: what is still pending comes out as U+FFFD. */
must_check enum sc_status token_stream_finish(struct token_stream *stream, struct buf *text);

#endif
