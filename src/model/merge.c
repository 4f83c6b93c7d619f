/* SPDX-License-Identifier: Apache-2.0 */
#include "model/merge.h"

#include <stdlib.h>

struct merge_candidate {
	uint64_t order;		/* priority, then the left symbol's index */
	uint32_t n_bytes;	/* length of the pair when it was found; if
				 * it differs now, the candidate is stale */
	uint32_t token;
};

struct merge_token {
	uint32_t start;		/* offset in the word */
	uint32_t n_bytes;
	uint32_t token;
};

/* The state of one call of merger_join. */
struct merge_run {
	struct merger *merger;
	const struct merge_rules *rules;
	const char *word;
	size_t n_bytes;
	size_t start;		/* start of the window in the word */
	size_t end;
	struct token_list *ids;
};

void merger_deinit(struct merger *merger)
{
	free(merger->symbols);
	free(merger->heap);
	free(merger->held);
	*merger = (struct merger)MERGER_INIT;
}

/* Removes all symbols and makes room for n. */
static enum sc_status reset_symbols(struct merger *merger, size_t n)
{
	size_t n_max = n < 64 ? 64 : n < MERGE_WINDOW_MIN ? MERGE_WINDOW_MIN : n;

	merger->n_symbols = 0;
	merger->n_heap = 0;
	if (n <= merger->n_symbols_max)
		return SC_OK;
	free(merger->symbols);
	free(merger->heap);
	merger->n_symbols_max = 0;
	merger->symbols = malloc(n_max * sizeof merger->symbols[0]);
	/* There are n - 1 pairs at the start. A join consumes one pair and adds at most two. */
	merger->heap = malloc(2 * n_max * sizeof merger->heap[0]);
	if (!merger->symbols || !merger->heap)
		return SC_E_NOMEM;
	merger->n_symbols_max = n_max;
	return SC_OK;
}

static void add_symbol(struct merger *merger, uint32_t n_bytes, uint32_t token)
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

static void offer_pair(const struct merge_run *run, uint32_t left, uint32_t right)
{
	const struct merge_symbol *symbols = run->merger->symbols;
	struct merge_rule rule;

	if (left == MERGE_END || right == MERGE_END)
		return;
	if (!run->rules->find(run->rules->context, run->word + run->start, &symbols[left],
			      &symbols[right], &rule))
		return;
	heap_push(run->merger, (struct merge_candidate){
		.order = (uint64_t)rule.priority << 32 | left,
		.n_bytes = symbols[left].n_bytes + symbols[right].n_bytes,
		.token = rule.token,
	});
}

/* Joins the pair, unless one of its halves was joined to something else since the pair was found.
 * Symbols only grow or disappear, so the lengths then no longer add up. */
static void join_pair(const struct merge_run *run, struct merge_candidate pair)
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

/* Joins up to n_max symbols from run->start on. Sets run->end. */
static enum sc_status join_window(struct merge_run *run, size_t n_max)
{
	struct merger *merger = run->merger;
	const struct merge_rules *rules = run->rules;
	size_t n_left = run->n_bytes - run->start;

	if (reset_symbols(merger, n_left < n_max ? n_left : n_max))
		return SC_E_NOMEM;
	run->end = run->start;
	while (run->end < run->n_bytes && merger->n_symbols < n_max) {
		uint32_t token;
		uint32_t n = rules->read(rules->context, run->word + run->end,
					 run->n_bytes - run->end, &token);

		add_symbol(merger, n, token);
		run->end += n;
	}
	merger->n_read += merger->n_symbols;
	for (uint32_t i = 0; i + 1 < merger->n_symbols; i++)
		offer_pair(run, i, i + 1);
	while (merger->n_heap)
		join_pair(run, heap_pop(merger));
	return SC_OK;
}

static enum sc_status emit_window(const struct merge_run *run)
{
	const struct merge_symbol *symbols = run->merger->symbols;
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; i != MERGE_END && !status; i = symbols[i].next)
		status = run->rules->emit(run->rules->context,
					  run->word + run->start + symbols[i].start,
					  symbols[i].n_bytes, symbols[i].token, run->ids);
	return status;
}

/* Emits the first n held tokens. */
static enum sc_status emit_held(const struct merge_run *run, size_t n)
{
	const struct merge_token *held = run->merger->held;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < n && !status; i++)
		status = run->rules->emit(run->rules->context, run->word + held[i].start,
					  held[i].n_bytes, held[i].token, run->ids);
	return status;
}

/* Holds the window's tokens until the next window confirms them. */
static enum sc_status hold_window(const struct merge_run *run)
{
	struct merger *merger = run->merger;
	const struct merge_symbol *symbols = merger->symbols;

	if (merger->n_symbols > merger->n_held_max) {
		free(merger->held);
		merger->n_held_max = 0;
		merger->held = malloc(merger->n_symbols * sizeof merger->held[0]);
		if (!merger->held)
			return SC_E_NOMEM;
		merger->n_held_max = merger->n_symbols;
	}
	merger->n_held = 0;
	for (uint32_t i = 0; i != MERGE_END; i = symbols[i].next)
		merger->held[merger->n_held++] = (struct merge_token){
			.start = (uint32_t)run->start + symbols[i].start,
			.n_bytes = symbols[i].n_bytes, .token = symbols[i].token,
		};
	return SC_OK;
}

static enum sc_status join_whole(struct merge_run *run)
{
	enum sc_status status;

	run->start = 0;
	status = join_window(run, SIZE_MAX);
	return status ? status : emit_window(run);
}

/* Joins the next window, which starts at one of the held window's tokens. The last held tokens are
 * the least certain, because their right neighbours were outside of the window. *shared_out: the
 * index of the token that both windows produce; 0 if there is none, and the whole word must be
 * joined in one run. */
static enum sc_status join_next(struct merge_run *run, size_t *shared_out)
{
	const struct merger *merger = run->merger;

	for (size_t n_dropped = 2 + merger->n_held / 16; n_dropped < merger->n_held;
	     n_dropped *= 2) {
		const struct merge_token *shared = &merger->held[merger->n_held - n_dropped];
		enum sc_status status;

		run->start = shared->start;
		status = join_window(run, run->rules->n_window);
		if (status)
			return status;
		if (merger->symbols[0].n_bytes == shared->n_bytes) {
			*shared_out = merger->n_held - n_dropped;
			return SC_OK;
		}
	}
	*shared_out = 0;
	return SC_OK;
}

enum sc_status merger_join(struct merger *merger, const struct merge_rules *rules,
			   const char *word, size_t n_bytes, struct token_list *ids)
{
	struct merge_run run = {
		.merger = merger, .rules = rules, .word = word, .n_bytes = n_bytes, .ids = ids,
	};
	size_t n_before = ids->n;
	enum sc_status status = join_window(&run, rules->n_window);

	while (!status && run.end < n_bytes) {
		size_t shared;

		status = hold_window(&run);
		if (!status)
			status = join_next(&run, &shared);
		if (!status && !shared) {
			merger->n_whole++;
			ids->n = n_before;
			return join_whole(&run);
		}
		if (!status)
			status = emit_held(&run, shared);
	}
	return status ? status : emit_window(&run);
}
