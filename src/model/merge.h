/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MERGE_H
#define STAGECOACH_MODEL_MERGE_H
/*
 * merge - joins neighbouring symbols of a word, best pair first, until no pair can be joined. Both
 * families of tokenizers use this loop; they differ in which pairs may be joined, and in which
 * order. Of equal pairs the leftmost is joined first.
 *
 * A long word is joined in overlapping windows, so that the cost is linear in the word's length and
 * the working set stays in the cache. The result equals that of one run over the whole word,
 * because windows are put together only where that is certain:
 * - If no join crosses a boundary, the joins on one side do not depend on the other side. Tokens t1
 *   t2 ... are therefore the result for a word exactly if each pair of neighbours ti ti+1 is the
 *   result for the text of these two tokens.
 * - So the next window starts at a token of the previous window. If it produces that token again,
 *   all pairs up to there are confirmed.
 * - Otherwise the next window starts further left. If no window helps, the whole word is joined in
 *   one run, which costs O(n log n) for n symbols. No known text needs this with a public
 *   vocabulary (tests/model/test_tokenize_work.c).
 *
 * Thread: a merger is scratch memory. It is reused for each word and never shared by threads.
 */
#include "base/status.h"
#include "model/tokenizer.h"

#define MERGE_END UINT32_MAX
#define MERGE_WINDOW_MIN 1024	/* symbols: about 100 KiB of scratch memory */

struct merge_symbol {
	uint32_t prev, next;	/* indices of the remaining neighbours, or MERGE_END */
	uint32_t start;		/* offset in the text */
	uint32_t n_bytes;	/* 0: joined to its left neighbour */
	uint32_t token;
};

struct merge_rule {
	uint32_t priority;	/* lower priorities are joined first */
	uint32_t token;		/* the token of the joined pair */
};

/* How a word is read, joined and written. All functions receive context. */
struct merge_rules {
	const void *context;
	size_t n_window;	/* symbols of a window, from merge_window */

	/* Reads the first symbol of text (n_bytes > 0). Returns its length, at least 1, and sets
	 * its token, or TOKEN_NONE. */
	uint32_t (*read)(const void *context, const char *text, size_t n_bytes,
			 uint32_t *token_out);

	/* Returns true if left and right may be joined. The result may depend only on the two
	 * symbols and their bytes in text. */
	bool (*find)(const void *context, const char *text, const struct merge_symbol *left,
		     const struct merge_symbol *right, struct merge_rule *rule_out);

	/* Appends the ids of token, whose text is text[n_bytes], to ids. SC_E_NOMEM. */
	enum sc_status (*emit)(const void *context, const char *text, size_t n_bytes,
			       uint32_t token, struct token_list *ids);
};

/* The number of symbols per window: enough for 16 of the longest tokens. */
static inline size_t merge_window(size_t n_longest_bytes)
{
	return n_longest_bytes > MERGE_WINDOW_MIN / 16 ? 16 * n_longest_bytes : MERGE_WINDOW_MIN;
}

struct merger {
	struct merge_symbol *symbols;	/* symbols of the window; the first
					 * is never joined to another */
	size_t n_symbols;
	size_t n_symbols_max;
	struct merge_candidate *heap;
	size_t n_heap;
	struct merge_token *held;	/* tokens of the previous window, not emitted yet */
	size_t n_held;
	size_t n_held_max;
	uint64_t n_read;	/* symbols read in all calls, overlaps counted
				 * repeatedly: a measure of the work */
	uint64_t n_whole;	/* long words that had to be joined in one run */
};
#define MERGER_INIT { 0 }

void merger_deinit(struct merger *merger);

/* Appends the ids of word, 1 to 2^31 - 1 bytes long, to ids. SC_E_NOMEM: ids may hold some of
 * them. */
must_check enum sc_status merger_join(struct merger *merger, const struct merge_rules *rules,
				      const char *word, size_t n_bytes, struct token_list *ids);

#endif
