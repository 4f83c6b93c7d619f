/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logits of small models against those that transformers computes in float32. The models and their
 * logits come from tools/make_reference.py.
 */
#include "tests/stage/reference.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The largest relative error (L2 of the difference over L2 of the logits) per type of the matrices.
 * The kernels use weights exactly as stored; for BF16 they also round the activations to bfloat16,
 * for the quantised types to 8 bits, which the reference does not: test_oracle.c, whose oracle
 * does, is strict about them. */
static const struct {
	enum tensor_type type;
	double limit;
} bounds[] = {
	{ TENSOR_F32, 5e-5 }, { TENSOR_F16, 5e-5 }, { TENSOR_BF16, 3e-2 },
	{ TENSOR_Q8_0, 7e-2 }, { TENSOR_Q4_0, 7e-2 },
};

static double bound_of(const struct model *model)
{
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
		if (bounds[i].type == model->layers[0].of[LAYER_ATTN_Q]->type)
			return bounds[i].limit;
	fail_msg("no bound for this type");
	return 0;
}

static void run_reference(const char *name, const char *ref_path)
{
	struct reference_run run;
	struct model *model = chain_open_reference(name);
	const struct chain_config config = {
		.model = model, .n_stages = 1, .n_threads = 2, .max_rows = REFERENCE_MAX_CONTEXT,
		.max_context = REFERENCE_MAX_CONTEXT, .on_logits = reference_compare, .arg = &run,
	};
	struct chain *chain = chain_create(&config);
	double limit = bound_of(model);
	struct reference reference;

	reference_open(&reference, ref_path);
	assert_int_equal(reference.n_vocab, model->hparams.n_vocab);
	for (uint32_t i = 0; i < reference.n_prompts; i++) {
		const struct reference_prompt *prompt = &reference.prompts[i];

		reference_run(chain, &run, prompt, false);
		print_message("%-20s %-5s %4u tokens %3u positions  error %.2e  limit %.0e%s\n",
			      name, tensor_type_info(model->layers[0].of[LAYER_ATTN_Q]->type)->name,
			      prompt->n_tokens, prompt->n_positions, run.error.worst_l2, limit,
			      run.error.worst_l2 < limit ? "" : "  TOO LARGE");
		assert_true(run.error.worst_l2 < limit);
	}
	reference_close(&reference);
	chain_destroy(chain);
	model_close(model);
}

static void run_all(void)
{
	const char *source = getenv("SRCDIR");
	char pattern[4096], name[256];
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s/tests/data/reference/*.ref", source ? source : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *base = strrchr(found.gl_pathv[i], '/') + 1;

		snprintf(name, sizeof name, "%.*s", (int)(strlen(base) - strlen(".ref")), base);
		run_reference(name, found.gl_pathv[i]);
	}
	globfree(&found);
}

static void run_with(enum cpu_isa isa)
{
	if (!chain_use_isa(isa))
		skip();
	print_message("instruction set %s\n", cpu_isa_name(isa));
	run_all();
}

static void logits_agree_with_transformers_on_scalar_code(void **state)
{
	(void)state;
	run_with(CPU_SCALAR);
}

static void logits_agree_with_transformers_on_avx2(void **state)
{
	(void)state;
	run_with(CPU_AVX2);
}

static void logits_agree_with_transformers_on_avx512(void **state)
{
	(void)state;
	run_with(CPU_AVX512);
}

static void logits_agree_with_transformers_on_avx512_bf16(void **state)
{
	(void)state;
	run_with(CPU_AVX512_BF16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logits_agree_with_transformers_on_scalar_code),
		cmocka_unit_test(logits_agree_with_transformers_on_avx2),
		cmocka_unit_test(logits_agree_with_transformers_on_avx512),
		cmocka_unit_test(logits_agree_with_transformers_on_avx512_bf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
