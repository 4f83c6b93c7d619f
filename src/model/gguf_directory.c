/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the tensor directory of one file: first the entries, then the places of their data. */
#include "model/gguf_file.h"

#include <inttypes.h>
#include <stdlib.h>

static enum sc_status read_name(struct gguf_file *file, struct gguf_entry *entry,
				struct error *err)
{
	struct gguf_string name;
	enum sc_status status;

	entry->at = cursor_offset(&file->cursor);
	status = gguf_file_read_string(file, "a tensor's name", GGUF_MAX_NAME, &name, err);
	if (status)
		return status;
	if (name.length == 0 || memchr(name.data, 0, name.length))
		return gguf_error(file, entry->at, SC_E_FORMAT, err,
				  "expected a tensor's name, found %s",
				  name.length ? "one with a NUL byte" : "an empty one");
	memcpy(entry->name, name.data, name.length);
	file->context = name;
	return SC_OK;
}

static enum sc_status read_dims(struct gguf_file *file, struct tensor *tensor, struct error *err)
{
	size_t at = cursor_offset(&file->cursor);
	const uint32_t n_dims = cursor_u32(&file->cursor);

	if (file->cursor.is_short)
		return gguf_error_short(file, 4, "a number of dimensions", err);
	if (n_dims < 1 || n_dims > TENSOR_MAX_DIMS)
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "expected 1 to %d dimensions, found %" PRIu32, TENSOR_MAX_DIMS,
				  n_dims);
	tensor->n_dims = n_dims;
	for (unsigned i = 0; i < TENSOR_MAX_DIMS; i++) {
		at = cursor_offset(&file->cursor);
		tensor->dims[i] = i < n_dims ? cursor_u64(&file->cursor) : 1;
		if (file->cursor.is_short)
			return gguf_error_short(file, 8, "a dimension", err);
		if (tensor->dims[i] == 0 || tensor->dims[i] > INT64_MAX)
			return gguf_error(file, at, SC_E_FORMAT, err,
					  "expected a positive dimension, found %" PRIu64,
					  tensor->dims[i]);
	}
	return SC_OK;
}

static enum sc_status read_type(struct gguf_file *file, struct tensor *tensor, struct error *err)
{
	const size_t at = cursor_offset(&file->cursor);
	const uint32_t type = cursor_u32(&file->cursor);
	const struct tensor_type_info *info;

	if (file->cursor.is_short)
		return gguf_error_short(file, 4, "a tensor's type", err);
	tensor->type = (enum tensor_type)type;
	if (file->takes_any_type)
		return SC_OK;
	info = tensor_type_info(type);
	if (!info)
		return gguf_error(file, at, SC_E_UNSUPPORTED, err,
				  "expected a tensor's type, found the unknown number %" PRIu32,
				  type);
	if (!info->is_supported)
		return gguf_error(file, at, SC_E_UNSUPPORTED, err,
				  "tensors of type %s (%" PRIu32 "%s) are not supported; F32, F16, "
				  "BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, "
				  "IQ4_XS and MXFP4 are", info->name, type,
				  type >= 97 ? ", private to ik_llama.cpp" : "");
	return SC_OK;
}

/* A placeholder of one byte per element, until the places of all tensors are known (see measure).
 * It also bounds the number of elements below 2^63. */
static const struct tensor_type_info unknown_size = { .block_length = 1, .block_bytes = 1 };

static bool has_known_size(const struct tensor *tensor)
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);

	return info && info->block_length;
}

/* Computes the size in bytes. Only overflow is checked here; place_data compares the size with the
 * file. */
static enum sc_status count_bytes(const struct gguf_file *file, const struct gguf_entry *entry,
				  size_t *n_bytes_out, struct error *err)
{
	const struct tensor *tensor = &entry->tensor;
	const struct tensor_type_info *info = tensor_type_info(tensor->type);
	uint64_t n;

	if (!has_known_size(tensor))
		info = &unknown_size;
	if (tensor->dims[0] % info->block_length)
		return gguf_error(file, entry->at, SC_E_FORMAT, err,
				  "expected rows that are a multiple of %s's block of %" PRIu32
				  " elements, found rows of %" PRIu64, info->name,
				  info->block_length, tensor->dims[0]);
	n = tensor->dims[0] / info->block_length;
	for (unsigned i = 1; i < TENSOR_MAX_DIMS; i++)
		if (__builtin_mul_overflow(n, tensor->dims[i], &n))
			goto overflow;
	if (__builtin_mul_overflow(n, info->block_bytes, &n) || n > INT64_MAX)
		goto overflow;
	*n_bytes_out = info == &unknown_size ? 1 : n;
	return SC_OK;
overflow:
	return gguf_error(file, entry->at, SC_E_FORMAT, err,
			  "expected a size below 2^63 bytes, found %" PRIu64 " x %" PRIu64 " x %"
			  PRIu64 " x %" PRIu64, tensor->dims[0], tensor->dims[1], tensor->dims[2],
			  tensor->dims[3]);
}

