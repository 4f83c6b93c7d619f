/* SPDX-License-Identifier: Apache-2.0 */
#include "model/encoder.h"

#include "model/added_tokens.h"
#include "model/decoder.h"
#include "model/normalizer.h"
#include "model/splitter.h"
#include "model/word_model.h"

#include <stdlib.h>

struct encoder {
	struct pipeline pipeline;
	struct normalizer *normalizer;
	struct added_tokens *raw;	/* match the text as it is */
	struct added_tokens *normal;	/* match the normalised text */
	struct splitter *splitter;
	struct word_model *model;
	struct decoder decoder;
};

/* The parts that the vocabulary needs to be loaded. */
static enum sc_status create_steps(struct encoder *encoder, const struct gguf *gguf,
				   struct error *err)
{
	const struct pipeline_steps *sections = encoder->pipeline.sections;
	enum sc_status status;

	status = normalizer_create(sections[SECTION_NORMALIZE], gguf, &encoder->normalizer, err);
	if (!status)
		status = splitter_create(sections[SECTION_SPLIT], &encoder->splitter, err);
	if (!status)
		status = decoder_init(&encoder->decoder, sections[SECTION_DECODE], err);
	if (status && status != SC_E_NOMEM)
		error_prefix(err, "%s: key '%s'", gguf_path(gguf), PIPELINE_KEY);
	return status;
}

static enum sc_status create_added(struct encoder *encoder, const struct vocab *vocab,
				   struct error *err)
{
	const struct pipeline_steps steps = encoder->pipeline.sections[SECTION_ADDED];
	enum sc_status status = added_tokens_create(steps, false, vocab, encoder->normalizer,
						    &encoder->raw, err);

	return status ? status : added_tokens_create(steps, true, vocab, encoder->normalizer,
						     &encoder->normal, err);
}

enum sc_status encoder_create(const struct gguf *gguf, struct vocab *vocab,
			      struct encoder **encoder_out, struct error *err)
{
	struct encoder *encoder = calloc(1, sizeof *encoder);
	struct vocab_pipeline use;
	size_t n_vocab;
	enum sc_status status;

	if (!encoder)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	status = vocab_count(gguf, &n_vocab, err);
	if (!status)
		status = pipeline_read(&encoder->pipeline, gguf, n_vocab, err);
	if (!status)
		status = create_steps(encoder, gguf, err);
	if (status)
		goto fail;
	use = (struct vocab_pipeline){
		.pipeline = &encoder->pipeline, .decoder = &encoder->decoder,
		.normalizer = encoder->normalizer,
	};
	status = vocab_load(vocab, splitter_is_byte_level(encoder->splitter)
			    ? VOCAB_BPE : VOCAB_TEXT, false, &use, gguf, err);
	if (!status)
		status = word_model_create(&encoder->pipeline, vocab, gguf, &encoder->model, err);
	if (!status)
		status = create_added(encoder, vocab, err);
	if (status)
		goto fail;
	*encoder_out = encoder;
	return SC_OK;
fail:
	if (status == SC_E_NOMEM)
		error_set(err, status, "no memory for a tokenizer");
	vocab->decoder = NULL;
	encoder_destroy(encoder);
	return status;
}

void encoder_destroy(struct encoder *encoder)
{
	if (!encoder)
		return;
	word_model_destroy(encoder->model);
	added_tokens_destroy(encoder->raw);
	added_tokens_destroy(encoder->normal);
	splitter_destroy(encoder->splitter);
	normalizer_destroy(encoder->normalizer);
	pipeline_deinit(&encoder->pipeline);
	free(encoder);
}

enum sc_status encoder_begin(const struct encoder *encoder, struct token_list *ids)
{
	const struct pipeline_steps steps = encoder->pipeline.sections[SECTION_TEMPLATE];
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < steps.n && !status; i++)
		if (steps.steps[i].kind == TEMPLATE_BEFORE)
			status = token_list_add(ids, steps.steps[i].args[0].number);
	return status;
}

/* The state of one call of encoder_encode. */
struct encoding {
	const struct encoder *encoder;
	struct normalizer_scratch scratch;
	struct splitter_scratch *splitter;
	struct word_scratch words;
	struct token_list *ids;
	bool is_control_allowed;
	bool is_first;		/* the part begins where the text begins */
	struct error *err;
};

static struct masked_text part_of(struct masked_text text, size_t begin, size_t end)
{
	return (struct masked_text){
		.data = text.data + begin, .mask = text.mask ? text.mask + begin : NULL,
		.n = end - begin,
	};
}

static enum sc_status on_word(void *context, const char *word, size_t n_bytes)
{
	struct encoding *encoding = context;

	return word_model_encode(encoding->encoder->model, word, n_bytes, &encoding->words,
				 encoding->ids);
}

/* Cuts a part without added tokens into words and encodes each. */
static enum sc_status encode_words(struct encoding *encoding, struct masked_text text)
{
	return splitter_split(encoding->splitter, text.data, text.n, encoding->is_first, on_word,
			      encoding, encoding->err);
}

typedef enum sc_status encode_part(struct encoding *encoding, struct masked_text text);

/* Encodes the added tokens of a set, and what is between them with `encode`. */
static enum sc_status encode_parts(struct encoding *encoding, const struct added_tokens *tokens,
				   struct masked_text text, encode_part *encode)
{
	const bool is_first = encoding->is_first;
	struct added_scan scan;
	struct added_match match;
	size_t at = 0;
	enum sc_status status = SC_OK;

	added_scan_init(&scan, tokens, text, encoding->is_control_allowed);
	while (!status && added_scan_next(&scan, &match)) {
		encoding->is_first = is_first && !at;
		if (at < match.start)
			status = encode(encoding, part_of(text, at, match.start));
		if (!status)
			status = token_list_add(encoding->ids, match.token);
		at = match.end;
	}
	encoding->is_first = is_first && !at;
	if (!status && at < text.n)
		status = encode(encoding, part_of(text, at, text.n));
	return status;
}

static enum sc_status encode_normalized(struct encoding *encoding, struct masked_text text)
{
	struct masked_text normal;
	enum sc_status status = normalizer_run(encoding->encoder->normalizer, text,
					       &encoding->scratch, &normal, encoding->err);

	return status ? status : encode_parts(encoding, encoding->encoder->normal, normal,
					      encode_words);
}

enum sc_status encoder_encode(const struct encoder *encoder, struct masked_text text,
			      bool is_control_allowed, struct token_list *ids, struct error *err)
{
	struct encoding encoding = {
		.encoder = encoder, .scratch = NORMALIZER_SCRATCH_INIT, .words = WORD_SCRATCH_INIT,
		.ids = ids, .is_control_allowed = is_control_allowed, .is_first = true,
		.err = err,
	};
	enum sc_status status = splitter_scratch_create(encoder->splitter, text.n,
							&encoding.splitter);

	if (!status)
		status = encode_parts(&encoding, encoder->raw, text, encode_normalized);
	splitter_scratch_destroy(encoding.splitter);
	normalizer_scratch_deinit(&encoding.scratch);
	word_scratch_deinit(&encoding.words);
	return status;
}

size_t encoder_longest_token_bytes(const struct encoder *encoder, size_t n_longest)
{
	const size_t shrinks = normalizer_shrinks(encoder->normalizer);

	if (!shrinks || splitter_drops_text(encoder->splitter) ||
	    added_tokens_eat_space(encoder->raw) || added_tokens_eat_space(encoder->normal) ||
	    word_model_drops_text(encoder->model))
		return 0;
	return n_longest * shrinks;
}
