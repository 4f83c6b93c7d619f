/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void tiny_models_of_every_kind_open(void **state)
{
	static const enum tensor_type types[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0,
						  TENSOR_Q4_0 };

	(void)state;
	for (unsigned i = 0; i < 5 * 8; i++) {
		struct tiny_model tiny = i & 1 ? tiny_qwen2 : tiny_llama;
		struct buf file = BUF_INIT;
		struct model *model;

		tiny.type = types[i / 8];
		tiny.is_tied = i & 2;
		tiny.has_rope_factors = i & 4;
		model = tiny_model_open(&tiny, &file);
		assert_string_equal(model->arch->name, tiny.arch);
		assert_int_equal(model->layers[3].ffn_down->type, tiny.type);
		assert_int_equal(model->output == model->token_embd, tiny.is_tied);
		assert_int_equal(model->rope_factors != NULL, tiny.has_rope_factors);
		assert_int_equal(model->layers[0].attn_q_bias != NULL, i & 1);
		model_close(model);
		buf_deinit(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiny_models_of_every_kind_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
