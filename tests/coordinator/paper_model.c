/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/coordinator/paper_model.h"

static struct paper_model {
	struct model model;
	struct layer_tensors layers[PAPER_MAX_LAYERS];
	struct layer_shape shapes[PAPER_MAX_LAYERS];
	struct tensor tensors[PAPER_MAX_LAYERS];
	struct tensor embedding, output, norm;
} paper;

static struct tensor matrix(uint64_t rows, uint64_t columns)
{
	return (struct tensor){ .type = TENSOR_F32, .n_dims = 2, .dims = { columns, rows },
				.n_bytes = rows * columns * sizeof(float) };
}

const struct model *paper_model(uint32_t n_layers, const uint64_t *layer_rows, uint64_t n_vocab)
{
	paper = (struct paper_model){ 0 };
	paper.model.layers = paper.layers;
	paper.model.shapes = paper.shapes;
	paper.model.n_groups = 1;
	paper.model.groups[0] = (struct kv_group){
		.n_kv_heads = 2, .head_dim = 16, .value_dim = 16, .n_layers = n_layers,
	};
	paper.model.hparams = (struct hparams){
		.n_layers = n_layers, .n_context = 128, .n_vocab = (uint32_t)n_vocab, .dim = 64,
		.ffn_dim = 128, .n_heads = 4, .n_kv_heads = 2, .head_dim = 16, .value_dim = 16,
	};
	for (uint32_t i = 0; i < n_layers; i++) {
		paper.tensors[i] = matrix(layer_rows[i], 64);
		paper.layers[i].of[LAYER_ATTN_Q] = &paper.tensors[i];
	}
	/* What a layer has beside it does not matter, but must be there to be counted. */
	paper.norm = matrix(1, 64);
	for (uint32_t i = 0; i < n_layers; i++) {
		paper.layers[i].of[LAYER_ATTN_K] = paper.layers[i].of[LAYER_ATTN_V] = &paper.norm;
		paper.layers[i].of[LAYER_ATTN_OUTPUT] = paper.layers[i].of[LAYER_FFN_GATE] = &paper.norm;
		paper.layers[i].of[LAYER_FFN_UP] = paper.layers[i].of[LAYER_FFN_DOWN] = &paper.norm;
	}
	paper.embedding = matrix(n_vocab, 64);
	paper.output = matrix(n_vocab, 64);
	paper.model.outer[OUTER_TOKEN_EMBD] = &paper.embedding;
	paper.model.outer[OUTER_OUTPUT] = &paper.output;
	paper.model.outer[OUTER_OUTPUT_NORM] = &paper.norm;
	return &paper.model;
}

void paper_model_add_window(uint32_t window)
{
	struct model *model = &paper.model;

	model->n_groups = 2;
	model->groups[1] = model->groups[0];
	model->groups[1].window = window;
	model->groups[0].n_layers = model->groups[1].n_layers = 0;
	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		model->shapes[i].group = i % 4 != 3;
		model->groups[model->shapes[i].group].n_layers++;
	}
}

const struct stage_sizes paper_sizes[PAPER_MAX_LAYERS] = {
	PAPER_SIZES, PAPER_SIZES, PAPER_SIZES, PAPER_SIZES, PAPER_SIZES, PAPER_SIZES, PAPER_SIZES,
	PAPER_SIZES, PAPER_SIZES,
};
