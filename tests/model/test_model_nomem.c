/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model, or summing up its file, with each allocation failing in turn: a clean error, and
 * nothing is left behind. */
#include "model/model.h"
#include "model/summary.h"

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

static void a_summary_may_find_no_memory(void **state)
{
	struct buf file = BUF_INIT;
	enum sc_status status = SC_E_NOMEM;
	struct summary summary;
	struct gguf *gguf;
	struct error err;
	long n;

	(void)state;
	if (!has_failing_alloc)
		skip();
	tiny_model_write(&tiny_llama, &file);
	assert_int_equal(gguf_open_memory("file", file.data, file.length, &gguf, &err), SC_OK);
	for (n = 0; status != SC_OK; n++) {
		const long n_before = failing_alloc_n_live();

		failing_alloc_arm(n);
		status = summary_read(gguf, &summary, &err);
		failing_alloc_disarm();
		assert_true(status == SC_OK || (status == SC_E_NOMEM && err.status == status));
		summary_deinit(&summary);
		assert_int_equal(failing_alloc_n_live(), n_before);
	}
	assert_true(n > 4);	/* types twice, tokens, templates */
	gguf_close(gguf);
	buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(a_summary_may_find_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
