/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MERGE_H
#define STAGECOACH_MODEL_MERGE_H
/*
 * merge - joins neighbouring symbols of a word, best pair first, until no pair is left to join.
 * Both families of tokenizers are this loop; they differ in which pairs may be joined and in what
 * order. Of equal pairs the leftmost is joined first.
 *
 * A long word is joined in windows that overlap, so that the cost grows in proportion to the word
 * and the working set stays in the cache. The result is the same as that of one run over the whole
 * word, because the windows are only put together where this is certain:
 * - What is joined on one side of a boundary that no join crosses does not depend on the other
 *   side. So tokens t1 t2 ... are the result for a word exactly if each two neighbours ti ti+1 are
 *   the result for the text of these two.
 * - The next window therefore begins with a token of the window before. If it gives that token
 *   again, all pairs of neighbours hold, and so does the result up to there.
 * - If not, the next window begins further left. Where even that does not help, the whole word is
 *   joined in one run: n symbols then cost O(n log n). No known
 *   text needs this with a public vocabulary (tests/model/test_tokenize_work.c).
 *
 * A merger is scratch memory: used again for each word, never shared by threads.
 */
#include "base/status.h"
#include "model/tokenizer.h"

#define MERGE_END UINT32_MAX
#define MERGE_WINDOW_MIN 1024	/* symbols: about 100 KiB of scratch memory */

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

/* How a word is read, joined and written. All functions get context. */
struct merge_rules {
	const void *context;
	size_t n_window;	/* symbols of a window, from merge_window */

	/* The symbol that begins the n_bytes > 0 of text: its length, at least 1, and its token,
	 * or TOKEN_NONE. */
	uint32_t (*read)(const void *context, const char *text, size_t n_bytes,
			 uint32_t *token_out);

	/* May left and its right neighbour be joined? May only depend on the two symbols and their
	 * text, which starts in text where they say. */
	bool (*find)(const void *context, const char *text, const struct merge_symbol *left,
		     const struct merge_symbol *right, struct merge_rule *rule_out);

	/* Append what stands for token, which is n_bytes of text, to ids. SC_E_NOMEM. */
	enum sc_status (*emit)(const void *context, const char *text, size_t n_bytes,
			       uint32_t token, struct token_list *ids);
};

/* The symbols of a window in which enough of the longest tokens have room. */
static inline size_t merge_window(size_t n_longest_bytes)
{
	return n_longest_bytes > MERGE_WINDOW_MIN / 16 ? 16 * n_longest_bytes : MERGE_WINDOW_MIN;
}

struct merger {
	struct merge_symbol *symbols;	/* of the window; the first one is never joined to
					 * another */
	size_t n_symbols;
	size_t n_symbols_max;
	struct merge_candidate *heap;
	size_t n_heap;
	struct merge_token *held;	/* tokens of the window before, not emitted yet */
	size_t n_held;
	size_t n_held_max;
	uint64_t n_read;	/* symbols read in all calls, those of an overlap more than once:
				 * the measure of the work that was done */
	uint64_t n_whole;	/* words of more than one window that had to be joined in one run */
};
#define MERGER_INIT { 0 }

void merger_deinit(struct merger *merger);

/* Append the ids of word, n_bytes from 1 to 2^31 - 1, to ids. SC_E_NOMEM: ids may hold a part of
 * them. */
must_check enum sc_status merger_join(struct merger *merger, const struct merge_rules *rules,
				      const char *word, size_t n_bytes, struct token_list *ids);

#endif
