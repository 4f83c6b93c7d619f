/* SPDX-License-Identifier: Apache-2.0 */
#include "model/unigram.h"

#include "base/strmap.h"
#include "base/utf8.h"
#include "model/piece_trie.h"
#include "model/pipeline.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SCORES "tokenizer.ggml.scores"

static const double unknown_penalty = 10;
static const double user_defined_bonus = 0.1;	/* for each byte but the first */

enum { WINDOW_MIN = 1 << 16 };	/* cells after which a common start is looked for */

struct unigram {
	const struct vocab *vocab;
	struct piece_trie trie;		/* its values are tokens */
	double *scores;			/* [vocab->n] */
	double unknown_score;
	size_t n_longest;		/* bytes of the longest piece */
	bool falls_back;
	bool is_float;			/* sums are rounded to float */
};

/* The best way to cut the text up to a position. */
struct unigram_cell {
	double score;
	uint32_t n_bytes;	/* of the last piece; 0: nothing ends here */
	uint32_t token;		/* the last piece */
};

/* The state of one call. Cell i stands for the position start + i. */
struct run {
	const struct unigram *unigram;
	struct unigram_scratch *scratch;
	const char *text;
	size_t n_bytes;
	size_t start;		/* what is left of this position has been emitted */
	size_t at;
	size_t reach;		/* the furthest end of a piece that starts before `at` */
	size_t window;		/* cells after which to look for a common start again */
	size_t unknown_start;	/* of the run of unknown characters that is not emitted yet */
	size_t unknown_end;	/* equal: there is none */
	struct token_list *ids;
};

void unigram_scratch_deinit(struct unigram_scratch *scratch)
{
	free(scratch->cells);
	*scratch = (struct unigram_scratch)UNIGRAM_SCRATCH_INIT;
}

/* --- Creation --- */

static enum sc_status read_scores(struct unigram *unigram, const struct gguf *gguf,
				  const char *key, size_t n, struct error *err)
{
	struct gguf_array scores;
	enum sc_status status = vocab_get_array(gguf, key, n, true, &scores, err);

	for (size_t i = 0; i < n && !status; i++) {
		unigram->scores[i] = gguf_array_number(&scores, i);
		if (isnan(unigram->scores[i]))
			status = gguf_key_error(gguf, key, SC_E_FORMAT, err, "token %zu: expected a "
						"number, found NaN", i);
	}
	return status;
}

/* The tokens of tokenizer.json's own vocabulary; those behind it are only added. */
static enum sc_status count_own(const struct vocab *vocab, const struct gguf *gguf, size_t *n_out,
				struct error *err)
{
	struct gguf_array scores;
	enum sc_status status = gguf_get_array(gguf, KEY_UNIGRAM_SCORES, &scores, err);

	if (status)
		return status;
	if (scores.type != GGUF_F64 || !scores.n || scores.n > vocab->n)
		return gguf_key_error(gguf, KEY_UNIGRAM_SCORES, SC_E_FORMAT, err,
				      "expected 1 to %zu numbers of type f64, found %zu", vocab->n,
				      scores.n);
	*n_out = scores.n;
	return SC_OK;
}

static bool counts_as_worst(const struct unigram *unigram, size_t i)
{
	return !unigram->is_float || unigram->vocab->types[i] == VOCAB_NORMAL;
}

/* Computes what an unknown character and a user-defined piece of SentencePiece score. */
static void derive_scores(struct unigram *unigram, size_t n)
{
	const struct vocab *vocab = unigram->vocab;
	double min = unigram->is_float ? (double)FLT_MAX : (double)INFINITY;

	for (size_t i = 0; i < n; i++) {
		if (counts_as_worst(unigram, i))
			min = fmin(min, unigram->scores[i]);
	}
	unigram->unknown_score = min - unknown_penalty;
	if (!unigram->is_float)
		return;
	unigram->unknown_score = (float)unigram->unknown_score;
	for (size_t i = 0; i < n; i++) {
		size_t n_bytes = gguf_array_string(&vocab->texts, i).length;

		if (vocab->types[i] == VOCAB_USER_DEFINED && n_bytes)
			unigram->scores[i] = (float)(user_defined_bonus * (double)(n_bytes - 1));
	}
}

