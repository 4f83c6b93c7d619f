/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/bytes.h"
#include "tests/model/model_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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
		assert_int_equal(model->layers[3].of[LAYER_FFN_DOWN]->type, tiny.type);
		assert_int_equal(model->outer[OUTER_OUTPUT] == model->outer[OUTER_TOKEN_EMBD], tiny.is_tied);
		assert_int_equal(model->outer[OUTER_ROPE_FACTORS] != NULL, tiny.has_rope_factors);
		assert_int_equal(model->layers[0].of[LAYER_ATTN_Q_BIAS] != NULL, i & 1);
		model_close(model);
		buf_deinit(&file);
	}
}

static void an_unknown_architecture_is_refused_with_those_known(void **state)
{
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny_llama);
	model_fixture_finish(&f);
	find_text(&f, "llama")[4] = 'o';
	expect_model_error(&f, SC_E_UNSUPPORTED,
			   "architecture 'llamo' is not supported; the nearest that is supported is "
			   "'llama'");
}

static void a_missing_tensor_is_named(void **state)
{
	static const char *const names[] = { "token_embd.weight", "output_norm.weight",
		"blk.2.attn_norm.weight", "blk.0.attn_q.weight", "blk.3.attn_k.weight",
		"blk.1.attn_v.weight", "blk.0.attn_output.weight", "blk.0.ffn_norm.weight",
		"blk.0.ffn_gate.weight", "blk.0.ffn_up.weight", "blk.2.ffn_down.weight",
		"blk.1.attn_q.bias", "blk.2.attn_k.bias", "blk.3.attn_v.bias" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct model_fixture f;
		char text[96];

		model_fixture_start(&f, &tiny_qwen2);
		model_fixture_finish(&f);
		rename_away(&f, names[i]);
		snprintf(text, sizeof text, "expected a tensor '%s', found none", names[i]);
		expect_model_error(&f, SC_E_FORMAT, text);
	}
}

static void a_tensor_of_another_shape_is_named(void **state)
{
	static const struct {
		const char *name;
		uint64_t dims[2];	/* of as many elements as before, or fewer */
		const char *text;
	} cases[] = {
		{ "blk.1.attn_k.weight", { 32, 64 },
		  "expected the shape [64, 32], found [32, 64, 1, 1]" },
		{ "blk.1.attn_q.weight", { 32, 64 },
		  "expected the shape [64, 64], found [32, 64, 1, 1]" },
		{ "blk.1.attn_v.weight", { 64, 31 }, "expected the shape [64, 32]" },
		{ "blk.1.attn_output.weight", { 64, 63 }, "expected the shape [64, 64]" },
		{ "blk.1.ffn_gate.weight", { 96, 64 }, "expected the shape [64, 96]" },
		{ "blk.1.ffn_up.weight", { 96, 64 }, "expected the shape [64, 96]" },
		{ "blk.1.ffn_down.weight", { 64, 96 }, "expected the shape [96, 64]" },
		{ "token_embd.weight", { 32, 288 }, "expected the shape [64, 288]" },
		{ "output.weight", { 64, 287 }, "expected the shape [64, 288]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model_fixture f;
		char text[128];

		model_fixture_start(&f, &tiny_llama);
		model_fixture_finish(&f);
		memcpy(tensor_entry(&f, cases[i].name) + 4, cases[i].dims, sizeof cases[i].dims);
		snprintf(text, sizeof text, "tensor '%s': %s", cases[i].name, cases[i].text);
		expect_model_error(&f, SC_E_FORMAT, text);
	}
}

static void a_vector_of_another_length_or_type_is_named(void **state)
{
	static const char *const names[] = { "blk.0.attn_norm.weight", "blk.1.ffn_norm.weight",
		"output_norm.weight", "blk.2.attn_q.bias", "blk.2.attn_k.bias", "blk.2.attn_v.bias",
		"rope_freqs.weight" };
	struct tiny_model tiny = tiny_qwen2;

	(void)state;
	tiny.has_rope_factors = true;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct model_fixture f;
		char text[128];

		model_fixture_start(&f, &tiny);
		model_fixture_finish(&f);
		store_le64(tensor_entry(&f, names[i]) + 4, 4);
		snprintf(text, sizeof text, "tensor '%s': expected the shape [", names[i]);
		expect_model_error(&f, SC_E_FORMAT, text);

		model_fixture_start(&f, &tiny);
		model_fixture_finish(&f);
		store_le32(tensor_entry(&f, names[i]) + 12, TENSOR_F16);
		snprintf(text, sizeof text, "tensor '%s': expected type F32, found F16", names[i]);
		expect_model_error(&f, SC_E_FORMAT, text);
	}
}

static void a_tensor_that_nobody_reads_is_refused(void **state)
{
	static const char *const names[] = { "blk.0.attn_q_norm.weight", "blk.4.attn_norm.weight",
					     "blk.0.ffn_gate_inp.weight",
					     "position_embd.weight" };
	const float values[64] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct model_fixture f;
		char text[96];

		model_fixture_start(&f, &tiny_llama);
		gguf_writer_floats(&f.w, names[i], TENSOR_F32, 64, 1, values);
		model_fixture_finish(&f);
		snprintf(text, sizeof text,
			 "tensor '%s' is not supported for architecture llama with 4 layers",
			 names[i]);
		expect_model_error(&f, SC_E_UNSUPPORTED, text);
	}
}

static void a_bias_is_optional_for_llama(void **state)
{
	const float values[64] = { 0 };
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny_llama);
	gguf_writer_floats(&f.w, "blk.1.attn_q.bias", TENSOR_F32, 64, 1, values);
	model_fixture_finish(&f);
	expect_model(&f);
	assert_non_null(f.model->layers[1].of[LAYER_ATTN_Q_BIAS]);
	assert_null(f.model->layers[0].of[LAYER_ATTN_Q_BIAS]);
	model_fixture_stop(&f);
}

