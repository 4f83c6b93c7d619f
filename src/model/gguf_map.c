/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strmap.h"
#include "model/gguf_file.h"

#include <stdlib.h>

enum sc_status gguf_file_map(struct gguf_file *file, const char *path, struct error *err)
{
	enum sc_status status = mapped_file_open(path, "a model file", &file->map, err);

	if (status)
		return status;
	file->path = strdup(path);
	if (!file->path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", path);
	file->data = file->map.data;
	file->n_bytes = file->map.n_bytes;
	file->is_mapped = true;
	file->cursor = cursor_init(file->data, file->n_bytes);
	return SC_OK;
}

/* A file that was deleted or replaced under its name stays as it is behind the mapping. */
enum sc_status gguf_file_check(const struct gguf_file *file, struct error *err)
{
	return file->is_mapped ? mapped_file_check(&file->map, err) : SC_OK;
}

enum sc_status gguf_file_borrow(struct gguf_file *file, const char *name, const void *data,
				size_t n_bytes, struct error *err)
{
	file->path = strdup(name);
	if (!file->path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", name);
	if ((uintptr_t)data % GGUF_MIN_ALIGNMENT)
		return error_set(err, SC_E_INVALID, "%s: the bytes are not aligned to %d", name,
				 GGUF_MIN_ALIGNMENT);
	if (n_bytes == 0)
		return error_set(err, SC_E_FORMAT, "%s: expected a model file, found no bytes",
				 name);
	file->data = data;
	file->n_bytes = n_bytes;
	file->cursor = cursor_init(data, n_bytes);
	return SC_OK;
}

void gguf_file_deinit(struct gguf_file *file)
{
	if (file->pairs)
		for (uint64_t i = 0; i < file->n_pairs; i++)
			free(file->pairs[i].index);
	free(file->pairs);
	strmap_destroy(file->keys);
	mapped_file_close(&file->map);
	free(file->head);
	free(file->path);
	*file = (struct gguf_file){ 0 };
}