/* Returns true if plain text can become this token. The tokenizers package also finds the name of
 * the unknown token in a text, as an unknown character. */
static bool is_piece(const struct unigram *unigram, size_t i)
{
	const struct vocab *vocab = unigram->vocab;

	switch (vocab->types[i]) {
	case VOCAB_CONTROL:
		return false;
	case VOCAB_UNKNOWN:
		return !unigram->is_float && i == vocab->unknown;
	case VOCAB_USER_DEFINED:
		return !vocab_needs_leave(vocab, (uint32_t)i);
	case VOCAB_BYTE: case VOCAB_UNUSED:
		return !unigram->is_float;
	default:
		return true;
	}
}

static enum sc_status build_trie(struct unigram *unigram, size_t n, const struct gguf *gguf,
				 struct error *err)
{
	struct piece_trie_key *keys = calloc(n, sizeof *keys);
	size_t n_keys = 0;
	enum sc_status status = keys ? SC_OK : SC_E_NOMEM;

	for (size_t i = 0; i < n && keys; i++) {
		struct gguf_string text = gguf_array_string(&unigram->vocab->texts, i);

		if (!is_piece(unigram, i))
			continue;
		if (text.length > UNIGRAM_MAX_PIECE) {
			free(keys);
			return error_set(err, SC_E_UNSUPPORTED, "%s: token %zu has %zu bytes, "
					 "expected at most %d", gguf_path(gguf), i, text.length,
					 UNIGRAM_MAX_PIECE);
		}
		keys[n_keys++] = (struct piece_trie_key){ text.data, (uint32_t)text.length,
							  (uint32_t)i };
		if (text.length > unigram->n_longest)
			unigram->n_longest = text.length;
	}
	if (!status)
		status = piece_trie_init(&unigram->trie, keys, n_keys);
	free(keys);
	return status ? error_set(err, status, "no memory for the pieces of %zu tokens", n)
		      : SC_OK;
}

static enum sc_status load(struct unigram *unigram, const struct gguf *gguf, struct error *err)
{
	const struct vocab *vocab = unigram->vocab;
	size_t n = vocab->n;
	bool has_own;
	enum sc_status status = SC_OK;

	unigram->scores = calloc(n, sizeof unigram->scores[0]);
	if (!unigram->scores)
		return error_set(err, SC_E_NOMEM, "no memory for %zu tokens", n);
	unigram->is_float = !pipeline_is_in(gguf);
	has_own = !unigram->is_float && gguf_has(gguf, KEY_UNIGRAM_SCORES);
	if (has_own)
		status = count_own(vocab, gguf, &n, err);
	if (!status)
		status = read_scores(unigram, gguf, has_own ? KEY_UNIGRAM_SCORES : KEY_SCORES, n,
				     err);
	if (status)
		return status;
	derive_scores(unigram, n);
	return build_trie(unigram, n, gguf, err);
}

enum sc_status unigram_create(const struct vocab *vocab, bool falls_back, const struct gguf *gguf,
			      struct unigram **unigram_out, struct error *err)
{
	struct unigram *unigram = calloc(1, sizeof *unigram);
	enum sc_status status;

	if (!unigram)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	unigram->vocab = vocab;
	unigram->falls_back = falls_back;
	status = load(unigram, gguf, err);
	if (status) {
		unigram_destroy(unigram);
		return status;
	}
	*unigram_out = unigram;
	return SC_OK;
}

void unigram_destroy(struct unigram *unigram)
{
	if (!unigram)
		return;
	piece_trie_deinit(&unigram->trie);
	free(unigram->scores);
	free(unigram);
}

/* --- Emission --- */

/* Adds the byte tokens of text. Returns false if one is missing; nothing was added then. */
static bool add_bytes(const struct run *run, const char *text, size_t n_bytes,
		      enum sc_status *status_out)
{
	const uint32_t *tokens = run->unigram->vocab->byte_tokens;

