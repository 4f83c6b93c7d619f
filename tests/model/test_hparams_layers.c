/* SPDX-License-Identifier: Apache-2.0 */
/* What layers may have differently, and how positions rotate: hparams_layers.c, hparams_rope.c. */
#include "tests/model/any_model.h"
#include "tests/model/model_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BIT(slot) (UINT64_C(1) << (slot))

static struct buf file = BUF_INIT;

static struct model *open_any(const char *arch, uint32_t n_layers,
			      void (*add_keys)(struct gguf_writer *w))
{
	struct any_model any = any_model_of(arch);
	struct error err = { .text = "" };
	struct model *model;

	any.n_layers = n_layers;
	any.add_keys = add_keys;
	model = any_model_open(&any, &file, &err);
	if (!model)
		fail_msg("%s: %s", arch, err.text);
	return model;
}

static void close_any(struct model *model)
{
	model_close(model);
	buf_deinit(&file);
	file = (struct buf)BUF_INIT;
}

static void expect_refused(const struct any_model *any, const char *text)
{
	struct error err = { .text = "" };

	if (any_model_open(any, &file, &err) || !strstr(err.text, text))
		fail_msg("%s: expected \"%s\", found \"%s\"", any->arch, text, err.text);
	buf_deinit(&file);
	file = (struct buf)BUF_INIT;
}

/* A letter per layer: F sees everything, S slides; lower case: without rotary positions. */
static void expect_layers(const struct model *model, const char *wanted)
{
	char found[64] = "";

	for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
		const struct layer_shape *shape = &model->shapes[i];

		found[i] = shape->window ? 'S' : 'F';
		assert_int_equal(shape->rope, shape->window ? ROPE_KIND_SLIDING : ROPE_KIND_FULL);
		if (!shape->has_rope)
			found[i] = (char)(found[i] - 'A' + 'a');
		assert_int_equal(model->groups[shape->group].window, shape->window);
	}
	assert_string_equal(found, wanted);
}

static void gemma3_window(struct gguf_writer *w)
{
	gguf_writer_u32(w, "gemma3.attention.sliding_window", 37);
}

static void gemma3_period(struct gguf_writer *w)
{
	gemma3_window(w);
	gguf_writer_u32(w, "gemma3.attention.sliding_window_pattern", 2);
}

static void gemma3_array(struct gguf_writer *w)
{
	const uint8_t slides[] = { 0, 1, 0, 0, 1, 1, 0 };

	gemma3_window(w);
	gguf_writer_array(w, "gemma3.attention.sliding_window_pattern", GGUF_BOOL, slides, 7, 7);
}

static void llama_window(struct gguf_writer *w)
{
	gguf_writer_u32(w, "llama.attention.sliding_window", 16);
}

static void exaone_window(struct gguf_writer *w)
{
	gguf_writer_u32(w, "exaone4.attention.sliding_window", 16);
}

