/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spm.h"

#include "base/strmap.h"
#include "base/utf8.h"

#include <string.h>

static enum sc_status escape(const char *text, size_t n_bytes, bool with_prefix, struct buf *out)
{
	size_t n_spaces = with_prefix;
	char *to;

	for (size_t i = 0; i < n_bytes; i++)
		n_spaces += text[i] == ' ';
	buf_truncate(out, 0);
	if (n_bytes + n_spaces * VOCAB_SPACE_BYTES > INT32_MAX)
		return SC_E_TOO_LARGE;
	if (buf_reserve(out, n_bytes + n_spaces * VOCAB_SPACE_BYTES))
		return SC_E_NOMEM;
	to = out->data;
	if (with_prefix)
		to = (char *)memcpy(to, VOCAB_SPACE, VOCAB_SPACE_BYTES) + VOCAB_SPACE_BYTES;
	for (size_t i = 0; i < n_bytes; i++) {
		if (text[i] == ' ')
			to = (char *)memcpy(to, VOCAB_SPACE, VOCAB_SPACE_BYTES) +
			     VOCAB_SPACE_BYTES;
		else
			*to++ = text[i];
	}
	*to = '\0';
	out->length = (size_t)(to - out->data);
	return SC_OK;
}

struct context {
	const struct vocab *vocab;
	const struct spm_normalizer *normalizer;	/* NULL: user-defined tokens were cut out */
};

static bool is_frozen(const struct context *context, uint32_t token)
{
	return context->normalizer && token != TOKEN_NONE &&
	       vocab_is_symbol(context->vocab, token);
}

static bool find_pair(const void *arg, const char *text, const struct merge_symbol *left,
		      const struct merge_symbol *right, struct merge_rule *rule_out)
{
	const struct context *context = arg;
	const struct vocab *vocab = context->vocab;
	size_t n_bytes = (size_t)left->n_bytes + right->n_bytes;

	if (n_bytes > vocab->max_key_bytes || is_frozen(context, left->token) ||
	    is_frozen(context, right->token) ||
	    !strmap_find(vocab->ids, text + left->start, n_bytes, &rule_out->token))
		return false;
	rule_out->priority = vocab->priorities[rule_out->token];
	return true;
}

static bool is_space_at(const char *text, size_t n_bytes)
{
	return n_bytes >= VOCAB_SPACE_BYTES && !memcmp(text, VOCAB_SPACE, VOCAB_SPACE_BYTES);
}

/* Bytes up to the next place that no token crosses. Unless the vocabulary has tokens with a space
 * behind another character, that is where a word ends: words can then be joined on their own. */
static size_t word_length(const struct vocab *vocab, const char *text, size_t n_bytes)
{
	size_t at = 0;

	if (vocab->has_inner_space)
		return n_bytes;
	while (is_space_at(text + at, n_bytes - at))
		at += VOCAB_SPACE_BYTES;
	while (at < n_bytes && !is_space_at(text + at, n_bytes - at))
		at++;
	return at;
}

bool spm_leaves_out_bytes(const struct vocab *vocab)
{
	if (vocab->unknown != TOKEN_NONE)
		return false;
	for (unsigned byte = 0; byte < 256; byte++)
		if (vocab->byte_tokens[byte] == TOKEN_NONE)
			return true;
	return false;
}

static uint32_t read_symbol(const void *arg, const char *text, size_t n_bytes, uint32_t *token_out)
{
	const struct context *context = arg;
	int length = utf8_next((const uint8_t *)text, n_bytes);
	uint32_t n = length > 0 ? (uint32_t)length : 1;
	size_t n_symbol = 0;

	*token_out = TOKEN_NONE;
	if (context->normalizer)
		n_symbol = spm_normalizer_symbol(context->normalizer, text, n_bytes, token_out);
	if (n_symbol)
		return (uint32_t)n_symbol;
	(void)strmap_find(context->vocab->ids, text, n, token_out);
	return n;
}

/* A character that is no token: its bytes, or the unknown token if one of them is missing. */
static enum sc_status emit_bytes(const struct context *context, const char *bytes, size_t n_bytes,
				 struct token_list *ids)
{
	const struct vocab *vocab = context->vocab;
	bool has_all = true;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < n_bytes; i++)
		has_all = has_all && vocab->byte_tokens[(uint8_t)bytes[i]] != TOKEN_NONE;
	if (!has_all && context->normalizer && ids->n && ids->ids[ids->n - 1] == vocab->unknown)
		return SC_OK;
	if (!has_all)
		return vocab->unknown == TOKEN_NONE ? SC_OK
						    : token_list_add(ids, vocab->unknown);
	for (size_t i = 0; i < n_bytes && !status; i++)
		status = token_list_add(ids, vocab->byte_tokens[(uint8_t)bytes[i]]);
	return status;
}