	for (size_t i = 0; i < n_bytes; i++)
		if (!run->unigram->falls_back || tokens[(uint8_t)text[i]] == TOKEN_NONE)
			return false;
	for (size_t i = 0; i < n_bytes && !*status_out; i++)
		*status_out = token_list_add(run->ids, tokens[(uint8_t)text[i]]);
	return true;
}

/* Finds a run of unknown characters that is a token, or the unknown token's name. */
static bool find_whole(const struct vocab *vocab, const char *text, size_t n_bytes,
		       uint32_t *token_out)
{
	struct gguf_string name = { 0 };

	if (n_bytes <= vocab->max_key_bytes && strmap_find(vocab->ids, text, n_bytes, token_out))
		return true;
	*token_out = vocab->unknown;
	if (vocab->unknown != TOKEN_NONE)
		name = gguf_array_string(&vocab->texts, vocab->unknown);
	return name.length == n_bytes && !memcmp(name.data, text, n_bytes);
}

/* Emits the run of unknown characters, if there is one. */
static enum sc_status end_unknown(struct run *run)
{
	const struct vocab *vocab = run->unigram->vocab;
	const char *text = run->text + run->unknown_start;
	size_t n_bytes = run->unknown_end - run->unknown_start;
	enum sc_status status = SC_OK;
	uint32_t token;

	run->unknown_start = run->unknown_end;
	if (!n_bytes)
		return SC_OK;
	if (!run->unigram->is_float && find_whole(vocab, text, n_bytes, &token))
		return token_list_add(run->ids, token);
	if (add_bytes(run, text, n_bytes, &status) || vocab->unknown == TOKEN_NONE)
		return status;
	return token_list_add(run->ids, vocab->unknown);
}

static enum sc_status emit_piece(struct run *run, size_t start, const struct unigram_cell *cell)
{
	enum sc_status status;

	if (cell->token != TOKEN_NONE) {
		status = end_unknown(run);
		return status ? status : token_list_add(run->ids, cell->token);
	}
	if (run->unknown_start == run->unknown_end)
		run->unknown_start = start;
	run->unknown_end = start + cell->n_bytes;
	return SC_OK;
}

/* Emits the best way up to position end and makes end the new start. Turns the links around first,
 * so that each cell holds the piece that starts there. */
static enum sc_status emit_until(struct run *run, size_t end)
{
	struct unigram_cell *cells = run->scratch->cells;
	size_t n = end - run->start, n_kept = run->reach - end + 1;
	enum sc_status status = SC_OK;

	for (size_t at = n, piece = cells[n].n_bytes, token = cells[n].token; at;) {
		size_t next_piece, next_token;

		at -= piece;
		next_piece = cells[at].n_bytes;
		next_token = cells[at].token;
		cells[at].n_bytes = (uint32_t)piece;
		cells[at].token = (uint32_t)token;
		piece = next_piece;
		token = next_token;
	}
	for (size_t at = 0; at < n && !status; at += cells[at].n_bytes)
		status = emit_piece(run, run->start + at, &cells[at]);
	memmove(cells, cells + n, n_kept * sizeof cells[0]);
	run->start = end;
	return status;
}

/* --- Search --- */

static enum sc_status reserve_cells(struct unigram_scratch *scratch, size_t n)
{
	size_t n_cells = scratch->n_cells ? scratch->n_cells : 1024;
	struct unigram_cell *cells;

	if (n <= scratch->n_cells)
		return SC_OK;
	while (n_cells < n)
		n_cells *= 2;
	cells = realloc(scratch->cells, n_cells * sizeof *cells);
	if (!cells)
		return SC_E_NOMEM;
	scratch->cells = cells;
	scratch->n_cells = n_cells;
	return SC_OK;
}

