/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include "base/utf8.h"
#include "model/bpe.h"
#include "model/encoder.h"
#include "model/quote.h"
#include "model/special_trie.h"
#include "model/spm.h"
#include "model/spm_normalizer.h"
#include "model/unigram.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MODEL "tokenizer.ggml.model"
#define KEY_PRE "tokenizer.ggml.pre"

struct tokenizer {
	struct vocab vocab;
	struct special_trie *specials;
	struct bpe *bpe;	/* NULL: another family, or a pipeline */
	struct unigram *unigram;		/* NULL: another family, or a pipeline */
	struct spm_normalizer *normalizer;	/* NULL: only spaces are replaced */
	struct encoder *encoder;	/* NULL without a pipeline */
	size_t longest_token_bytes;
};

static enum sc_status create_spm(struct tokenizer *tokenizer, const struct gguf *gguf,
				 struct error *err)
{
	enum sc_status status = vocab_load(&tokenizer->vocab, VOCAB_SPM, true, NULL, gguf, err);

	if (status || !spm_normalizer_is_needed(gguf))
		return status;
	return spm_normalizer_create(&tokenizer->vocab, gguf, &tokenizer->normalizer, err);
}

static enum sc_status create_unigram(struct tokenizer *tokenizer, const struct gguf *gguf,
				     struct error *err)
{
	enum sc_status status = vocab_load(&tokenizer->vocab, VOCAB_UNIGRAM, false, NULL, gguf, err);

	if (!status)
		status = unigram_create(&tokenizer->vocab, true, gguf, &tokenizer->unigram, err);
	if (!status)
		status = spm_normalizer_create(&tokenizer->vocab, gguf, &tokenizer->normalizer,
					       err);
	return status;
}

static enum sc_status create_bpe(struct tokenizer *tokenizer, const struct gguf *gguf,
				 struct error *err)
{
	struct gguf_string name = { .data = "default", .length = strlen("default") };
	struct pretokenizer *pre;
	enum sc_status status = SC_OK;

	if (gguf_has(gguf, KEY_PRE))
		status = gguf_get_string(gguf, KEY_PRE, &name, err);
	if (status)
		return status;
	status = pretokenizer_create(name.data, name.length, &pre, err);
	if (status) {
		error_prefix(err, "%s: key '%s'", gguf_path(gguf), KEY_PRE);
		return status;
	}
	status = vocab_load(&tokenizer->vocab, VOCAB_BPE,
			    pretokenizer_flags(pre) & PRE_ADDS_BOS, NULL, gguf, err);
	if (status) {
		pretokenizer_destroy(pre);
		return status;
	}
	return bpe_create(&tokenizer->vocab, pre, pretokenizer_flags(pre) & PRE_IGNORES_MERGES,
			  gguf, &tokenizer->bpe, err);
}

static enum sc_status create_family(struct tokenizer *tokenizer, const struct gguf *gguf,
				    struct error *err)
{
	struct gguf_string model;
	enum sc_status status;

	if (pipeline_is_in(gguf))
		return encoder_create(gguf, &tokenizer->vocab, &tokenizer->encoder, err);
	status = gguf_require(gguf, KEY_MODEL, err);
	if (!status)
		status = gguf_get_string(gguf, KEY_MODEL, &model, err);
	if (status)
		return status;
	if (gguf_string_is(model, "llama"))
		return create_spm(tokenizer, gguf, err);
	if (gguf_string_is(model, "gpt2"))
		return create_bpe(tokenizer, gguf, err);
	if (gguf_string_is(model, "t5"))
		return create_unigram(tokenizer, gguf, err);
	return gguf_key_error(gguf, KEY_MODEL, SC_E_UNSUPPORTED, err,
			      "expected llama, gpt2 or t5, found '%s', which is not known",
			      quote(model.data, model.length).text);
}

/* Plain text becomes keys of the map, byte tokens of one character, or the unknown token; special
 * tokens appear in the text literally. For the length of a key, SentencePiece's space counts as
 * three bytes, because the text may contain U+2581 itself. */
static size_t find_longest_token(const struct tokenizer *tokenizer)
{
	const struct vocab *vocab = &tokenizer->vocab;
	size_t longest = vocab->max_key_bytes;

	/* Normalization and runs of unknown characters take any number of bytes. */
	if (tokenizer->normalizer || tokenizer->unigram)
		return 0;
	if (tokenizer->encoder)
		;
	else if (tokenizer->bpe ? bpe_leaves_out_bytes(tokenizer->bpe) : spm_leaves_out_bytes(vocab))
		return 0;
	if (longest < UTF8_MAX_BYTES)
		longest = UTF8_MAX_BYTES;
	for (size_t i = 0; i < vocab->n; i++) {
		size_t length = gguf_array_string(&vocab->texts, i).length;

		if (vocab->flags[i] & VOCAB_EATS_SPACE)
			return 0;
		if (length > longest && (vocab_is_special(vocab, (uint32_t)i) ||
					 vocab->types[i] == VOCAB_USER_DEFINED))
			longest = length;
	}
	return tokenizer->encoder ? encoder_longest_token_bytes(tokenizer->encoder, longest)
				  : longest;
}