static enum sc_status emit_parts(const struct context *context, const char *text, size_t n_bytes,
				 struct token_list *ids);

static enum sc_status emit(const void *arg, const char *text, size_t n_bytes, uint32_t token,
			   struct token_list *ids)
{
	const struct context *context = arg;

	if (token == TOKEN_NONE)
		return emit_bytes(context, text, n_bytes, ids);
	if (context->normalizer && context->vocab->types[token] == VOCAB_UNUSED)
		return emit_parts(context, text, n_bytes, ids);
	return token_list_add(ids, token);
}

/* The two symbols that a piece was last joined of. */
struct parts {
	struct context context;
	size_t n_piece;			/* bytes of the piece */
	struct merge_symbol *symbols;	/* [2] */
	size_t *n;
};

static bool find_shorter(const void *arg, const char *text, const struct merge_symbol *left,
			 const struct merge_symbol *right, struct merge_rule *rule_out)
{
	const struct parts *parts = arg;

	return (size_t)left->n_bytes + right->n_bytes < parts->n_piece &&
	       find_pair(&parts->context, text, left, right, rule_out);
}

static uint32_t read_part(const void *arg, const char *text, size_t n_bytes, uint32_t *token_out)
{
	return read_symbol(&((const struct parts *)arg)->context, text, n_bytes, token_out);
}

static enum sc_status keep_part(const void *arg, const char *text, size_t n_bytes, uint32_t token,
				struct token_list *ids)
{
	const struct parts *parts = arg;

	(void)text;
	(void)ids;
	if (*parts->n < 2)
		parts->symbols[(*parts->n)++] = (struct merge_symbol){
			.n_bytes = (uint32_t)n_bytes, .token = token,
		};
	return SC_OK;
}

/* An unused piece is written as the two pieces that it was joined of. Joining its text alone, but
 * not all of it, ends with these two. A single character has no parts and is unknown. */
static enum sc_status emit_parts(const struct context *context, const char *text, size_t n_bytes,
				 struct token_list *ids)
{
	struct merge_symbol symbols[2];
	size_t n = 0, at = 0;
	const struct parts parts = {
		.context = *context, .n_piece = n_bytes, .symbols = symbols, .n = &n,
	};
	const struct merge_rules rules = {
		.context = &parts, .n_window = SIZE_MAX, .read = read_part, .find = find_shorter,
		.emit = keep_part,
	};
	struct merger merger = MERGER_INIT;
	enum sc_status status = merger_join(&merger, &rules, text, n_bytes, ids);

	merger_deinit(&merger);
	if (!status && n == 1)
		return emit_bytes(context, text, n_bytes, ids);
	for (size_t i = 0; i < n && !status; i++) {
		status = emit(context, text + at, symbols[i].n_bytes, symbols[i].token, ids);
		at += symbols[i].n_bytes;
	}
	return status;
}

static enum sc_status encode_words(const struct context *context, const char *text, size_t n_bytes,
				   struct merger *scratch, struct token_list *ids)
{
	const struct merge_rules rules = {
		.context = context, .n_window = merge_window(context->vocab->max_key_bytes),
		.read = read_symbol, .find = find_pair, .emit = emit,
	};
	enum sc_status status = SC_OK;

	for (size_t at = 0; !status && at < n_bytes;) {
		size_t n = word_length(context->vocab, text + at, n_bytes - at);

		status = merger_join(scratch, &rules, text + at, n, ids);
		at += n;
	}
	return status;
}

enum sc_status spm_encode(const struct vocab *vocab, const char *text, size_t n_bytes,
			  bool with_prefix, struct merger *scratch, struct buf *escaped,
			  struct token_list *ids)
{
	const struct context context = { .vocab = vocab };
	enum sc_status status = escape(text, n_bytes, with_prefix, escaped);

	return status ? status : encode_words(&context, escaped->data, escaped->length, scratch,
					      ids);
}

enum sc_status spm_encode_normalized(const struct vocab *vocab,
				     const struct spm_normalizer *normalizer, const char *text,
				     size_t n_bytes, struct merger *scratch,
				     struct token_list *ids)
{
	const struct context context = { .vocab = vocab, .normalizer = normalizer };

	return encode_words(&context, text, n_bytes, scratch, ids);
}
