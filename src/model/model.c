/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "model/hparams.h"
#include "model/keys.h"
#include "model/model_tensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

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

/* Finds the layer's group, or makes it. */
static enum sc_status join_group(struct model *model, struct layer_shape *shape,
				 struct error *err)
{
	const struct kv_group wanted = {
		.window = shape->window, .n_kv_heads = shape->n_kv_heads, .head_dim = shape->head_dim,
		.value_dim = shape->value_dim,
	};

	for (uint32_t i = 0; i < MODEL_MAX_GROUPS; i++) {
		struct kv_group *group = &model->groups[i];

		if (i == model->n_groups)
			model->groups[model->n_groups++] = wanted;
		if (group->window != shape->window || group->n_kv_heads != shape->n_kv_heads ||
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

static enum sc_status group_layers(struct model *model, struct error *err)
{
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; !status && i < model->hparams.n_layers; i++)
		status = join_group(model, &model->shapes[i], err);
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
		status = hparams_read(model, err);
	if (!status)
		status = keys_check(gguf, model->arch, err);
	if (!status)
		status = group_layers(model, err);
	if (!status)
		status = model_find_tensors(model, err);
	if (status) {
		model_close(model);
		return status;
	}
	model_name(gguf, model->name);
	model->fingerprint = gguf_fingerprint(gguf);
	model->n_params = model_count_params(model);
	model->hashes = calloc(model_n_tensors(model), sizeof *model->hashes);
	if (!model->hashes) {
		status = error_set(err, SC_E_NOMEM, "%s: no memory for hashes of %zu tensors",
				   gguf_path(gguf), model_n_tensors(model));
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
	free(model->views);
	free(model->hashes);
	free(model);
}