static enum sc_status read_entry(struct gguf_file *file, struct gguf_entry *entry,
				 struct error *err)
{
	enum sc_status status;
	size_t at;

	status = read_name(file, entry, err);
	if (!status)
		status = read_dims(file, &entry->tensor, err);
	if (!status)
		status = read_type(file, &entry->tensor, err);
	if (!status)
		status = count_bytes(file, entry, &entry->tensor.n_bytes, err);
	if (status)
		return status;
	at = cursor_offset(&file->cursor);
	entry->offset = cursor_u64(&file->cursor);
	if (file->cursor.is_short)
		return gguf_error_short(file, 8, "the offset of a tensor's data", err);
	if (entry->offset % file->alignment)
		return gguf_error(file, at, SC_E_FORMAT, err,
				  "expected an offset that is a multiple of %zu, found %" PRIu64,
				  file->alignment, entry->offset);
	return SC_OK;
}

/* Called when the start of the data section is known: checks that the tensor lies inside the
 * file. */
static enum sc_status place_data(const struct gguf_file *file, struct gguf_entry *entry,
				 struct error *err)
{
	const size_t room = file->has_no_data ? INT64_MAX - file->data_start :
			    file->n_bytes > file->data_start ? file->n_bytes - file->data_start : 0;
	uint64_t end;

	if (__builtin_add_overflow(entry->offset, entry->tensor.n_bytes, &end) ||
	    end > INT64_MAX - file->data_start)
		return gguf_error(file, entry->at, SC_E_FORMAT, err,
				  "tensor '%s': expected data inside the file, found an offset of %"
				  PRIu64, quote(entry->name, strlen(entry->name)).text,
				  entry->offset);
	if (end > room)
		return gguf_error(file, entry->at, SC_E_FORMAT, err,
				  "the file ends at %zu, but tensor '%s' needs %" PRIu64 ": "
				  "truncated?",
				  file->n_bytes, quote(entry->name, strlen(entry->name)).text,
				  file->data_start + end);
	if (file->has_no_data)
		return SC_OK;
	entry->tensor.data = file->data + file->data_start + entry->offset;
	entry->tensor.is_mapped = file->is_mapped;
	return SC_OK;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct gguf_entry *const *left = a;
	const struct gguf_entry *const *right = b;

	if ((*left)->offset != (*right)->offset)
		return (*left)->offset < (*right)->offset ? -1 : 1;
	return 0;
}

/* Tensors whose type has no size that we know: up to the next tensor or the end of the file. */
static void measure(const struct gguf_file *file, struct gguf_entry **sorted)
{
	for (uint64_t i = 0; i < file->n_tensors; i++) {
		uint64_t end = i + 1 < file->n_tensors ? sorted[i + 1]->offset
						       : file->n_bytes - file->data_start;

		if (!has_known_size(&sorted[i]->tensor) && end > sorted[i]->offset)
			sorted[i]->tensor.n_bytes = end - sorted[i]->offset;
	}
}

static enum sc_status check_overlap(const struct gguf_file *file, struct gguf_entry *entries,
				    struct error *err)
{
	struct gguf_entry **sorted;
	enum sc_status status = SC_OK;

	sorted = malloc((file->n_tensors + 1) * sizeof *sorted);
	if (!sorted)
		return error_set(err, SC_E_NOMEM, "%s: no memory for %" PRIu64 " tensors",
				 file->path, file->n_tensors);
	for (uint64_t i = 0; i < file->n_tensors; i++)
		sorted[i] = &entries[i];
	qsort(sorted, file->n_tensors, sizeof *sorted, compare_offsets);
	measure(file, sorted);
	for (uint64_t i = 1; i < file->n_tensors && !status; i++) {
		const struct gguf_entry *a = sorted[i - 1], *b = sorted[i];

		if (a->offset + a->tensor.n_bytes > b->offset)
			status = gguf_error(file, b->at, SC_E_FORMAT, err,
					    "expected tensors apart, found '%s' overlapping '%s'",
					    quote(b->name, strlen(b->name)).text,
					    quote(a->name, strlen(a->name)).text);
	}
	free(sorted);
	return status;
}

enum sc_status gguf_file_read_directory(struct gguf_file *file, struct gguf_entry *entries,
					struct error *err)
{
	enum sc_status status;

	for (uint64_t i = 0; i < file->n_tensors; i++) {
		status = read_entry(file, &entries[i], err);
		file->context = (struct gguf_string){ 0 };
		if (status)
			return status;
	}
	file->header_bytes = cursor_offset(&file->cursor);
	file->data_start = (file->header_bytes + file->alignment - 1) & ~(file->alignment - 1);
	for (uint64_t i = 0; i < file->n_tensors; i++) {
		status = place_data(file, &entries[i], err);
		if (status)
			return status;
	}
	return check_overlap(file, entries, err);
}