static void windows_follow_the_family_or_the_pattern(void **state)
{
	static const struct {
		const char *arch;
		uint32_t n_layers;
		void (*add_keys)(struct gguf_writer *w);
		const char *layers;
	} cases[] = {
		{ "gemma3", 7, NULL, "FFFFFFF" },
		{ "gemma3", 7, gemma3_window, "SSSSSFS" },
		{ "gemma3", 4, gemma3_period, "SFSF" },
		{ "gemma3", 7, gemma3_array, "FSFFSSF" },
		{ "llama", 3, llama_window, "SSS" },
		{ "cohere2", 5, NULL, "SSSfS" },
		{ "exaone4", 5, NULL, "FFFFF" },
		{ "exaone4", 5, exaone_window, "SSSfS" },
		{ "smollm3", 9, NULL, "FFFfFFFfF" },
		{ "gpt2", 2, NULL, "ff" },
		{ "bloom", 2, NULL, "ff" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model *model = open_any(cases[i].arch, cases[i].n_layers,
					       cases[i].add_keys);

		expect_layers(model, cases[i].layers);
		close_any(model);
	}
}

static void layers_with_one_window_are_a_group(void **state)
{
	struct model *model = open_any("gemma3", 7, gemma3_window);

	(void)state;
	assert_int_equal(model->n_groups, 2);
	assert_int_equal(model->groups[0].window, 37);
	assert_int_equal(model->groups[0].n_layers, 6);
	assert_int_equal(model->groups[1].window, 0);
	assert_int_equal(model->groups[1].n_layers, 1);
	close_any(model);
}

static void wide_window(struct gguf_writer *w)
{
	gguf_writer_u32(w, "cohere2.attention.sliding_window_pattern", 2);
}

static void internlm_window(struct gguf_writer *w)
{
	gguf_writer_u32(w, "internlm2.attention.sliding_window", 16);
}

static void gemma3_short_array(struct gguf_writer *w)
{
	const uint8_t slides[] = { 0, 1 };

	gemma3_window(w);
	gguf_writer_array(w, "gemma3.attention.sliding_window_pattern", GGUF_BOOL, slides, 2, 2);
}

static void qwen_window(struct gguf_writer *w)
{
	gguf_writer_u32(w, "qwen2.attention.sliding_window", 16);
}

static void qwen_pattern(struct gguf_writer *w)
{
	const uint8_t slides[] = { 0, 1, 1 };

	qwen_window(w);
	gguf_writer_array(w, "qwen2.attention.sliding_window_pattern", GGUF_BOOL, slides, 3, 3);
}

static void windows_that_cannot_be_are_refused(void **state)
{
	struct any_model any = any_model_of("internlm2");
	struct model *model;

	(void)state;
	any.add_keys = internlm_window;
	expect_refused(&any, "'internlm2.attention.sliding_window': sliding windows of this "
		       "architecture are not supported");
	any = any_model_of("gemma3");
	any.add_keys = gemma3_short_array;
	expect_refused(&any, "expected a value for each of 3 layers, found an array of 2");
	any = any_model_of("qwen2");
	any.add_keys = qwen_window;
	expect_refused(&any, "'qwen2.attention.sliding_window_pattern': expected the key, because");
	model = open_any("qwen2", 3, qwen_pattern);
	expect_layers(model, "FSS");
	close_any(model);
	model = open_any("cohere2", 4, wide_window);
	expect_layers(model, "SfSf");
	close_any(model);
}

/* A window as long as the context hides nothing, but the layer slides as to its rotary positions. */
static void a_window_of_the_whole_context_is_none(void **state)
{
	struct any_model any = any_model_of("cohere2");
	struct error err = { .text = "" };
	struct model *model;

	(void)state;
	any.n_layers = 4;
	any.n_context = 16;
	model = any_model_open(&any, &file, &err);
	assert_non_null(model);
	assert_int_equal(model->n_groups, 1);
	assert_int_equal(model->groups[0].window, 0);
	assert_true(model->shapes[0].has_rope && !model->shapes[3].has_rope);
	close_any(model);
}

static void sizes_of_layers(struct gguf_writer *w)
{
	const uint32_t heads[] = { 4, 4, 2 }, kv_heads[] = { 2, 2, 1 }, ffn[] = { 77, 77, 50 };

	gguf_writer_array(w, "llama.attention.head_count", GGUF_U32, heads, 3, sizeof heads);
	gguf_writer_array(w, "llama.attention.head_count_kv", GGUF_U32, kv_heads, 3,
			  sizeof kv_heads);
	gguf_writer_array(w, "llama.feed_forward_length", GGUF_U32, ffn, 3, sizeof ffn);
}

static void bad_sizes_of_layers(struct gguf_writer *w)
{
	const uint32_t heads[] = { 4, 4, 3 }, kv_heads[] = { 2, 2, 2 };

	gguf_writer_array(w, "llama.attention.head_count", GGUF_U32, heads, 3, sizeof heads);
	gguf_writer_array(w, "llama.attention.head_count_kv", GGUF_U32, kv_heads, 3,
			  sizeof kv_heads);
	gguf_writer_u32(w, "llama.feed_forward_length", 77);
}

static void no_layer_without_heads(struct gguf_writer *w)
{
	const uint32_t heads[] = { 4, 0, 4 };

	gguf_writer_array(w, "llama.attention.head_count", GGUF_U32, heads, 3, sizeof heads);
	gguf_writer_u32(w, "llama.feed_forward_length", 77);
}

/* The tensors of the last layer have the sizes of all, which is where the file is refused: so its
 * shape was what the array says. */
static void layers_may_have_sizes_of_their_own(void **state)
{
	struct any_model any = any_model_of("llama");

	(void)state;
	any.has_no_sizes_of_layers = true;
	any.add_keys = sizes_of_layers;
	expect_refused(&any, "'blk.2.attn_q.weight': expected the shape [48, 24], found [48, 48,");
	any.add_keys = bad_sizes_of_layers;
	expect_refused(&any, "expected a divisor of head_count = 3, found 2");
	any.add_keys = no_layer_without_heads;
	expect_refused(&any, "layer 1: expected 1 to 131072, found 0");
}

static void gemma3_rope(struct gguf_writer *w)
{
	gemma3_window(w);
	gguf_writer_f32(w, "gemma3.rope.freq_base", 1e6f);
	gguf_writer_string(w, "gemma3.rope.scaling.type", "linear");
	gguf_writer_f32(w, "gemma3.rope.scaling.factor", 8);
}

static void gemma3_rope_swa(struct gguf_writer *w)
{
	gemma3_rope(w);
	gguf_writer_f32(w, "gemma3.rope.freq_base_swa", 5e4f);
}

static void cohere2_rope(struct gguf_writer *w)
{
	gguf_writer_f32(w, "cohere2.rope.freq_base", 5e4f);
}

static void layers_that_slide_may_rotate_otherwise(void **state)
{
	struct model *model = open_any("gemma3", 6, gemma3_rope);
	const struct rope_hparams *full = &model->hparams.rope[ROPE_KIND_FULL];
	const struct rope_hparams *sliding = &model->hparams.rope[ROPE_KIND_SLIDING];

	(void)state;
	assert_true(full->base == 1e6f && full->scaling == ROPE_SCALING_LINEAR);
	assert_true(full->factor == 8);
	assert_true(sliding->base == 1e4f && sliding->scaling == ROPE_SCALING_NONE);
	assert_true(sliding->factor == 1);
	close_any(model);
	model = open_any("gemma3", 6, gemma3_rope_swa);
	assert_true(model->hparams.rope[ROPE_KIND_SLIDING].base == 5e4f);
	close_any(model);
	model = open_any("cohere2", 6, cohere2_rope);
	assert_true(model->hparams.rope[ROPE_KIND_SLIDING].base == 5e4f);
	close_any(model);
}

static void add_yarn(struct gguf_writer *w)
{
	gguf_writer_string(w, "llama.rope.scaling.type", "yarn");
	gguf_writer_f32(w, "llama.rope.scaling.factor", 4);
	gguf_writer_u32(w, "llama.rope.scaling.original_context_length", 64);
}

static void add_yarn_whole(struct gguf_writer *w)
{
	add_yarn(w);
	gguf_writer_f32(w, "llama.rope.scaling.yarn_attn_factor", 1.3f);
	gguf_writer_f32(w, "llama.rope.scaling.yarn_beta_fast", 16);
	gguf_writer_f32(w, "llama.rope.scaling.yarn_beta_slow", 2);
}

static void add_yarn_part(struct gguf_writer *w)
{
	add_yarn(w);
	gguf_writer_f32(w, "llama.rope.scaling.attn_factor", 0.5f);
}

static void add_yarn_log(struct gguf_writer *w)
{
	add_yarn(w);
	gguf_writer_f32(w, "llama.rope.scaling.yarn_log_multiplier", 1);
}

static void yarn_scales_magnitudes_as_its_keys_say(void **state)
{
	static const struct {
		void (*add_keys)(struct gguf_writer *w);
		double magnitude;	/* in units of the usual one, but the second */
	} cases[] = { { add_yarn, 1 }, { add_yarn_whole, 0 }, { add_yarn_part, 0.5 },
		      { add_yarn_log, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model *model = open_any("llama", 2, cases[i].add_keys);
		const struct rope_hparams *rope = &model->hparams.rope[ROPE_KIND_FULL];
		const double usual = 0.1 * log(4) + 1;
		double wanted = cases[i].magnitude > 0 ? cases[i].magnitude * usual :
				cases[i].add_keys == add_yarn_log ? 1 : 1.3;

		assert_int_equal(rope->scaling, ROPE_SCALING_YARN);
		assert_int_equal(rope->n_original, 64);
		assert_true(rope->ext == 1);
		assert_true(fabs((double)rope->magnitude - wanted) < 1e-6);
		assert_true(rope->beta_fast == (i == 1 ? 16 : 32));
		assert_true(rope->beta_slow == (i == 1 ? 2 : 1));
		close_any(model);
	}
}

static void yarn_that_gives_no_numbers_is_refused(void **state)
{
	static const struct {
		const char *key;
		float value;
		const char *text;
	} cases[] = {
		{ "llama.rope.scaling.yarn_ext_factor", NAN, "expected a finite number, found nan" },
		{ "llama.rope.scaling.yarn_log_multiplier", -INFINITY, "expected a finite number" },
		{ "llama.rope.scaling.yarn_log_multiplier", -7.3f, "must be positive, found -" },
		{ "llama.rope.freq_base", 1, "YaRN needs a base above 1, found 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model_fixture f;

		model_fixture_start(&f, &tiny_llama);
		add_yarn(&f.w);
		gguf_writer_f32(&f.w, cases[i].key, cases[i].value);
		model_fixture_finish(&f);
		expect_model_error(&f, SC_E_FORMAT, cases[i].text);
	}
}

static void add_long(struct gguf_writer *w)
{
	gguf_writer_u32(w, "phi3.rope.scaling.original_context_length", 64);
}

static void add_shortest(struct gguf_writer *w)
{
	gguf_writer_u32(w, "phi3.rope.scaling.original_context_length", 1);
}

static void add_long_factor(struct gguf_writer *w)
{
	add_long(w);
	gguf_writer_f32(w, "phi3.rope.scaling.attn_factor", 1.25f);
}

static void long_sequences_have_factors_of_their_own(void **state)
{
	struct any_model any = any_model_of("phi3");
	struct error err = { .text = "" };
	struct model *model;

	(void)state;
	any.outer_more = BIT(OUTER_ROPE_FACTORS_LONG);
	any.add_keys = add_long;
	expect_refused(&any, "expected a tensor 'rope_factors_short.weight' beside "
		       "'rope_factors_long.weight', found none");
	any.outer_more |= BIT(OUTER_ROPE_FACTORS_SHORT);
	any.add_keys = NULL;
	expect_refused(&any, "expected the key 'phi3.rope.scaling.original_context_length'");
	any.add_keys = add_shortest;
	expect_refused(&any, "expected 2 to 4294967295, found 1");
	for (int i = 0; i < 2; i++) {
		any.add_keys = i ? add_long_factor : add_long;
		model = any_model_open(&any, &file, &err);
		assert_non_null(model);
		assert_int_equal(model->hparams.long_from, 64);
		assert_true(fabs((double)model->hparams.rope[ROPE_KIND_FULL].magnitude -
				 (i ? 1.25 : sqrt(1 + log(4) / log(64)))) < 1e-6);
		close_any(model);
	}
	model = open_any("phi3", 2, add_long);	/* no factors, as Phi 4 */
	assert_int_equal(model->hparams.long_from, 0);
	close_any(model);
}

/* A backend keeps the angles of each row in an array. */
static void heads_that_rotate_too_many_elements_are_refused(void **state)
{
	struct any_model any = any_model_of("llama");
	struct error err = { .text = "" };
	struct model *model;

	(void)state;
	any.head_dim = MODEL_MAX_ROPE_DIM;
	model = any_model_open(&any, &file, &err);
	assert_non_null(model);
	assert_int_equal(model->hparams.rope_dim, MODEL_MAX_ROPE_DIM);
	close_any(model);
	any.head_dim = MODEL_MAX_ROPE_DIM + 2;
	expect_refused(&any, "expected at most 512 rotated elements per head, found 514");
}

static void granite_switch(struct gguf_writer *w)
{
	gguf_writer_bool(w, "granite.rope.scaling.finetuned", false);
}

static void granite_can_be_without_rotary_positions(void **state)
{
	struct model *model = open_any("granite", 2, granite_switch);

	(void)state;
	expect_layers(model, "ff");
	close_any(model);
	model = open_any("granite", 2, NULL);
	expect_layers(model, "FF");
	close_any(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_follow_the_family_or_the_pattern),
		cmocka_unit_test(layers_with_one_window_are_a_group),
		cmocka_unit_test(windows_that_cannot_be_are_refused),
		cmocka_unit_test(a_window_of_the_whole_context_is_none),
		cmocka_unit_test(layers_may_have_sizes_of_their_own),
		cmocka_unit_test(layers_that_slide_may_rotate_otherwise),
		cmocka_unit_test(yarn_scales_magnitudes_as_its_keys_say),
		cmocka_unit_test(yarn_that_gives_no_numbers_is_refused),
		cmocka_unit_test(long_sequences_have_factors_of_their_own),
		cmocka_unit_test(heads_that_rotate_too_many_elements_are_refused),
		cmocka_unit_test(granite_can_be_without_rotary_positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
