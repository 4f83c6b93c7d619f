/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PIECE_TRIE_H
#define STAGECOACH_MODEL_PIECE_TRIE_H
/*
 * piece_trie - finds every key that a text starts with, in one walk over the text's bytes.
 * Nodes are in the order of their depth, and the children of a node stand together, sorted by their
 * byte. A node takes 9 bytes; there are at most as many nodes as the keys have bytes.
 * Thread: read-only after creation.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct piece_trie_key {
	const char *data;
	uint32_t n_bytes;
	uint32_t value;		/* not PIECE_TRIE_NONE */
};

#define PIECE_TRIE_NONE UINT32_MAX

struct piece_trie_node {
	uint32_t first;		/* child; the last one stands before the next node's first */
	uint32_t value;		/* of the key that ends here, or PIECE_TRIE_NONE */
};

struct piece_trie {
	struct piece_trie_node *nodes;	/* [n + 1]; [0] is the root */
	uint8_t *bytes;			/* [n] that lead to each node */
	size_t n;
	uint32_t roots[256];		/* the root's child for each byte, or 0 */
};

/* Sorts keys. Empty keys are left out; of equal keys the lowest value counts. Borrows nothing.
 * trie must be zeroed; the caller calls piece_trie_deinit in any case. SC_E_NOMEM.
 * SC_E_TOO_LARGE: 2^32 bytes of keys or more. */
must_check enum sc_status piece_trie_init(struct piece_trie *trie, struct piece_trie_key *keys,
					  size_t n_keys);
void piece_trie_deinit(struct piece_trie *trie);

/* Goes from node `at` (0: the root) along byte. Returns false if no key goes on so. */
static inline bool piece_trie_step(const struct piece_trie *trie, uint32_t *at, uint8_t byte)
{
	const uint32_t first = trie->nodes[*at].first, n = trie->nodes[*at + 1].first - first;
	const uint8_t *found;

	if (!*at) {
		*at = trie->roots[byte];
		return *at != 0;
	}
	if (n <= 1) {
		*at = first;
		return n && trie->bytes[first] == byte;
	}
	found = memchr(trie->bytes + first, byte, n);
	if (!found)
		return false;
	*at = (uint32_t)(found - trie->bytes);
	return true;
}

/* Returns true if a key ends at node `at`. */
static inline bool piece_trie_ends(const struct piece_trie *trie, uint32_t at, uint32_t *value_out)
{
	*value_out = trie->nodes[at].value;
	return *value_out != PIECE_TRIE_NONE;
}

#endif
