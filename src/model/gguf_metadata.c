/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strmap.h"
#include "model/gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>

/* The smallest entry. The counts are checked against the file's size with it before anything is
 * allocated. */
#define MIN_PAIR_BYTES (8 + 1 + 4 + 1)
#define MIN_ENTRY_BYTES (8 + 1 + 4 + 8 + 4 + 8)

struct lookalike {
	const char *magic;
	size_t n_bytes;
	const char *what;
};

/* Other kinds of files that people pass by mistake. */
static const struct lookalike lookalikes[] = {
	{ "PK\3\4", 4, "a zip archive (a PyTorch checkpoint?)" },
	{ "\x80\2", 2, "a Python pickle (an old PyTorch checkpoint?)" },
	{ "\x89HDF", 4, "an HDF5 file (Keras?)" },
	{ "\x1f\x8b", 2, "a gzip archive" },
	{ "\x28\xb5\x2f\xfd", 4, "a zstd archive" },
	{ "lmgg", 4, "a GGML file from before GGUF" },
	{ "fmgg", 4, "a GGML file from before GGUF" },
	{ "tjgg", 4, "a GGML file from before GGUF" },
	{ "version https://git-lfs", 23, "a Git LFS pointer (the file itself was not fetched)" },
	{ "<!DOCTYPE", 9, "a web page (an error page saved as a model?)" },
	{ "<html", 5, "a web page (an error page saved as a model?)" },
	{ "{", 1, "JSON text" },
};

static const char *guess_format(const struct gguf_file *file)
{
	for (size_t i = 0; i < sizeof lookalikes / sizeof lookalikes[0]; i++) {
		const struct lookalike *like = &lookalikes[i];

		if (file->n_bytes >= like->n_bytes &&
		    !memcmp(file->data, like->magic, like->n_bytes))
			return like->what;
	}
	/* safetensors: the length of a JSON object, then the object */
	if (file->n_bytes > 8 && file->data[8] == '{' && load_le64(file->data) < file->n_bytes)
		return "a safetensors file";
	return NULL;
}

static enum sc_status read_magic(struct gguf_file *file, struct error *err)
{
	const void *magic = cursor_take(&file->cursor, 4);
	const char *guess;

	if (magic && !memcmp(magic, "GGUF", 4))
		return SC_OK;
	guess = guess_format(file);
	if (guess)
		return gguf_error(file, 0, SC_E_FORMAT, err,
				  "expected a GGUF file, found %s", guess);
	if (!magic)
		return gguf_error_short(file, 4, "\"GGUF\"", err);
	return gguf_error(file, 0, SC_E_FORMAT, err, "expected \"GGUF\", found \"%s\"",
			  quote(magic, 4).text);
}

static enum sc_status read_version(struct gguf_file *file, struct error *err)
{
	const size_t at = cursor_offset(&file->cursor);
	const uint32_t version = cursor_u32(&file->cursor);

	if (file->cursor.is_short)
		return gguf_error_short(file, 4, "a version", err);
	/* Versions 2 and 3 have the same layout; 3 only added big-endian files. */
	if (version == 2 || version == 3)
		return SC_OK;
	if (version != 0 && (version & 0xffff) == 0)
		return gguf_error(file, at, SC_E_UNSUPPORTED, err,
				  "expected a little-endian file, found a big-endian one (version "
				  "0x%08" PRIx32 ")", version);
	return gguf_error(file, at, SC_E_UNSUPPORTED, err,
			  "expected GGUF version 2 or 3, found version %" PRIu32, version);
}

static enum sc_status read_count(struct gguf_file *file, const char *what, uint64_t max,
				 size_t min_bytes, uint64_t *n_out, struct error *err)
{
	const size_t at = cursor_offset(&file->cursor);
	const uint64_t n = cursor_u64(&file->cursor);

	if (file->cursor.is_short)
		return gguf_error_short(file, 8, what, err);
	if (n > max)
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "expected %s of at most %" PRIu64 ", found %" PRIu64, what, max,
				  n);
	if (n * min_bytes > cursor_left(&file->cursor))
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "found %s of %" PRIu64 ", but the file ends at %zu: truncated?",
				  what, n, file->n_bytes);
	*n_out = n;
	return SC_OK;
}

