/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gguf.h"

#include "base/strmap.h"
#include "model/gguf_file.h"
#include "model/gguf_head.h"
#include "model/tensor_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

static struct gguf *create(bool takes_any_type, struct error *err)
{
	struct gguf *gguf = calloc(1, sizeof *gguf);

	if (gguf)
		gguf->files = calloc(1, sizeof *gguf->files);
	if (gguf && gguf->files) {
		gguf->n_files = 1;
		gguf->takes_any_type = takes_any_type;
		return gguf;
	}
	free(gguf);
	(void)error_set(err, SC_E_NOMEM, "no memory for a model file");
	return NULL;
}

/* Appends the file's tensors to those of the files before it. */
static enum sc_status append_tensors(struct gguf *gguf, struct gguf_file *file, struct error *err)
{
	struct gguf_entry *entries;
	enum sc_status status;

	if (file->n_tensors > GGUF_MAX_TENSORS - gguf->n_tensors)
		return error_set(err, SC_E_FORMAT, "%s: expected at most %d tensors, found more",
				 file->path, GGUF_MAX_TENSORS);
	entries = realloc(gguf->entries,
			  (gguf->n_tensors + file->n_tensors + 1) * sizeof *entries);
	if (!entries)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %" PRIu64 " tensors",
				 file->path, file->n_tensors);
	gguf->entries = entries;
	memset(entries + gguf->n_tensors, 0, file->n_tensors * sizeof *entries);
	file->takes_any_type = gguf->takes_any_type;
	status = gguf_file_read_directory(file, entries + gguf->n_tensors, err);
	if (!status)
		status = gguf_file_keep_head(file, err);
	if (!status)
		gguf->n_tensors += file->n_tensors;
	return status;
}

static const struct gguf_file *file_of_tensor(const struct gguf *gguf, size_t i)
{
	const struct gguf_file *file = gguf->files;

	while (i >= file->n_tensors) {
		i -= file->n_tensors;
		file++;
	}
	return file;
}

/* Called after the last append, because appending moves the entries. */
static enum sc_status index_tensors(struct gguf *gguf, struct error *err)
{
	if (strmap_create(gguf->n_tensors, &gguf->names))
		return error_set(err, SC_E_NOMEM, "%s: no memory for %zu tensors",
				 gguf_path(gguf), gguf->n_tensors);
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		struct gguf_entry *entry = &gguf->entries[i];
		enum sc_status status;

		entry->tensor.name = entry->name;
		status = strmap_add(gguf->names, entry->name, strlen(entry->name), (uint32_t)i);
		if (status == SC_E_EXISTS)
			return gguf_error(file_of_tensor(gguf, i), entry->at, SC_E_FORMAT, err,
					  "expected every tensor once, found '%s' again",
					  quote(entry->name, strlen(entry->name)).text);
		if (status)
			return error_set(err, status, "%s: cannot index tensors", gguf_path(gguf));
	}
	return SC_OK;
}

static enum sc_status open_shard(struct gguf *gguf, uint32_t i, uint32_t n, struct error *err)
{
	struct gguf_file *file = &gguf->files[i];
	enum sc_status status;
	char *path;

	status = gguf_shard_path(&gguf->files[0], i, n, &path, err);
	if (status)
		return status;
	status = gguf_file_map(file, path, err);
	free(path);
	if (!status)
		status = gguf_file_read_metadata(file, err);
	if (!status)
		status = gguf_shard_check(file, i, n, err);
	if (!status)
		status = append_tensors(gguf, file, err);
	return status;
}

static enum sc_status open_other_shards(struct gguf *gguf, uint32_t n, struct error *err)
{
	struct gguf_file *files;
	enum sc_status status;

	files = calloc(n, sizeof *files);
	if (!files)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %" PRIu32 " files",
				 gguf_path(gguf), n);
	files[0] = gguf->files[0];
	free(gguf->files);
	gguf->files = files;
	gguf->n_files = n;
	for (uint32_t i = 1; i < n; i++) {
		status = open_shard(gguf, i, n, err);
		if (status)
			return status;
	}
	return gguf_shard_check_total(&gguf->files[0], gguf->n_tensors, err);
}

