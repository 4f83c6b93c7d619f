/* SPDX-License-Identifier: Apache-2.0 */
#include "model/piece_trie.h"

#include <stdlib.h>
#include <string.h>

enum {
	N_BYTES = 256,
	N_TRIES = 32,		/* gaps that are tried for a node's children */
};
#define MAX_UNITS 0x7FFFFE00u

/* Keys that share their first `depth` bytes, which lead to node. */
struct range {
	size_t first, end;
	uint32_t node;
	uint32_t depth;
};

struct building {
	struct piece_trie *trie;
	const struct piece_trie_key *keys;
	struct range *stack;
	size_t n_stack, n_stack_max;
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

/* While a unit is a gap, its base is the next gap and its value the previous one. */
static void link_gap(struct piece_trie *trie, uint32_t at, uint32_t previous, uint32_t next)
{
	trie->units[at] = (struct piece_trie_unit){ .base = next, .parent = PIECE_TRIE_NONE };
	trie->values[at] = previous;
}

static void take_gap(struct piece_trie *trie, uint32_t at)
{
	uint32_t next = trie->units[at].base, previous = trie->values[at];

	if (previous == PIECE_TRIE_NONE)
		trie->first_gap = next;
	else
		trie->units[previous].base = next;
	if (next != PIECE_TRIE_NONE)
		trie->values[next] = previous;
}

/* Makes units up to `end` exist. New units become the first gaps, lowest first. */
static enum sc_status grow(struct piece_trie *trie, size_t end)
{
	size_t n_max = trie->n_max ? trie->n_max : 4096;
	void *units, *values;

	if (end <= trie->n_units)
		return SC_OK;
	if (end > MAX_UNITS)
		return SC_E_TOO_LARGE;
	while (n_max < end)
		n_max += n_max / 2;
	if (n_max > trie->n_max) {
		units = realloc(trie->units, n_max * sizeof trie->units[0]);
		if (units)
			trie->units = units;
		values = realloc(trie->values, n_max * sizeof trie->values[0]);
		if (values)
			trie->values = values;
		if (!units || !values)
			return SC_E_NOMEM;
		trie->n_max = n_max;
	}
	for (size_t at = end; at-- > trie->n_units;) {
		link_gap(trie, (uint32_t)at, PIECE_TRIE_NONE, trie->first_gap);
		if (trie->first_gap != PIECE_TRIE_NONE)
			trie->values[trie->first_gap] = (uint32_t)at;
		trie->first_gap = (uint32_t)at;
	}
	trie->n_units = end;
	return SC_OK;
}

static bool is_free(const struct piece_trie *trie, uint32_t base, const uint8_t *labels,
		    size_t n_labels)
{
	for (size_t i = 0; i < n_labels; i++) {
		size_t at = (size_t)base + labels[i];

		if (at < trie->n_units && trie->units[at].parent != PIECE_TRIE_NONE)
			return false;
	}
	return true;
}

/* Finds a base at which all labels are gaps. Every base has N_BYTES units behind it, so that a step
 * needs no check. */
static enum sc_status find_base(struct piece_trie *trie, const uint8_t *labels, size_t n_labels,
				uint32_t *base_out)
{
	uint32_t gap = trie->first_gap;

	for (unsigned i = 0; i < N_TRIES && gap != PIECE_TRIE_NONE; i++) {
		if (gap >= labels[0] && is_free(trie, gap - labels[0], labels, n_labels)) {
			*base_out = gap - labels[0];
			return grow(trie, (size_t)*base_out + N_BYTES);
		}
		gap = trie->units[gap].base;
	}
	*base_out = (uint32_t)trie->n_units;
	return grow(trie, trie->n_units + N_BYTES);
}

static enum sc_status push(struct building *b, struct range range)
{
	if (b->n_stack == b->n_stack_max) {
		size_t n_max = b->n_stack_max ? 2 * b->n_stack_max : 512;
		struct range *stack = realloc(b->stack, n_max * sizeof *stack);

		if (!stack)
			return SC_E_NOMEM;
		b->stack = stack;
		b->n_stack_max = n_max;
	}
	b->stack[b->n_stack++] = range;
	return SC_OK;
}

/* Groups the range's keys, all longer than its depth, by their next byte. */
static size_t find_children(const struct building *b, struct range range, uint8_t *labels,
			    size_t *starts)
{
	size_t n = 0;

	for (size_t i = range.first; i < range.end; i++) {
		uint8_t label = (uint8_t)b->keys[i].data[range.depth];

		if (n && labels[n - 1] == label)
			continue;
		labels[n] = label;
		starts[n++] = i;
	}
	starts[n] = range.end;
	return n;
}

static enum sc_status add_children(struct building *b, struct range range)
{
	struct piece_trie *trie = b->trie;
	uint8_t labels[N_BYTES];
	size_t starts[N_BYTES + 1];
	size_t n = find_children(b, range, labels, starts);
	uint32_t base;
	enum sc_status status = find_base(trie, labels, n, &base);

	if (status)
		return status;
	trie->units[range.node].base |= base;
	for (size_t i = 0; i < n && !status; i++) {
		uint32_t at = base + labels[i];

		take_gap(trie, at);
		trie->units[at] = (struct piece_trie_unit){ .parent = range.node };
		trie->values[at] = 0;
		status = push(b, (struct range){ starts[i], starts[i + 1], at, range.depth + 1 });
	}
	return status;
}

/* Keys that end at the range's node stand first. */
static enum sc_status add_range(struct building *b, struct range range)
{
	struct piece_trie *trie = b->trie;
	bool is_first = true;

	while (range.first < range.end && b->keys[range.first].n_bytes == range.depth) {
		if (is_first && range.depth) {
			trie->units[range.node].base |= PIECE_TRIE_ENDS;
			trie->values[range.node] = b->keys[range.first].value;
			is_first = false;
		}
		range.first++;
	}
	return range.first < range.end ? add_children(b, range) : SC_OK;
}

enum sc_status piece_trie_init(struct piece_trie *trie, struct piece_trie_key *keys, size_t n_keys)
{
	struct building b = { .trie = trie, .keys = keys };
	enum sc_status status;

	if (n_keys)
		qsort(keys, n_keys, sizeof *keys, compare);
	trie->first_gap = PIECE_TRIE_NONE;
	status = grow(trie, 1 + N_BYTES);
	if (!status) {
		take_gap(trie, 0);
		trie->units[0] = (struct piece_trie_unit){ .parent = PIECE_TRIE_NONE - 1 };
		trie->values[0] = 0;
		status = push(&b, (struct range){ .end = n_keys });
	}
	while (!status && b.n_stack)
		status = add_range(&b, b.stack[--b.n_stack]);
	free(b.stack);
	return status;
}

void piece_trie_deinit(struct piece_trie *trie)
{
	free(trie->units);
	free(trie->values);
	*trie = (struct piece_trie){ 0 };
}
