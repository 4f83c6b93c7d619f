/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model with each of its allocations failing in turn: a clean error, and nothing is left
 * behind. The allocator of this program counts; sanitizers bring their own, so not with them. */
#include "model/model.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTHER_ALLOCATOR 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define OTHER_ALLOCATOR 1
#endif

#ifndef OTHER_ALLOCATOR
void *__libc_malloc(size_t n_bytes);
void *__libc_calloc(size_t n, size_t n_bytes);
void *__libc_realloc(void *old, size_t n_bytes);
void __libc_free(void *old);

static long n_until_failure = -1;	/* -1: none fails */
static long n_live;

static bool fails(void)
{
	return n_until_failure >= 0 && n_until_failure-- == 0;
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

void free(void *old)
{
	n_live -= old != NULL;
	__libc_free(old);
}

/* Open path with allocation n failing; true when that many were not needed. */
static bool open_with_failure(const char *path, long n)
{
	const long n_before = n_live;
	enum sc_status status;
	struct model *model;
	struct error err;

	n_until_failure = n;
	status = model_open(path, &model, &err);
	n_until_failure = -1;
	if (!status) {
		model_close(model);
	} else {
		assert_int_equal(status, SC_E_NOMEM);
		assert_int_equal(err.status, SC_E_NOMEM);
		assert_non_null(strstr(err.text, "no memory"));
	}
	assert_int_equal(n_live, n_before);
	return !status;
}
#endif

static void every_allocation_may_fail(void **state)
{
#ifdef OTHER_ALLOCATOR
	(void)state;
	skip();
#else
	char path[] = "/tmp/stagecoach-test-XXXXXX";
	const int fd = mkstemp(path);
	long n = 0;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	tiny_model_save(&tiny_qwen2, path);
	while (!open_with_failure(path, n))
		n++;
	/* at least: the reader, its file, path, keys and their map, two arrays of strings, tensors and
	 * their map, the model, its layers */
	assert_true(n >= 10);
	unlink(path);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