enum sc_status tokenizer_create(const struct gguf *gguf, struct tokenizer **tokenizer_out,
				struct error *err)
{
	struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
	enum sc_status status;

	if (!tokenizer)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	status = create_family(tokenizer, gguf, err);
	if (status)
		goto fail;
	status = special_trie_create(&tokenizer->vocab, &tokenizer->specials);
	if (status) {
		error_set(err, status, "no memory for the special tokens");
		goto fail;
	}
	tokenizer->longest_token_bytes = find_longest_token(tokenizer);
	*tokenizer_out = tokenizer;
	return SC_OK;
fail:
	tokenizer_destroy(tokenizer);
	return status;
}

void tokenizer_destroy(struct tokenizer *tokenizer)
{
	if (!tokenizer)
		return;
	bpe_destroy(tokenizer->bpe);
	unigram_destroy(tokenizer->unigram);
	spm_normalizer_destroy(tokenizer->normalizer);
	encoder_destroy(tokenizer->encoder);
	special_trie_destroy(tokenizer->specials);
	vocab_deinit(&tokenizer->vocab);
	free(tokenizer);
}

const struct vocab *tokenizer_vocab(const struct tokenizer *tokenizer)
{
	return &tokenizer->vocab;
}

uint32_t tokenizer_n_vocab(const struct tokenizer *tokenizer)
{
	return (uint32_t)tokenizer->vocab.n;
}

uint32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
	return tokenizer->vocab.bos;
}

uint32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
	return tokenizer->vocab.eos;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
	return tokenizer->vocab.adds_bos;
}

size_t tokenizer_longest_token_bytes(const struct tokenizer *tokenizer)
{
	return tokenizer->longest_token_bytes;
}

bool tokenizer_is_end(const struct tokenizer *tokenizer, uint32_t token)
{
	return token < tokenizer->vocab.n && tokenizer->vocab.flags[token] & VOCAB_IS_END;
}

bool tokenizer_is_special(const struct tokenizer *tokenizer, uint32_t token)
{
	return token < tokenizer->vocab.n && vocab_is_special(&tokenizer->vocab, token);
}

const char *tokenizer_piece(const struct tokenizer *tokenizer, uint32_t token, size_t *n_bytes_out)
{
	struct gguf_string piece = vocab_piece(tokenizer_vocab(tokenizer), token);

	*n_bytes_out = piece.length;
	return piece.data;
}

void token_list_deinit(struct token_list *list)
{
	free(list->ids);
	*list = (struct token_list){ 0 };
}

enum sc_status token_list_add(struct token_list *list, uint32_t id)
{
	size_t capacity = list->capacity ? list->capacity + list->capacity / 2 : 64;
	uint32_t *ids;

	if (list->n == list->capacity) {
		ids = realloc(list->ids, capacity * sizeof *ids);
		if (!ids)
			return SC_E_NOMEM;
		list->ids = ids;
		list->capacity = capacity;
	}
	list->ids[list->n++] = id;
	return SC_OK;
}

/* The state of one call of tokenizer_encode. */
struct encoding {
	const struct tokenizer *tokenizer;
	struct token_list *ids;
	struct merger merger;
	struct unigram_scratch cells;
	struct buf normalized, escaped;
	struct error *err;
};

static enum sc_status encode_normalized(struct encoding *encoding, const char *text,
					size_t n_bytes)
{
	const struct tokenizer *tokenizer = encoding->tokenizer;
	struct buf *normalized = &encoding->normalized;
	enum sc_status status;

	status = spm_normalizer_run(tokenizer->normalizer, text, n_bytes, normalized);
	if (status)
		return status;
	if (tokenizer->unigram)
		return unigram_encode(tokenizer->unigram, normalized->data, normalized->length,
				      &encoding->cells, encoding->ids);
	return spm_encode_normalized(&tokenizer->vocab, tokenizer->normalizer, normalized->data,
				     normalized->length, &encoding->merger, encoding->ids);
}

/* Encodes text between special tokens. SentencePiece puts its space in front of each such text,
 * because each starts at the beginning or after a special token. */
static enum sc_status encode_text(struct encoding *encoding, const char *text, size_t n_bytes)
{
	const struct vocab *vocab = &encoding->tokenizer->vocab;

