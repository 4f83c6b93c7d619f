/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor.h"

#include "base/integers.h"
#include "model/tensor_source.h"

#include <sys/mman.h>
#include <unistd.h>

static void advise(const struct tensor *tensor, size_t first, size_t n_bytes, int advice)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)tensor->data + first, end;

	if (!tensor->is_mapped)
		return;
	end = start + n_bytes;
	start = start / page * page;
	(void)madvise((void *)start, end - start, advice);
}

/* Calls a function of the tensor's source for the elements in these bytes: of a matrix, for all
 * elements of the rows. */
static void advise_source(const struct tensor *tensor, size_t first, size_t n_bytes,
			  void (*advice)(const struct tensor_source *, uint64_t, uint64_t))
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);
	const bool is_matrix = tensor->n_dims > 1;
	const uint64_t unit = is_matrix ? tensor->dims[0] : info->block_length;
	const uint64_t unit_bytes = is_matrix ? tensor_row_bytes(tensor) : info->block_bytes;
	const uint64_t begin = first / unit_bytes, end = div_up(first + n_bytes, unit_bytes);

	if (advice)
		advice(tensor->source, tensor->source_first + begin * unit, (end - begin) * unit);
}

void tensor_expect(const struct tensor *tensor, size_t first, size_t n_bytes)
{
	if (first >= tensor->n_bytes)
		return;
	n_bytes = min_of(n_bytes, tensor->n_bytes - first);
	if (tensor->data)
		advise(tensor, first, n_bytes, MADV_WILLNEED);
	else if (tensor->source)
		advise_source(tensor, first, n_bytes, tensor->source->expect);
}

void tensor_release(const struct tensor *tensor, size_t first, size_t n_bytes)
{
	if (first >= tensor->n_bytes)
		return;
	n_bytes = min_of(n_bytes, tensor->n_bytes - first);
	if (tensor->data)
		advise(tensor, first, n_bytes, MADV_DONTNEED);
	else if (tensor->source)
		advise_source(tensor, first, n_bytes, tensor->source->release);
}
