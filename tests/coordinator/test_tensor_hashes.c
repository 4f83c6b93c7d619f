/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that loaded the same tensor must have the same data. */
#include "coordinator/tensor_hashes.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void the_first_hash_of_a_tensor_is_the_one_to_have(void **state)
{
	struct buf file = BUF_INIT;
	struct model *model = tiny_model_open(&tiny_llama, &file);
	const uint32_t n = (uint32_t)gguf_n_tensors(model->gguf);
	struct tensor_hashes *hashes;
	struct error err;
	char name[80];

	(void)state;
	assert_int_equal(tensor_hashes_create(model, &hashes), SC_OK);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(tensor_hashes_note(hashes, i, 100 + i, "stage 1", &err), SC_OK);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(tensor_hashes_note(hashes, i, 100 + i, "stage 2", &err), SC_OK);
		assert_int_equal(tensor_hashes_note(hashes, i, 99 + i, "stage 3", &err),
				 SC_E_INVALID);
		snprintf(name, sizeof name, "tensor '%s' has other data than that of stage 1, ",
			 gguf_tensor(model->gguf, i)->name);
		if (!strstr(err.text, name))
			fail_msg("%s", err.text);
		/* What was wrong has not taken its place. */
		assert_int_equal(tensor_hashes_note(hashes, i, 100 + i, "stage 2", &err), SC_OK);
	}
	assert_int_equal(tensor_hashes_note(hashes, n, 1, "stage 1", &err), SC_E_PROTOCOL);
	tensor_hashes_destroy(hashes);
	tensor_hashes_destroy(NULL);
	model_close(model);
	buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_hash_of_a_tensor_is_the_one_to_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
