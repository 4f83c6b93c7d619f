/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces and keys of a vocabulary with a pipeline. What a token prints comes from the decoder; its
 * key, the text that the model looks for, is the token's own text. Only the model's tokens are
 * keys, never control tokens.
 */
#include "model/vocab.h"

#include "base/strmap.h"
#include "model/byte_alphabet.h"
#include "model/decoder.h"
#include "model/normalizer.h"

#include <stdlib.h>

static void mark_added(struct vocab *vocab, struct pipeline_steps added)
{
	for (size_t i = 0; i < added.n; i++)
		if (!(added.steps[i].args[1].number & ADDED_IN_MODEL))
			vocab->flags[added.steps[i].args[0].number] |= VOCAB_NOT_IN_MODEL;
}

/* The texts that are decoded: each token's own, but for added tokens that are normalised their
 * normalised content. */
struct texts {
	const struct pipeline_step **added;	/* [vocab->n], or NULL */
	const struct vocab_pipeline *pipeline;
	struct normalizer_scratch scratch;
};

static enum sc_status find_added(struct texts *texts, size_t n_vocab)
{
	const struct pipeline_steps added = texts->pipeline->pipeline->sections[SECTION_ADDED];

	texts->added = calloc(n_vocab, sizeof texts->added[0]);
	if (!texts->added)
		return SC_E_NOMEM;
	for (size_t i = 0; i < added.n; i++)
		texts->added[added.steps[i].args[0].number] = &added.steps[i];
	return SC_OK;
}

static enum sc_status text_of(struct texts *texts, const struct vocab *vocab, size_t i,
			      struct gguf_string *text_out, struct error *err)
{
	const struct pipeline_step *step = texts->added[i];
	struct masked_text text;
	enum sc_status status;

	if (!step) {
		*text_out = gguf_array_string(&vocab->texts, i);
		return SC_OK;
	}
	*text_out = step->args[2].text;
	if (!(step->args[1].number & ADDED_NORMALIZED))
		return SC_OK;
	text = (struct masked_text){ .data = text_out->data, .n = text_out->length };
	status = normalizer_run(texts->pipeline->normalizer, text, &texts->scratch, &text, err);
	*text_out = (struct gguf_string){ .data = text.data, .length = text.n };
	return status;
}

static enum sc_status decode_all(struct vocab *vocab, struct texts *texts, struct buf *pieces,
				 struct error *err)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < vocab->n && !status; i++) {
		struct gguf_string text;

		status = text_of(texts, vocab, i, &text, err);
		if (!status)
			status = decoder_add(texts->pipeline->decoder, text, pieces);
		vocab->piece_starts[i + 1] = pieces->length;
	}
	return status;
}

static enum sc_status build_pieces(struct vocab *vocab, struct texts *texts, struct error *err)
{
	struct buf pieces = BUF_INIT;
	enum sc_status status = SC_E_NOMEM;

	vocab->piece_starts = calloc(vocab->n + 1, sizeof vocab->piece_starts[0]);
	if (vocab->piece_starts)
		status = buf_reserve(&pieces, vocab->n);
	if (!status)
		status = decode_all(vocab, texts, &pieces, err);
	if (status) {
		buf_deinit(&pieces);
		return status;
	}
	vocab->pieces = pieces.data;	/* allocated, because something was reserved */
	return SC_OK;
}

static bool is_key(const struct vocab *vocab, size_t i)
{
	switch (vocab->types[i]) {
	case VOCAB_CONTROL:
	case VOCAB_UNKNOWN:
	case VOCAB_UNUSED:
	case VOCAB_BYTE:
		return false;
	default:
		return !(vocab->flags[i] & VOCAB_NOT_IN_MODEL);
	}
}

static enum sc_status add_key(struct vocab *vocab, const char *key, size_t n, size_t i)
{
	enum sc_status status = SC_OK;

	if (n)
		status = strmap_add(vocab->ids, key, n, (uint32_t)i);
	if (n > vocab->max_key_bytes)
		vocab->max_key_bytes = n;
	return status == SC_E_EXISTS ? SC_OK : status;
}

/* The text of a token as the model has it. In the file, a user-defined token may have other
 * spaces. */
static struct gguf_string key_of(const struct vocab *vocab, const struct texts *texts, size_t i)
{
	return texts->added[i] ? texts->added[i]->args[2].text
			       : gguf_array_string(&vocab->texts, i);
}

static enum sc_status build_keys(struct vocab *vocab, const struct texts *texts)
{
	const bool is_bytes = vocab->family == VOCAB_BPE;
	size_t n_bytes = 0;
	char *at;
	enum sc_status status = strmap_create(vocab->n, &vocab->ids);

	for (size_t i = 0; i < vocab->n && is_bytes; i++)
		n_bytes += key_of(vocab, texts, i).length;
	vocab->key_bytes = at = malloc(n_bytes + 1);
	if (!at)
		return SC_E_NOMEM;
	for (size_t i = 0; i < vocab->n && !status; i++) {
		const struct gguf_string text = key_of(vocab, texts, i);
		bool is_pure = true;
		size_t n = text.length;

		if (!is_key(vocab, i))
			continue;
		if (is_bytes)
			n = byte_alphabet_decode(text.data, text.length, at, &is_pure);
		if (is_pure)
			status = add_key(vocab, is_bytes ? at : text.data, n, i);
		at += is_bytes ? n : 0;
	}
	return status;
}

enum sc_status vocab_build_decoded(struct vocab *vocab, const struct vocab_pipeline *pipeline,
				   struct error *err)
{
	struct texts texts = { .pipeline = pipeline, .scratch = NORMALIZER_SCRATCH_INIT };
	enum sc_status status;

	mark_added(vocab, pipeline->pipeline->sections[SECTION_ADDED]);
	vocab->decoder = pipeline->decoder;
	status = find_added(&texts, vocab->n);
	if (!status)
		status = build_pieces(vocab, &texts, err);
	if (!status)
		status = build_keys(vocab, &texts);
	normalizer_scratch_deinit(&texts.scratch);
	free(texts.added);
	return status;
}
