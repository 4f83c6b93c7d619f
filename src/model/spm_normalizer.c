/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spm_normalizer.h"

#include "base/utf8.h"
#include "model/charsmap.h"
#include "model/piece_trie.h"

#include <stdlib.h>
#include <string.h>

#define KEY_REMOVE "tokenizer.ggml.remove_extra_whitespaces"

static const char replacement[] = "\uFFFD";

struct spm_normalizer {
	struct charsmap rules;
	struct piece_trie user_defined;
	bool has_user_defined;
	bool removes_spaces;	/* in front, behind, and repeated ones */
	bool adds_prefix, adds_suffix;
	bool escapes;		/* writes U+2581 for a space */
};

static enum sc_status get_flag(const struct gguf *gguf, const char *key, bool *flag,
			       struct error *err)
{
	return gguf_has(gguf, key) ? gguf_get_bool(gguf, key, flag, err) : SC_OK;
}

static bool is_true(const struct gguf *gguf, const char *key)
{
	bool flag;

	return gguf_has(gguf, key) && !gguf_get_bool(gguf, key, &flag, NULL) && flag;
}

bool spm_normalizer_is_needed(const struct gguf *gguf)
{
	struct gguf_array rules;

	return is_true(gguf, KEY_SPM_EXACT) || is_true(gguf, KEY_REMOVE) ||
	       (gguf_has(gguf, KEY_CHARSMAP) && !gguf_get_array(gguf, KEY_CHARSMAP, &rules, NULL) &&
		rules.n);
}

static enum sc_status load_user_defined(struct spm_normalizer *normalizer,
					const struct vocab *vocab)
{
	struct piece_trie_key *keys = calloc(vocab->n, sizeof *keys);
	size_t n = 0;
	enum sc_status status;

	if (!keys)
		return SC_E_NOMEM;
	for (size_t i = 0; i < vocab->n; i++) {
		struct gguf_string text = gguf_array_string(&vocab->texts, i);

		if (vocab_is_symbol(vocab, (uint32_t)i))
			keys[n++] = (struct piece_trie_key){ text.data, (uint32_t)text.length,
							     (uint32_t)i };
	}
	normalizer->has_user_defined = n > 0;
	status = n ? piece_trie_init(&normalizer->user_defined, keys, n) : SC_OK;
	free(keys);
	return status;
}

enum sc_status spm_normalizer_create(const struct vocab *vocab, const struct gguf *gguf,
				     struct spm_normalizer **normalizer_out, struct error *err)
{
	struct spm_normalizer *normalizer = calloc(1, sizeof *normalizer);
	bool is_suffix = false, keeps_spaces = false;
	enum sc_status status;

	if (!normalizer)
		return error_set(err, SC_E_NOMEM, "no memory for a normalizer");
	status = charsmap_load(&normalizer->rules, gguf, err);
	if (!status)
		status = get_flag(gguf, KEY_REMOVE, &normalizer->removes_spaces, err);
	if (!status)
		status = get_flag(gguf, KEY_SPM_SUFFIX, &is_suffix, err);
	if (!status)
		status = get_flag(gguf, KEY_SPM_KEEPS, &keeps_spaces, err);
	if (!status && load_user_defined(normalizer, vocab))
		status = error_set(err, SC_E_NOMEM, "no memory for a normalizer");
	if (status) {
		spm_normalizer_destroy(normalizer);
		return status;
	}
	normalizer->escapes = !keeps_spaces;
	normalizer->adds_prefix = vocab->adds_space_prefix && !is_suffix;
	normalizer->adds_suffix = vocab->adds_space_prefix && is_suffix;
	*normalizer_out = normalizer;
	return SC_OK;
}

void spm_normalizer_destroy(struct spm_normalizer *normalizer)
{
	if (!normalizer)
		return;
	piece_trie_deinit(&normalizer->user_defined);
	free(normalizer);
}

