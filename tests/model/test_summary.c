/* SPDX-License-Identifier: Apache-2.0 */
/* What a model file says about itself, also of files that are not served. */
#include "model/summary.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
	struct gguf_writer w;
	struct buf file;
	struct gguf *gguf;
	struct summary summary;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	gguf_writer_init(&f->w);
	buf_init(&f->file);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	summary_deinit(&f->summary);
	gguf_close(f->gguf);
	gguf_writer_deinit(&f->w);
	buf_deinit(&f->file);
	free(f);
	return 0;
}

static const struct summary *summarise(struct fixture *f)
{
	struct error err;

	gguf_writer_finish(&f->w, &f->file);
	if (gguf_open_memory_any_types("dir/test.gguf", f->file.data, f->file.length, &f->gguf,
				       &err) ||
	    summary_read(f->gguf, &f->summary, &err))
		fail_msg("%s", err.text);
	return &f->summary;
}

static void expect_range(struct summary_range range, uint32_t min, uint32_t max)
{
	assert_int_equal(range.min, min);
	assert_int_equal(range.max, max);
}

static void expect_text(struct gguf_string string, const char *text)
{
	assert_int_equal(string.length, strlen(text));
	assert_memory_equal(string.data, text, string.length);
}

static void expect_one(struct summary_range range, uint32_t value)
{
	expect_range(range, value, value);
}

/* The same file, opened as a model. */
static void expect_shape_of_model(const struct tiny_model *tiny)
{
	struct buf file = BUF_INIT;
	struct model *model = tiny_model_open(tiny, &file);
	const struct hparams *h = &model->hparams;
	struct summary summary;
	const struct summary_shape *shape = &summary.shape;

	assert_int_equal(summary_read(model->gguf, &summary, NULL), SC_OK);
	expect_one(shape->n_layers, h->n_layers);
	expect_one(shape->n_context, h->n_context);
	expect_one(shape->n_vocab, h->n_vocab);
	expect_one(shape->dim, h->dim);
	expect_one(shape->ffn_dim, h->ffn_dim);
	expect_one(shape->n_heads, h->n_heads);
	expect_one(shape->n_kv_heads, h->n_kv_heads);
	expect_one(shape->head_dim, h->head_dim);
	expect_one(shape->value_dim, h->value_dim);
	expect_one(shape->rope_dim, h->rope_dim);
	assert_true(shape->rope_base == (double)h->rope[ROPE_KIND_FULL].base);
	assert_true(shape->rope_factor == (double)h->rope[ROPE_KIND_FULL].factor);
	assert_string_equal(shape->rope_scaling.text,
			    h->rope[ROPE_KIND_FULL].scaling == ROPE_SCALING_LINEAR ? "linear" :
										     "none");
	assert_string_equal(summary.name, model->name);
	summary_deinit(&summary);
	model_close(model);
	buf_deinit(&file);
}

static void the_shape_is_what_the_model_computes_with(void **state)
{
	struct tiny_model tiny = tiny_llama;

	(void)state;
	expect_shape_of_model(&tiny_llama);
	expect_shape_of_model(&tiny_qwen2);
	tiny.rope_factor = 4.0f;
	tiny.n_kv_heads = 4;
	tiny.head_dim = 32;
	expect_shape_of_model(&tiny);
}

static void what_an_unknown_architecture_says_is_read(void **state)
{
	static const int32_t kv_heads[] = { 4, 0, 2, 8 };
	struct fixture *f = *state;
	const struct summary *summary;

	gguf_writer_string(&f->w, "general.architecture", "mammoth");
	gguf_writer_u32(&f->w, "mammoth.block_count", 4);
	gguf_writer_u32(&f->w, "mammoth.embedding_length", 96);
	gguf_writer_u32(&f->w, "mammoth.attention.head_count", 12);
	gguf_writer_array(&f->w, "mammoth.attention.head_count_kv", GGUF_I32, kv_heads, 4,
			  sizeof kv_heads);
	gguf_writer_u32(&f->w, "mammoth.expert_count", 64);
	gguf_writer_string(&f->w, "mammoth.rope.scaling.type", "ya\x1Brn");
	gguf_writer_f32(&f->w, "mammoth.rope.scaling.factor", 40);
	summary = summarise(f);
	expect_text(summary->arch, "mammoth");
	assert_string_equal(summary->name, "test");
	expect_one(summary->shape.n_layers, 4);
	expect_one(summary->shape.head_dim, 8);
	expect_range(summary->shape.n_kv_heads, 0, 8);
	expect_one(summary->shape.n_experts, 64);
	expect_one(summary->shape.n_context, 0);
	assert_string_equal(summary->shape.rope_scaling.text, "ya?rn");
	assert_true(summary->shape.rope_factor == 40);
	assert_int_equal(summary->n_types, 0);
	assert_true(summary_bits_per_weight(summary) == 0);
}