/* Offers a piece that goes from run->at to end. */
static inline void offer(struct run *run, size_t end, double score, uint32_t token)
{
	struct unigram_cell *cells = run->scratch->cells;
	struct unigram_cell *cell = &cells[end - run->start];

	while (run->reach < end)
		cells[++run->reach - run->start].n_bytes = 0;
	if (run->unigram->is_float)
		score = (double)(float)score;
	if (cell->n_bytes && !(score > cell->score))
		return;
	*cell = (struct unigram_cell){
		.score = score,
		.n_bytes = (uint32_t)(end - run->at), .token = token,
	};
}

/* Offers all pieces that start at run->at, and goes on by one character. */
static void search_here(struct run *run)
{
	const struct unigram *unigram = run->unigram;
	const double score = run->scratch->cells[run->at - run->start].score;
	int length = utf8_next((const uint8_t *)run->text + run->at, run->n_bytes - run->at);
	const size_t next = run->at + (length > 0 ? (size_t)length : 1);
	bool is_known = false;
	uint32_t node = 0, token;
	size_t end = run->at;

	while (end < run->n_bytes &&
	       piece_trie_step(&unigram->trie, &node, (uint8_t)run->text[end])) {
		end++;
		if (!piece_trie_ends(&unigram->trie, node, &token))
			continue;
		offer(run, end, score + unigram->scores[token],
		      token == unigram->vocab->unknown ? TOKEN_NONE : token);
		is_known = is_known || end == next;
	}
	run->scratch->n_steps += end - run->at + 1;
	if (!is_known)
		offer(run, next, unigram->is_float ? (double)(float)(score + unigram->unknown_score)
						   : score + unigram->unknown_score, TOKEN_NONE);
	run->at = next;
}

/* The last position, not behind run->at, that every way to the positions from run->at on passes;
 * run->start if there is no other. Walks all ways back at once, from right to left. The top bit of
 * a cell's length says that a way passes its position, which is still to be visited. */
static size_t find_common(struct run *run)
{
	const uint32_t mark = 0x80000000u;
	struct unigram_cell *cells = run->scratch->cells;
	size_t n_open = 0, position = run->reach - run->start, common = 0;
	const size_t at = run->at - run->start;
	bool is_start_open = false;

	for (size_t i = at; i <= position; i++) {
		if (!cells[i].n_bytes)
			continue;
		cells[i].n_bytes |= mark;
		n_open++;
	}
	for (; position; position--) {
		struct unigram_cell *from;

		if (!(cells[position].n_bytes & mark))
			continue;
		cells[position].n_bytes &= ~mark;
		if (n_open == 1 && position <= at && !common)
			common = position;
		if (common)
			continue;
		from = &cells[position - cells[position].n_bytes];
		if (from == cells ? is_start_open : (from->n_bytes & mark) != 0)
			n_open--;
		else if (from == cells)
			is_start_open = true;
		else
			from->n_bytes |= mark;
	}
	return run->start + common;
}

/* Emits what no later piece can change. */
static enum sc_status settle(struct run *run)
{
	size_t common;

	if (run->at == run->reach)
		return emit_until(run, run->at);
	if (run->at - run->start < run->window)
		return SC_OK;
	common = find_common(run);
	if (common == run->start) {
		run->window *= 2;
		return SC_OK;
	}
	run->window = WINDOW_MIN;
	return emit_until(run, common);
}

enum sc_status unigram_encode(const struct unigram *unigram, const char *text, size_t n_bytes,
			      struct unigram_scratch *scratch, struct token_list *ids)
{
	struct run run = {
		.unigram = unigram, .scratch = scratch, .text = text, .n_bytes = n_bytes,
		.window = WINDOW_MIN, .ids = ids,
	};
	enum sc_status status = reserve_cells(scratch, 1);

	if (!status)
		scratch->cells[0] = (struct unigram_cell){ .token = TOKEN_NONE };
	while (!status && run.at < n_bytes) {
		status = reserve_cells(scratch, run.at - run.start + unigram->n_longest +
						UTF8_MAX_BYTES + 1);
		if (status)
			break;
		search_here(&run);
		status = settle(&run);
	}
	return status ? status : end_unknown(&run);
}