enum sc_status gguf_file_read_string(struct gguf_file *file, const char *what, uint64_t max,
				     struct gguf_string *string_out, struct error *err)
{
	const size_t at = cursor_offset(&file->cursor);
	const uint64_t length = cursor_u64(&file->cursor);
	const char *data;

	if (file->cursor.is_short)
		return gguf_error_short(file, 8, what, err);
	if (length > max)
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "expected %s of at most %" PRIu64 " bytes, found a length of %"
				  PRIu64, what, max, length);
	data = cursor_take(&file->cursor, length);
	if (!data)
		return gguf_error_short(file, length, what, err);
	*string_out = (struct gguf_string){ .data = data, .length = length };
	return SC_OK;
}

static enum sc_status read_type(struct gguf_file *file, enum gguf_type *type_out, struct error *err)
{
	const size_t at = cursor_offset(&file->cursor);
	const uint32_t type = cursor_u32(&file->cursor);

	if (file->cursor.is_short)
		return gguf_error_short(file, 4, "a value's type", err);
	if (type > GGUF_F64)
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "expected a value's type of 0 to %d, found %" PRIu32, GGUF_F64,
				  type);
	*type_out = (enum gguf_type)type;
	return SC_OK;
}

static enum sc_status check_bools(const struct gguf_file *file, const uint8_t *bytes, size_t n,
				  struct error *err)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] > 1)
			return gguf_error(file, (size_t)(bytes + i - file->data), SC_E_FORMAT, err,
					  "expected a bool of 0 or 1, found %u", bytes[i]);
	return SC_OK;
}

/* Walks over the strings of an array and notes where each begins. */
static enum sc_status read_string_array(struct gguf_file *file, struct gguf_pair *pair,
					struct error *err)
{
	struct gguf_array *array = &pair->value;
	const size_t start = cursor_offset(&file->cursor);

	/* read_count has checked that n * 8 bytes are in the file, so the allocation is not larger
	 * than that. */
	pair->index = malloc((array->n + 1) * sizeof *pair->index);
	if (!pair->index)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %zu strings", file->path,
				 array->n);
	for (size_t i = 0; i < array->n; i++) {
		struct gguf_string string;
		enum sc_status status;

		pair->index[i] = cursor_offset(&file->cursor) - start;
		status = gguf_file_read_string(file, "a string", GGUF_MAX_STRING, &string, err);
		if (status)
			return status;
	}
	array->index = pair->index;
	return SC_OK;
}

static enum sc_status read_elements(struct gguf_file *file, struct gguf_pair *pair,
				    struct error *err)
{
	struct gguf_array *array = &pair->value;
	struct gguf_string string;

	array->data = file->cursor.at;
	if (array->type == GGUF_STRING && pair->is_array)
		return read_string_array(file, pair, err);
	if (array->type == GGUF_STRING)
		return gguf_file_read_string(file, "a string", GGUF_MAX_STRING, &string, err);
	if (!cursor_take(&file->cursor, array->n * gguf_type_bytes(array->type)))
		return gguf_error_short(file, array->n * gguf_type_bytes(array->type), "a value",
					err);
	if (array->type == GGUF_BOOL)
		return check_bools(file, array->data, array->n, err);
	return SC_OK;
}

static enum sc_status read_array_header(struct gguf_file *file, struct gguf_array *array,
					struct error *err)
{
	enum sc_status status;
	size_t n_element_bytes;
	uint64_t n;
	size_t at;

	at = cursor_offset(&file->cursor);
	status = read_type(file, &array->type, err);
	if (status)
		return status;
	if (array->type == GGUF_ARRAY)
		return gguf_error(file, at, SC_E_UNSUPPORTED, err,
				  "expected an array of numbers or strings, found an array of "
				  "arrays");
	n_element_bytes = array->type == GGUF_STRING ? 8 : gguf_type_bytes(array->type);
	status = read_count(file, "an array length", GGUF_MAX_ARRAY, n_element_bytes, &n, err);
	if (status)
		return status;
	array->n = n;
	return SC_OK;
}

