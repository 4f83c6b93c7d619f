/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_TOKENIZER_H
#define STAGECOACH_MODEL_TOKENIZER_H
/*
 * tokenizer - converts text to token ids and back, with a GGUF file's metadata (tokenizer.ggml.*).
 * Families: SentencePiece-style ("llama": scores, byte fallback, space prefix), byte-level BPE
 * ("gpt2": merges, and a pre-tokenizer named by tokenizer.ggml.pre) and Unigram ("t5": the best sum
 * of scores).
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

/* Borrows gguf until destroy. SC_E_UNSUPPORTED: an unknown tokenizer model or pre-tokenizer; err
 * names it. SC_E_FORMAT: inconsistent arrays, ids out of range, or bad merges. */
must_check enum sc_status tokenizer_create(const struct gguf *gguf,
					   struct tokenizer **tokenizer_out, struct error *err);
void tokenizer_destroy(struct tokenizer *tokenizer);

uint32_t tokenizer_n_vocab(const struct tokenizer *tokenizer);
uint32_t tokenizer_bos(const struct tokenizer *tokenizer);	/* or TOKEN_NONE */
uint32_t tokenizer_eos(const struct tokenizer *tokenizer);	/* or TOKEN_NONE */
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);

/* Returns true for EOS, end of turn and the like: generation ends at such a token. */
bool tokenizer_is_end(const struct tokenizer *tokenizer, uint32_t token);

/* Returns true for control and unknown tokens. They print nothing. */
bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t token);

/* The bytes that token < n_vocab stands for, of a special token its name. Borrows from tokenizer;
 * no NUL behind them. */
const char *tokenizer_piece(const struct tokenizer *tokenizer, uint32_t token,
			    size_t *n_bytes_out);

/* The largest number of bytes of text that one token can represent: n_bytes of text give at least
 * n_bytes / this number ids, whatever the flags. The function only reads a number, so that a caller
 * can refuse a text that cannot fit before it pays for encode. 0 means that there is no such bound,
 * because this vocabulary drops bytes without a token, or white space after special tokens
 * (Phi-3). */
size_t tokenizer_longest_token_bytes(const struct tokenizer *tokenizer);

struct token_list {
	uint32_t *ids;		/* owned; freed by token_list_deinit */
	size_t n;
	size_t capacity;
};

void token_list_deinit(struct token_list *list);
must_check enum sc_status token_list_add(struct token_list *list, uint32_t id);

enum {
	/* Add BOS in front if the vocabulary asks for it and the text does not start with BOS.
	 * Nothing is added behind: add_eos_token is for encoders and training, and an EOS would end
	 * the text that a decoder is to continue. */
	TOKENIZE_ADD_BOS = 1,
	TOKENIZE_PARSE_SPECIAL = 2,	/* turn control tokens written in the text into their ids */
};

/* Appends the ids of text to ids. On failure ids is unchanged.
 * - Any bytes are valid text. Bytes that are not UTF-8 are encoded one by one, and decode returns
 *   them if the vocabulary has a token for each byte. A byte without a token becomes the unknown
 *   token (SentencePiece) or is dropped (byte-level; U+FFFD for bytes that never occur in UTF-8).
 * - Control tokens come only from flags. Other text never becomes a control token, whatever the
 *   vocabulary's merges. A user-defined token that ends generation counts as a control token.
 * SC_E_NOMEM. SC_E_TOO_LARGE: more than 2^31 bytes (a space counts as three in SentencePiece), or a
 * pre-tokenizer's pattern gave up, which no known text causes. */
must_check enum sc_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
					   size_t n_bytes, unsigned flags,
					   struct token_list *ids, struct error *err);

/* As tokenizer_encode, but a control token is recognised only where every byte of its name has a
 * value other than 0 in mask ([n_bytes]; NULL: all have). Without TOKENIZE_PARSE_SPECIAL none is.
 * The text is still one text: it is split and merged as without a mask. So a text of which a part
 * comes from a stranger is tokenized like any other, and the stranger writes no control token, nor
 * completes one. With a mask, user-defined tokens that look like control tokens (<|user|>) count as
 * such. */
must_check enum sc_status tokenizer_encode_masked(const struct tokenizer *tokenizer,
						  const char *text, const char *mask,
						  size_t n_bytes, unsigned flags,
						  struct token_list *ids, struct error *err);

/* Appends the text of ids. Special tokens are left out unless with_special. The first leading space
 * of a SentencePiece vocabulary is dropped, because encode put it there. A space that encode put
 * after a special or user-defined token stays, as in llama.cpp. The text may contain bytes that are
 * not UTF-8.
 * SC_E_INVALID: an id outside of the vocabulary. */
must_check enum sc_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
					   size_t n_ids, bool with_special, struct buf *text);

/* As tokenizer_decode, but appends nothing and returns SC_E_TOO_LARGE if the text would exceed
 * max_bytes. One id, a byte in a request, can mean hundreds of bytes of text. */
must_check enum sc_status tokenizer_decode_within(const struct tokenizer *tokenizer,
						  const uint32_t *ids, size_t n_ids,
						  bool with_special, size_t max_bytes,
						  struct buf *text);

/* Decodes one token at a time, always into whole UTF-8 characters: the bytes of an unfinished
 * character wait for the next token. Bytes that cannot become a character any more come out as
 * U+FFFD, one for each run that could have started a character. Allocates nothing itself. */
struct token_stream {
	const struct tokenizer *tokenizer;
	bool with_special;	/* print the names of special tokens; false after init */
	bool is_at_start;	/* at the start of a text: a leading space comes from encode */
	uint8_t pending[4];
	unsigned n_pending;
};

/* is_at_start: true at the beginning of a text, false for the continuation of a prompt. */
void token_stream_init(struct token_stream *stream, const struct tokenizer *tokenizer,
		       bool is_at_start);
must_check enum sc_status token_stream_add(struct token_stream *stream, uint32_t token,
					   struct buf *text);
/* Ends the text: an unfinished character comes out as U+FFFD. */
must_check enum sc_status token_stream_finish(struct token_stream *stream, struct buf *text);

#endif