static void nonsense_counts_as_not_said(void **state)
{
	static const float floats[] = { 0.5f, -1 };
	struct fixture *f = *state;
	const struct summary *summary;
	char arch[200];

	memset(arch, 'x', sizeof arch - 1);
	arch[sizeof arch - 1] = '\0';
	gguf_writer_string(&f->w, "general.architecture", arch);
	gguf_writer_string(&f->w, ".block_count", "4");
	gguf_writer_array(&f->w, "tokenizer.ggml.bos_token_id", GGUF_F32, floats, 2,
			  sizeof floats);
	gguf_writer_f32(&f->w, "tokenizer.ggml.eos_token_id", 0.5f);
	gguf_writer_string(&f->w, "tokenizer.ggml._token_id", "x");
	gguf_writer_u32(&f->w, "tokenizer.chat_template", 7);
	summary = summarise(f);
	expect_one(summary->shape.n_layers, 0);
	assert_int_equal(summary->n_tokens, 0);
	assert_int_equal(summary->n_templates, 0);
}

static void types_are_counted_with_their_bytes(void **state)
{
	static const float floats[64] = { 0 };
	static const char blocks[100] = { 0 };
	const uint64_t dims[] = { 8, 4 };
	struct fixture *f = *state;
	const struct summary *summary;

	gguf_writer_floats(&f->w, "a", TENSOR_F32, 16, 2, floats);
	gguf_writer_tensor(&f->w, "b", 77, 2, dims, blocks, 40);	/* padded to 64 */
	gguf_writer_floats(&f->w, "c", TENSOR_F32, 16, 1, floats);
	gguf_writer_tensor(&f->w, "d", 16, 2, dims, blocks, 100);	/* IQ2_XXS; to 128 */
	summary = summarise(f);
	assert_int_equal(summary->n_types, 3);
	assert_int_equal(summary->types[0].type, TENSOR_F32);
	assert_true(summary->types[0].is_supported);
	assert_int_equal(summary->types[0].n_tensors, 2);
	assert_int_equal(summary->types[0].n_elements, 48);
	assert_int_equal(summary->types[0].n_bytes, 192);
	assert_int_equal(summary->types[1].type, 16);
	assert_false(summary->types[1].is_supported);
	assert_true(summary->types[1].n_bytes >= 100 && summary->types[1].n_bytes <= 128);
	assert_int_equal(summary->types[2].n_bytes, 64);
	assert_int_equal(summary->n_elements, 48 + 64);
	assert_int_equal(summary->tensor_bytes, 192 + 64 + summary->types[1].n_bytes);
	assert_string_equal(summary_type_name(16).text, "IQ2_XXS");
	assert_string_equal(summary_type_name(77).text, "type 77");
}

static void special_tokens_and_templates_are_listed(void **state)
{
	static const char *const tokens[] = { "<s>", "hello" };
	struct fixture *f = *state;
	const struct summary *summary;

	gguf_writer_u32(&f->w, "tokenizer.ggml.bos_token_id", 0);
	gguf_writer_strings(&f->w, "tokenizer.ggml.tokens", tokens, 2);
	gguf_writer_u32(&f->w, "tokenizer.ggml.eot_token_id", 2);
	gguf_writer_u32(&f->w, "tokenizer.ggml.padding_token_id", UINT32_MAX);	/* none */
	gguf_writer_string(&f->w, "tokenizer.ggml.model", "gpt2");
	gguf_writer_string(&f->w, "tokenizer.chat_template", "{{ x }}");
	gguf_writer_string(&f->w, "tokenizer.chat_template.tool_use", "{{ y }}");
	summary = summarise(f);
	assert_int_equal(summary->n_tokens, 2);
	expect_text(summary->tokens[0].name, "bos");
	assert_int_equal(summary->tokens[0].id, 0);
	assert_true(summary->tokens[0].has_text);
	expect_text(summary->tokens[0].text, "<s>");
	assert_int_equal(summary->tokens[1].id, 2);
	assert_false(summary->tokens[1].has_text);
	assert_int_equal(summary->n_templates, 2);
	expect_text(summary->templates[0].name, "");
	expect_text(summary->templates[1].name, "tool_use");
	expect_text(summary->templates[1].text, "{{ y }}");
	expect_text(summary->tokenizer, "gpt2");
	expect_text(summary->pre, "");
	expect_one(summary->shape.n_vocab, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shape_is_what_the_model_computes_with),
		TEST(what_an_unknown_architecture_says_is_read),
		TEST(nonsense_counts_as_not_said),
		TEST(types_are_counted_with_their_bytes),
		TEST(special_tokens_and_templates_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
