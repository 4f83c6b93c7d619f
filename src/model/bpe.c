/* SPDX-License-Identifier: Apache-2.0 */
#include "model/bpe.h"

#include "base/strmap.h"
#include "model/merges.h"

#include <stdlib.h>

struct bpe {
	const struct vocab *vocab;
	struct pretokenizer *pre;	/* owned, or NULL */
	bool ignores_merges;
	struct pairmap *merges;		/* (left, right) to rank << 32 | joined token */
	uint32_t substitutes[3];	/* the tokens that replace a byte
					 * without a token: U+FFFD, */
	unsigned n_substitutes;		/* or none if the vocabulary cannot write U+FFFD */
};

static bool find_pair(const void *context, const char *text, const struct merge_symbol *left,
		      const struct merge_symbol *right, struct merge_rule *rule_out)
{
	const struct bpe *bpe = context;

	(void)text;
	return merges_find(bpe->merges, left->token, right->token, &rule_out->priority,
			   &rule_out->token);
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
	struct bpe *bpe = calloc(1, sizeof *bpe);
	enum sc_status status;

	if (!bpe) {
		pretokenizer_destroy(pre);
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	}
	bpe->vocab = vocab;
	bpe->pre = pre;
	bpe->ignores_merges = ignores_merges;
	status = merges_load(vocab, gguf, pre ? 0 : MERGES_LAST_COUNTS, &bpe->merges, err);
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
