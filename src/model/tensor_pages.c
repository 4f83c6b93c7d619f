/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tensor.h"

#include <sys/mman.h>
#include <unistd.h>

static void advise(const struct tensor *tensor, size_t first, size_t n_bytes, int advice)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)tensor->data + first, end;

	if (!tensor->is_mapped || first >= tensor->n_bytes)
		return;
	end = start + (n_bytes < tensor->n_bytes - first ? n_bytes : tensor->n_bytes - first);
	start = start / page * page;
	(void)madvise((void *)start, end - start, advice);
}

void tensor_expect(const struct tensor *tensor, size_t first, size_t n_bytes)
{
	advise(tensor, first, n_bytes, MADV_WILLNEED);
}

void tensor_release(const struct tensor *tensor, size_t first, size_t n_bytes)
{
	advise(tensor, first, n_bytes, MADV_DONTNEED);
}