/* Reads the first file, whose bytes are available, and all others. On failure it closes gguf. */
static enum sc_status read_all(struct gguf *gguf, struct gguf **gguf_out, struct error *err)
{
	enum sc_status status;
	uint32_t n_files;

	status = gguf_file_read_metadata(&gguf->files[0], err);
	if (!status)
		status = gguf_shard_count(&gguf->files[0], &n_files, err);
	if (!status)
		status = append_tensors(gguf, &gguf->files[0], err);
	if (!status && n_files > 1)
		status = open_other_shards(gguf, n_files, err);
	if (!status)
		status = index_tensors(gguf, err);
	if (status) {
		gguf_close(gguf);
		return status;
	}
	*gguf_out = gguf;
	return SC_OK;
}

static enum sc_status open_path(const char *path, bool takes_any_type, struct gguf **gguf_out,
				struct error *err)
{
	struct gguf *gguf = create(takes_any_type, err);
	enum sc_status status;

	if (!gguf)
		return SC_E_NOMEM;
	status = gguf_file_map(&gguf->files[0], path, err);
	if (status) {
		gguf_close(gguf);
		return status;
	}
	return read_all(gguf, gguf_out, err);
}

enum sc_status gguf_open(const char *path, struct gguf **gguf_out, struct error *err)
{
	return open_path(path, false, gguf_out, err);
}

enum sc_status gguf_open_any_types(const char *path, struct gguf **gguf_out, struct error *err)
{
	return open_path(path, true, gguf_out, err);
}

static enum sc_status open_bytes(const char *name, const void *data, size_t n_bytes,
				 bool takes_any_type, struct gguf **gguf_out, struct error *err)
{
	struct gguf *gguf = create(takes_any_type, err);
	enum sc_status status;

	if (!gguf)
		return SC_E_NOMEM;
	status = gguf_file_borrow(&gguf->files[0], name, data, n_bytes, err);
	if (status) {
		gguf_close(gguf);
		return status;
	}
	return read_all(gguf, gguf_out, err);
}

enum sc_status gguf_open_memory(const char *name, const void *data, size_t n_bytes,
				struct gguf **gguf_out, struct error *err)
{
	return open_bytes(name, data, n_bytes, false, gguf_out, err);
}

enum sc_status gguf_open_memory_any_types(const char *name, const void *data, size_t n_bytes,
					  struct gguf **gguf_out, struct error *err)
{
	return open_bytes(name, data, n_bytes, true, gguf_out, err);
}

/* Gives each tensor its source. */
static void attach_sources(struct gguf *gguf, const struct tensor_source *const *sources)
{
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		struct tensor *tensor = &gguf->entries[i].tensor;

		tensor->source = sources[i];
		tensor->data = sources[i]->data;
		tensor->is_mapped = tensor->data != NULL;
	}
}

static enum sc_status open_built(const char *path, const struct buf *head,
				 const struct gguf_body *body, struct gguf **gguf_out,
				 struct error *err)
{
	struct gguf *gguf = create(false, err);
	enum sc_status status;

	if (!gguf)
		return SC_E_NOMEM;
	status = gguf_file_borrow(&gguf->files[0], path, head->data, head->length, err);
	gguf->files[0].has_no_data = true;
	if (!status)
		status = gguf_keep_body(gguf, body, err);
	if (status) {
		gguf_close(gguf);
		return status;
	}
	status = read_all(gguf, &gguf, err);
	if (status)
		return status;
	gguf->files[0].data = NULL;
	attach_sources(gguf, body->sources);
	*gguf_out = gguf;
	return SC_OK;
}

