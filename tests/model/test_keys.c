/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata that changes what a model computes, and that we do not know. */
#include "tests/model/model_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A key and a value: a number, a flag, a text, or so many zero bytes. */
struct pair {
	const char *key;
	enum { NUMBER, FLAG, TEXT, BYTES } kind;
	double number;
	const char *text;
};

static void add(struct gguf_writer *w, const struct pair *pair)
{
	static const uint8_t zeros[4];

	switch (pair->kind) {
	case NUMBER: gguf_writer_f32(w, pair->key, (float)pair->number); break;
	case FLAG: gguf_writer_bool(w, pair->key, pair->number != 0); break;
	case TEXT: gguf_writer_string(w, pair->key, pair->text); break;
	case BYTES: gguf_writer_array(w, pair->key, GGUF_U8, zeros, (size_t)pair->number,
				      (size_t)pair->number); break;
	}
}

static void keys_that_are_not_known_are_refused_by_their_names(void **state)
{
	static const struct pair pairs[] = {
		{ "llama.logit_scale", NUMBER, 0.0625, NULL },
		{ "llama.final_logit_softcapping", NUMBER, 30, NULL },
		{ "llama.attn_logit_softcapping", NUMBER, 50, NULL },
		{ "llama.embedding_scale", NUMBER, 12, NULL },
		{ "llama.residual_scale", NUMBER, 0.22, NULL },
		{ "llama.attention.clamp_kqv", NUMBER, 8, NULL },
		{ "llama.attention.max_alibi_bias", NUMBER, 8, NULL },
		{ "llama.attention.temperature_scale", NUMBER, 0.1, NULL },
		{ "llama.rope.dimension_sections", BYTES, 4, NULL },
		{ "llama.use_parallel_residual", FLAG, 1, NULL },
		{ "llama.of.next.year", NUMBER, 0, NULL },
		{ "llama.logit_scal", NUMBER, 1, NULL },
		{ "llama.logit_scale2", NUMBER, 1, NULL },
		{ "llama.expert_", NUMBER, 1, NULL },
		{ "llama.", NUMBER, 1, NULL },
		/* Another type than the one that would change nothing. */
		{ "llama.logit_scale", TEXT, 0, "1" },
		{ "tokenizer.ggml.remove_extra_whitespaces", FLAG, 1, NULL },
		{ "tokenizer.ggml.normalizer.lowercase", FLAG, 1, NULL },
		{ "tokenizer.ggml.precompiled_charsmap", BYTES, 4, NULL },
		{ "tokenizer.ggml.suppress_tokens", BYTES, 1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct model_fixture f;
		char text[200];

		model_fixture_start(&f, &tiny_llama);
		add(&f.w, &pairs[i]);
		model_fixture_finish(&f);
		snprintf(text, sizeof text, "not supported: %s. ", pairs[i].key);
		expect_model_error(&f, SC_E_UNSUPPORTED, text);
	}
}

static void all_of_them_are_named_as_far_as_there_is_room(void **state)
{
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny_qwen2);
	gguf_writer_f32(&f.w, "qwen2.logit_scale", 2);
	gguf_writer_f32(&f.w, "llama.logit_scale", 2);	/* of another architecture */
	gguf_writer_f32(&f.w, "qwen2.attention.scale", 2);
	model_fixture_finish(&f);
	expect_model_error(&f, SC_E_UNSUPPORTED,
			   "supported: qwen2.logit_scale,qwen2.attention.scale. "
			   "To open it as if it had no such keys");

	model_fixture_start(&f, &tiny_llama);
	for (int i = 0; i < 100; i++) {
		char key[32];

		snprintf(key, sizeof key, "llama.unknown.key_%02d", i);
		gguf_writer_u32(&f.w, key, 1);
	}
	model_fixture_finish(&f);
	expect_model_error(&f, SC_E_UNSUPPORTED, "llama.unknown.key_10 and 89 more. To open it");
}

