/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_GRAPHEME_H
#define STAGECOACH_MODEL_GRAPHEME_H
/*
 * grapheme - finds the ends of extended grapheme clusters: what a reader takes for one character,
 * such as a letter with its accents (Unicode Standard Annex 29, Unicode 17).
 * Left out are the rules for pairs of regional indicators and for Indic conjuncts. Both only join
 * clusters that are longer than 5 bytes anyway, and the only user treats those character by
 * character (model/charsmap.h).
 * Thread: any.
 */
#include <stddef.h>
#include <stdint.h>

enum grapheme_class {
	GRAPHEME_OTHER,
	GRAPHEME_CONTROL,
	GRAPHEME_EXTEND,
	GRAPHEME_SPACING,
	GRAPHEME_PREPEND,
	GRAPHEME_PICTURE,
	GRAPHEME_CR, GRAPHEME_LF, GRAPHEME_ZWJ,
	GRAPHEME_L, GRAPHEME_V, GRAPHEME_T, GRAPHEME_LV, GRAPHEME_LVT,	/* Hangul */
};

/* Characters from U+0080 on; the classes after GRAPHEME_PICTURE are computed. */
struct grapheme_range {
	uint32_t first, last;
	uint8_t class;		/* enum grapheme_class */
};
extern const struct grapheme_range grapheme_ranges[];
extern const size_t grapheme_n_ranges;

enum grapheme_class grapheme_class(uint32_t code);

/* Returns the bytes of the cluster at the start of text (n_bytes > 0). A byte that is no UTF-8 is a
 * cluster of its own. */
size_t grapheme_length(const char *text, size_t n_bytes);

#endif
