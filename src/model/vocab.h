/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_VOCAB_H
#define STAGECOACH_MODEL_VOCAB_H
/*
 * vocab - the tokens of a model file: their types, what each one prints, which ones plain text may
 * become, and the ids that mean something (BOS, EOS, ends of generation).
 * Reads tokenizer.ggml.*; every array's length and every id is checked here, once.
 * Internal to the tokenizer. Borrows the texts from gguf. Thread: read-only once loaded.
 */
#include "base/error.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

#define VOCAB_SPACE "\xE2\x96\x81"	/* U+2581, SentencePiece's visible space */
#define VOCAB_SPACE_BYTES 3

enum vocab_family {
	VOCAB_SPM,	/* "llama": SentencePiece-style, merges by score */
	VOCAB_BPE,	/* "gpt2": byte-level, merges by rank */
};

/* The numbers of tokenizer.ggml.token_type. Others count as VOCAB_NORMAL. */
enum vocab_type {
	VOCAB_NORMAL = 1,
	VOCAB_UNKNOWN = 2,
	VOCAB_CONTROL = 3,
	VOCAB_USER_DEFINED = 4,
	VOCAB_UNUSED = 5,
	VOCAB_BYTE = 6,
};

enum {
	VOCAB_IS_END = 1,		/* generation stops at it */
	VOCAB_EATS_SPACE = 2,		/* white space behind it belongs to it */
};

struct vocab {
	enum vocab_family family;
	size_t n;
	struct gguf_array texts;
	uint8_t *types;			/* [n], enum vocab_type */
	uint8_t *flags;			/* [n] */
	uint32_t *priorities;		/* [n], VOCAB_SPM: lower for a higher score */
	char *pieces;			/* what the tokens print, one behind the other */
	size_t *piece_starts;		/* [n + 1] */
	struct strmap *ids;		/* from text to what plain text may become: never control,
					 * unknown or byte tokens. Keys: VOCAB_SPM the token's text,
					 * VOCAB_BPE its bytes. Equal texts: the lowest id */
	uint32_t byte_tokens[256];	/* or TOKEN_NONE */
	size_t max_key_bytes;		/* of ids */
	bool has_inner_space;		/* VOCAB_SPM: a key has a space behind a character */
	uint32_t bos, eos, unknown;	/* or TOKEN_NONE */
	bool adds_bos, adds_eos, adds_space_prefix;
};

/* adds_bos: what holds when the file does not say. vocab is zeroed storage of the caller's, who
 * calls vocab_deinit in any case. SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status vocab_load(struct vocab *vocab, enum vocab_family family, bool adds_bos,
				     const struct gguf *gguf, struct error *err);
void vocab_deinit(struct vocab *vocab);

static inline struct gguf_string vocab_piece(const struct vocab *vocab, uint32_t token)
{
	return (struct gguf_string){
		.data = vocab->pieces + vocab->piece_starts[token],
		.length = vocab->piece_starts[token + 1] - vocab->piece_starts[token],
	};
}

/* What token prints: nothing if it is special and not with_special. *is_at_start: only special
 * tokens came before; a space that encode put in front of the text is then left out. */
struct gguf_string vocab_print(const struct vocab *vocab, uint32_t token, bool with_special,
			       bool *is_at_start);

static inline bool vocab_is_special(const struct vocab *vocab, uint32_t token)
{
	return vocab->types[token] == VOCAB_CONTROL || vocab->types[token] == VOCAB_UNKNOWN;
}

const struct vocab *tokenizer_vocab(const struct tokenizer *tokenizer);

/* Part of vocab_load: the ids and names that mean something. Before the pieces and the map, since
 * it decides which tokens are control tokens. */
must_check enum sc_status vocab_load_special(struct vocab *vocab, bool adds_bos,
					     const struct gguf *gguf, struct error *err);

#endif
