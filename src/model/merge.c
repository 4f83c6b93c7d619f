/* SPDX-License-Identifier: Apache-2.0 */
#include "model/merge.h"

#include <stdlib.h>

struct merge_candidate {
	uint64_t order;		/* priority, then the left symbol's index */
	uint32_t n_bytes;	/* of the pair when it was found: it is stale once this differs */
	uint32_t token;
};

void merger_deinit(struct merger *merger)
{
	free(merger->symbols);
	free(merger->heap);
	*merger = (struct merger)MERGER_INIT;
}

enum sc_status merger_reset(struct merger *merger, size_t n_symbols)
{
	size_t n_max = 2 * merger->n_symbols_max;

	merger->n_symbols = 0;
	merger->n_heap = 0;
	if (n_symbols <= merger->n_symbols_max)
		return SC_OK;
	if (n_max < n_symbols)
		n_max = n_symbols < 64 ? 64 : n_symbols;
	merger_deinit(merger);
	merger->symbols = malloc(n_max * sizeof merger->symbols[0]);
	/* n - 1 pairs at the start, and a join adds at most two for the one that it uses up. */
	merger->heap = malloc(2 * n_max * sizeof merger->heap[0]);
	if (!merger->symbols || !merger->heap) {
		merger_deinit(merger);
		return SC_E_NOMEM;
	}
	merger->n_symbols_max = n_max;
	return SC_OK;
}

void merger_add(struct merger *merger, uint32_t n_bytes, uint32_t token)
{
	uint32_t at = (uint32_t)merger->n_symbols++;
	struct merge_symbol *symbol = &merger->symbols[at];

	*symbol = (struct merge_symbol){
		.prev = MERGE_END, .next = MERGE_END, .n_bytes = n_bytes, .token = token,
	};
	if (at) {
		symbol->prev = at - 1;
		symbol->start = symbol[-1].start + symbol[-1].n_bytes;
		symbol[-1].next = at;
	}
}

static void heap_push(struct merger *merger, struct merge_candidate candidate)
{
	struct merge_candidate *heap = merger->heap;
	size_t at = merger->n_heap++;

	while (at && heap[(at - 1) / 2].order > candidate.order) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = candidate;
}

static struct merge_candidate heap_pop(struct merger *merger)
{
	struct merge_candidate *heap = merger->heap;
	struct merge_candidate top = heap[0], last = heap[--merger->n_heap];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < merger->n_heap) {
		if (child + 1 < merger->n_heap && heap[child + 1].order < heap[child].order)
			child++;
		if (heap[child].order >= last.order)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return top;
}

struct merge_run {
	struct merger *merger;
	const char *text;
	merge_find *find;
	const void *context;
};

static void offer_pair(const struct merge_run *run, uint32_t left, uint32_t right)
{
	const struct merge_symbol *symbols = run->merger->symbols;
	struct merge_rule rule;

	if (left == MERGE_END || right == MERGE_END)
		return;
	if (!run->find(run->context, run->text, &symbols[left], &symbols[right], &rule))
		return;
	heap_push(run->merger, (struct merge_candidate){
		.order = (uint64_t)rule.priority << 32 | left,
		.n_bytes = symbols[left].n_bytes + symbols[right].n_bytes,
		.token = rule.token,
	});
}

/* Join the pair, unless one of its halves was joined to something else meanwhile: then the
 * lengths no longer add up, since a symbol only ever grows or disappears. */
static void join(const struct merge_run *run, struct merge_candidate pair)
{
	struct merge_symbol *symbols = run->merger->symbols;
	uint32_t at = (uint32_t)pair.order;
	struct merge_symbol *left = &symbols[at], *right;

	if (!left->n_bytes || left->next == MERGE_END)
		return;
	right = &symbols[left->next];
	if (left->n_bytes + right->n_bytes != pair.n_bytes)
		return;
	left->n_bytes = pair.n_bytes;
	left->token = pair.token;
	left->next = right->next;
	right->n_bytes = 0;
	if (left->next != MERGE_END)
		symbols[left->next].prev = at;
	offer_pair(run, left->prev, at);
	offer_pair(run, at, left->next);
}

void merger_run(struct merger *merger, const char *text, merge_find *find, const void *context)
{
	struct merge_run run = { merger, text, find, context };

	for (uint32_t i = 0; i + 1 < merger->n_symbols; i++)
		offer_pair(&run, i, i + 1);
	while (merger->n_heap)
		join(&run, heap_pop(merger));
}
