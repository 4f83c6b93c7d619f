/* SPDX-License-Identifier: Apache-2.0 */
/* What a model's tensors add up to. */
#include "model/model_tensors.h"

static uint64_t n_elements(const struct tensor *tensor)
{
	return tensor ? tensor->dims[0] * tensor->dims[1] : 0;
}

static bool is_rope_factors(const struct model *model, const struct tensor *tensor)
{
	for (unsigned s = OUTER_ROPE_FACTORS; s <= OUTER_ROPE_FACTORS_SHORT; s++)
		if (model->outer[s] == tensor)
			return true;
	return false;
}

uint64_t model_count_params(const struct model *model)
{
	uint64_t n = 0;

	for (size_t i = 0; i < gguf_n_tensors(model->gguf); i++)
		if (!is_rope_factors(model, gguf_tensor(model->gguf, i)))
			n += n_elements(gguf_tensor(model->gguf, i));
	return n;
}

/* Visits the outer tensors of one end. The output matrix is left out if `tied`, which is held
 * already, is the same tensor. */
static void visit_outer(const struct model *model, enum slot_place place,
			const struct tensor *tied, model_tensor_fn *visit, void *arg)
{
	for (unsigned s = 0; s < N_OUTER_SLOTS; s++)
		if (outer_slots[s].place == place && model->outer[s] && model->outer[s] != tied)
			visit(arg, model, model->outer[s]);
}

void model_visit_layers(const struct model *model, uint32_t first_layer, uint32_t n_layers,
			model_tensor_fn *visit, void *arg)
{
	const bool is_first = first_layer == 0;

	if (is_first)
		visit_outer(model, PLACE_FIRST, NULL, visit, arg);
	for (uint32_t i = first_layer; i < first_layer + n_layers; i++)
		for (unsigned s = 0; s < N_LAYER_SLOTS; s++)
			if (model->layers[i].of[s])
				visit(arg, model, model->layers[i].of[s]);
	if (first_layer + n_layers >= model->hparams.n_layers)
		visit_outer(model, PLACE_LAST, is_first ? model->outer[OUTER_TOKEN_EMBD] : NULL,
			    visit, arg);
}

uint64_t model_layer_bytes(const struct model *model, uint32_t layer)
{
	uint64_t n = 0;

	for (unsigned s = 0; s < N_LAYER_SLOTS; s++)
		n += model->layers[layer].of[s] ? model->layers[layer].of[s]->n_bytes : 0;
	return n;
}

static uint64_t outer_bytes(const struct model *model, enum slot_place place)
{
	uint64_t n = 0;

	for (unsigned s = 0; s < N_OUTER_SLOTS; s++)
		if (outer_slots[s].place == place && model->outer[s])
			n += model->outer[s]->n_bytes;
	return n;
}

uint64_t model_embedding_bytes(const struct model *model)
{
	return outer_bytes(model, PLACE_FIRST);
}

uint64_t model_head_bytes(const struct model *model)
{
	return outer_bytes(model, PLACE_LAST);
}

bool model_is_bf16(const struct model *model)
{
	uint64_t n_bf16 = 0, n_all = 0;

	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		for (unsigned s = 0; s < N_LAYER_SLOTS; s++) {
			const struct tensor *tensor = model->layers[i].of[s];

			if (!tensor || layer_slots[s].kind == SLOT_VECTOR)
				continue;
			n_all += n_elements(tensor);
			if (tensor->type == TENSOR_BF16)
				n_bf16 += n_elements(tensor);
		}
	}
	return n_bf16 > n_all / 2;
}

uint64_t model_layer_macs(const struct model *model, uint32_t layer)
{
	uint64_t n = 0;

	for (unsigned s = 0; s < N_LAYER_SLOTS; s++)
		if (layer_slots[s].kind == SLOT_PRODUCT)
			n += n_elements(model->layers[layer].of[s]);
	return n;
}

uint64_t model_head_macs(const struct model *model)
{
	return n_elements(model->outer[OUTER_OUTPUT]);
}

uint32_t model_max_positions(const struct model *model)
{
	return model->outer[OUTER_POSITION_EMBD] ? model->hparams.n_context : UINT32_MAX;
}
