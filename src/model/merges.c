/* SPDX-License-Identifier: Apache-2.0 */
#include "model/merges.h"

#include "base/strmap.h"
#include "model/byte_alphabet.h"
#include "model/quote.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MERGES "tokenizer.ggml.merges"
#define MAX_MERGES (8u << 20)

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

/* The bytes that part of a merge stands for. */
static size_t put_part(const struct vocab *vocab, const char *text, size_t length, char *out,
		       bool *is_pure_out)
{
	if (vocab->family == VOCAB_BPE)
		return byte_alphabet_decode(text, length, out, is_pure_out);
	memcpy(out, text, length);
	*is_pure_out = true;
	return length;
}

/* Adds one merge, unless it can never apply. joined is scratch memory for its bytes. */
static enum sc_status add_merge(const struct vocab *vocab, struct pairmap *merges,
				struct gguf_string merge, size_t left_length, uint32_t rank,
				char *joined)
{
	const struct strmap *ids = vocab->ids;
	const char *right_text = merge.data + left_length + 1;
	size_t right_length = merge.length - left_length - 1;
	bool is_left_pure, is_right_pure;
	size_t n_left = put_part(vocab, merge.data, left_length, joined, &is_left_pure);
	size_t n_right = put_part(vocab, right_text, right_length, joined + n_left,
				  &is_right_pure);
	uint32_t left, right, token;
	enum sc_status status;

	if (!is_left_pure || !is_right_pure || !strmap_find(ids, joined, n_left, &left) ||
	    !strmap_find(ids, joined + n_left, n_right, &right) ||
	    !strmap_find(ids, joined, n_left + n_right, &token))
		return SC_OK;
	status = pairmap_add(merges, left, right, (uint64_t)rank << 32 | token);
	return status == SC_E_EXISTS ? SC_OK : status;
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

/* Checks merge i of the array. */
static enum sc_status read_merge(const struct gguf *gguf, const struct gguf_array *array, size_t i,
				 size_t *left_length_out, struct error *err)
{
	struct gguf_string merge = gguf_array_string(array, i);

	if (split_merge(merge, left_length_out))
		return SC_OK;
	return gguf_key_error(gguf, KEY_MERGES, SC_E_FORMAT, err,
			      "merge %zu: expected two texts with one space between them, found "
			      "'%s'", i, quote(merge.data, merge.length).text);
}

enum sc_status merges_load(const struct vocab *vocab, const struct gguf *gguf, unsigned flags,
			   struct pairmap **merges_out, struct error *err)
{
	struct gguf_array array;
	struct pairmap *merges = NULL;
	size_t n_longest = 0;
	char *joined;
	enum sc_status status = get_merges(gguf, &array, err);

	if (status)
		return status;
	for (size_t i = 0; i < array.n; i++)
		if (gguf_array_string(&array, i).length > n_longest)
			n_longest = gguf_array_string(&array, i).length;
	joined = malloc(n_longest + 1);
	if (!joined || pairmap_create(array.n, &merges))
		status = error_set(err, SC_E_NOMEM, "no memory for %zu merges", array.n);
	for (size_t k = 0; k < array.n && !status; k++) {
		size_t i = flags & MERGES_LAST_COUNTS ? array.n - 1 - k : k, left_length = 0;

		status = read_merge(gguf, &array, i, &left_length, err);
		if (!status)
			status = add_merge(vocab, merges, gguf_array_string(&array, i),
					   left_length, (uint32_t)i, joined);
	}
	free(joined);
	if (status)
		pairmap_destroy(merges);
	else
		*merges_out = merges;
	return status;
}
