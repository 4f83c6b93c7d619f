/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PRETOKENIZER_H
#define STAGECOACH_MODEL_PRETOKENIZER_H
/*
 * pretokenizer - cuts a text into the words that byte-level BPE joins bytes in, the way that
 * tokenizer.ggml.pre names: patterns, each applied to what the ones before it left. What a pattern
 * matches becomes a piece, and so does what stands between two matches.
 * Patterns run in PCRE2 by its just-in-time compiler, or its interpreter where that is forbidden.
 * Character classes are those of PCRE2's Unicode version. Text is not normalised, even if the
 * model's own tokenizer composes it first (NFC): the file does not say.
 * Internal to the tokenizer. Thread: read-only after creation.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	PRE_ADDS_BOS = 1,	/* unless the file says otherwise */
	PRE_IGNORES_MERGES = 2,	/* a word that is a token is taken as it is */
};

#define PRE_MAX_PATTERNS 6

/* A row of the table of known names. */
struct pretokenizer_row {
	const char *names;		/* with a blank between them, the best known first */
	unsigned flags;
	const char *const *patterns;	/* NULL at the end, at most PRE_MAX_PATTERNS */
};
extern const struct pretokenizer_row pretokenizer_rows[];	/* names NULL at the end */

struct pretokenizer;

/* NULL: no such name. */
const struct pretokenizer_row *pretokenizer_find(const char *name, size_t length);

/* SC_E_UNSUPPORTED: no such name; err lists the known ones, one of those that mean the same. */
must_check enum sc_status pretokenizer_create(const char *name, size_t length,
					      struct pretokenizer **pre_out, struct error *err);
void pretokenizer_destroy(struct pretokenizer *pre);
unsigned pretokenizer_flags(const struct pretokenizer *pre);

/* Called for each word in turn; anything but SC_OK ends the split with that status. */
typedef enum sc_status pretokenizer_word(void *context, const char *word, size_t n_bytes);

/* Bytes that are not UTF-8 are kept in the words, but to the patterns each looks like U+001A: a
 * control character, neither space nor letter, number, punctuation or symbol.
 * SC_E_NOMEM; SC_E_TOO_LARGE: a pattern ran into its match limit, which no real text does. */
must_check enum sc_status pretokenizer_split(const struct pretokenizer *pre, const char *text,
					     size_t n_bytes, pretokenizer_word *on_word,
					     void *context, struct error *err);

#endif
