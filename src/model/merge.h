/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MERGE_H
#define STAGECOACH_MODEL_MERGE_H
/*
 * merge - joins neighbouring symbols of a text, best pair first, until no pair is left to join.
 * Both families of tokenizers are this loop; they differ in which pairs may be joined and in what
 * order. Of equal pairs the leftmost is joined first. n symbols cost O(n log n).
 * A merger is scratch memory: cleared and filled again for each word, never shared by threads.
 */
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MERGE_END UINT32_MAX

struct merge_symbol {
	uint32_t prev, next;	/* index of the neighbours that are left, or MERGE_END */
	uint32_t start;		/* in the text */
	uint32_t n_bytes;	/* 0: joined to the one on its left */
	uint32_t token;
};

struct merge_rule {
	uint32_t priority;	/* lower is joined earlier */
	uint32_t token;		/* what the pair becomes */
};

/* May left and its right neighbour be joined? context and text are merger_run's. */
typedef bool merge_find(const void *context, const char *text, const struct merge_symbol *left,
			const struct merge_symbol *right, struct merge_rule *rule_out);

struct merger {
	struct merge_symbol *symbols;	/* the first one is never joined to another */
	size_t n_symbols;
	size_t n_symbols_max;
	struct merge_candidate *heap;
	size_t n_heap;
};
#define MERGER_INIT { 0 }

void merger_deinit(struct merger *merger);

/* Forget all symbols and make room for n_symbols. SC_E_NOMEM. */
must_check enum sc_status merger_reset(struct merger *merger, size_t n_symbols);

/* Append a symbol behind the last one; there must be room. */
void merger_add(struct merger *merger, uint32_t n_bytes, uint32_t token);

/* Join what can be joined. Afterwards symbols[0] and its chain of next hold the result. */
void merger_run(struct merger *merger, const char *text, merge_find *find, const void *context);

#endif