static void keys_that_change_nothing_are_accepted(void **state)
{
	static const struct pair pairs[] = {
		/* What converters write. */
		{ "general.type", TEXT, 0, "model" },
		{ "general.quantization_version", NUMBER, 2, NULL },
		{ "general.anything", NUMBER, 2, NULL },
		{ "llama.tensor_data_layout", TEXT, 0, "Meta AI original pth" },
		{ "llama.rope.scaling.original_context_length", NUMBER, 8192, NULL },
		{ "llama.rope.scaling.finetuned", FLAG, 1, NULL },
		{ "llama.rope.freq_base_swa", NUMBER, 10000, NULL },
		{ "llama.expert_count", NUMBER, 0, NULL },
		{ "llama.expert_used_count", NUMBER, 0, NULL },
		{ "llama.expert_weights_scale", NUMBER, 1, NULL },
		{ "llama.pooling_type", NUMBER, 0, NULL },
		{ "llama.attention.layer_norm_epsilon", NUMBER, 1e-5, NULL },
		{ "llama.attention.causal", FLAG, 1, NULL },
		/* Features that are off. */
		{ "llama.use_parallel_residual", FLAG, 0, NULL },
		{ "llama.final_logit_softcapping", NUMBER, 0, NULL },
		{ "llama.attention.scale", NUMBER, 0, NULL },
		{ "llama.logit_scale", NUMBER, 1, NULL },
		{ "llama.residual_scale", NUMBER, 0, NULL },
		{ "llama.rope.scaling.yarn_attn_factor", NUMBER, 1, NULL },
		/* Of the tokenizer. */
		{ "tokenizer.ggml.remove_extra_whitespaces", FLAG, 0, NULL },
		{ "tokenizer.ggml.precompiled_charsmap", BYTES, 0, NULL },
		{ "tokenizer.ggml.padding_token_id", NUMBER, 0, NULL },
		{ "tokenizer.chat_template", TEXT, 0, "{{ messages }}" },
		/* Not of this architecture. */
		{ "llama2.logit_scale", NUMBER, 7, NULL },
		{ "qwen2.logit_scale", NUMBER, 7, NULL },
		{ "llama", NUMBER, 7, NULL },
	};
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny_llama);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		add(&f.w, &pairs[i]);
	model_fixture_finish(&f);
	expect_model(&f);
	model_fixture_stop(&f);
}

static void what_is_no_model_is_refused_by_its_kind(void **state)
{
	static const char *const kinds[] = { "mmproj", "adapter", "imatrix", "vocab", "" };

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct model_fixture f;
		char text[100];

		model_fixture_start(&f, &tiny_llama);
		gguf_writer_string(&f.w, "general.type", kinds[i]);
		model_fixture_finish(&f);
		/* Before anything else that such a file lacks. */
		rename_away(&f, "llama.block_count");
		snprintf(text, sizeof text, "key 'general.type': expected model, found '%s'",
			 kinds[i]);
		expect_model_error(&f, SC_E_UNSUPPORTED, text);
	}
}

/* Opens test.gguf with keys ignored. */
static enum sc_status open_ignoring(struct model_fixture *f, const char *list)
{
	struct gguf *gguf;

	if (gguf_open_memory("test.gguf", f->file.data, f->file.length, &gguf, &f->err))
		fail_msg("%s", f->err.text);
	gguf_ignore_keys(gguf, list);
	return model_open_gguf(gguf, &f->model, &f->err);
}

static void ignored_keys_count_as_absent(void **state)
{
	struct model_fixture f;
	uint64_t fingerprint;

	(void)state;
	model_fixture_start(&f, &tiny_llama);
	gguf_writer_f32(&f.w, "llama.logit_scale", 2);
	gguf_writer_string(&f.w, "llama.rope.scaling.type", "ntk");
	gguf_writer_f32(&f.w, "llama.rope.freq_base", 5e5f);
	model_fixture_finish(&f);
	assert_int_equal(open_ignoring(&f, ""), SC_E_UNSUPPORTED);
	assert_int_equal(open_ignoring(&f, "llama.rope.scaling.type"), SC_E_UNSUPPORTED);
	assert_int_equal(open_ignoring(&f, "llama.logit_scale"), SC_E_UNSUPPORTED);
	assert_int_equal(open_ignoring(&f, "llama.rope.scaling.type,llama.logit_scale"), SC_OK);
	assert_true(f.model->hparams.rope[ROPE_KIND_FULL].base == 5e5f);
	fingerprint = f.model->fingerprint;
	model_close(f.model);
	/* In any order, with keys that are not there, and also those that are known. */
	assert_int_equal(open_ignoring(&f, " llama.logit_scale, x,,llama.rope.scaling.type"),
			 SC_OK);
	assert_true(f.model->fingerprint == fingerprint);
	assert_true(gguf_ignores(f.model->gguf, "llama.logit_scale,", 17));
	assert_false(gguf_ignores(f.model->gguf, "llama.rope.freq_base", 20));
	assert_false(gguf_ignores(f.model->gguf, "x", 1));
	model_close(f.model);
	assert_int_equal(open_ignoring(&f, "llama.logit_scale,llama.rope.scaling.type,"
				       "llama.rope.freq_base"), SC_OK);
	assert_true(f.model->hparams.rope[ROPE_KIND_FULL].base == 1e4f);
	/* Workers that do not ignore the same do not compute the same. */
	assert_true(f.model->fingerprint != fingerprint);
	model_fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_that_are_not_known_are_refused_by_their_names),
		cmocka_unit_test(all_of_them_are_named_as_far_as_there_is_room),
		cmocka_unit_test(keys_that_change_nothing_are_accepted),
		cmocka_unit_test(what_is_no_model_is_refused_by_its_kind),
		cmocka_unit_test(ignored_keys_count_as_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
