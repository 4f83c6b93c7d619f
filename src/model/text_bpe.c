/* SPDX-License-Identifier: Apache-2.0 */
#include "model/text_bpe.h"

#include "base/strmap.h"
#include "base/utf8.h"
#include "model/merges.h"

#include <stdlib.h>

struct text_bpe {
	const struct vocab *vocab;
	const struct pipeline_step *step;
	struct pairmap *merges;
	uint32_t ascii[128];		/* the tokens of single characters, or TOKEN_NONE */
};

static bool has(const struct text_bpe *bpe, enum pipeline_bpe_args arg)
{
	return bpe->step->args[arg].number;
}

static bool uses_unknown(const struct text_bpe *bpe)
{
	return has(bpe, BPE_USES_UNKNOWN) && bpe->vocab->unknown != TOKEN_NONE;
}

enum sc_status text_bpe_create(const struct vocab *vocab, const struct pipeline_step *step,
			       const struct gguf *gguf, struct text_bpe **bpe_out,
			       struct error *err)
{
	struct text_bpe *bpe = calloc(1, sizeof *bpe);
	enum sc_status status;

	if (!bpe)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	bpe->vocab = vocab;
	bpe->step = step;
	status = merges_load(vocab, gguf, MERGES_LAST_COUNTS, &bpe->merges, err);
	if (status) {
		text_bpe_destroy(bpe);
		return status;
	}
	for (unsigned i = 0; i < sizeof bpe->ascii / sizeof bpe->ascii[0]; i++) {
		char c = (char)i;

		bpe->ascii[i] = TOKEN_NONE;
		(void)strmap_find(vocab->ids, &c, 1, &bpe->ascii[i]);
	}
	*bpe_out = bpe;
	return SC_OK;
}

void text_bpe_destroy(struct text_bpe *bpe)
{
	if (!bpe)
		return;
	pairmap_destroy(bpe->merges);
	free(bpe);
}

bool text_bpe_drops_text(const struct text_bpe *bpe)
{
	if (has(bpe, BPE_FALLS_BACK)) {
		unsigned n = 0;

		while (n < 256 && bpe->vocab->byte_tokens[n] != TOKEN_NONE)
			n++;
		if (n == 256)
			return false;
	}
	return !uses_unknown(bpe) || has(bpe, BPE_FUSES_UNKNOWN);
}

/* Reads one character. Returns its length and sets its token, or TOKEN_NONE. */
static uint32_t read_character(const struct text_bpe *bpe, const char *text, size_t n_bytes,
			       uint32_t *token_out)
{
	int length;

	*token_out = TOKEN_NONE;
	if ((uint8_t)*text < sizeof bpe->ascii / sizeof bpe->ascii[0]) {
		*token_out = bpe->ascii[(uint8_t)*text];
		return 1;
	}
	length = utf8_next((const uint8_t *)text, n_bytes);
	if (length <= 0)
		return 1;
	(void)strmap_find(bpe->vocab->ids, text, (size_t)length, token_out);
	return (uint32_t)length;
}

static bool has_bytes(const struct text_bpe *bpe, const char *text, uint32_t n_bytes)
{
	if (!has(bpe, BPE_FALLS_BACK))
		return false;
	for (uint32_t i = 0; i < n_bytes; i++)
		if (bpe->vocab->byte_tokens[(uint8_t)text[i]] == TOKEN_NONE)
			return false;
	return true;
}

/* A symbol is a character, a byte of one, a run of unknown characters, or a character with all
 * characters in front of it that are left out. The bytes behind the first byte of a character are
 * no UTF-8 on their own, so they are read as bytes, too. */
static uint32_t read_symbol(const void *context, const char *text, size_t n_bytes,
			    uint32_t *token_out)
{
	const struct text_bpe *bpe = context;
	const bool is_unknown = uses_unknown(bpe);
	uint32_t at = 0;

	while (at < n_bytes) {
		uint32_t n = read_character(bpe, text + at, n_bytes - at, token_out);

		if (*token_out == TOKEN_NONE && has_bytes(bpe, text + at, n)) {
			*token_out = bpe->vocab->byte_tokens[(uint8_t)text[at]];
			n = 1;
		}
		if (is_unknown && at && *token_out != TOKEN_NONE)
			break;
		at += n;
		if (*token_out != TOKEN_NONE)
			return at;
		if (is_unknown && !has(bpe, BPE_FUSES_UNKNOWN))
			break;
	}
	*token_out = is_unknown ? bpe->vocab->unknown : TOKEN_NONE;
	return at;
}

static bool find_pair(const void *context, const char *text, const struct merge_symbol *left,
		      const struct merge_symbol *right, struct merge_rule *rule_out)
{
	const struct text_bpe *bpe = context;

	(void)text;
	return merges_find(bpe->merges, left->token, right->token, &rule_out->priority,
			   &rule_out->token);
}

static enum sc_status emit(const void *context, const char *text, size_t n_bytes, uint32_t token,
			   struct token_list *ids)
{
	(void)context;
	(void)text;
	(void)n_bytes;
	return token != TOKEN_NONE ? token_list_add(ids, token) : SC_OK;
}

enum sc_status text_bpe_encode(const struct text_bpe *bpe, const char *word, size_t n_bytes,
			       struct merger *scratch, struct token_list *ids)
{
	const struct merge_rules rules = {
		.context = bpe, .n_window = merge_window(bpe->vocab->max_key_bytes),
		.read = read_symbol, .find = find_pair, .emit = emit,
	};
	uint32_t token;

	if (has(bpe, BPE_IGNORES_MERGES) && n_bytes <= bpe->vocab->max_key_bytes &&
	    strmap_find(bpe->vocab->ids, word, n_bytes, &token))
		return token_list_add(ids, token);
	return merger_join(scratch, &rules, word, n_bytes, ids);
}
