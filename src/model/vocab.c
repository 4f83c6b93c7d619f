/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vocab.h"

#include "base/strmap.h"
#include "model/byte_alphabet.h"
#include "model/decoder.h"
#include "model/model.h"
#include "model/quote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_TOKENS "tokenizer.ggml.tokens"
#define KEY_TYPES "tokenizer.ggml.token_type"
#define KEY_SCORES "tokenizer.ggml.scores"

enum sc_status vocab_get_array(const struct gguf *gguf, const char *key, size_t n,
			       bool is_required, struct gguf_array *array_out, struct error *err)
{
	struct gguf_array array = { 0 };
	enum sc_status status = is_required ? gguf_require(gguf, key, err) : SC_OK;

	if (status)
		return status;
	if (gguf_has(gguf, key)) {
		status = gguf_get_array(gguf, key, &array, err);
		if (status)
			return status;
		if (array.type == GGUF_STRING || array.type == GGUF_ARRAY)
			return gguf_key_error(gguf, key, SC_E_FORMAT, err,
					      "expected numbers, found %s",
					      array.type == GGUF_STRING ? "strings" : "arrays");
		if (array.n != n)
			return gguf_key_error(gguf, key, SC_E_FORMAT, err,
					      "expected %zu elements, one per token, found %zu",
					      n, array.n);
	}
	*array_out = array;
	return SC_OK;
}

enum sc_status vocab_count(const struct gguf *gguf, size_t *n_out, struct error *err)
{
	struct gguf_array texts;
	enum sc_status status = gguf_require(gguf, KEY_TOKENS, err);

	if (!status)
		status = gguf_get_array(gguf, KEY_TOKENS, &texts, err);
	if (!status)
		*n_out = texts.n;
	return status;
}

static enum sc_status load_texts(struct vocab *vocab, const struct gguf *gguf, struct error *err)
{
	enum sc_status status = gguf_require(gguf, KEY_TOKENS, err);

	if (!status)
		status = gguf_get_array(gguf, KEY_TOKENS, &vocab->texts, err);
	if (status)
		return status;
	if (vocab->texts.type != GGUF_STRING)
		return gguf_key_error(gguf, KEY_TOKENS, SC_E_FORMAT, err,
				      "expected an array of strings");
	if (!vocab->texts.n || vocab->texts.n > MODEL_MAX_VOCAB)
		return gguf_key_error(gguf, KEY_TOKENS, SC_E_FORMAT, err,
				      "expected 1 to %u tokens, found %zu", MODEL_MAX_VOCAB,
				      vocab->texts.n);
	vocab->n = vocab->texts.n;
	return SC_OK;
}

static enum sc_status load_types(struct vocab *vocab, const struct gguf *gguf, struct error *err)
{
	struct gguf_array types;
	enum sc_status status = vocab_get_array(gguf, KEY_TYPES, vocab->n, false, &types, err);

	if (status)
		return status;
	for (size_t i = 0; i < vocab->n; i++) {
		double type = types.n ? gguf_array_number(&types, i) : VOCAB_NORMAL;

		vocab->types[i] = type >= VOCAB_NORMAL && type <= VOCAB_BYTE
				? (uint8_t)type : VOCAB_NORMAL;
	}
	return SC_OK;
}

/* Maps a score to an unsigned priority: the highest score gets the lowest number. */
static uint32_t score_priority(float score)
{
	uint32_t bits;

	score += 0.0f;	/* -0 and 0 are the same score */
	memcpy(&bits, &score, sizeof bits);
	return ~(bits & 0x80000000u ? ~bits : bits | 0x80000000u);
}

static enum sc_status load_scores(struct vocab *vocab, const struct gguf *gguf, struct error *err)
{
	struct gguf_array scores;
	enum sc_status status = vocab_get_array(gguf, KEY_SCORES, vocab->n, true, &scores, err);

