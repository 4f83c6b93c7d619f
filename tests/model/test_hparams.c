/* SPDX-License-Identifier: Apache-2.0 */
/* Hyper-parameters as model_open reads them. */
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

static void hyper_parameters_are_read(void **state)
{
	struct tiny_model tiny = tiny_llama;
	const struct hparams *hp;
	struct model_fixture f;

	(void)state;
	tiny.head_dim = 24;
	tiny.rope_factor = 4.0f;
	model_fixture_start(&f, &tiny);
	gguf_writer_f32(&f.w, "llama.rope.freq_base", 5e5f);
	model_fixture_finish(&f);
	set_u32(&f, "llama.rope.dimension_count", 20);
	expect_model(&f);
	hp = &f.model->hparams;
	assert_int_equal(hp->n_layers, 4);
	assert_int_equal(hp->n_context, 512);
	assert_int_equal(hp->n_vocab, 288);
	assert_int_equal(hp->dim, 64);
	assert_int_equal(hp->ffn_dim, 96);
	assert_int_equal(hp->n_heads, 4);
	assert_int_equal(hp->n_kv_heads, 2);
	assert_int_equal(hp->head_dim, 24);
	assert_int_equal(hp->value_dim, 24);
	assert_int_equal(hp->rope_dim, 20);
	assert_true(hp->rope[ROPE_KIND_FULL].base == 5e5f);
	assert_int_equal(hp->rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_LINEAR);
	assert_true(hp->rope[ROPE_KIND_FULL].factor == 4.0f);
	assert_true(hp->norm_eps == 1e-5f);
	model_fixture_stop(&f);
}

static void missing_hyper_parameters_have_defaults(void **state)
{
	static const char *const keys[] = { "llama.attention.head_count_kv",
		"llama.attention.key_length", "llama.attention.value_length",
		"llama.rope.dimension_count", "llama.vocab_size", "tokenizer.ggml.tokens" };
	struct tiny_model tiny = tiny_llama;
	const struct hparams *hp;
	struct model_fixture f;

	(void)state;
	tiny.n_kv_heads = tiny.n_heads;
	model_fixture_start(&f, &tiny);
	model_fixture_finish(&f);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		rename_away(&f, keys[i]);
	expect_model(&f);
	hp = &f.model->hparams;
	assert_int_equal(hp->n_kv_heads, 4);
	assert_int_equal(hp->head_dim, 16);
	assert_int_equal(hp->value_dim, 16);
	assert_int_equal(hp->rope_dim, 16);
	assert_int_equal(hp->n_vocab, 288);
	assert_true(hp->rope[ROPE_KIND_FULL].base == 10000.0f);
	assert_int_equal(hp->rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_NONE);
	assert_true(hp->rope[ROPE_KIND_FULL].factor == 1.0f);
	model_fixture_stop(&f);
}

static void required_keys_are_named_when_missing(void **state)
{
	static const char *const keys[] = { "general.architecture", "llama.block_count",
		"llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
		"llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon" };

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct model_fixture f;
		char text[96];

		model_fixture_start(&f, &tiny_llama);
		model_fixture_finish(&f);
		rename_away(&f, keys[i]);
		snprintf(text, sizeof text, "expected the key '%s', found none", keys[i]);
		expect_model_error(&f, SC_E_FORMAT, text);
	}
}

