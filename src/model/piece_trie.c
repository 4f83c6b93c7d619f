/* SPDX-License-Identifier: Apache-2.0 */
#include "model/piece_trie.h"

#include <stdlib.h>

/* The keys below a node: they share their first `depth` bytes. */
struct range {
	uint32_t first, end;
	uint32_t depth;
};

struct building {
	struct piece_trie *trie;
	const struct piece_trie_key *keys;
	struct range *ranges;		/* [n] of each node */
	size_t n_max;
};

static int compare(const void *left, const void *right)
{
	const struct piece_trie_key *a = left, *b = right;
	uint32_t n = a->n_bytes < b->n_bytes ? a->n_bytes : b->n_bytes;
	int order = n ? memcmp(a->data, b->data, n) : 0;

	if (order)
		return order;
	if (a->n_bytes != b->n_bytes)
		return a->n_bytes < b->n_bytes ? -1 : 1;
	return a->value < b->value ? -1 : a->value > b->value;
}

/* Makes room for one more node and the end behind it. */
static enum sc_status grow(struct building *b)
{
	struct piece_trie *trie = b->trie;
	size_t n_max = b->n_max ? b->n_max + b->n_max / 2 : 1024;
	void *nodes, *bytes, *ranges;

	if (trie->n + 1 < b->n_max)
		return SC_OK;
	if (n_max > UINT32_MAX)
		return SC_E_TOO_LARGE;
	nodes = realloc(trie->nodes, n_max * sizeof trie->nodes[0]);
	trie->nodes = nodes ? nodes : trie->nodes;
	bytes = realloc(trie->bytes, n_max * sizeof trie->bytes[0]);
	trie->bytes = bytes ? bytes : trie->bytes;
	ranges = realloc(b->ranges, n_max * sizeof b->ranges[0]);
	b->ranges = ranges ? ranges : b->ranges;
	if (!nodes || !bytes || !ranges)
		return SC_E_NOMEM;
	b->n_max = n_max;
	return SC_OK;
}

static enum sc_status add_node(struct building *b, uint8_t byte, struct range range)
{
	struct piece_trie *trie = b->trie;
	enum sc_status status = grow(b);

	if (status)
		return status;
	trie->nodes[trie->n] = (struct piece_trie_node){ .value = PIECE_TRIE_NONE };
	trie->bytes[trie->n] = byte;
	b->ranges[trie->n++] = range;
	return SC_OK;
}

/* Adds the children of a node. Keys that end at the node stand first in its range. */
static enum sc_status add_children(struct building *b, size_t node)
{
	struct piece_trie *trie = b->trie;
	const struct range range = b->ranges[node];
	uint32_t first = range.first;
	enum sc_status status = SC_OK;

	trie->nodes[node].first = (uint32_t)trie->n;
	for (; first < range.end && b->keys[first].n_bytes == range.depth; first++)
		if (node && trie->nodes[node].value == PIECE_TRIE_NONE)
			trie->nodes[node].value = b->keys[first].value;
	while (first < range.end && !status) {
		const char byte = b->keys[first].data[range.depth];
		uint32_t end = first + 1;

		while (end < range.end && b->keys[end].data[range.depth] == byte)
			end++;
		status = add_node(b, (uint8_t)byte, (struct range){ first, end, range.depth + 1 });
		first = end;
	}
	return status;
}

enum sc_status piece_trie_init(struct piece_trie *trie, struct piece_trie_key *keys, size_t n_keys)
{
	struct building b = { .trie = trie, .keys = keys };
	enum sc_status status = n_keys < UINT32_MAX ? SC_OK : SC_E_TOO_LARGE;

	if (!status && n_keys)
		qsort(keys, n_keys, sizeof *keys, compare);
	if (!status)
		status = add_node(&b, 0, (struct range){ .end = (uint32_t)n_keys });
	for (size_t node = 0; node < trie->n && !status; node++)
		status = add_children(&b, node);
	if (!status)
		trie->nodes[trie->n].first = (uint32_t)trie->n;
	for (size_t i = 1; !status && i < trie->nodes[1].first; i++)
		trie->roots[trie->bytes[i]] = (uint32_t)i;
	free(b.ranges);
	return status;
}

void piece_trie_deinit(struct piece_trie *trie)
{
	free(trie->nodes);
	free(trie->bytes);
	*trie = (struct piece_trie){ .n = 0 };
}
