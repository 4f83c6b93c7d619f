/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor_source.h"

#include "base/integers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of a matrix that are made at a time, while the next are read from the disk. */
enum { SLAB_BYTES = 8 << 20 };

enum sc_status tensor_read(const struct tensor *tensor, uint64_t first, uint64_t n, void *out,
			   struct error *err)
{
	const size_t at = tensor_type_bytes(tensor->type, first);
	const size_t n_bytes = tensor_type_bytes(tensor->type, n);
	enum sc_status status;

	assert(at <= tensor->n_bytes && n_bytes <= tensor->n_bytes - at);
	if (tensor->data) {
		memcpy(out, (const uint8_t *)tensor->data + at, n_bytes);
		return SC_OK;
	}
	assert(tensor->n_dims < 2 || (first % tensor->dims[0] == 0 && n % tensor->dims[0] == 0));
	status = tensor->source->read(tensor->source, tensor->source_first + first, n, out, err);
	if (status)
		error_prefix(err, "tensor '%s'", tensor->name);
	return status;
}

enum sc_status tensor_read_rows(const struct tensor *tensor, uint64_t first_row, uint64_t n_rows,
				void *out, struct error *err)
{
	return tensor_read(tensor, first_row * tensor->dims[0], n_rows * tensor->dims[0], out, err);
}

/* Makes all elements, a slab at a time. The stored bytes of a slab leave the memory of this process
 * when it is made. */
static enum sc_status make_all(const struct tensor *tensor, uint8_t *out, struct error *err)
{
	const size_t row_bytes = tensor->n_dims > 1 ? tensor_row_bytes(tensor) : tensor->n_bytes;
	const uint64_t n_rows = tensor->n_bytes / row_bytes;
	const uint64_t slab = max_of(SLAB_BYTES / row_bytes, 1);
	enum sc_status status = SC_OK;

	for (uint64_t row = 0; !status && row < n_rows; row += slab) {
		const uint64_t n = min_of(slab, n_rows - row);
		const size_t at = row * row_bytes;

		tensor_expect(tensor, at + n * row_bytes, SLAB_BYTES);
		status = tensor_read_rows(tensor, row, n, out + at, err);
		tensor_release(tensor, at, n * row_bytes);
	}
	return status;
}

enum sc_status tensor_bytes_get(const struct tensor *tensor, struct tensor_bytes *bytes_out,
				struct error *err)
{
	struct tensor_bytes bytes = { .tensor = *tensor };
	enum sc_status status;

	if (!tensor->data) {
		bytes.owned = malloc(tensor->n_bytes ? tensor->n_bytes : 1);
		if (!bytes.owned)
			return error_set(err, SC_E_NOMEM, "tensor '%s': no memory for its %zu "
					 "bytes", tensor->name, tensor->n_bytes);
		status = make_all(tensor, bytes.owned, err);
		if (status) {
			free(bytes.owned);
			return status;
		}
		bytes.tensor.data = bytes.owned;
		bytes.tensor.source = NULL;
		bytes.tensor.is_mapped = false;
	}
	*bytes_out = bytes;
	return SC_OK;
}

void tensor_bytes_put(struct tensor_bytes *bytes)
{
	free(bytes->owned);
	*bytes = (struct tensor_bytes){ .owned = NULL };
}

struct tensor tensor_view(const struct tensor *of, uint64_t first, uint64_t n)
{
	const unsigned cut = of->n_dims > 1;	/* the dimension that is shortened */
	const uint64_t unit = cut ? of->dims[0] : 1;
	struct tensor view = *of;

	assert(of->n_dims <= 2 && first <= of->dims[cut] && n <= of->dims[cut] - first);
	view.dims[cut] = n;
	view.n_bytes = tensor_type_bytes(of->type, n * unit);
	if (of->data)
		view.data = (const uint8_t *)of->data +
			    tensor_type_bytes(of->type, first * unit);
	else
		view.source_first = of->source_first + first * unit;
	return view;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int tensor_compare_places(const struct tensor *a, const struct tensor *b)
{
	int order = compare((uintptr_t)a->data, (uintptr_t)b->data);

	if (!order && !a->data)
		order = compare((uintptr_t)a->source, (uintptr_t)b->source);
	return order ? order : compare(a->source_first, b->source_first);
}
