/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SPECIAL_TRIE_H
#define STAGECOACH_MODEL_SPECIAL_TRIE_H
/*
 * special_trie - finds tokens that are written out in a text, before the text is split into words:
 * always user-defined tokens; control and unknown tokens, and whatever ends generation, only where
 * the caller allows them. A user-defined token that looks like a control token, as <|user|> does,
 * is one as soon as the caller gives a mask: model files often have the wrong type for it.
 * The leftmost match counts; of several matches at one place, the longest.
 * Private to the tokenizer. Thread: read-only after creation. Borrows nothing.
 */
#include "model/vocab.h"

struct special_trie;

must_check enum sc_status special_trie_create(const struct vocab *vocab,
					      struct special_trie **trie_out);
void special_trie_destroy(struct special_trie *trie);

/* Returns true for texts such as <|user|>, which are control tokens whatever their type. */
bool special_looks_like_control(struct gguf_string text);

struct special_match {
	size_t start;		/* if there is no match: the text's
				 * n_bytes, with token TOKEN_NONE */
	size_t n_bytes;
	uint32_t token;
};

/* Where control tokens may match. */
struct control_places {
	bool is_allowed;	/* false: nowhere */
	const char *mask;	/* [n_bytes of the text]: only where all bytes of the token have a
				 * value other than 0. NULL: everywhere */
};

/* Finds the first token at or after `from`. */
struct special_match special_trie_find(const struct special_trie *trie, const char *text,
				       size_t n_bytes, size_t from,
				       struct control_places control);

#endif
