/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/failing_alloc.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTHER_ALLOCATOR 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OTHER_ALLOCATOR 1
#endif

static long n_until_failure = -1;	/* -1: none fails */
static long n_live;
static bool has_failed;

#ifdef OTHER_ALLOCATOR
const bool has_failing_alloc = false;
#else
const bool has_failing_alloc = true;

void *__libc_malloc(size_t n_bytes);
void *__libc_calloc(size_t n, size_t n_bytes);
void *__libc_realloc(void *old, size_t n_bytes);
void *__libc_memalign(size_t alignment, size_t n_bytes);
void __libc_free(void *old);

static bool fails(void)
{
	if (n_until_failure < 0 || n_until_failure-- > 0)
		return false;
	has_failed = true;
	return true;
}

void *malloc(size_t n_bytes)
{
	if (fails())
		return NULL;
	n_live++;
	return __libc_malloc(n_bytes);
}

void *calloc(size_t n, size_t n_bytes)
{
	if (fails())
		return NULL;
	n_live++;
	return __libc_calloc(n, n_bytes);
}

void *realloc(void *old, size_t n_bytes)
{
	if (fails())
		return NULL;
	n_live += !old;
	return __libc_realloc(old, n_bytes);
}

void *aligned_alloc(size_t alignment, size_t n_bytes)
{
	if (fails())
		return NULL;
	n_live++;
	return __libc_memalign(alignment, n_bytes);
}

int posix_memalign(void **memory_out, size_t alignment, size_t n_bytes)
{
	*memory_out = aligned_alloc(alignment, n_bytes);
	return *memory_out ? 0 : ENOMEM;
}

void free(void *old)
{
	n_live -= old != NULL;
	__libc_free(old);
}
#endif

void failing_alloc_arm(long n)
{
	has_failed = false;
	n_until_failure = n;
}

bool failing_alloc_disarm(void)
{
	n_until_failure = -1;
	return has_failed;
}

long failing_alloc_n_live(void)
{
	return n_live;
}