	if (status)
		return status;
	vocab->priorities = calloc(vocab->n, sizeof vocab->priorities[0]);
	if (!vocab->priorities)
		return error_set(err, SC_E_NOMEM, "no memory for %zu tokens", vocab->n);
	for (size_t i = 0; i < vocab->n; i++) {
		float score = (float)gguf_array_number(&scores, i);

		if (isnan(score))
			return gguf_key_error(gguf, KEY_SCORES, SC_E_FORMAT, err,
					      "token %zu: expected a number, found NaN", i);
		vocab->priorities[i] = score_priority(score);
	}
	return SC_OK;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	     : c >= 'A' && c <= 'F' ? c - 'A' + 10
	     : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int vocab_byte_of_text(struct gguf_string text)
{
	int high, low;

	if (text.length != 6 || memcmp(text.data, "<0x", 3) || text.data[5] != '>')
		return -1;
	high = hex_digit(text.data[3]);
	low = hex_digit(text.data[4]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Finds byte tokens by their type or, in files without types, by their text. */
static enum sc_status load_byte_tokens(struct vocab *vocab, const struct gguf *gguf,
				       struct error *err)
{
	bool has_types = gguf_has(gguf, KEY_TYPES);

	memset(vocab->byte_tokens, 0xFF, sizeof vocab->byte_tokens);
	for (size_t i = 0; i < vocab->n; i++) {
		struct gguf_string text = gguf_array_string(&vocab->texts, i);
		int byte = vocab_byte_of_text(text);

		if (vocab->types[i] == VOCAB_BYTE && byte < 0)
			return gguf_key_error(gguf, KEY_TOKENS, SC_E_FORMAT, err,
					      "token %zu: expected <0xNN>, as its type is byte, "
					      "found '%s'", i,
					      quote(text.data, text.length).text);
		if (byte < 0 || (has_types && vocab->types[i] != VOCAB_BYTE) ||
		    (!has_types && vocab->family != VOCAB_SPM && vocab->family != VOCAB_UNIGRAM))
			continue;
		vocab->types[i] = VOCAB_BYTE;
		if (vocab->byte_tokens[byte] == TOKEN_NONE)
			vocab->byte_tokens[byte] = (uint32_t)i;
	}
	return SC_OK;
}

/* Writes text with SentencePiece's spaces undone. The result is never longer than text. */
static size_t put_spm_piece(struct gguf_string text, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < text.length;) {
		if (text.length - i >= VOCAB_SPACE_BYTES &&
		    !memcmp(text.data + i, VOCAB_SPACE, VOCAB_SPACE_BYTES)) {
			out[n++] = ' ';
			i += VOCAB_SPACE_BYTES;
		} else {
			out[n++] = text.data[i++];
		}
	}
	return n;
}

/* Writes what the token prints to out and returns the length. *is_key_out: plain text can become
 * this token, through its piece (byte-level) or its text (SentencePiece). */
static size_t put_piece(const struct vocab *vocab, size_t i, char *out, bool *is_key_out)
{
	struct gguf_string text = gguf_array_string(&vocab->texts, i);
	bool is_pure = true;
	size_t n = text.length;

	*is_key_out = false;
	if (!n)
		return 0;
	switch (vocab->types[i]) {
	case VOCAB_BYTE:
		*out = (char)vocab_byte_of_text(text);
		return 1;
	case VOCAB_CONTROL:
	case VOCAB_UNKNOWN:
		memcpy(out, text.data, n);
		return n;
	case VOCAB_USER_DEFINED:
		/* User-defined tokens are stored literally. In byte-level vocabularies only ASCII
		 * is the same in both alphabets, so only ASCII tokens can also come from merges. */
		if (vocab->family == VOCAB_BPE) {
			(void)byte_alphabet_decode(text.data, n, out, &is_pure);
			for (size_t k = 0; k < n; k++)
				is_pure = is_pure && (uint8_t)text.data[k] < 0x80;
		}
		*is_key_out = is_pure;
		if (vocab->has_symbols)
			return put_spm_piece(text, out);
		memcpy(out, text.data, n);
		return n;
	default:
		n = vocab->family != VOCAB_BPE
		  ? put_spm_piece(text, out)
		  : byte_alphabet_decode(text.data, text.length, out, &is_pure);
		*is_key_out = is_pure;
		return n;
	}
}

static bool goes_on_with_space(struct gguf_string text)
{
	bool is_behind_character = false;

	for (size_t i = 0; i < text.length;) {
		bool is_space = text.length - i >= VOCAB_SPACE_BYTES &&
				!memcmp(text.data + i, VOCAB_SPACE, VOCAB_SPACE_BYTES);

		if (is_space && is_behind_character)
			return true;
		is_behind_character = !is_space;
		i += is_space ? VOCAB_SPACE_BYTES : 1;
	}
	return false;
}

static enum sc_status add_key(struct vocab *vocab, size_t i)
{
	struct gguf_string key = vocab->family != VOCAB_BPE
			       ? gguf_array_string(&vocab->texts, i)
			       : vocab_piece(vocab, (uint32_t)i);
	enum sc_status status = strmap_add(vocab->ids, key.data, key.length, (uint32_t)i);

	if (key.length > vocab->max_key_bytes)
		vocab->max_key_bytes = key.length;
	if (vocab->family != VOCAB_BPE && goes_on_with_space(key))
		vocab->has_inner_space = true;
	return status == SC_E_EXISTS ? SC_OK : status;
}

static enum sc_status build_pieces(struct vocab *vocab)
{
	size_t n_bytes = 0;
	enum sc_status status = strmap_create(vocab->n, &vocab->ids);

	if (status)
		return status;
	for (size_t i = 0; i < vocab->n; i++)
		n_bytes += gguf_array_string(&vocab->texts, i).length;
	vocab->pieces = malloc(n_bytes + 1);
	vocab->piece_starts = calloc(vocab->n + 1, sizeof vocab->piece_starts[0]);
	if (!vocab->pieces || !vocab->piece_starts)
		return SC_E_NOMEM;
	for (size_t i = 0; i < vocab->n; i++) {
		size_t start = vocab->piece_starts[i];
		bool is_key;

		vocab->piece_starts[i + 1] = start + put_piece(vocab, i, vocab->pieces + start,
							       &is_key);
		status = is_key ? add_key(vocab, i) : SC_OK;
		if (status)
			return status;
	}
	return SC_OK;
}

/* For bytes without a byte token, uses the token whose text is that byte. */
static void complete_byte_tokens(struct vocab *vocab)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t text = (uint8_t)byte;

		if (vocab->byte_tokens[byte] == TOKEN_NONE)
			(void)strmap_find(vocab->ids, &text, 1, &vocab->byte_tokens[byte]);
	}
}