static enum sc_status read_value(struct gguf_file *file, struct gguf_pair *pair, struct error *err)
{
	enum sc_status status;

	status = read_type(file, &pair->value.type, err);
	if (status)
		return status;
	pair->offset = cursor_offset(&file->cursor);
	pair->value.n = 1;
	pair->is_array = pair->value.type == GGUF_ARRAY;
	if (pair->is_array) {
		status = read_array_header(file, &pair->value, err);
		if (status)
			return status;
	}
	return read_elements(file, pair, err);
}

static enum sc_status read_pair(struct gguf_file *file, uint32_t i, struct error *err)
{
	struct gguf_pair *pair = &file->pairs[i];
	const size_t at = cursor_offset(&file->cursor);
	struct gguf_string key;
	enum sc_status status;

	status = gguf_file_read_string(file, "a key", GGUF_MAX_KEY, &key, err);
	if (status)
		return status;
	if (key.length == 0)
		return gguf_error(file, at, SC_E_FORMAT, err, "expected a key, found an empty one");
	pair->key = key.data;
	pair->key_length = key.length;
	status = strmap_add(file->keys, key.data, key.length, i);
	if (status == SC_E_EXISTS)
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "expected every key once, found '%s' again",
				  quote(key.data, key.length).text);
	if (status)
		return error_set(err, status, "%s: cannot index keys", file->path);
	file->context = key;
	status = read_value(file, pair, err);
	file->context = (struct gguf_string){ 0 };
	return status;
}

static enum sc_status read_alignment(struct gguf_file *file, struct error *err)
{
	const struct gguf_pair *pair = gguf_file_find(file, "general.alignment");
	uint32_t alignment = GGUF_DEFAULT_ALIGNMENT;
	enum sc_status status;

	if (pair) {
		status = gguf_file_get_u32(file, "general.alignment", &alignment, err);
		if (status)
			return status;
		if (alignment < GGUF_MIN_ALIGNMENT || alignment > GGUF_MAX_ALIGNMENT ||
		    (alignment & (alignment - 1)))
			return gguf_error(file, pair->offset, SC_E_FORMAT, err,
					  "key 'general.alignment': expected a power of two from "
					  "%d to %u, found %" PRIu32, GGUF_MIN_ALIGNMENT,
					  GGUF_MAX_ALIGNMENT, alignment);
	}
	file->alignment = alignment;
	return SC_OK;
}

enum sc_status gguf_file_read_metadata(struct gguf_file *file, struct error *err)
{
	enum sc_status status;
	uint64_t n_pairs;

	status = read_magic(file, err);
	if (!status)
		status = read_version(file, err);
	if (!status)
		status = read_count(file, "a tensor count", GGUF_MAX_TENSORS, MIN_ENTRY_BYTES,
				    &file->n_tensors, err);
	if (!status)
		status = read_count(file, "a metadata count", GGUF_MAX_PAIRS, MIN_PAIR_BYTES,
				    &n_pairs, err);
	if (status)
		return status;
	file->pairs = calloc(n_pairs + 1, sizeof *file->pairs);
	if (!file->pairs || strmap_create(n_pairs, &file->keys))
		return error_set(err, SC_E_NOMEM, "%s: no memory for %" PRIu64 " keys", file->path,
				 n_pairs);
	file->n_pairs = n_pairs;
	for (uint32_t i = 0; i < n_pairs; i++) {
		status = read_pair(file, i, err);
		if (status)
			return status;
	}
	return read_alignment(file, err);
}

const struct gguf_pair *gguf_file_find(const struct gguf_file *file, const char *key)
{
	uint32_t i;

	if (!strmap_find(file->keys, key, strlen(key), &i) || file->pairs[i].is_ignored)
		return NULL;
	return &file->pairs[i];
}
