/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "model/hparams.h"
#include "model/keys.h"
#include "model/tensor_source.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* A tensor's place in the model and its required shape. */
struct slot {
	const char *name;	/* after "blk.N." for a layer's tensors */
	const struct tensor **tensor;
	uint64_t dims[2];	/* dims[1] == 1: a vector, stored as F32 */
	bool is_optional;
};

static enum sc_status check_shape(const struct model *model, const struct tensor *tensor,
				  const uint64_t dims[2], struct error *err)
{
	if (tensor->dims[0] == dims[0] && tensor->dims[1] == dims[1] && tensor->dims[2] == 1 &&
	    tensor->dims[3] == 1)
		return SC_OK;
	return error_set(err, SC_E_FORMAT,
			 "%s: tensor '%s': expected the shape [%" PRIu64 ", %" PRIu64 "], found [%"
			 PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "]", gguf_path(model->gguf),
			 tensor->name, dims[0], dims[1], tensor->dims[0], tensor->dims[1],
			 tensor->dims[2], tensor->dims[3]);
}

/* Finds the tensor and checks it. n_found counts the tensors that exist. */
static enum sc_status fill_slot(struct model *model, const char *prefix, const struct slot *slot,
				size_t *n_found, struct error *err)
{
	const struct tensor *tensor;
	char name[64];

	snprintf(name, sizeof name, "%s%s", prefix, slot->name);
	tensor = gguf_find_tensor(model->gguf, name);
	if (!tensor && slot->is_optional)
		return SC_OK;
	if (!tensor)
		return error_set(err, SC_E_FORMAT, "%s: expected a tensor '%s', found none",
				 gguf_path(model->gguf), name);
	if (slot->dims[1] == 1 && tensor->type != TENSOR_F32)
		return error_set(err, SC_E_FORMAT, "%s: tensor '%s': expected type F32, found %s",
				 gguf_path(model->gguf), name,
				 tensor_type_info(tensor->type)->name);
	*slot->tensor = tensor;
	++*n_found;
	return check_shape(model, tensor, slot->dims, err);
}

static enum sc_status find_layer(struct model *model, uint32_t i, size_t *n_found,
				 struct error *err)
{
	const struct hparams *hp = &model->hparams;
	const uint64_t dim = hp->dim, ffn_dim = hp->ffn_dim;
	const uint64_t q_dim = (uint64_t)hp->n_heads * hp->head_dim;
	const uint64_t k_dim = (uint64_t)hp->n_kv_heads * hp->head_dim;
	const uint64_t v_dim = (uint64_t)hp->n_kv_heads * hp->value_dim;
	const uint64_t o_dim = (uint64_t)hp->n_heads * hp->value_dim;
	const bool no_bias = !model->arch->has_qkv_bias;
	struct layer_tensors *l = &model->layers[i];
	const struct slot slots[] = {
		{ "attn_norm.weight", &l->attn_norm, { dim, 1 }, false },
		{ "attn_q.weight", &l->attn_q, { dim, q_dim }, false },
		{ "attn_q.bias", &l->attn_q_bias, { q_dim, 1 }, no_bias },
		{ "attn_k.weight", &l->attn_k, { dim, k_dim }, false },
		{ "attn_k.bias", &l->attn_k_bias, { k_dim, 1 }, no_bias },
		{ "attn_v.weight", &l->attn_v, { dim, v_dim }, false },
		{ "attn_v.bias", &l->attn_v_bias, { v_dim, 1 }, no_bias },
		{ "attn_output.weight", &l->attn_output, { o_dim, dim }, false },
		{ "ffn_norm.weight", &l->ffn_norm, { dim, 1 }, false },
		{ "ffn_gate.weight", &l->ffn_gate, { dim, ffn_dim }, false },
		{ "ffn_up.weight", &l->ffn_up, { dim, ffn_dim }, false },
		{ "ffn_down.weight", &l->ffn_down, { ffn_dim, dim }, false },
	};
	char prefix[24];

	snprintf(prefix, sizeof prefix, "blk.%" PRIu32 ".", i);
	for (size_t s = 0; s < sizeof slots / sizeof slots[0]; s++) {
		enum sc_status status = fill_slot(model, prefix, &slots[s], n_found, err);

		if (status)
			return status;
	}
	return SC_OK;
}

