/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/safetensors.h"

#include "base/bytes.h"
#include "hf/folder.h"
#include "hf/json_file.h"
#include "model/quote.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8 };	/* of the header's length */

struct dtype_row {
	const char *name;
	enum hf_dtype dtype;
	uint8_t n_bits;
};

static const struct dtype_row dtypes[] = {
	{ "F32", HF_F32, 32 }, { "F16", HF_F16, 16 }, { "BF16", HF_BF16, 16 },
	{ "F8_E4M3", HF_F8_E4M3, 8 }, { "I64", HF_I64, 64 }, { "I32", HF_I32, 32 },
	{ "U8", HF_U8, 8 },
	/* Known sizes, so that a file with such tensors can be checked. */
	{ "F64", HF_OTHER, 64 }, { "U64", HF_OTHER, 64 }, { "C64", HF_OTHER, 64 },
	{ "U32", HF_OTHER, 32 }, { "I16", HF_OTHER, 16 }, { "U16", HF_OTHER, 16 },
	{ "I8", HF_OTHER, 8 }, { "BOOL", HF_OTHER, 8 }, { "F8_E5M2", HF_OTHER, 8 },
	{ "F8_E8M0", HF_OTHER, 8 }, { "F6_E2M3", HF_OTHER, 6 }, { "F6_E3M2", HF_OTHER, 6 },
	{ "F4", HF_OTHER, 4 },
};

size_t hf_dtype_bytes(enum hf_dtype dtype)
{
	for (size_t i = 0; dtype != HF_OTHER && i < sizeof dtypes / sizeof dtypes[0]; i++)
		if (dtypes[i].dtype == dtype)
			return dtypes[i].n_bits / 8;
	return 0;
}

/* What is read: one file, with its header as JSON. */
struct reader {
	const char *path;
	const uint8_t *data;
	size_t n_bytes;
	uint64_t header_bytes;
	uint64_t room;		/* bytes of data behind the header */
	json_t *header;
	struct safetensors *file;
	struct error *err;
};

/* --- the header --- */

static enum sc_status read_length(struct reader *r)
{
	if (r->n_bytes < LENGTH_BYTES)
		return error_set(r->err, SC_E_FORMAT, "%s: expected a header, found a file of %zu "
				 "bytes: download it again", r->path, r->n_bytes);
	r->header_bytes = load_le64(r->data);
	if (r->header_bytes > SAFETENSORS_MAX_HEADER)
		return error_set(r->err, SC_E_FORMAT, "%s: expected a header of at most %u bytes, "
				 "found the length %" PRIu64 ": is this a file of safetensors?",
				 r->path, SAFETENSORS_MAX_HEADER, r->header_bytes);
	if (r->header_bytes > r->n_bytes - LENGTH_BYTES)
		return error_set(r->err, SC_E_FORMAT, "%s: the header says that it has %" PRIu64
				 " bytes, but the file has only %zu: download it again", r->path,
				 r->header_bytes, r->n_bytes);
	r->room = r->n_bytes - LENGTH_BYTES - r->header_bytes;
	return SC_OK;
}

static enum sc_status parse_header(struct reader *r)
{
	char *text = malloc(r->header_bytes + 1);
	enum sc_status status;

	if (!text)
		return error_set(r->err, SC_E_NOMEM, "%s: no memory for its header of %" PRIu64
				 " bytes", r->path, r->header_bytes);
	memcpy(text, r->data + LENGTH_BYTES, r->header_bytes);
	status = json_file_parse(r->path, text, r->header_bytes, DIALECT_STRICT, &r->header, r->err);
	free(text);
	if (status)
		error_prefix(r->err, "header");
	return status;
}

/* --- one tensor --- */

__attribute__((format(printf, 4, 5)))
static enum sc_status refuse(const struct reader *r, const char *name, enum sc_status status,
			     const char *format, ...)
{
	char message[256];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return error_set(r->err, status, "%s: tensor '%s': %s", r->path,
			 quote(name, strlen(name)).text, message);
}

static enum sc_status read_dtype(struct reader *r, const json_t *entry, struct hf_stored *tensor,
				 unsigned *n_bits_out)
{
	const char *dtype = json_string_value(json_object_get(entry, "dtype"));

	if (!dtype)
		return refuse(r, tensor->name, SC_E_FORMAT, "expected a string 'dtype'");
	for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
		if (strcmp(dtypes[i].name, dtype))
			continue;
		tensor->dtype = dtypes[i].dtype;
		tensor->dtype_name = dtypes[i].name;
		*n_bits_out = dtypes[i].n_bits;
		return SC_OK;
	}
	return refuse(r, tensor->name, SC_E_UNSUPPORTED, "the type '%s' is not known: F32, F16, "
		      "BF16 and F8_E4M3 can be used", quote(dtype, strlen(dtype)).text);
}

