/* SPDX-License-Identifier: Apache-2.0 */
/* Models split into files: NAME-00001-of-00003.gguf and so on. The first file has all metadata.
 * Each file states its number (split.no, from 0) and the number of files (split.count). */
#include "model/gguf_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SUFFIX_MAX 40

static void format_suffix(char *suffix, uint32_t i, uint32_t n)
{
	snprintf(suffix, SUFFIX_MAX, "-%05" PRIu32 "-of-%05" PRIu32 ".gguf", i + 1, n);
}

/* Reads a key about the split, or value_default if the file does not have it. */
static enum sc_status get_split(const struct gguf_file *file, const char *key,
				uint32_t value_default, uint32_t *value_out, struct error *err)
{
	if (gguf_file_find(file, key))
		return gguf_file_get_u32(file, key, value_out, err);
	*value_out = value_default;
	return SC_OK;
}

enum sc_status gguf_shard_count(const struct gguf_file *first, uint32_t *n_out, struct error *err)
{
	enum sc_status status;
	uint32_t n, i;

	status = get_split(first, "split.count", 1, &n, err);
	if (!status)
		status = get_split(first, "split.no", 0, &i, err);
	if (status)
		return status;
	if (n == 0)	/* left behind by tools that merge shards */
		n = 1;
	if (n > GGUF_MAX_SHARDS)
		return error_set(err, SC_E_FORMAT,
				 "%s: key 'split.count': expected at most %d, found %" PRIu32,
				 first->path, GGUF_MAX_SHARDS, n);
	if (n > 1 && i > 0)
		return error_set(err, SC_E_FORMAT,
				 "%s: expected the first file of a split model, found number %lld "
				 "of %" PRIu32 ": name the one that ends in -00001-of-%05" PRIu32
				 ".gguf", first->path, (long long)i + 1, n, n);
	if (n > 1 && !first->is_mapped)
		return error_set(err, SC_E_UNSUPPORTED,
				 "%s: a model in memory must be one file, found the first of "
				 "%" PRIu32 " files", first->path, n);
	*n_out = n;
	return SC_OK;
}

enum sc_status gguf_shard_path(const struct gguf_file *first, uint32_t i, uint32_t n,
			       char **path_out, struct error *err)
{
	const size_t length = strlen(first->path);
	char suffix[SUFFIX_MAX];
	char *path;

	format_suffix(suffix, 0, n);
	if (length < strlen(suffix) || strcmp(first->path + length - strlen(suffix), suffix))
		return error_set(err, SC_E_FORMAT,
				 "%s: the model is split into %" PRIu32 " files: expected a name "
				 "that ends in %s, to find the others by", first->path, n, suffix);
	path = strdup(first->path);
	if (!path)
		return error_set(err, SC_E_NOMEM, "%s: no memory", first->path);
	format_suffix(suffix, i, n);
	memcpy(path + length - strlen(suffix), suffix, strlen(suffix));
	*path_out = path;
	return SC_OK;
}

/* Reads a key that every file of a split model must have. */
static enum sc_status get_required(const struct gguf_file *file, const char *key,
				   uint32_t *value_out, struct error *err)
{
	if (!gguf_file_find(file, key))
		return error_set(err, SC_E_FORMAT,
				 "%s: expected the key '%s' of a split model, found none",
				 file->path,
				 key);
	return gguf_file_get_u32(file, key, value_out, err);
}

enum sc_status gguf_shard_check(const struct gguf_file *file, uint32_t i, uint32_t n,
				struct error *err)
{
	uint32_t found_i, found_n;
	enum sc_status status;

	status = get_required(file, "split.no", &found_i, err);
	if (!status)
		status = get_required(file, "split.count", &found_n, err);
	if (status)
		return status;
	if (found_i != i || found_n != n)
		return error_set(err, SC_E_FORMAT,
				 "%s: expected file %" PRIu32 " of %" PRIu32 " of a split model, "
				 "found split.no = %" PRIu32 " (from 0) and split.count = %" PRIu32,
				 file->path, i + 1, n, found_i, found_n);
	return SC_OK;
}

enum sc_status gguf_shard_check_total(const struct gguf_file *first, size_t n_tensors,
				      struct error *err)
{
	enum sc_status status;
	uint32_t n;

	status = get_required(first, "split.tensors.count", &n, err);
	if (status)
		return status;
	if (n != n_tensors)
		return error_set(err, SC_E_FORMAT,
				 "%s: key 'split.tensors.count': expected the tensors of all "
				 "files, %zu, found %" PRIu32, first->path, n_tensors, n);
	return SC_OK;
}