static enum sc_status find_outer(struct model *model, size_t *n_found, struct error *err)
{
	const struct hparams *hp = &model->hparams;
	const struct slot slots[] = {
		{ "token_embd.weight", &model->token_embd, { hp->dim, hp->n_vocab }, false },
		{ "output_norm.weight", &model->output_norm, { hp->dim, 1 }, false },
		{ "output.weight", &model->output, { hp->dim, hp->n_vocab }, true },
		{ "rope_freqs.weight", &model->rope_factors, { hp->rope_dim / 2, 1 }, true },
	};

	for (size_t s = 0; s < sizeof slots / sizeof slots[0]; s++) {
		enum sc_status status = fill_slot(model, "", &slots[s], n_found, err);

		if (status)
			return status;
	}
	if (!model->output)
		model->output = model->token_embd;
	return SC_OK;
}

/* Rotation angles are divided by these factors, so each must be positive and finite. */
static enum sc_status check_rope_factors(const struct model *model, struct error *err)
{
	struct tensor_bytes bytes;
	enum sc_status status;
	const float *factors;

	if (!model->rope_factors)
		return SC_OK;
	status = tensor_bytes_get(model->rope_factors, &bytes, err);
	if (status) {
		error_prefix(err, "%s", gguf_path(model->gguf));
		return status;
	}
	factors = bytes.tensor.data;
	for (uint32_t i = 0; !status && i < model->hparams.rope_dim / 2; i++)
		if (!isfinite(factors[i]) || factors[i] <= 0)
			status = error_set(err, SC_E_FORMAT,
					   "%s: tensor 'rope_freqs.weight': expected positive, "
					   "finite factors, found %g at %" PRIu32,
					   gguf_path(model->gguf), (double)factors[i], i);
	tensor_bytes_put(&bytes);
	return status;
}

static bool is_used(const struct model *model, const struct tensor *tensor)
{
	if (tensor == model->token_embd || tensor == model->output_norm ||
	    tensor == model->output || tensor == model->rope_factors)
		return true;
	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		const struct tensor *const *in_layer = (const void *)&model->layers[i];

		for (size_t t = 0; t < sizeof model->layers[i] / sizeof *in_layer; t++)
			if (in_layer[t] == tensor)
				return true;
	}
	return false;
}

/* Refuses tensors that no code reads, because they might change the result. */
static enum sc_status refuse_unused(const struct model *model, size_t n_found, struct error *err)
{
	const size_t n = gguf_n_tensors(model->gguf);

	for (size_t i = 0; i < n && n_found < n; i++) {
		const struct tensor *tensor = gguf_tensor(model->gguf, i);

		if (!is_used(model, tensor))
			return error_set(err, SC_E_UNSUPPORTED,
					 "%s: tensor '%s' is not supported for architecture %s "
					 "with %" PRIu32 " layers: using the model without it "
					 "could give wrong answers",
					 gguf_path(model->gguf), tensor->name, model->arch->name,
					 model->hparams.n_layers);
	}
	return SC_OK;
}

static enum sc_status find_tensors(struct model *model, struct error *err)
{
	enum sc_status status;
	size_t n_found = 0;

	model->layers = calloc(model->hparams.n_layers, sizeof *model->layers);
	if (!model->layers)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %" PRIu32 " layers",
				 gguf_path(model->gguf), model->hparams.n_layers);
	status = find_outer(model, &n_found, err);
	for (uint32_t i = 0; i < model->hparams.n_layers && !status; i++)
		status = find_layer(model, i, &n_found, err);
	if (!status)
		status = check_rope_factors(model, err);
	return status ? status : refuse_unused(model, n_found, err);
}

static enum sc_status find_arch(struct model *model, struct error *err)
{
	struct gguf_string name;
	enum sc_status status;

	if (gguf_n_tensors(model->gguf) == 0)
		return error_set(err, SC_E_UNSUPPORTED,
				 "%s: expected a model, found no weights: the file holds only "
				 "metadata (a vocabulary?)", gguf_path(model->gguf));
	status = gguf_require(model->gguf, "general.architecture", err);
	if (!status)
		status = gguf_get_string(model->gguf, "general.architecture", &name, err);
	if (status)
		return status;
	status = arch_find(name.data, name.length, &model->arch, err);
	if (status)
		error_prefix(err, "%s", gguf_path(model->gguf));
	return status;
}

