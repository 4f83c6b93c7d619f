/* SPDX-License-Identifier: Apache-2.0 */
#include "model/word_model.h"

#include "model/bpe.h"

#include <stdlib.h>

struct word_model {
	const struct pipeline_step *step;
	struct bpe *bpe;	/* MODEL_BPE */
};

enum sc_status word_model_create(const struct pipeline *pipeline, const struct vocab *vocab,
				 const struct gguf *gguf, struct word_model **model_out,
				 struct error *err)
{
	const struct pipeline_step *step = pipeline->sections[SECTION_MODEL].steps;
	struct word_model *model = calloc(1, sizeof *model);
	enum sc_status status;

	if (!model)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	model->step = step;
	if (step->kind != MODEL_BPE || vocab->family != VOCAB_BPE)
		status = error_set(err, SC_E_UNSUPPORTED, "%s: key '%s': this model is not "
				   "supported", gguf_path(gguf), PIPELINE_KEY);
	else
		status = bpe_create(vocab, NULL, step->args[BPE_IGNORES_MERGES].number, gguf,
				    &model->bpe, err);
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
	free(model);
}

bool word_model_drops_text(const struct word_model *model)
{
	return bpe_leaves_out_bytes(model->bpe);
}

enum sc_status word_model_encode(const struct word_model *model, const char *word, size_t n_bytes,
				 struct merger *scratch, struct token_list *ids,
				 struct error *err)
{
	(void)err;
	return bpe_encode_word(model->bpe, word, n_bytes, scratch, ids);
}