enum sc_status gguf_open_head(const char *path, const struct gguf_head *head,
			      const struct gguf_body *body, struct gguf **gguf_out,
			      struct error *err)
{
	struct buf bytes = BUF_INIT;
	enum sc_status status = gguf_head_finish(head, &bytes);

	if (status)
		status = error_set(err, status, "%s: no memory for the metadata", path);
	else
		status = open_built(path, &bytes, body, gguf_out, err);
	buf_deinit(&bytes);
	if (status && body->release)
		body->release(body->arg);
	else if (!status)
		(*gguf_out)->body.release = body->release;
	return status;
}

void gguf_close(struct gguf *gguf)
{
	if (!gguf)
		return;
	if (gguf->body.release)
		gguf->body.release(gguf->body.arg);
	free(gguf->parts);
	for (size_t i = 0; i < gguf->n_files; i++)
		gguf_file_deinit(&gguf->files[i]);
	strmap_destroy(gguf->names);
	free(gguf->entries);
	free(gguf->files);
	free(gguf);
}

const char *gguf_path(const struct gguf *gguf)
{
	return gguf->files[0].path;
}

const char *gguf_tensor_path(const struct gguf *gguf, const char *name)
{
	const struct tensor_source *source;
	uint32_t i;

	if (!strmap_find(gguf->names, name, strlen(name), &i))
		return gguf_path(gguf);
	source = gguf->entries[i].tensor.source;
	return source && source->path ? source->path : file_of_tensor(gguf, i)->path;
}

uint64_t gguf_fingerprint(const struct gguf *gguf)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < gguf->n_files; i++)
		hash = XXH3_64bits_withSeed(gguf->files[i].head, gguf->files[i].header_bytes, hash);
	for (uint64_t i = 0; i < gguf->files[0].n_pairs; i++)
		if (gguf->files[0].pairs[i].is_ignored)
			hash = XXH3_64bits_withSeed(&i, sizeof i, hash);
	return hash;
}

size_t gguf_n_keys(const struct gguf *gguf)
{
	return gguf->files[0].n_pairs;
}

struct gguf_string gguf_key(const struct gguf *gguf, size_t i)
{
	const struct gguf_pair *pair = &gguf->files[0].pairs[i];

	return (struct gguf_string){ pair->key, pair->is_ignored ? 0 : pair->key_length };
}

struct gguf_array gguf_value(const struct gguf *gguf, size_t i, bool *is_array_out)
{
	const struct gguf_pair *pair = &gguf->files[0].pairs[i];

	*is_array_out = pair->is_array;
	return pair->value;
}

void gguf_ignore_keys(struct gguf *gguf, const char *list)
{
	const struct gguf_file *file = &gguf->files[0];

	while (*list) {
		size_t n = strcspn(list, ", ");
		uint32_t i;

		if (n && strmap_find(file->keys, list, n, &i))
			file->pairs[i].is_ignored = true;
		list += n + (list[n] != '\0');
	}
}

bool gguf_ignores(const struct gguf *gguf, const char *key, size_t n)
{
	const struct gguf_file *file = &gguf->files[0];
	uint32_t i;

	return strmap_find(file->keys, key, n, &i) && file->pairs[i].is_ignored;
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
	return gguf_file_find(&gguf->files[0], key) != NULL;
}

size_t gguf_n_tensors(const struct gguf *gguf)
{
	return gguf->n_tensors;
}

const struct tensor *gguf_tensor(const struct gguf *gguf, size_t i)
{
	return &gguf->entries[i].tensor;
}

size_t gguf_tensor_number(const struct gguf *gguf, const struct tensor *tensor)
{
	uintptr_t first = (uintptr_t)&gguf->entries[0].tensor;

	return ((uintptr_t)tensor - first) / sizeof gguf->entries[0];
}

const struct tensor *gguf_find_tensor(const struct gguf *gguf, const char *name)
{
	uint32_t i;

	if (!strmap_find(gguf->names, name, strlen(name), &i))
		return NULL;
	return &gguf->entries[i].tensor;
}
