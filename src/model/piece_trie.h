/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PIECE_TRIE_H
#define STAGECOACH_MODEL_PIECE_TRIE_H
/*
 * piece_trie - finds every key that a text starts with, in one walk over the text's bytes.
 * A double array: node s has a child for byte c if units[base(s) + c] names s as its parent.
 * Building takes time linear in the bytes of the keys, whatever the keys are: a node whose children
 * fit into none of the first few gaps goes to the array's end.
 * Thread: read-only after creation.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece_trie_key {
	const char *data;
	uint32_t n_bytes;
	uint32_t value;
};

struct piece_trie_unit {
	uint32_t base;		/* its top bit: a key ends here */
	uint32_t parent;
};

struct piece_trie {
	struct piece_trie_unit *units;
	uint32_t *values;	/* [n_units] of the keys that end at each unit */
	size_t n_units;
	size_t n_max;
	uint32_t first_gap;	/* while building: gaps are linked through base and values */
};

#define PIECE_TRIE_ENDS 0x80000000u
#define PIECE_TRIE_NONE 0x7FFFFFFFu	/* no unit; a gap has this parent */

/* Sorts keys. Empty keys are left out; of equal keys the lowest value counts. Borrows
 * nothing. trie must be zeroed; the caller calls piece_trie_deinit in any case. SC_E_NOMEM;
 * SC_E_TOO_LARGE: more nodes than a unit can name. */
must_check enum sc_status piece_trie_init(struct piece_trie *trie, struct piece_trie_key *keys,
					  size_t n_keys);
void piece_trie_deinit(struct piece_trie *trie);

/* Goes from node `at` (0: the root) along byte. Returns false if no key goes on so. */
static inline bool piece_trie_step(const struct piece_trie *trie, uint32_t *at, uint8_t byte)
{
	uint32_t next = (trie->units[*at].base & ~PIECE_TRIE_ENDS) + byte;

	if (trie->units[next].parent != *at)
		return false;
	*at = next;
	return true;
}

/* Returns true if a key ends at node `at`. */
static inline bool piece_trie_ends(const struct piece_trie *trie, uint32_t at, uint32_t *value_out)
{
	if (!(trie->units[at].base & PIECE_TRIE_ENDS))
		return false;
	*value_out = trie->values[at];
	return true;
}

#endif
