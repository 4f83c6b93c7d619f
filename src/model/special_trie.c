/* SPDX-License-Identifier: Apache-2.0 */
#include "model/special_trie.h"

#include "model/pairmap.h"

#include <stdlib.h>
#include <string.h>

struct node {
	uint32_t token;		/* that ends here, or TOKEN_NONE */
	bool is_control;
	bool looks_like_control;
};

struct special_trie {
	struct pairmap *edges;	/* (node, byte) to node */
	struct node *nodes;	/* [0] is the root */
	size_t n_nodes;
	bool begins[256];	/* some token begins with this byte */
};

static bool is_listed(const struct vocab *vocab, size_t i)
{
	return vocab->types[i] == VOCAB_CONTROL || vocab->types[i] == VOCAB_UNKNOWN ||
	       (vocab->types[i] == VOCAB_USER_DEFINED && !vocab_is_symbol(vocab, (uint32_t)i));
}

static bool is_between(struct gguf_string text, const char *begin, const char *end)
{
	size_t n_begin = strlen(begin), n_end = strlen(end);

	return text.length >= n_begin + n_end && !memcmp(text.data, begin, n_begin) &&
	       !memcmp(text.data + text.length - n_end, end, n_end);
}

/* Phi, Command-R, ChatML and others; DeepSeek, with U+FF5C for |; Gemma. Their tokenizers do not
 * call all of these special, and older converters of models then made them user-defined. */
bool special_looks_like_control(struct gguf_string text)
{
	return is_between(text, "<|", "|>") || is_between(text, "<\uFF5C", "\uFF5C>") ||
	       is_between(text, "<start_of_", ">") || is_between(text, "<end_of_", ">");
}

static enum sc_status add_token(struct special_trie *trie, const struct vocab *vocab,
				uint32_t token)
{
	struct gguf_string text = gguf_array_string(&vocab->texts, token);
	size_t at = 0;

	if (!text.length)
		return SC_OK;
	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = (uint8_t)text.data[i];
		uint64_t next;
		enum sc_status status;

		if (!pairmap_find(trie->edges, (uint32_t)at, byte, &next)) {
			next = trie->n_nodes++;
			trie->nodes[next].token = TOKEN_NONE;
			status = pairmap_add(trie->edges, (uint32_t)at, byte, next);
			if (status)
				return status;
		}
		at = next;
	}
	trie->begins[(uint8_t)text.data[0]] = true;
	if (trie->nodes[at].token == TOKEN_NONE)
		trie->nodes[at] = (struct node){
			.token = token,
			.is_control = vocab->types[token] != VOCAB_USER_DEFINED ||
				      vocab->flags[token] & VOCAB_IS_END,
			.looks_like_control = special_looks_like_control(text),
		};
	return SC_OK;
}

enum sc_status special_trie_create(const struct vocab *vocab, struct special_trie **trie_out)
{
	struct special_trie *trie = calloc(1, sizeof *trie);
	enum sc_status status = SC_E_NOMEM;
	size_t n_bytes = 0;

	if (!trie)
		return SC_E_NOMEM;
	for (size_t i = 0; i < vocab->n; i++)
		if (is_listed(vocab, i))
			n_bytes += gguf_array_string(&vocab->texts, i).length;
	trie->nodes = calloc(n_bytes + 1, sizeof trie->nodes[0]);
	if (!trie->nodes)
		goto fail;
	trie->nodes[0].token = TOKEN_NONE;
	trie->n_nodes = 1;
	status = pairmap_create(n_bytes, &trie->edges);
	for (size_t i = 0; i < vocab->n && !status; i++)
		if (is_listed(vocab, i))
			status = add_token(trie, vocab, (uint32_t)i);
	if (status)
		goto fail;
	*trie_out = trie;
	return SC_OK;
fail:
	special_trie_destroy(trie);
	return status;
}

void special_trie_destroy(struct special_trie *trie)
{
	if (!trie)
		return;
	pairmap_destroy(trie->edges);
	free(trie->nodes);
	free(trie);
}

static bool needs_leave(const struct node *node, struct control_places control)
{
	return node->is_control || (control.mask && node->looks_like_control);
}

/* The longest token at `start`. */
static bool match_here(const struct special_trie *trie, const char *text, size_t n_bytes,
		       size_t start, struct control_places control, struct special_match *match)
{
	uint64_t at = 0;
	bool is_found = false;

	for (size_t i = start; i < n_bytes; i++) {
		const struct node *node;

		if (!pairmap_find(trie->edges, (uint32_t)at, (uint8_t)text[i], &at))
			break;
		node = &trie->nodes[at];
		/* A control token that begins here is as long as the run of allowed bytes, or
		 * shorter. */
		if (control.mask && !control.mask[i])
			control.is_allowed = false;
		if (node->token == TOKEN_NONE ||
		    (needs_leave(node, control) && !control.is_allowed))
			continue;
		match->token = node->token;
		match->n_bytes = i + 1 - start;
		is_found = true;
	}
	return is_found;
}

struct special_match special_trie_find(const struct special_trie *trie, const char *text,
				       size_t n_bytes, size_t from,
				       struct control_places control)
{
	struct special_match match = { .start = n_bytes, .token = TOKEN_NONE };

	for (size_t at = from; at < n_bytes; at++) {
		if (!trie->begins[(uint8_t)text[at]] ||
		    !match_here(trie, text, n_bytes, at, control, &match))
			continue;
		match.start = at;
		break;
	}
	return match;
}