static void rope_factors_must_be_positive_and_finite(void **state)
{
	const float values[] = { 0.0f, -1.0f, INFINITY, NAN };
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.has_rope_factors = true;
	for (int i = 0; i < 4; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny);
		store_lef32(f.w.data.data + 3 * sizeof(float), values[i]);
		model_fixture_finish(&f);
		expect_model_error(&f, SC_E_FORMAT,
				   "tensor 'rope_freqs.weight': expected positive, finite factors");
	}
}

static void expect_name(const char *given, const char *path, const char *expected)
{
	struct model_fixture f;

	model_fixture_start(&f, &tiny_llama);
	memcpy(memmem(f.w.pairs.data, f.w.pairs.length, "general.name", 12), "general.nom~", 12);
	if (given)
		gguf_writer_string(&f.w, "general.name", given);
	model_fixture_finish(&f);
	assert_int_equal(model_fixture_open(&f, path), SC_OK);
	assert_string_equal(f.model->name, expected);
	model_fixture_stop(&f);
}

static void a_model_has_a_printable_name(void **state)
{
	char longest[200], cut[128];

	(void)state;
	expect_name("Tiny Llama", "x.gguf", "Tiny Llama");
	expect_name(NULL, "/models/tiny-llama.gguf", "tiny-llama");
	expect_name("", "tiny", "tiny");
	expect_name("a\nb\x7f\xff\xc3\xa9\xe2\x82", "x", "a?b??\xc3\xa9??");
	/* 127 bytes at most, and no half character */
	memset(longest, 'a', sizeof longest);
	memcpy(longest + 126, "\xc3\xa9", 2);
	longest[199] = 0;
	memset(cut, 'a', sizeof cut);
	cut[126] = 0;
	expect_name(longest, "x", cut);
}

static void bytes_and_multiply_adds_are_counted(void **state)
{
	struct tiny_model tiny = tiny_qwen2;
	const uint64_t matrices = 64 * (64 + 32 + 32 + 64) + 3 * 64 * 96;
	const uint64_t vectors = 64 + 32 + 32 + 64 + 64;
	struct buf file = BUF_INIT;
	struct model *model;

	(void)state;
	tiny.type = TENSOR_Q8_0;
	model = tiny_model_open(&tiny, &file);
	assert_int_equal(model_layer_macs(model, 2), matrices);
	assert_int_equal(model_layer_bytes(model, 2), matrices / 32 * 34 + vectors * 4);
	assert_int_equal(model_head_macs(model), 64 * 288);
	assert_int_equal(model_embedding_bytes(model), 2 * 288 * 34);
	assert_int_equal(model_head_bytes(model), 2 * 288 * 34 + 64 * 4);
	assert_int_equal(model->n_params, 4 * (matrices + vectors) + 64 * 288 + 64);
	model_close(model);
	buf_deinit(&file);
}

/* Of one layer, whose matrices have so many elements in BF16 and in F16. */
static bool is_bf16(uint64_t n_bf16, uint64_t n_f16, enum tensor_type vector_type)
{
	const struct tensor bf16 = { .type = TENSOR_BF16, .n_dims = 2,
				     .dims = { n_bf16, 1, 1, 1 } };
	const struct tensor f16 = { .type = TENSOR_F16, .n_dims = 2, .dims = { 1, n_f16, 1, 1 } };
	const struct tensor vector = { .type = vector_type, .n_dims = 1,
				       .dims = { 1000, 1, 1, 1 } };
	struct layer_tensors layer = { .of = {
		[LAYER_ATTN_NORM] = &vector, [LAYER_ATTN_Q] = &bf16,
		[LAYER_ATTN_Q_BIAS] = &vector, [LAYER_FFN_DOWN] = &f16,
	} };
	const struct model model = { .hparams = { .n_layers = 1 }, .layers = &layer };

	return model_is_bf16(&model);
}

static void a_model_is_bf16_when_more_than_half_of_its_matrices_are(void **state)
{
	static const enum tensor_type vector_types[] = { TENSOR_F32, TENSOR_BF16 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(is_bf16(101, 100, vector_types[i]));
		assert_false(is_bf16(100, 100, vector_types[i]));
		assert_false(is_bf16(100, 101, vector_types[i]));
	}
}

static void a_file_that_does_not_exist_is_not_found(void **state)
{
	struct model *model;
	struct error err;

	(void)state;
	assert_int_equal(model_open("/nonexistent/model.gguf", &model, &err), SC_E_NOT_FOUND);
	assert_non_null(strstr(err.text, "/nonexistent/model.gguf: cannot open"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiny_models_of_every_kind_open),
		cmocka_unit_test(an_unknown_architecture_is_refused_with_those_known),
		cmocka_unit_test(a_missing_tensor_is_named),
		cmocka_unit_test(a_tensor_of_another_shape_is_named),
		cmocka_unit_test(a_vector_of_another_length_or_type_is_named),
		cmocka_unit_test(a_tensor_that_nobody_reads_is_refused),
		cmocka_unit_test(a_bias_is_optional_for_llama),
		cmocka_unit_test(rope_factors_must_be_positive_and_finite),
		cmocka_unit_test(a_model_has_a_printable_name),
		cmocka_unit_test(bytes_and_multiply_adds_are_counted),
		cmocka_unit_test(a_model_is_bf16_when_more_than_half_of_its_matrices_are),
		cmocka_unit_test(a_file_that_does_not_exist_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