static void sizes_out_of_range_are_refused(void **state)
{
	static const struct {
		const char *key;
		uint32_t value;
		const char *text;
	} cases[] = {
		{ "llama.block_count", 0, "expected 1 to 1024, found 0" },
		{ "llama.block_count", 1025, "expected 1 to 1024, found 1025" },
		{ "llama.block_count", 5,
		  "expected a tensor 'blk.4.attn_norm.weight', found none" },
		{ "llama.context_length", 0, "expected 1 to 1073741824, found 0" },
		{ "llama.embedding_length", 131073, "expected 1 to 131072, found 131073" },
		{ "llama.embedding_length", 32,
		  "expected the shape [32, 288], found [64, 288, 1, 1]" },
		{ "llama.feed_forward_length", 0, "expected 1 to 131072, found 0" },
		{ "llama.feed_forward_length", 97,
		  "expected the shape [64, 97], found [64, 96, 1, 1]" },
		{ "llama.attention.head_count", 0, "expected 1 to 131072, found 0" },
		{ "llama.attention.head_count", 5,
		  "expected a divisor of head_count = 5, found 2" },
		{ "llama.attention.head_count_kv", 0, "expected 1 to 4, found 0" },
		{ "llama.attention.head_count_kv", 3,
		  "expected a divisor of head_count = 4, found 3" },
		{ "llama.attention.head_count_kv", 8, "expected 1 to 4, found 8" },
		{ "llama.attention.key_length", 32769,
		  "expected at most 131072 elements in all heads, "
		  "found 4 heads of 32769" },
		{ "llama.attention.value_length", 131072,
		  "expected at most 131072 elements in all heads" },
		{ "llama.attention.value_length", 8,
		  "tensor 'blk.0.attn_v.weight': expected the shape "
		  "[64, 16], found [64, 32, 1, 1]" },
		{ "llama.rope.dimension_count", 7,
		  "expected an even number of rotated elements, found 7" },
		{ "llama.rope.dimension_count", 18, "expected 1 to 16, found 18" },
		{ "llama.vocab_size", 287,
		  "expected 288, the rows of token_embd.weight, found 287" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny_llama);
		model_fixture_finish(&f);
		set_u32(&f, cases[i].key, cases[i].value);
		expect_model_error(&f, SC_E_FORMAT, cases[i].text);
	}
}

static void heads_that_do_not_divide_the_width_need_a_length(void **state)
{
	struct tiny_model tiny = tiny_llama;
	struct model_fixture f;

	(void)state;
	tiny.n_heads = 3;
	tiny.n_kv_heads = 1;
	model_fixture_start(&f, &tiny);
	model_fixture_finish(&f);
	rename_away(&f, "llama.attention.key_length");
	expect_model_error(&f, SC_E_FORMAT,
			   "key 'llama.attention.key_length': expected it or an "
			   "embedding_length that is a multiple of head_count = 3, found an "
			   "embedding_length of 64");
}

static void numbers_that_are_not_positive_and_finite_are_refused(void **state)
{
	static const char *const keys[] = { "llama.attention.layer_norm_rms_epsilon",
					    "llama.rope.scaling.factor" };
	/* A factor of 0 is none, see below. */
	const float values[2][3] = { { 0.0f, INFINITY, NAN }, { -1e-5f, INFINITY, NAN } };
	struct tiny_model tiny = tiny_llama;

	(void)state;
	tiny.rope_factor = 2.0f;
	for (unsigned i = 0; i < 6; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny);
		model_fixture_finish(&f);
		set_f32(&f, keys[i / 3], values[i / 3][i % 3]);
		expect_model_error(&f, SC_E_FORMAT, "expected a positive, finite number, found");
	}
}

static void add_u32(struct gguf_writer *w, const char *key, double value)
{
	gguf_writer_u32(w, key, (uint32_t)value);
}

static void add_bool(struct gguf_writer *w, const char *key, double value)
{
	gguf_writer_bool(w, key, value != 0);
}

static void add_ntk(struct gguf_writer *w, const char *key, double value)
{
	(void)value;
	gguf_writer_string(w, key, "ntk");
}

static void what_we_do_not_compute_is_refused_by_name(void **state)
{
	static const struct {
		void (*add)(struct gguf_writer *w, const char *key, double value);
		const char *key;
		double value;
		const char *text;
	} cases[] = {
		{ add_u32, "llama.expert_count", 8,
		  "'llama.expert_count': mixtures of experts are not "
		  "supported" },
		{ add_bool, "llama.attention.causal", 0,
		  "attention to later tokens is not supported" },
		{ add_ntk, "llama.rope.scaling.type", 0,
		  "key 'llama.rope.scaling.type': expected none, linear, yarn or longrope, "
		  "found 'ntk', which is not supported" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny_llama);
		cases[i].add(&f.w, cases[i].key, cases[i].value);
		model_fixture_finish(&f);
		expect_model_error(&f, SC_E_UNSUPPORTED, cases[i].text);
	}
}

static void options_that_change_nothing_are_accepted(void **state)
{
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny_llama);
	gguf_writer_u32(&f.w, "llama.expert_count", 0);
	gguf_writer_u32(&f.w, "llama.attention.sliding_window", 512);
	gguf_writer_bool(&f.w, "llama.attention.causal", true);
	gguf_writer_f32(&f.w, "llama.rope.scaling.attn_factor", 1.0f);
	gguf_writer_string(&f.w, "llama.rope.scaling.type", "none");
	gguf_writer_f32(&f.w, "llama.rope.scaling.factor", 8.0f);
	model_fixture_finish(&f);
	expect_model(&f);
	assert_int_equal(f.model->hparams.rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_NONE);
	assert_true(f.model->hparams.rope[ROPE_KIND_FULL].factor == 1.0f);
	model_fixture_stop(&f);
}