static bool read_count(const json_t *json, uint64_t *value_out)
{
	const json_int_t value = json_is_integer(json) ? json_integer_value(json) : -1;

	*value_out = (uint64_t)value;
	return value >= 0;
}

static enum sc_status read_shape(struct reader *r, const json_t *entry, struct hf_stored *tensor)
{
	const json_t *shape = json_object_get(entry, "shape");
	const size_t n_dims = json_array_size(shape);

	if (!json_is_array(shape))
		return refuse(r, tensor->name, SC_E_FORMAT, "expected an array 'shape'");
	if (n_dims > HF_MAX_DIMS)
		return refuse(r, tensor->name, SC_E_UNSUPPORTED, "expected at most %d dimensions, "
			      "found %zu", HF_MAX_DIMS, n_dims);
	tensor->n_dims = (unsigned)n_dims;
	for (size_t i = 0; i < HF_MAX_DIMS; i++) {
		tensor->dims[i] = 1;
		if (i < n_dims && !read_count(json_array_get(shape, i), &tensor->dims[i]))
			return refuse(r, tensor->name, SC_E_FORMAT, "expected a size as dimension "
				      "%zu of its shape, found another value", i + 1);
	}
	return SC_OK;
}

/* Bytes of all elements. Returns false if there are too many to count, or half a byte is left. */
static bool count_bytes(const struct hf_stored *tensor, unsigned n_bits, uint64_t *n_bytes_out)
{
	uint64_t n = n_bits;

	for (size_t i = 0; i < HF_MAX_DIMS; i++)
		if (__builtin_mul_overflow(n, tensor->dims[i], &n))
			return false;
	*n_bytes_out = n / 8;
	return n % 8 == 0;
}

static enum sc_status read_place(struct reader *r, const json_t *entry, unsigned n_bits,
				 struct hf_stored *tensor)
{
	const json_t *offsets = json_object_get(entry, "data_offsets");
	uint64_t begin, end, n_bytes;

	if (json_array_size(offsets) != 2 || !read_count(json_array_get(offsets, 0), &begin) ||
	    !read_count(json_array_get(offsets, 1), &end))
		return refuse(r, tensor->name, SC_E_FORMAT, "expected 'data_offsets' with two "
			      "offsets");
	if (begin > end || end > r->room)
		return refuse(r, tensor->name, SC_E_FORMAT, "expected data in the file, whose data "
			      "has %" PRIu64 " bytes, found the offsets %" PRIu64 " to %" PRIu64
			      ": is the file cut? Download it again", r->room, begin, end);
	if (!count_bytes(tensor, n_bits, &n_bytes) || n_bytes != end - begin)
		return refuse(r, tensor->name, SC_E_FORMAT, "expected data of its shape [%" PRIu64
			      ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "] in %s, found %" PRIu64
			      " bytes", tensor->dims[0], tensor->dims[1], tensor->dims[2],
			      tensor->dims[3], tensor->dtype_name, end - begin);
	tensor->data = r->data + LENGTH_BYTES + r->header_bytes + begin;
	tensor->n_bytes = n_bytes;
	return SC_OK;
}

static enum sc_status read_tensor(struct reader *r, const json_t *entry, struct hf_stored *tensor)
{
	enum sc_status status;
	unsigned n_bits = 0;

	if (!json_is_object(entry))
		return refuse(r, tensor->name, SC_E_FORMAT, "expected an object with its place");
	status = read_dtype(r, entry, tensor, &n_bits);
	if (!status)
		status = read_shape(r, entry, tensor);
	return status ? status : read_place(r, entry, n_bits, tensor);
}

/* --- all tensors --- */

static bool is_metadata(const char *name)
{
	return !strcmp(name, "__metadata__");
}

/* Copies all names, because the JSON is freed. */
static enum sc_status allocate(struct reader *r)
{
	size_t n = 0, n_bytes = 0;
	const char *name;
	json_t *entry;

	json_object_foreach(r->header, name, entry) {
		n += !is_metadata(name);
		n_bytes += strlen(name) + 1;
	}
	if (n > SAFETENSORS_MAX_TENSORS)
		return error_set(r->err, SC_E_FORMAT, "%s: expected at most %u tensors, found %zu",
				 r->path, SAFETENSORS_MAX_TENSORS, n);
	r->file->tensors = calloc(n + 1, sizeof *r->file->tensors);
	r->file->names = malloc(n_bytes + 1);
	if (!r->file->tensors || !r->file->names)
		return error_set(r->err, SC_E_NOMEM, "%s: no memory for %zu tensors", r->path, n);
	return SC_OK;
}

