/* SPDX-License-Identifier: Apache-2.0 */
#include "model/bpe.h"

#include "base/strmap.h"
#include "model/byte_alphabet.h"
#include "model/pairmap.h"
#include "model/quote.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MERGES "tokenizer.ggml.merges"
#define MAX_MERGES (8u << 20)

struct bpe {
	const struct vocab *vocab;
	struct pretokenizer *pre;	/* owned, or NULL */
	bool ignores_merges;
	struct pairmap *merges;		/* (left, right) to rank << 32 | joined token */
	uint32_t substitutes[3];	/* the tokens that replace a byte
					 * without a token: U+FFFD, */
	unsigned n_substitutes;		/* or none if the vocabulary cannot write U+FFFD */
};

/* Splits a merge at its space. Returns false if it does not have exactly one. The halves themselves
 * hold no space, because the byte-level alphabet writes a space as another character. */
static bool split_merge(struct gguf_string merge, size_t *left_length_out)
{
	const char *space = memchr(merge.data, ' ', merge.length);
	size_t left_length = space ? (size_t)(space - merge.data) : 0;

	if (!left_length || left_length + 1 == merge.length ||
	    memchr(space + 1, ' ', merge.length - left_length - 1))
		return false;
	*left_length_out = left_length;
	return true;
}

/* Adds one merge, unless it can never apply. joined is scratch memory for its bytes. */
static enum sc_status add_merge(struct bpe *bpe, struct gguf_string merge, size_t left_length,
				uint32_t rank, char *joined)
{
	const struct strmap *ids = bpe->vocab->ids;
	const char *right_text = merge.data + left_length + 1;
	size_t right_length = merge.length - left_length - 1;
	bool is_left_pure, is_right_pure;
	size_t n_left = byte_alphabet_decode(merge.data, left_length, joined, &is_left_pure);
	size_t n_right = byte_alphabet_decode(right_text, right_length, joined + n_left,
					      &is_right_pure);
	uint32_t left, right, token;
	enum sc_status status;

	if (!is_left_pure || !is_right_pure || !strmap_find(ids, joined, n_left, &left) ||
	    !strmap_find(ids, joined + n_left, n_right, &right) ||
	    !strmap_find(ids, joined, n_left + n_right, &token))
		return SC_OK;
	status = pairmap_add(bpe->merges, left, right, (uint64_t)rank << 32 | token);
	return status == SC_E_EXISTS ? SC_OK : status;
}

static enum sc_status load_merges(struct bpe *bpe, const struct gguf *gguf,
				  const struct gguf_array *merges, struct error *err)
{
	enum sc_status status = SC_OK;
	size_t n_longest = 0;
	char *joined;

	for (size_t i = 0; i < merges->n; i++)
		if (gguf_array_string(merges, i).length > n_longest)
			n_longest = gguf_array_string(merges, i).length;
	joined = malloc(n_longest + 1);
	if (!joined || pairmap_create(merges->n, &bpe->merges))
		status = error_set(err, SC_E_NOMEM, "no memory for %zu merges", merges->n);
	for (size_t i = 0; i < merges->n && !status; i++) {
		struct gguf_string merge = gguf_array_string(merges, i);
		size_t left_length;

		if (split_merge(merge, &left_length))
			status = add_merge(bpe, merge, left_length, (uint32_t)i, joined);
		else
			status = gguf_key_error(gguf, KEY_MERGES, SC_E_FORMAT, err,
						"merge %zu: expected two texts with one space "
						"between them, found '%s'", i,
						quote(merge.data, merge.length).text);
	}
	free(joined);
	return status;
}

static enum sc_status get_merges(const struct gguf *gguf, struct gguf_array *merges_out,
				 struct error *err)
{
	enum sc_status status;

	status = gguf_require(gguf, KEY_MERGES, err);
	if (!status)
		status = gguf_get_array(gguf, KEY_MERGES, merges_out, err);
	if (status)
		return status;
	if (merges_out->type != GGUF_STRING)
		return gguf_key_error(gguf, KEY_MERGES, SC_E_FORMAT, err,
				      "expected an array of strings");
	if (merges_out->n > MAX_MERGES)
		return gguf_key_error(gguf, KEY_MERGES, SC_E_FORMAT, err,
				      "expected at most %u merges, found %zu", MAX_MERGES,
				      merges_out->n);
	return SC_OK;
}

static bool find_pair(const void *context, const char *text, const struct merge_symbol *left,
		      const struct merge_symbol *right, struct merge_rule *rule_out)
{
	const struct bpe *bpe = context;
	uint64_t value;

	(void)text;
	if (left->token == TOKEN_NONE || !pairmap_find(bpe->merges, left->token, right->token,
						       &value))
		return false;
	rule_out->priority = (uint32_t)(value >> 32);
	rule_out->token = (uint32_t)value;
	return true;
}