static void a_factor_of_0_is_none(void **state)
{
	static const char *const keys[] = { "llama.rope.scaling.factor",
		"llama.rope.scale_linear", "llama.rope.scaling.attn_factor" };

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny_llama);
		gguf_writer_f32(&f.w, keys[i], 0.0f);
		model_fixture_finish(&f);
		expect_model(&f);
		assert_int_equal(f.model->hparams.rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_NONE);
		assert_true(f.model->hparams.rope[ROPE_KIND_FULL].factor == 1.0f);
		model_fixture_stop(&f);
	}
}

static void a_factor_without_a_type_scales_linearly(void **state)
{
	static const char *const keys[] = { "llama.rope.scaling.factor",
		"llama.rope.scale_linear" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny_llama);
		gguf_writer_f32(&f.w, keys[i], 8.0f);
		model_fixture_finish(&f);
		expect_model(&f);
		assert_int_equal(f.model->hparams.rope[ROPE_KIND_FULL].scaling, ROPE_SCALING_LINEAR);
		assert_true(f.model->hparams.rope[ROPE_KIND_FULL].factor == 8.0f);
		model_fixture_stop(&f);
	}
}

static void the_vocabulary_must_have_as_many_tokens_as_the_embedding(void **state)
{
	struct tiny_model tiny = tiny_llama;
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny);
	model_fixture_finish(&f);
	store_le64(tensor_entry(&f, "token_embd.weight") + 12, 280);
	rename_away(&f, "llama.vocab_size");
	expect_model_error(&f, SC_E_FORMAT,
			   "key 'tokenizer.ggml.tokens': expected 280 tokens, the rows of "
		     "token_embd.weight, found 288");
}

static void a_vocabulary_beyond_the_limit_is_refused(void **state)
{
	const uint64_t n = MODEL_MAX_VOCAB + 1;
	struct model_fixture f;

	(void)state;
	model_fixture_start(&f, &tiny_llama);
	memcpy(memmem(f.w.directory.data, f.w.directory.length, "token_embd", 10),
	       "token_embX", 10);
	gguf_writer_tensor(&f.w, "token_embd.weight", TENSOR_F16, 2, (uint64_t[]){ 1, n }, NULL,
			   0);
	assert_int_equal(buf_reserve(&f.w.data, n * 2), SC_OK);
	memset(f.w.data.data + f.w.data.length, 0, n * 2);
	f.w.data.length += n * 2;
	model_fixture_finish(&f);
	expect_model_error(&f, SC_E_FORMAT, "tensor 'token_embd.weight': expected at most 4194304 "
			   "rows, found 4194305");
}

static void keys_of_another_type_are_refused(void **state)
{
	static const char *const keys[] = { "llama.rope.freq_base", "llama.rope.scaling.factor",
					    "llama.expert_count", "llama.attention.causal",
					    "llama.attention.sliding_window" };

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny_llama);
		gguf_writer_string(&f.w, keys[i], "many");
		model_fixture_finish(&f);
		expect_model_error(&f, SC_E_FORMAT, "found a string");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hyper_parameters_are_read),
		cmocka_unit_test(missing_hyper_parameters_have_defaults),
		cmocka_unit_test(required_keys_are_named_when_missing),
		cmocka_unit_test(sizes_out_of_range_are_refused),
		cmocka_unit_test(heads_that_do_not_divide_the_width_need_a_length),
		cmocka_unit_test(numbers_that_are_not_positive_and_finite_are_refused),
		cmocka_unit_test(what_we_do_not_compute_is_refused_by_name),
		cmocka_unit_test(options_that_change_nothing_are_accepted),
		cmocka_unit_test(a_factor_of_0_is_none),
		cmocka_unit_test(a_factor_without_a_type_scales_linearly),
		cmocka_unit_test(the_vocabulary_must_have_as_many_tokens_as_the_embedding),
		cmocka_unit_test(a_vocabulary_beyond_the_limit_is_refused),
		cmocka_unit_test(keys_of_another_type_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
