/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/read_gguf.h"

#include "model/gguf_file.h"
#include "model/model.h"

#include <stdlib.h>

/* What was read goes here, so that no read is optimised away. */
static volatile uint64_t sum;

static void read_string(struct gguf_string string)
{
	for (size_t i = 0; i < string.length; i++)
		sum += (unsigned char)string.data[i];
}

static void read_array(const struct gguf_array *array)
{
	for (size_t i = 0; i < array->n; i++) {
		if (array->type == GGUF_STRING)
			read_string(gguf_array_string(array, i));
		else
			sum += gguf_array_number(array, i) > 0;
	}
}

static void read_key(const struct gguf *gguf, const char *key)
{
	struct gguf_string string;
	struct gguf_array array;
	uint32_t integer;
	float real;
	bool flag;

	if (!gguf_get_u32(gguf, key, &integer, NULL))
		sum += integer;
	if (!gguf_get_f32(gguf, key, &real, NULL))
		sum += real > 0;
	if (!gguf_get_bool(gguf, key, &flag, NULL))
		sum += flag;
	if (!gguf_get_string(gguf, key, &string, NULL))
		read_string(string);
	if (!gguf_get_array(gguf, key, &array, NULL))
		read_array(&array);
}

static void read_keys(const struct gguf *gguf)
{
	const struct gguf_file *file = &gguf->files[0];

	for (uint64_t i = 0; i < file->n_pairs; i++) {
		char *key = strndup(file->pairs[i].key, file->pairs[i].key_length);

		if (!key)
			abort();
		read_key(gguf, key);
		free(key);
	}
}

static void read_tensors(const struct gguf *gguf)
{
	for (size_t i = 0; i < gguf_n_tensors(gguf); i++) {
		const struct tensor *tensor = gguf_tensor(gguf, i);
		const uint64_t n_rows = tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
		float *row = malloc(tensor->dims[0] * sizeof *row);

		if (!row)
			abort();
		for (uint64_t r = 0; r < n_rows; r++) {
			tensor_row_f32(tensor, r, row);
			sum += row[tensor->dims[0] - 1] > 0;
		}
		if (gguf_find_tensor(gguf, tensor->name) != tensor)
			abort();
		free(row);
	}
}

static void read_model(const struct model *model)
{
	for (uint32_t i = 0; i < model->hparams.n_layers; i++)
		sum += model_layer_bytes(model, i) + model_layer_macs(model, i);
	sum += model_embedding_bytes(model) + model_head_bytes(model) + model_head_macs(model);
	if (strlen(model->name) >= sizeof model->name)
		abort();
}

enum sc_status read_gguf(const void *data, size_t n_bytes, enum sc_status *model_status_out,
			 struct error *err)
{
	void *copy = malloc(n_bytes ? n_bytes : 1);
	enum sc_status status, model_status;
	struct model *model;
	struct gguf *gguf;

	if (!copy)
		abort();
	memcpy(copy, data, n_bytes);
	status = gguf_open_memory("memory", copy, n_bytes, &gguf, err);
	if (!status) {
		read_keys(gguf);
		read_tensors(gguf);
		model_status = model_open_gguf(gguf, &model, err);
		if (!model_status) {
			read_model(model);
			model_close(model);
		}
		if (model_status_out)
			*model_status_out = model_status;
	}
	free(copy);
	return status;
}
