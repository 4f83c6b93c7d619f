/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "config/config.h"
#include "hf/source.h"
#include "quant/rounded.h"

#include <stdio.h>

struct model_choice model_choice_of(const struct config *config)
{
	return (struct model_choice){ config->model, config->ignored_keys, config->weight_type };
}

/* Puts a model whose matrices have the wanted type in the place of *gguf. Closes it on failure. */
static enum sc_status round_weights(struct gguf **gguf, const char *name, struct error *err)
{
	const struct quant_mix *mix;
	enum sc_status status = quant_mix_require(name, "--weight-type", &mix, err);

	if (status) {
		gguf_close(*gguf);
		return status;
	}
	return quant_round(*gguf, mix, quant_kernels(cpu_isa_best()), gguf, err);
}

enum sc_status opened_model_open(struct opened_model *opened, const struct model_choice *choice,
				 struct error *err)
{
	enum sc_status status;
	struct gguf *gguf;

	*opened = (struct opened_model){ 0 };
	if (!*choice->name)
		return error_set(err, SC_E_INVALID, "no model: give a model file, a folder or a "
				 "cached name with -m");
	status = source_open(choice->name, 0, &gguf, err);
	if (status == SC_OK && choice->weight_type && *choice->weight_type)
		status = round_weights(&gguf, choice->weight_type, err);
	if (status == SC_OK) {
		gguf_ignore_keys(gguf, choice->ignored_keys);
		status = model_open_gguf(gguf, &opened->model, err);
	}
	/* Its folder in the cache is named by a hash. */
	if (status == SC_OK && source_is_cached(choice->name))
		snprintf(opened->model->name, sizeof opened->model->name, "%s", choice->name);
	if (status == SC_OK)
		status = model_take_samples(opened->model, err);
	if (status == SC_OK)
		status = tokenizer_create(opened->model->gguf, &opened->tokenizer, err);
	if (status != SC_OK)
		opened_model_close(opened);
	return status;
}

void opened_model_close(struct opened_model *opened)
{
	tokenizer_destroy(opened->tokenizer);
	model_close(opened->model);
	*opened = (struct opened_model){ 0 };
}
