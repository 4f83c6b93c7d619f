/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model with each of its allocations failing in turn: a clean error, and nothing is left
 * behind. */
#include "model/model.h"

#include "tests/model/failing_alloc.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Open path with allocation n failing; true when that many were not needed. */
static bool open_with_failure(const char *path, long n)
{
	const long n_before = failing_alloc_n_live();
	enum sc_status status;
	struct model *model;
	struct error err;

	failing_alloc_arm(n);
	status = model_open(path, &model, &err);
	failing_alloc_disarm();
	if (!status) {
		model_close(model);
	} else {
		assert_int_equal(status, SC_E_NOMEM);
		assert_int_equal(err.status, SC_E_NOMEM);
		assert_non_null(strstr(err.text, "no memory"));
	}
	assert_int_equal(failing_alloc_n_live(), n_before);
	return !status;
}

static void every_allocation_may_fail(void **state)
{
	char path[] = "/tmp/stagecoach-test-XXXXXX";
	int fd;
	long n = 0;

	(void)state;
	if (!has_failing_alloc)
		skip();
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	tiny_model_save(&tiny_qwen2, path);
	while (!open_with_failure(path, n))
		n++;
	/* at least: the reader, its file, path, keys and their map, two arrays of strings, tensors
	 * and their map, the model, its layers */
	assert_true(n >= 10);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
