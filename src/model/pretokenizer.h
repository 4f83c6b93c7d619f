/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PRETOKENIZER_H
#define STAGECOACH_MODEL_PRETOKENIZER_H
/*
 * pretokenizer - cuts a text into the words in which byte-level BPE joins bytes. tokenizer.ggml.pre
 * names a list of patterns. Each pattern is applied to the pieces that the patterns before it
 * produced: each match becomes a piece, and so does the text between two matches.
 * Patterns run in PCRE2's just-in-time compiler, or in its interpreter where that is forbidden.
 * Character classes follow PCRE2's Unicode version. Text is not normalised, even if the model's own
 * tokenizer composes it first (NFC), because the file does not tell.
 * Private to the tokenizer. Thread: read-only after creation.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	PRE_ADDS_BOS = 1,	/* unless the file says otherwise */
	PRE_IGNORES_MERGES = 2,	/* a word that is itself a token is not split */
};

#define PRE_MAX_PATTERNS 6

/* A row of the table of known names. */
struct pretokenizer_row {
	const char *names;		/* separated by blanks, the best known first */
	unsigned flags;
	const char *const *patterns;	/* NULL at the end, at most PRE_MAX_PATTERNS */
};
extern const struct pretokenizer_row pretokenizer_rows[];	/* names NULL at the end */

/* The table's pattern for one of Oniguruma's that a known tokenizer.json has and that takes
 * quadratic time, or more, when it is translated as it is. Both match the same.
 * cuts_lines: the text has no line's end beside anything else. NULL: there is none. */
const char *pretokenizer_fast_pattern(const char *text, size_t length, bool cuts_lines);

struct pretokenizer;

/* Returns NULL if the name is unknown. */
const struct pretokenizer_row *pretokenizer_find(const char *name, size_t length);

/* SC_E_UNSUPPORTED: the name is unknown; err lists the known names without their synonyms. */
must_check enum sc_status pretokenizer_create(const char *name, size_t length,
					      struct pretokenizer **pre_out, struct error *err);
void pretokenizer_destroy(struct pretokenizer *pre);
unsigned pretokenizer_flags(const struct pretokenizer *pre);

/* Called for each word in order. Any result other than SC_OK ends the split with that status. */
typedef enum sc_status pretokenizer_word(void *context, const char *word, size_t n_bytes);

/* Splits text. Bytes that are not UTF-8 stay in the words; to the patterns each looks like U+001A,
 * a control character (no space, letter, number, punctuation or symbol).
 * SC_E_NOMEM. SC_E_TOO_LARGE: a pattern reached its match limit, which no real text does. */
must_check enum sc_status pretokenizer_split(const struct pretokenizer *pre, const char *text,
					     size_t n_bytes, pretokenizer_word *on_word,
					     void *context, struct error *err);

#endif
