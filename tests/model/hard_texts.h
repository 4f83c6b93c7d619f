/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_HARD_TEXTS_H
#define STAGECOACH_TESTS_MODEL_HARD_TEXTS_H
/*
 * hard_texts - texts of any length that make a careless tokenizer slow: long runs of one character
 * or of one class, words without an end, patterns that begin and never match, bytes that are not
 * UTF-8. For tests and measurements. The same length gives the same text.
 */
#include <stddef.h>
#include <stdint.h>

struct hard_text {
	const char *name;
	const char *unit;	/* repeated, or NULL */
	const char *set;	/* else: any of these ASCII characters at random, or NULL */
	uint32_t first, last;	/* else: any of these code points at random, or 0: any bytes */
	const char *tail;	/* what the text ends with, or NULL */
};
extern const struct hard_text hard_texts[];	/* name NULL at the end */

/* Write n_bytes; a character that no longer fits is written as letters. */
void hard_text_fill(const struct hard_text *text, char *out, size_t n_bytes);

#endif
