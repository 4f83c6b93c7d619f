/* SPDX-License-Identifier: Apache-2.0 */
/* Copies everything before the weights, so that later changes of the file do not reach it. */
#include "base/strmap.h"
#include "model/gguf_file.h"

#include <stdlib.h>

static enum sc_status changed(const struct gguf_file *file, struct error *err)
{
	return error_set(err, SC_E_IO, "%s: the file changed while it was read; try again when it "
			 "is complete", file->path);
}

/* Checks that the copy has strings where they were found before, because their lengths are read
 * from the copy. */
static bool has_strings(const struct gguf_file *file, const struct gguf_pair *pair)
{
	const uint8_t *data = pair->value.data;
	const size_t room = (size_t)(file->head + file->header_bytes - data);

	for (size_t i = 0; i < pair->value.n; i++) {
		const size_t at = pair->index ? pair->index[i] : 0;

		if (load_le64(data + at) > room - at - 8)
			return false;
	}
	return true;
}

static enum sc_status move_pair(struct gguf_file *file, uint32_t i, struct error *err)
{
	struct gguf_pair *pair = &file->pairs[i];
	enum sc_status status;

	pair->key = (const char *)file->head + ((const uint8_t *)pair->key - file->data);
	pair->value.data = file->head + ((const uint8_t *)pair->value.data - file->data);
	if (pair->value.type == GGUF_STRING && !has_strings(file, pair))
		return changed(file, err);
	status = strmap_add(file->keys, pair->key, pair->key_length, i);
	return status ? changed(file, err) : SC_OK;
}

enum sc_status gguf_file_keep_head(struct gguf_file *file, struct error *err)
{
	struct strmap *keys;

	file->head = malloc(file->header_bytes);
	if (!file->head || strmap_create(file->n_pairs, &keys))
		return error_set(err, SC_E_NOMEM, "%s: no memory for %zu bytes of metadata",
				 file->path, file->header_bytes);
	memcpy(file->head, file->data, file->header_bytes);
	strmap_destroy(file->keys);
	file->keys = keys;
	for (uint32_t i = 0; i < file->n_pairs; i++) {
		enum sc_status status = move_pair(file, i, err);

		if (status)
			return status;
	}
	return SC_OK;
}
