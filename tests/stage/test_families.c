/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logits of a small model of each shape of each family, read from a folder of Hugging Face, against
 * those that transformers computes in float32 (tools/make_family_vectors.py).
 *
 * The long proof: STAGECOACH_FAMILY_FOLDERS names a directory that the script has filled with
 * --folders. The models are then read from there, and all positions of prompts of 1 to 500 tokens
 * are compared. STAGECOACH_FAMILY_GGUFS names a directory of NAME.gguf, made from those folders by
 * another program: they are read instead, and shapes without a file are passed over.
 */
#include "tests/stage/family.h"
#include "tests/stage/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* Of the largest difference, as a part of the largest logit. */
#define LIMIT 5e-5

static double run_all(struct chain *chain, const struct model *model, struct reference_run *run,
		      const struct reference *reference)
{
	uint32_t long_from = model->hparams.long_from;
	double worst = 0;

	for (uint32_t i = 0; i < 2 * reference->n_prompts; i++) {
		const struct reference_prompt *prompt = &reference->prompts[i / 2];
		double error;

		if (long_from && prompt->n_tokens > long_from)
			reference_run_long(chain, run, prompt, i % 2);
		else
			reference_run(chain, run, prompt, i % 2);
		error = run->error.max_difference / run->error.max_logit;
		/* Written so that NaN does not pass. */
		if (!(error <= worst))
			worst = error;
	}
	return worst;
}

static bool is_right(const char *name, const char *path, const char *ref_path)
{
	struct model *model = family_open(path);
	struct reference_run run;
	const struct chain_config config = {
		.model = model, .n_stages = 1, .n_threads = 2, .max_rows = REFERENCE_MAX_CONTEXT,
		.max_context = REFERENCE_MAX_CONTEXT, .on_logits = reference_compare, .arg = &run,
	};
	struct chain *chain = chain_create(&config);
	struct reference reference;
	double error;

	reference_open(&reference, ref_path);
	assert_int_equal(reference.n_vocab, model->hparams.n_vocab);
	error = run_all(chain, model, &run, &reference);
	print_message("%-20s error %.1e%s\n", name, error, error <= LIMIT ? "" : "  TOO LARGE");
	reference_close(&reference);
	chain_destroy(chain);
	model_close(model);
	return error <= LIMIT;
}

/* arg: unsigned, the shapes with too large an error. */
static void check_shape(const char *name, void *arg)
{
	const char *folders = getenv("STAGECOACH_FAMILY_FOLDERS");
	const char *files = getenv("STAGECOACH_FAMILY_GGUFS");
	char path[FAMILY_PATH], ref_path[FAMILY_PATH];
	unsigned *n_wrong = arg;

	family_reference_path(name, ref_path);
	if (folders)
		snprintf(ref_path, sizeof ref_path, "%s/%s/logits.ref", folders, name);
	if (files) {
		snprintf(path, sizeof path, "%s/%s.gguf", files, name);
		if (!access(path, R_OK))
			*n_wrong += !is_right(name, path, ref_path);
	} else if (folders) {
		snprintf(path, sizeof path, "%s/%s", folders, name);
		*n_wrong += !is_right(name, path, ref_path);
	} else {
		family_folder_make(name, path);
		*n_wrong += !is_right(name, path, ref_path);
		family_folder_remove(path);
	}
}

static void run_with(enum cpu_isa isa)
{
	unsigned n_wrong = 0;

	if (!chain_use_isa(isa))
		skip();
	print_message("instruction set %s\n", cpu_isa_name(isa));
	family_each(getenv("STAGECOACH_FAMILY_FOLDERS"), check_shape, &n_wrong);
	assert_int_equal(n_wrong, 0);
}

static void logits_of_every_family_agree_with_transformers_on_scalar_code(void **state)
{
	(void)state;
	run_with(CPU_SCALAR);
}

static void logits_of_every_family_agree_with_transformers_on_avx2(void **state)
{
	(void)state;
	run_with(CPU_AVX2);
}

static void logits_of_every_family_agree_with_transformers_on_avx512(void **state)
{
	(void)state;
	run_with(CPU_AVX512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logits_of_every_family_agree_with_transformers_on_scalar_code),
		cmocka_unit_test(logits_of_every_family_agree_with_transformers_on_avx2),
		cmocka_unit_test(logits_of_every_family_agree_with_transformers_on_avx512),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