enum sc_status vocab_load(struct vocab *vocab, enum vocab_family family, bool adds_bos,
			  const struct vocab_pipeline *pipeline, const struct gguf *gguf,
			  struct error *err)
{
	enum sc_status status = load_texts(vocab, gguf, err);

	if (status)
		return status;
	vocab->family = family;
	vocab->types = calloc(vocab->n, sizeof vocab->types[0]);
	vocab->flags = calloc(vocab->n, sizeof vocab->flags[0]);
	if (!vocab->types || !vocab->flags)
		return error_set(err, SC_E_NOMEM, "no memory for %zu tokens", vocab->n);
	status = load_types(vocab, gguf, err);
	if (!status && family == VOCAB_SPM)
		status = load_scores(vocab, gguf, err);
	if (!status)
		status = load_byte_tokens(vocab, gguf, err);
	if (!status)
		status = vocab_load_special(vocab, adds_bos, gguf, err);
	if (status)
		return status;
	status = pipeline ? vocab_build_decoded(vocab, pipeline, err) : build_pieces(vocab);
	if (status == SC_E_NOMEM)
		return error_set(err, status, "no memory for the texts of %zu tokens", vocab->n);
	if (!status && !vocab->has_symbols)
		complete_byte_tokens(vocab);
	return status;
}

/* As vocab_print, by the decoder of a pipeline. */
static struct gguf_string print_decoded(const struct vocab *vocab, uint32_t token,
					bool with_special, bool *is_at_start)
{
	const struct gguf_string mark = vocab->decoder->mark;
	struct gguf_string piece = vocab_piece(vocab, token);

	if (vocab_is_special(vocab, token) && !with_special)
		return (struct gguf_string){ .data = piece.data };
	if (vocab->decoder->start == START_DROP && *is_at_start) {
		while (piece.length && piece.data[0] == ' ') {
			piece.data++;
			piece.length--;
		}
		*is_at_start = false;
	} else if (vocab->decoder->start == START_STRIP && *is_at_start && piece.length) {
		if (piece.length >= mark.length && !memcmp(piece.data, mark.data, mark.length)) {
			piece.data += mark.length;
			piece.length -= mark.length;
		}
		*is_at_start = false;
	}
	return piece;
}

struct gguf_string vocab_print(const struct vocab *vocab, uint32_t token, bool with_special,
			       bool *is_at_start)
{
	struct gguf_string piece = vocab_piece(vocab, token);

	if (vocab->decoder)
		return print_decoded(vocab, token, with_special, is_at_start);
	if (vocab_is_special(vocab, token)) {
		if (!with_special)
			piece.length = 0;
		return piece;
	}
	if (!piece.length)
		return piece;
	/* encode puts its space in front as a normal token, never as a user-defined token or a
	 * byte. */
	if (*is_at_start && (vocab->adds_space_prefix || vocab->drops_spaces) &&
	    piece.data[0] == ' ' && vocab->types[token] != VOCAB_BYTE &&
	    (vocab->has_symbols || vocab->types[token] != VOCAB_USER_DEFINED)) {
		piece.data++;
		piece.length--;
	}
	*is_at_start = *is_at_start && vocab->drops_spaces && !piece.length;
	return piece;
}

void vocab_deinit(struct vocab *vocab)
{
	free(vocab->types);
	free(vocab->flags);
	free(vocab->priorities);
	free(vocab->pieces);
	free(vocab->piece_starts);
	free(vocab->key_bytes);
	strmap_destroy(vocab->ids);
	*vocab = (struct vocab){ 0 };
}