static uint32_t read_byte(const void *context, const char *text, size_t n_bytes,
			  uint32_t *token_out)
{
	const struct bpe *bpe = context;

	(void)n_bytes;
	*token_out = bpe->vocab->byte_tokens[(uint8_t)*text];
	return 1;
}

static bool is_never_utf8(uint8_t byte)
{
	return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
}

static enum sc_status emit(const void *context, const char *text, size_t n_bytes, uint32_t token,
			   struct token_list *ids)
{
	const struct bpe *bpe = context;
	enum sc_status status = SC_OK;

	(void)n_bytes;
	if (token != TOKEN_NONE)
		return token_list_add(ids, token);
	if (!is_never_utf8((uint8_t)*text))
		return SC_OK;
	for (unsigned i = 0; i < bpe->n_substitutes && !status; i++)
		status = token_list_add(ids, bpe->substitutes[i]);
	return status;
}

static struct merge_rules rules_of(const struct bpe *bpe)
{
	return (struct merge_rules){
		.context = bpe, .n_window = merge_window(bpe->vocab->max_key_bytes),
		.read = read_byte, .find = find_pair, .emit = emit,
	};
}

static enum sc_status find_substitutes(struct bpe *bpe)
{
	static const char text[] = "\uFFFD";
	const struct merge_rules rules = rules_of(bpe);
	struct merger merger = MERGER_INIT;
	struct token_list ids = { 0 };
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < sizeof text - 1; i++)
		if (bpe->vocab->byte_tokens[(uint8_t)text[i]] == TOKEN_NONE)
			return SC_OK;
	status = merger_join(&merger, &rules, text, sizeof text - 1, &ids);
	for (size_t i = 0; i < ids.n && !status; i++)
		bpe->substitutes[bpe->n_substitutes++] = ids.ids[i];
	token_list_deinit(&ids);
	merger_deinit(&merger);
	return status;
}

enum sc_status bpe_create(const struct vocab *vocab, struct pretokenizer *pre,
			  bool ignores_merges, const struct gguf *gguf, struct bpe **bpe_out,
			  struct error *err)
{
	struct gguf_array merges;
	struct bpe *bpe = calloc(1, sizeof *bpe);
	enum sc_status status;

	if (!bpe) {
		pretokenizer_destroy(pre);
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	}
	bpe->vocab = vocab;
	bpe->pre = pre;
	bpe->ignores_merges = ignores_merges;
	status = get_merges(gguf, &merges, err);
	if (!status)
		status = load_merges(bpe, gguf, &merges, err);
	if (!status && find_substitutes(bpe))
		status = error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	if (status) {
		bpe_destroy(bpe);
		return status;
	}
	*bpe_out = bpe;
	return SC_OK;
}

void bpe_destroy(struct bpe *bpe)
{
	if (!bpe)
		return;
	pairmap_destroy(bpe->merges);
	pretokenizer_destroy(bpe->pre);
	free(bpe);
}

struct encoding {
	const struct bpe *bpe;
	struct merger *merger;
	struct token_list *ids;
};

bool bpe_leaves_out_bytes(const struct bpe *bpe)
{
	for (unsigned byte = 0; byte < 256; byte++)
		if (bpe->vocab->byte_tokens[byte] == TOKEN_NONE &&
		    !(is_never_utf8((uint8_t)byte) && bpe->n_substitutes))
			return true;
	return false;
}

static enum sc_status encode_word(void *context, const char *word, size_t n_bytes)
{
	const struct encoding *encoding = context;

	return bpe_encode_word(encoding->bpe, word, n_bytes, encoding->merger, encoding->ids);
}

enum sc_status bpe_encode_word(const struct bpe *bpe, const char *word, size_t n_bytes,
			       struct merger *scratch, struct token_list *ids)
{
	const struct merge_rules rules = rules_of(bpe);
	uint32_t token;

	if (bpe->ignores_merges && strmap_find(bpe->vocab->ids, word, n_bytes, &token))
		return token_list_add(ids, token);
	return merger_join(scratch, &rules, word, n_bytes, ids);
}

enum sc_status bpe_encode(const struct bpe *bpe, const char *text, size_t n_bytes,
			  struct merger *scratch, struct token_list *ids, struct error *err)
{
	struct encoding encoding = { .bpe = bpe, .merger = scratch, .ids = ids };

	return pretokenizer_split(bpe->pre, text, n_bytes, encode_word, &encoding, err);
}
