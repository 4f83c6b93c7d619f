/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPECIAL_TRIE_H
#define STAGECOACH_MODEL_SPECIAL_TRIE_H
/*
 * special_trie - finds tokens that are written out in a text, before anything else looks at it:
 * user-defined tokens always, control and unknown tokens where the caller asks for it.
 * Where several begin at one place the longest one counts; the leftmost place comes first.
 * Internal to the tokenizer. Thread: read-only after creation. Borrows nothing.
 */
#include "model/vocab.h"

struct special_trie;

must_check enum sc_status special_trie_create(const struct vocab *vocab,
					      struct special_trie **trie_out);
void special_trie_destroy(struct special_trie *trie);

struct special_match {
	size_t start;		/* n_bytes of the text, and token TOKEN_NONE, when there is none */
	size_t n_bytes;
	uint32_t token;
};

/* The first one at or behind from. */
struct special_match special_trie_find(const struct special_trie *trie, const char *text,
				       size_t n_bytes, size_t from, bool with_control);

#endif