void model_name(const struct gguf *gguf, char name_out[MODEL_NAME_BYTES])
{
	const char *path = gguf_path(gguf);
	const char *slash = strrchr(path, '/');
	struct gguf_string name = { .data = slash ? slash + 1 : path };
	struct gguf_string given;
	size_t used = 0;

	name.length = strlen(name.data);
	if (name.length > 5 && !strcmp(name.data + name.length - 5, ".gguf"))
		name.length -= 5;
	if (!gguf_get_string(gguf, "general.name", &given, NULL) && given.length > 0)
		name = given;
	for (size_t i = 0; i < name.length;) {
		const size_t left = name.length - i;
		utf8proc_int32_t code;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)name.data + i,
						      left < 4 ? (utf8proc_ssize_t)left : 4, &code);
		const bool is_bad = n < 1 || utf8proc_category(code) == UTF8PROC_CATEGORY_CC;

		if (used + (is_bad ? 1 : (size_t)n) >= MODEL_NAME_BYTES)
			break;
		if (is_bad)
			name_out[used++] = '?';
		else
			memcpy(name_out + used, name.data + i, (size_t)n);
		used += is_bad ? 0 : (size_t)n;
		i += n < 1 ? 1 : (size_t)n;
	}
	name_out[used] = '\0';
}

static uint64_t n_elements(const struct tensor *tensor)
{
	return tensor ? tensor->dims[0] * tensor->dims[1] : 0;
}

/* Counts the trained parameters: all tensors except the rope factors. */
static uint64_t count_params(const struct model *model)
{
	uint64_t n = 0;

	for (size_t i = 0; i < gguf_n_tensors(model->gguf); i++)
		if (gguf_tensor(model->gguf, i) != model->rope_factors)
			n += n_elements(gguf_tensor(model->gguf, i));
	return n;
}

/* Finds the layer's group, or makes it. */
static enum sc_status join_group(struct model *model, struct layer_shape *shape, uint32_t window,
				 struct error *err)
{
	const struct kv_group wanted = {
		.window = window, .n_kv_heads = shape->n_kv_heads, .head_dim = shape->head_dim,
		.value_dim = shape->value_dim,
	};

	for (uint32_t i = 0; i < MODEL_MAX_GROUPS; i++) {
		struct kv_group *group = &model->groups[i];

		if (i == model->n_groups)
			model->groups[model->n_groups++] = wanted;
		if (group->window != window || group->n_kv_heads != shape->n_kv_heads ||
		    group->head_dim != shape->head_dim || group->value_dim != shape->value_dim)
			continue;
		shape->group = i;
		group->n_layers++;
		return SC_OK;
	}
	return error_set(err, SC_E_UNSUPPORTED, "%s: expected at most %d kinds of layers as to "
			 "windows and sizes of keys and values, found more",
			 gguf_path(model->gguf), MODEL_MAX_GROUPS);
}

static enum sc_status shape_layers(struct model *model, struct error *err)
{
	const struct hparams *hp = &model->hparams;
	enum sc_status status = SC_OK;

	model->shapes = calloc(hp->n_layers, sizeof *model->shapes);
	if (!model->shapes)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %" PRIu32 " layers",
				 gguf_path(model->gguf), hp->n_layers);
	for (uint32_t i = 0; !status && i < hp->n_layers; i++) {
		model->shapes[i] = (struct layer_shape){
			.n_heads = hp->n_heads, .n_kv_heads = hp->n_kv_heads,
			.head_dim = hp->head_dim, .value_dim = hp->value_dim,
			.ffn_dim = hp->ffn_dim,
		};
		status = join_group(model, &model->shapes[i], 0, err);
	}
	return status;
}

enum sc_status model_open_gguf(struct gguf *gguf, struct model **model_out, struct error *err)
{
	struct model *model = calloc(1, sizeof *model);
	enum sc_status status;

