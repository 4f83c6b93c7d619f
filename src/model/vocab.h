/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_VOCAB_H
#define STAGECOACH_MODEL_VOCAB_H
/*
 * vocab - the tokens of a model file: their types, what each prints, which of them plain text can
 * become, and the special ids (BOS, EOS, ends of generation).
 * Reads tokenizer.ggml.*. Every array's length and every id is checked here, once.
 * Private to the tokenizer. Borrows the texts from gguf. Thread: read-only once loaded.
 */
#include "base/error.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

#define VOCAB_SPACE "\xE2\x96\x81"	/* U+2581, SentencePiece's visible space */
#define VOCAB_SPACE_BYTES 3

enum vocab_family {
	VOCAB_SPM,	/* "llama": SentencePiece-style, merges by score */
	VOCAB_BPE,	/* "gpt2": byte-level, merges by rank */
	VOCAB_UNIGRAM,	/* "t5": SentencePiece-style, the best sum of scores */
	VOCAB_TEXT,	/* with a pipeline: tokens are texts of characters */
};

/* An array of ids: all tokens that end generation. GGUF's own keys have room for three. */
#define KEY_END_IDS "stagecoach.tokenizer.end_ids"

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
	VOCAB_IS_END = 1,		/* generation ends at this token */
	VOCAB_EATS_SPACE = 2,		/* white space after this token belongs to the token */
	VOCAB_NOT_IN_MODEL = 4,		/* with a pipeline: an added token that the model does not
					 * know */
};

struct decoder;
struct normalizer;
struct pipeline;

struct vocab {
	enum vocab_family family;
	size_t n;
	struct gguf_array texts;
	uint8_t *types;			/* [n], enum vocab_type */
	uint8_t *flags;			/* [n] */
	uint32_t *priorities;		/* [n], VOCAB_SPM: lower for a higher score */
	char *pieces;			/* what the tokens print, concatenated */
	size_t *piece_starts;		/* [n + 1] */
	struct strmap *ids;		/* maps text to the token that plain text becomes;
					 * never a control, unknown or byte token. Keys: the
					 * token's text or its bytes (VOCAB_BPE).
					 * Of equal texts the lowest id counts */
	uint32_t byte_tokens[256];	/* or TOKEN_NONE */
	size_t max_key_bytes;		/* length of the longest key of ids */
	bool has_inner_space;		/* VOCAB_SPM: some key has a space
					 * after another character */
	uint32_t bos, eos, unknown;	/* or TOKEN_NONE */
	bool adds_bos, adds_space_prefix;
	bool has_symbols;		/* user-defined tokens are pieces
					 * like others, as in SentencePiece; otherwise they cut the
					 * text, as added tokens do */
	bool drops_spaces;		/* of decoded text all spaces in front are left out, not
					 * only one */
	const struct decoder *decoder;	/* borrowed; NULL without a pipeline */
	char *key_bytes;		/* with a pipeline: keys of VOCAB_BPE */
};

/* What loading needs of a pipeline. All borrowed; decoder stays in use. */
struct vocab_pipeline {
	const struct pipeline *pipeline;
	const struct decoder *decoder;
	const struct normalizer *normalizer;
};

/* The number of tokens in a file. */
must_check enum sc_status vocab_count(const struct gguf *gguf, size_t *n_out, struct error *err);

/* Loads a vocabulary. adds_bos: the default if the file does not say. pipeline: NULL without one.
 * vocab must be zeroed; the caller calls vocab_deinit in any case. SC_E_FORMAT, SC_E_NOMEM. */
must_check enum sc_status vocab_load(struct vocab *vocab, enum vocab_family family, bool adds_bos,
				     const struct vocab_pipeline *pipeline,
				     const struct gguf *gguf, struct error *err);
void vocab_deinit(struct vocab *vocab);

static inline struct gguf_string vocab_piece(const struct vocab *vocab, uint32_t token)
{
	return (struct gguf_string){
		.data = vocab->pieces + vocab->piece_starts[token],
		.length = vocab->piece_starts[token + 1] - vocab->piece_starts[token],
	};
}

/* Returns what token prints: nothing for a special token without with_special. *is_at_start: only
 * special tokens came before, so a leading space that encode added is left out. */
struct gguf_string vocab_print(const struct vocab *vocab, uint32_t token, bool with_special,
			       bool *is_at_start);

static inline bool vocab_is_special(const struct vocab *vocab, uint32_t token)
{
	return vocab->types[token] == VOCAB_CONTROL || vocab->types[token] == VOCAB_UNKNOWN;
}

/* Returns true for a user-defined token that a stranger's text must not contain. */
bool vocab_needs_leave(const struct vocab *vocab, uint32_t token);

/* Returns true for a user-defined token that does not cut the text. */
bool vocab_is_symbol(const struct vocab *vocab, uint32_t token);

const struct vocab *tokenizer_vocab(const struct tokenizer *tokenizer);

/* Reads an array of numbers with n elements. If it is optional and missing, its n is 0. */
must_check enum sc_status vocab_get_array(const struct gguf *gguf, const char *key, size_t n,
					  bool is_required, struct gguf_array *array_out,
					  struct error *err);

/* Returns the byte of a text like <0x0A>, or -1. */
int vocab_byte_of_text(struct gguf_string text);

/* Part of vocab_load: pieces and keys as a pipeline has them. */
must_check enum sc_status vocab_build_decoded(struct vocab *vocab,
					      const struct vocab_pipeline *pipeline,
					      struct error *err);

/* Part of vocab_load: reads the special ids and names. Runs before the pieces and the map are
 * built, because it decides which tokens are control tokens. */
must_check enum sc_status vocab_load_special(struct vocab *vocab, bool adds_bos,
					     const struct gguf *gguf, struct error *err);

#endif
