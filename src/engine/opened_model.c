/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

enum sc_status opened_model_open(struct opened_model *opened, const char *path,
				 const char *ignored_keys, struct error *err)
{
	enum sc_status status;
	struct gguf *gguf;

	*opened = (struct opened_model){ 0 };
	if (!*path)
		return error_set(err, SC_E_INVALID, "no model: give a model file with -m FILE");
	status = gguf_open(path, &gguf, err);
	if (status == SC_OK) {
		gguf_ignore_keys(gguf, ignored_keys);
		status = model_open_gguf(gguf, &opened->model, err);
	}
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
