/* SPDX-License-Identifier: Apache-2.0 */
/* Model files that others wrote: the references in tests/data, and those of SHARED_DIR. */
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *reference_path(const char *name)
{
	static char path[4096];
	const char *root = getenv("SRCDIR");

	snprintf(path, sizeof path, "%s/tests/data/reference/%s.gguf", root ? root : ".", name);
	return path;
}

/* Skips the test when the file is not there. */
static const char *shared_path(const char *name)
{
	static char path[4096];
	const char *root = getenv("SHARED_DIR");

	snprintf(path, sizeof path, "%s/%s", root ? root : "../shared", name);
	if (access(path, R_OK))
		skip();
	return path;
}

static struct model *open_model(const char *path)
{
	struct model *model;
	struct error err;

	if (model_open(path, &model, &err))
		fail_msg("%s", err.text);
	return model;
}

static void every_reference_model_opens(void **state)
{
	static const char *const names[] = {
		"llama-mha", "llama-gqa2", "llama-gqa3-4layers", "llama-mqa", "llama-head-dim",
		"llama-f16", "llama-bf16", "llama-q8_0", "llama-q4_0", "llama-rope-linear",
		"llama-rope-llama3", "qwen2-bias", "qwen2-tied",
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct model *model = open_model(reference_path(names[i]));

		assert_string_equal(model->name, names[i]);
		assert_int_not_equal(model->fingerprint, 0);
		model_close(model);
	}
}

static void types_and_options_are_those_of_the_file(void **state)
{
	struct model *model = open_model(reference_path("llama-q4_0"));

	(void)state;
	assert_int_equal(model->layers[1].of[LAYER_FFN_DOWN]->type, TENSOR_Q4_0);
	assert_int_equal(model->layers[1].of[LAYER_ATTN_NORM]->type, TENSOR_F32);
	assert_null(model->layers[1].of[LAYER_ATTN_Q_BIAS]);
	assert_int_equal(model->arch->rope, ROPE_INTERLEAVED);
	model_close(model);

	model = open_model(reference_path("qwen2-bias"));
	assert_non_null(model->layers[1].of[LAYER_ATTN_Q_BIAS]);
	assert_int_equal(model->arch->rope, ROPE_HALVES);
	assert_int_equal(model->layers[0].of[LAYER_ATTN_K_BIAS]->dims[0],
			 model->hparams.n_kv_heads * model->hparams.head_dim);
	model_close(model);

	model = open_model(reference_path("llama-head-dim"));
	assert_int_not_equal(model->hparams.head_dim * model->hparams.n_heads, model->hparams.dim);
	model_close(model);
}

static void rope_scaling_is_read(void **state)
{
	struct model *model = open_model(reference_path("llama-rope-linear"));

	(void)state;
	assert_int_equal(model->hparams.rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_LINEAR);
	assert_true(model->hparams.rope[ROPE_KIND_FULL].factor > 1.0f);
	assert_null(model->outer[OUTER_ROPE_FACTORS]);
	model_close(model);

	model = open_model(reference_path("llama-rope-llama3"));
	assert_int_equal(model->hparams.rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_NONE);
	assert_true(model->hparams.rope[ROPE_KIND_FULL].factor == 1.0f);
	assert_non_null(model->outer[OUTER_ROPE_FACTORS]);
	assert_int_equal(model->outer[OUTER_ROPE_FACTORS]->dims[0], model->hparams.rope_dim / 2);
	model_close(model);
}

static void stories260K_has_its_known_sizes(void **state)
{
	struct model *model = open_model(shared_path("models/stories260K.gguf"));
	const struct hparams *hp = &model->hparams;

	(void)state;
	assert_string_equal(model->arch->name, "llama");
	assert_int_equal(hp->n_layers, 5);
	assert_int_equal(hp->n_context, 128);
	assert_int_equal(hp->n_vocab, 512);
	assert_int_equal(hp->dim, 64);
	assert_int_equal(hp->ffn_dim, 172);
	assert_int_equal(hp->n_heads, 8);
	assert_int_equal(hp->n_kv_heads, 4);
	assert_int_equal(hp->head_dim, 8);
	assert_int_equal(hp->value_dim, 8);
	assert_int_equal(hp->rope_dim, 8);
	assert_true(hp->rope[ROPE_KIND_FULL].base == 10000.0f);
	assert_true(hp->norm_eps == 1e-5f);
	/* q and o 64x64, k and v 64x32, three of 64x172, two norms; embedding and head 512x64 */
	assert_int_equal(model_layer_macs(model, 0), 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 172);
	assert_int_equal(model_layer_bytes(model, 4), 4 * (model_layer_macs(model, 4) + 2 * 64));
	assert_int_equal(model_head_macs(model), 512 * 64);
	assert_int_equal(model_embedding_bytes(model), 4 * 512 * 64);
	assert_int_equal(model_head_bytes(model), 4 * (512 * 64 + 64));
	assert_int_equal(model->n_params,
			 5 * (model_layer_macs(model, 0) + 2 * 64) + 2 * 512 * 64 + 64);
	model_close(model);
}

static void a_vocabulary_is_no_model_but_its_metadata_can_be_read(void **state)
{
	static const char *const names[] = { "llama-spm", "gpt-2", "phi-3", "deepseek-coder",
					     "starcoder", "bert-bge" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct gguf_array tokens;
		struct model *model;
		struct gguf *gguf;
		struct error err;
		char path[64];

		snprintf(path, sizeof path, "vocabs/%s.gguf", names[i]);
		assert_int_equal(model_open(shared_path(path), &model, &err), SC_E_UNSUPPORTED);
		assert_non_null(strstr(err.text, "found no weights"));
		assert_int_equal(gguf_open(shared_path(path), &gguf, &err), SC_OK);
		assert_int_equal(gguf_get_array(gguf, "tokenizer.ggml.tokens", &tokens, &err),
				 SC_OK);
		assert_true(tokens.n > 30000);
		assert_true(gguf_array_string(&tokens, tokens.n - 1).length > 0);
		gguf_close(gguf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reference_model_opens),
		cmocka_unit_test(types_and_options_are_those_of_the_file),
		cmocka_unit_test(rope_scaling_is_read),
		cmocka_unit_test(stories260K_has_its_known_sizes),
		cmocka_unit_test(a_vocabulary_is_no_model_but_its_metadata_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
