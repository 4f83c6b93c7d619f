/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ONIGURUMA_PRIVATE_H
#define STAGECOACH_MODEL_ONIGURUMA_PRIVATE_H
/*
 * oniguruma_private - what the two files of the translation share: oniguruma.c has repeats, groups
 * and anchors; oniguruma_class.c characters, properties and classes.
 */
#include "model/oniguruma.h"

#include <stdbool.h>
#include <stdint.h>

#define ONIGURUMA_MAX_DEPTH 64

/* Items of PCRE2's classes. In Oniguruma, the word characters of Latin-1 include its fractions and
 * powers. */
#define SPACE_ITEMS "\\p{Z}\\t-\\r\\x{85}"
#define WORD_ITEMS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"

struct options {
	bool ignores_case, dot_is_all;
};

struct translation {
	const char *text;	/* the pattern, UTF-8 */
	size_t n, at;
	struct buf *out;
	struct options options;
	unsigned depth;
	struct error *err;
};

/* "... offset N: WHAT is not supported". */
enum sc_status translation_refuse(const struct translation *t, size_t at, const char *what);
/* Reads the next character of the pattern. */
must_check enum sc_status translation_read(struct translation *t, uint32_t *code_out);
/* Moves behind text if it is next. */
bool translation_takes(struct translation *t, const char *text);

/* The items of \s \d \w \h, and of \S \D \W \H, which negate them. NULL: another letter. */
const char *oniguruma_set(char letter);

/* \p{NAME}, as items of a class. */
struct property {
	char items[128];
	bool is_negated;
};
/* Reads a set behind a backslash: of a letter, or a property. No items: something else is there, and
 * nothing was read. */
must_check enum sc_status oniguruma_escaped_set(struct translation *t, struct property *set_out);

/* Reads a character, which may be an escape. */
must_check enum sc_status oniguruma_character(struct translation *t, uint32_t *code_out);
/* Writes a character so that it means itself, in a class or outside. */
must_check enum sc_status oniguruma_write(struct buf *out, uint32_t code);

/* Translates [...]. */
must_check enum sc_status oniguruma_class(struct translation *t);

#endif
