/* SPDX-License-Identifier: Apache-2.0 */
#include "model/word_model.h"

#include "model/bpe.h"
#include "model/text_bpe.h"

#include <stdlib.h>

/* One of the three is there. */
struct word_model {
	struct bpe *bpe;		/* MODEL_BPE over bytes */
	struct text_bpe *text_bpe;	/* MODEL_BPE over characters */
	struct unigram *unigram;	/* MODEL_UNIGRAM */
};

static enum sc_status create_kind(struct word_model *model, const struct pipeline_step *step,
				  const struct vocab *vocab, const struct gguf *gguf,
				  struct error *err)
{
	if (step->kind == MODEL_UNIGRAM && vocab->family != VOCAB_TEXT)
		return error_set(err, SC_E_UNSUPPORTED, "%s: key '%s': Unigram over bytes is not "
				 "supported", gguf_path(gguf), PIPELINE_KEY);
	if (step->kind == MODEL_UNIGRAM)
		return unigram_create(vocab, step->args[0].number, gguf, &model->unigram,
				      err);
	if (vocab->family == VOCAB_TEXT)
		return text_bpe_create(vocab, step, gguf, &model->text_bpe, err);
	return bpe_create(vocab, NULL, step->args[BPE_IGNORES_MERGES].number, gguf, &model->bpe,
			  err);
}

enum sc_status word_model_create(const struct pipeline *pipeline, const struct vocab *vocab,
				 const struct gguf *gguf, struct word_model **model_out,
				 struct error *err)
{
	struct word_model *model = calloc(1, sizeof *model);
	enum sc_status status;

	if (!model)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	status = create_kind(model, pipeline->sections[SECTION_MODEL].steps, vocab, gguf, err);
	if (status) {
		word_model_destroy(model);
		return status;
	}
	*model_out = model;
	return SC_OK;
}

void word_model_destroy(struct word_model *model)
{
	if (!model)
		return;
	bpe_destroy(model->bpe);
	text_bpe_destroy(model->text_bpe);
	unigram_destroy(model->unigram);
	free(model);
}

void word_scratch_deinit(struct word_scratch *scratch)
{
	merger_deinit(&scratch->merger);
	unigram_scratch_deinit(&scratch->cells);
}

bool word_model_drops_text(const struct word_model *model)
{
	return model->unigram ? true
	     : model->text_bpe ? text_bpe_drops_text(model->text_bpe)
			       : bpe_leaves_out_bytes(model->bpe);
}

enum sc_status word_model_encode(const struct word_model *model, const char *word, size_t n_bytes,
				 struct word_scratch *scratch, struct token_list *ids)
{
	if (model->unigram)
		return unigram_encode(model->unigram, word, n_bytes, &scratch->cells, ids);
	if (model->text_bpe)
		return text_bpe_encode(model->text_bpe, word, n_bytes, &scratch->merger, ids);
	return bpe_encode_word(model->bpe, word, n_bytes, &scratch->merger, ids);
}