	if (!n_bytes)
		return SC_OK;
	if (encoding->tokenizer->bpe)
		return bpe_encode(encoding->tokenizer->bpe, text, n_bytes, &encoding->merger,
				  encoding->ids, encoding->err);
	if (encoding->tokenizer->normalizer)
		return encode_normalized(encoding, text, n_bytes);
	return spm_encode(vocab, text, n_bytes, vocab->adds_space_prefix, &encoding->merger,
			  &encoding->escaped, encoding->ids);
}

static bool is_ascii_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static enum sc_status encode_all(struct encoding *encoding, const char *text, size_t n_bytes,
				 struct control_places control)
{
	const struct tokenizer *tokenizer = encoding->tokenizer;
	enum sc_status status = SC_OK;
	size_t at = 0;

	while (!status && at < n_bytes) {
		struct special_match match = special_trie_find(tokenizer->specials, text, n_bytes,
							       at, control);

		status = encode_text(encoding, text + at, match.start - at);
		if (status || match.token == TOKEN_NONE)
			break;
		status = token_list_add(encoding->ids, match.token);
		at = match.start + match.n_bytes;
		if (tokenizer->vocab.flags[match.token] & VOCAB_EATS_SPACE)
			while (at < n_bytes && is_ascii_space(text[at]))
				at++;
	}
	return status;
}

/* A text that begins with a BOS of its own, written out, keeps that one alone. */
static void drop_second_bos(struct token_list *ids, size_t first, uint32_t bos)
{
	if (ids->n < first + 2 || ids->ids[first + 1] != bos)
		return;
	ids->n--;
	memmove(ids->ids + first, ids->ids + first + 1, (ids->n - first) * sizeof ids->ids[0]);
}

enum sc_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
				size_t n_bytes, unsigned flags, struct token_list *ids,
				struct error *err)
{
	return tokenizer_encode_masked(tokenizer, text, NULL, n_bytes, flags, ids, err);
}

enum sc_status tokenizer_encode_masked(const struct tokenizer *tokenizer, const char *text,
				       const char *mask, size_t n_bytes, unsigned flags,
				       struct token_list *ids, struct error *err)
{
	const struct vocab *vocab = &tokenizer->vocab;
	struct encoding encoding = {
		.tokenizer = tokenizer, .ids = ids, .normalized = BUF_INIT,
		.escaped = BUF_INIT, .err = err,
	};
	const struct control_places control = {
		.is_allowed = flags & TOKENIZE_PARSE_SPECIAL, .mask = mask,
	};
	const bool adds_bos = flags & TOKENIZE_ADD_BOS && vocab->adds_bos;
	size_t n_before = ids->n;
	enum sc_status status = SC_OK;

	if (n_bytes > INT32_MAX)
		return error_set(err, SC_E_TOO_LARGE, "text: expected at most %d bytes, found %zu",
				 INT32_MAX, n_bytes);
	if (adds_bos)
		status = tokenizer->encoder ? encoder_begin(tokenizer->encoder, ids)
					    : token_list_add(ids, vocab->bos);
	if (!status && tokenizer->encoder)
		status = encoder_encode(tokenizer->encoder, (struct masked_text){
			.data = text, .mask = mask, .n = n_bytes,
		}, control.is_allowed, ids, err);
	else if (!status)
		status = encode_all(&encoding, text, n_bytes, control);
	if (!status && adds_bos && ids->n > n_before)
		drop_second_bos(ids, n_before, vocab->bos);
	if (status == SC_E_NOMEM)
		error_set(err, status, "no memory to encode %zu bytes", n_bytes);
	if (status)
		ids->n = n_before;
	merger_deinit(&encoding.merger);
	unigram_scratch_deinit(&encoding.cells);
	buf_deinit(&encoding.normalized);
	buf_deinit(&encoding.escaped);
	return status;
}

enum sc_status tokenizer_decode_within(const struct tokenizer *tokenizer, const uint32_t *ids,
				       size_t n_ids, bool with_special, size_t max_bytes,
				       struct buf *text)
{
	size_t n_before = text->length;
	bool is_at_start = true;

	for (size_t i = 0; i < n_ids; i++) {
		struct gguf_string piece = { 0 };
		enum sc_status status = SC_E_INVALID;

		if (ids[i] < tokenizer->vocab.n) {
			piece = vocab_print(&tokenizer->vocab, ids[i], with_special, &is_at_start);
			status = piece.length > max_bytes - (text->length - n_before)
					 ? SC_E_TOO_LARGE
					 : buf_add(text, piece.data, piece.length);
		}
		if (status) {
			buf_truncate(text, n_before);
			return status;
		}
	}
	return SC_OK;
}

enum sc_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
				size_t n_ids, bool with_special, struct buf *text)
{
	return tokenizer_decode_within(tokenizer, ids, n_ids, with_special, SIZE_MAX, text);
}
