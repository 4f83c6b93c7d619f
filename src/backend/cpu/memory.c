/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *cpu_memory_unset(size_t n_bytes)
{
	size_t alignment = n_bytes >= HUGE_PAGE ? HUGE_PAGE : 64;
	void *memory = NULL;

	if (n_bytes > SIZE_MAX - alignment ||
	    posix_memalign(&memory, alignment, n_bytes + !n_bytes))
		return NULL;
	if (n_bytes >= HUGE_PAGE)
		(void)madvise(memory, n_bytes, MADV_HUGEPAGE);
	return memory;
}

void *cpu_memory(size_t n_bytes)
{
	void *memory = cpu_memory_unset(n_bytes);

	/* Touches every page now, so that none is missing under load. */
	return memory ? memset(memory, 0, n_bytes) : NULL;
}