	if (!model) {
		status = error_set(err, SC_E_NOMEM, "%s: no memory", gguf_path(gguf));
		gguf_close(gguf);
		return status;
	}
	model->gguf = gguf;
	status = keys_check_kind(gguf, err);
	if (!status)
		status = find_arch(model, err);
	if (!status)
		status = hparams_read(gguf, model->arch, &model->hparams, err);
	if (!status)
		status = keys_check(gguf, model->arch, err);
	if (!status)
		status = shape_layers(model, err);
	if (!status)
		status = find_tensors(model, err);
	if (status) {
		model_close(model);
		return status;
	}
	model_name(gguf, model->name);
	model->fingerprint = gguf_fingerprint(gguf);
	model->n_params = count_params(model);
	model->hashes = calloc(gguf_n_tensors(gguf), sizeof *model->hashes);
	if (!model->hashes) {
		status = error_set(err, SC_E_NOMEM, "%s: no memory for hashes of %zu tensors",
				   gguf_path(gguf), gguf_n_tensors(gguf));
		model_close(model);
		return status;
	}
	*model_out = model;
	return SC_OK;
}

enum sc_status model_open(const char *path, struct model **model_out, struct error *err)
{
	struct gguf *gguf;
	enum sc_status status;

	status = gguf_open(path, &gguf, err);
	return status ? status : model_open_gguf(gguf, model_out, err);
}

void model_close(struct model *model)
{
	if (!model)
		return;
	gguf_close(model->gguf);
	free(model->layers);
	free(model->shapes);
	free(model->hashes);
	free(model);
}

uint64_t model_hash(const struct model *model, size_t i)
{
	return atomic_load(&model->hashes[i]);
}

void model_visit_layers(const struct model *model, uint32_t first_layer, uint32_t n_layers,
			model_tensor_fn *visit, void *arg)
{
	if (first_layer == 0)
		visit(arg, model, model->token_embd);
	for (uint32_t i = first_layer; i < first_layer + n_layers; i++) {
		const struct tensor *const *tensors = (const void *)&model->layers[i];

		for (size_t k = 0; k < sizeof model->layers[i] / sizeof *tensors; k++)
			if (tensors[k])
				visit(arg, model, tensors[k]);
	}
	if (first_layer + n_layers < model->hparams.n_layers)
		return;
	visit(arg, model, model->output_norm);
	if (first_layer || model->output != model->token_embd)
		visit(arg, model, model->output);
}

void model_note_hash(const struct model *model, const struct tensor *tensor, uint64_t hash)
{
	atomic_store(&model->hashes[gguf_tensor_number(model->gguf, tensor)], hash);
}

uint64_t model_layer_bytes(const struct model *model, uint32_t layer)
{
	const struct tensor *const *tensors = (const void *)&model->layers[layer];
	uint64_t n = 0;

	for (size_t i = 0; i < sizeof model->layers[layer] / sizeof *tensors; i++)
		n += tensors[i] ? tensors[i]->n_bytes : 0;
	return n;
}

uint64_t model_embedding_bytes(const struct model *model)
{
	return model->token_embd->n_bytes;
}

uint64_t model_head_bytes(const struct model *model)
{
	return model->output->n_bytes + model->output_norm->n_bytes;
}

bool model_is_bf16(const struct model *model)
{
	uint64_t n_bf16 = 0, n_all = 0;

	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		const struct tensor *const *tensors = (const void *)&model->layers[i];

		for (size_t k = 0; k < sizeof model->layers[i] / sizeof *tensors; k++) {
			if (!tensors[k] || tensors[k]->n_dims < 2)
				continue;
			n_all += n_elements(tensors[k]);
			if (tensors[k]->type == TENSOR_BF16)
				n_bf16 += n_elements(tensors[k]);
		}
	}
	return n_bf16 > n_all / 2;
}

uint64_t model_layer_macs(const struct model *model, uint32_t layer)
{
	const struct layer_tensors *l = &model->layers[layer];

	return n_elements(l->attn_q) + n_elements(l->attn_k) + n_elements(l->attn_v) +
	       n_elements(l->attn_output) + n_elements(l->ffn_gate) + n_elements(l->ffn_up) +
	       n_elements(l->ffn_down);
}

uint64_t model_head_macs(const struct model *model)
{
	return n_elements(model->output);
}