size_t spm_normalizer_symbol(const struct spm_normalizer *normalizer, const char *text,
			     size_t n_bytes, uint32_t *token_out)
{
	uint32_t at = 0;
	size_t length = 0;

	if (!normalizer->has_user_defined)
		return 0;
	for (size_t i = 0; i < n_bytes; i++) {
		if (!piece_trie_step(&normalizer->user_defined, &at, (uint8_t)text[i]))
			break;
		if (piece_trie_ends(&normalizer->user_defined, at, token_out))
			length = i + 1;
	}
	return length;
}

/* Normalizes the start of text. Returns the bytes that were read. */
static size_t next_part(const struct spm_normalizer *normalizer, const char *text, size_t n_bytes,
			struct gguf_string *part_out)
{
	uint32_t token;
	size_t n = spm_normalizer_symbol(normalizer, text, n_bytes, &token);
	int length;

	if (!n && (n = charsmap_longest(&normalizer->rules, text, n_bytes, part_out)))
		return n;
	if (!n) {
		length = utf8_next((const uint8_t *)text, n_bytes);
		n = length > 0 ? (size_t)length : 0;
	}
	*part_out = (struct gguf_string){ text, n };
	if (!n)
		*part_out = (struct gguf_string){ replacement, sizeof replacement - 1 };
	return n ? n : 1;
}

static enum sc_status add_space(const struct spm_normalizer *normalizer, struct buf *out)
{
	return normalizer->escapes ? buf_add(out, VOCAB_SPACE, VOCAB_SPACE_BYTES)
				   : buf_add(out, " ", 1);
}

static enum sc_status add_part(const struct spm_normalizer *normalizer, struct gguf_string part,
			       bool *is_behind_space, struct buf *out)
{
	enum sc_status status = SC_OK;

	while (*is_behind_space && part.length && *part.data == ' ') {
		part.data++;
		part.length--;
	}
	if (out->length + part.length * VOCAB_SPACE_BYTES > INT32_MAX)
		return SC_E_TOO_LARGE;
	for (size_t i = 0; i < part.length && !status; i++)
		status = part.data[i] == ' ' ? add_space(normalizer, out)
					     : buf_add(out, part.data + i, 1);
	if (part.length)
		*is_behind_space = part.data[part.length - 1] == ' ';
	*is_behind_space = *is_behind_space && normalizer->removes_spaces;
	return status;
}

static size_t skip_spaces(const struct spm_normalizer *normalizer, const char *text,
			  size_t n_bytes)
{
	size_t at = 0;

	while (at < n_bytes) {
		struct gguf_string part;
		size_t n = next_part(normalizer, text + at, n_bytes - at, &part);

		if (part.length != 1 || *part.data != ' ')
			break;
		at += n;
	}
	return at;
}

static void remove_last_spaces(const struct spm_normalizer *normalizer, struct buf *out)
{
	const char *space = normalizer->escapes ? VOCAB_SPACE : " ";
	size_t n = strlen(space);

	while (out->length >= n && !memcmp(out->data + out->length - n, space, n))
		buf_truncate(out, out->length - n);
}

enum sc_status spm_normalizer_run(const struct spm_normalizer *normalizer, const char *text,
				  size_t n_bytes, struct buf *out)
{
	bool is_behind_space = normalizer->removes_spaces;
	size_t at = normalizer->removes_spaces ? skip_spaces(normalizer, text, n_bytes) : 0;
	enum sc_status status;

	buf_truncate(out, 0);
	if (at == n_bytes)
		return SC_OK;
	status = buf_reserve(out, n_bytes + 2 * VOCAB_SPACE_BYTES);
	if (!status && normalizer->adds_prefix)
		status = add_space(normalizer, out);
	while (!status && at < n_bytes) {
		struct gguf_string part;

		at += next_part(normalizer, text + at, n_bytes - at, &part);
		status = add_part(normalizer, part, &is_behind_space, out);
	}
	if (normalizer->removes_spaces)
		remove_last_spaces(normalizer, out);
	if (!status && normalizer->adds_suffix)
		status = add_space(normalizer, out);
	return status;
}