static enum sc_status read_tensors(struct reader *r)
{
	char *to = r->file->names;
	const char *name;
	json_t *entry;

	json_object_foreach(r->header, name, entry) {
		struct hf_stored *tensor = &r->file->tensors[r->file->n];
		enum sc_status status;

		if (is_metadata(name))
			continue;
		tensor->name = to;
		tensor->file = r->path;
		to = stpcpy(to, name) + 1;
		status = read_tensor(r, entry, tensor);
		if (status)
			return status;
		r->file->n++;
	}
	return SC_OK;
}

static int compare_places(const void *a, const void *b)
{
	const struct hf_stored *const *left = a, *const *right = b;

	if ((*left)->data != (*right)->data)
		return (*left)->data < (*right)->data ? -1 : 1;
	return ((*left)->n_bytes > (*right)->n_bytes) - ((*left)->n_bytes < (*right)->n_bytes);
}

/* Two tensors that follow each other must touch. */
static enum sc_status check_neighbours(const struct reader *r, const struct hf_stored *a,
				       const struct hf_stored *b)
{
	if (a->data + a->n_bytes > b->data)
		return refuse(r, b->name, SC_E_FORMAT, "expected data of its own, found it "
			      "overlapping the data of '%s'", quote(a->name, strlen(a->name)).text);
	if (a->data + a->n_bytes < b->data)
		return refuse(r, b->name, SC_E_FORMAT, "expected its data behind that of '%s', "
			      "found %zu bytes between them that belong to no tensor",
			      quote(a->name, strlen(a->name)).text,
			      (size_t)(b->data - a->data) - a->n_bytes);
	return SC_OK;
}

static enum sc_status check_ends(const struct reader *r, const struct hf_stored *const *sorted)
{
	const uint8_t *start = r->data + LENGTH_BYTES + r->header_bytes;
	const struct hf_stored *last = r->file->n ? sorted[r->file->n - 1] : NULL;
	const uint8_t *end = last ? last->data + last->n_bytes : start;

	if (last && sorted[0]->data != start)
		return refuse(r, sorted[0]->name, SC_E_FORMAT, "expected the first data at offset "
			      "0, found it at %zu", (size_t)(sorted[0]->data - start));
	if (end != start + r->room)
		return error_set(r->err, SC_E_FORMAT, "%s: expected the file to end with the last "
				 "tensor's data, found %zu bytes behind it: download it again",
				 r->path, (size_t)(start + r->room - end));
	return SC_OK;
}

static enum sc_status check_places(const struct reader *r)
{
	const struct hf_stored **sorted = calloc(r->file->n + 1, sizeof *sorted);
	enum sc_status status = SC_OK;

	if (!sorted)
		return error_set(r->err, SC_E_NOMEM, "%s: no memory for %zu tensors", r->path,
				 r->file->n);
	for (size_t i = 0; i < r->file->n; i++)
		sorted[i] = &r->file->tensors[i];
	qsort(sorted, r->file->n, sizeof *sorted, compare_places);
	for (size_t i = 1; !status && i < r->file->n; i++)
		status = check_neighbours(r, sorted[i - 1], sorted[i]);
	if (!status)
		status = check_ends(r, sorted);
	free(sorted);
	return status;
}

enum sc_status safetensors_read(const char *path, const uint8_t *data, size_t n_bytes,
				struct safetensors *file_out, struct error *err)
{
	struct safetensors file = { .n = 0 };
	struct reader r = {
		.path = path, .data = data, .n_bytes = n_bytes, .file = &file, .err = err,
	};
	enum sc_status status = read_length(&r);

	if (!status)
		status = parse_header(&r);
	if (!status)
		status = allocate(&r);
	if (!status)
		status = read_tensors(&r);
	if (!status)
		status = check_places(&r);
	json_decref(r.header);
	if (status)
		safetensors_close(&file);
	else
		*file_out = file;
	return status;
}

enum sc_status safetensors_open(const char *path, struct safetensors *file_out, struct error *err)
{
	struct safetensors file;
	struct mapped_file map;
	enum sc_status status = folder_map(path, "a file of safetensors", &map, err);

	if (status)
		return status;
	status = safetensors_read(map.path, map.data, map.n_bytes, &file, err);
	if (status) {
		mapped_file_close(&map);
		return status;
	}
	file.map = map;
	*file_out = file;
	return SC_OK;
}

void safetensors_close(struct safetensors *file)
{
	mapped_file_close(&file->map);
	free(file->tensors);
	free(file->names);
	*file = (struct safetensors){ .n = 0 };
}
