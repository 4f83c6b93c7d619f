/* SPDX-License-Identifier: Apache-2.0 */
/* Which tensor gets which type. The expectations were compared with what llama-quantize wrote. */
#include "quant/mix.h"

#include "tests/model/gguf_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *type_of(const char *mix, const struct quant_facts *facts, const char *name,
			   uint64_t n_in, uint64_t n_out)
{
	const struct tensor tensor = { .name = name, .type = TENSOR_F32, .n_dims = 2,
				       .dims = { n_in, n_out, 1, 1 } };
	bool is_fallback;

	return tensor_type_info(quant_mix_type(quant_mix_find(mix), facts, &tensor,
					       &is_fallback))->name;
}

static const struct quant_facts facts_32 = { .n_layers = 32, .heads_per_kv_head = 4,
					     .is_llama = true };

static void names_are_found_in_any_case_and_short(void **state)
{
	(void)state;
	assert_string_equal(quant_mix_find("q4_k_m")->name, "Q4_K_M");
	assert_string_equal(quant_mix_find("Q5_K")->name, "Q5_K_M");
	assert_string_equal(quant_mix_find("q3_k")->name, "Q3_K_M");
	assert_string_equal(quant_mix_find("Q6_K")->name, "Q6_K");
	assert_string_equal(quant_mix_find("mxfp4")->name, "MXFP4");
	assert_null(quant_mix_find("Q4_K_X"));
	assert_null(quant_mix_find("Q4"));
	assert_null(quant_mix_find(""));
	assert_null(quant_mix_find("F32"));
}

static void small_tensors_stay_as_they_are(void **state)
{
	(void)state;
	assert_string_equal(type_of("Q4_0", &facts_32, "blk.0.attn_norm.weight", 256, 1), "F32");
	assert_string_equal(type_of("Q4_0", &facts_32, "blk.0.attn_q.bias", 256, 2), "F32");
	assert_string_equal(type_of("Q4_0", &facts_32, "blk.0.some_norm.weight", 256, 2), "F32");
	assert_string_equal(type_of("Q4_0", &facts_32, "blk.0.ffn_gate_inp.weight", 256, 8), "F32");
	assert_string_equal(type_of("Q4_0", &facts_32, "blk.0.attn_q.weight", 256, 1), "F32");
	assert_string_equal(type_of("Q4_0", &facts_32, "blk.0.attn_q.weight", 256, 2), "Q4_0");
}

static void the_output_matrix_keeps_more_bits(void **state)
{
	const struct quant_facts tied = { .n_layers = 32, .heads_per_kv_head = 1, .is_tied = true };
	static const struct { const char *mix, *type; } rows[] = {
		{ "F16", "F16" }, { "BF16", "BF16" }, { "Q8_0", "Q8_0" }, { "Q6_K", "Q6_K" },
		{ "Q5_0", "Q6_K" }, { "Q4_0", "Q6_K" }, { "Q4_K_M", "Q6_K" }, { "Q2_K", "Q6_K" },
		{ "IQ4_NL", "Q6_K" }, { "MXFP4", "Q8_0" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(type_of(rows[i].mix, &facts_32, "output.weight", 512, 9),
				    rows[i].type);
		assert_string_equal(type_of(rows[i].mix, &tied, "token_embd.weight", 512, 9),
				    rows[i].type);
	}
	assert_string_equal(type_of("Q4_K_M", &facts_32, "token_embd.weight", 512, 9), "Q4_K");
	assert_string_equal(type_of("Q4_0", &facts_32, "output.weight", 544, 9), "Q8_0");
}

/* One letter per layer: 3 .. 8 for Q3_K .. Q8_0; of five bits and more only K types come up. */
static void expect_layers(const char *mix, const struct quant_facts *facts, const char *part,
			  const char *expected)
{
	for (uint32_t layer = 0; layer < facts->n_layers; layer++) {
		char name[64];
		const char *found;

		snprintf(name, sizeof name, "blk.%u.%s.weight", layer, part);
		found = type_of(mix, facts, name, 1024, 512);
		if (found[strcspn(found, "2345678")] != expected[layer])
			fail_msg("%s, %s: expected %c, found %s", mix, name, expected[layer],
				 found);
	}
}

static void layers_that_matter_more_get_more_bits(void **state)
{
	static const char more[] = "66664464464464464464464464466666";
	static const char less[] = "66665565565565565565565565566666";
	static const char four[] = "44444444444444444444444444444444";
	static const char five[] = "55555555555555555555555555555555";
	const struct quant_facts alone = { .n_layers = 32, .heads_per_kv_head = 1 };

	(void)state;
	expect_layers("Q4_K_M", &facts_32, "attn_v", more);
	expect_layers("Q4_K_M", &facts_32, "ffn_down", more);
	expect_layers("Q4_K_M", &facts_32, "ffn_up", four);
	expect_layers("Q4_K_M", &facts_32, "attn_k", four);
	expect_layers("Q4_K_M", &facts_32, "attn_output", four);
	expect_layers("Q5_K_M", &facts_32, "attn_v", less);
	expect_layers("Q5_K_M", &facts_32, "ffn_down", less);
	expect_layers("Q5_K_S", &facts_32, "ffn_down", five);
	expect_layers("Q4_K_S", &facts_32, "attn_v", "55554444444444444444444444444444");
	expect_layers("Q4_K_S", &facts_32, "ffn_down", "55554444444444444444444444444444");
	expect_layers("Q3_K_M", &facts_32, "attn_v", "55444444444444444444444444444444");
	expect_layers("Q3_K_M", &facts_32, "ffn_down", "55444444444444444444444444444444");
	expect_layers("Q3_K_M", &facts_32, "attn_output", four);
	expect_layers("Q3_K_L", &facts_32, "attn_output", five);
	expect_layers("Q3_K_S", &facts_32, "ffn_down", "33333333333333333333333333333333");
	expect_layers("Q2_K", &facts_32, "attn_v", four);
	expect_layers("Q2_K", &alone, "attn_v", "33333333333333333333333333333333");
	expect_layers("Q2_K", &facts_32, "ffn_down", "33333333333333333333333333333333");
	expect_layers("Q2_K", &facts_32, "ffn_gate", "22222222222222222222222222222222");
	expect_layers("IQ4_XS", &facts_32, "attn_v", five);
	expect_layers("IQ4_XS", &alone, "attn_v", four);
	expect_layers("IQ4_NL", &facts_32, "ffn_down", "55554444444444444444444444444444");
	expect_layers("Q4_0", &facts_32, "ffn_down", four);
	expect_layers("MXFP4", &facts_32, "ffn_down", four);
}

static void numbers_that_no_layer_can_have_count_as_the_first(void **state)
{
	static const char *const names[] = {
		"blk.4294967300.attn_v.weight",		/* 4 in 32 bits */
		"blk.18446744073709551620.attn_v.weight",	/* and in 64 */
		"blk.999999999999999999999999999999999.attn_v.weight",
		"blk.-4294967292.attn_v.weight", "blk.+4.attn_v.weight", "blk. 4.attn_v.weight",
		"blk.4x.attn_v.weight", "blk..attn_v.weight", "blk.attn_v.weight", "attn_v.weight",
	};

	(void)state;
	assert_string_equal(type_of("Q4_K_S", &facts_32, "blk.4.attn_v.weight", 1024, 512), "Q4_K");
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(type_of("Q4_K_S", &facts_32, names[i], 1024, 512), "Q5_K"))
			fail_msg("%s is not taken for layer 0", names[i]);
}

static void models_of_70_billion_and_of_8_experts_have_rules_of_their_own(void **state)
{
	const struct quant_facts large = { .n_layers = 80, .heads_per_kv_head = 8,
					   .is_llama = true };
	const struct quant_facts experts = { .n_layers = 32, .heads_per_kv_head = 4,
					     .n_experts = 8, .is_llama = true };

	(void)state;
	assert_string_equal(type_of("Q4_K_M", &large, "blk.11.attn_v.weight", 256, 2), "Q5_K");
	assert_string_equal(type_of("Q4_K_M", &large, "blk.12.attn_v.weight", 256, 2), "Q6_K");
	assert_string_equal(type_of("Q4_K_M", &experts, "blk.9.attn_v.weight", 256, 2), "Q8_0");
	assert_string_equal(type_of("Q4_K_M", &experts, "blk.9.attn_k.weight", 256, 2), "Q8_0");
	assert_string_equal(type_of("Q4_K_M", &experts, "blk.9.attn_output.weight", 256, 2),
			    "Q5_K");
}

static void rows_that_do_not_fit_fall_back(void **state)
{
	static const struct { const char *mix, *type; } rows[] = {
		{ "Q2_K", "Q4_0" }, { "Q3_K_S", "Q4_0" }, { "Q4_K_S", "Q5_0" },
		{ "Q5_K_S", "Q5_1" }, { "Q6_K", "Q8_0" }, { "IQ4_XS", "IQ4_NL" },
		{ "Q4_0", "Q4_0" }, { "MXFP4", "MXFP4" },
	};
	const struct tensor tensor = { .name = "blk.9.ffn_up.weight", .n_dims = 2,
				       .dims = { 160, 2, 1, 1 } };
	bool is_fallback;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_string_equal(type_of(rows[i].mix, &facts_32, tensor.name, 160, 2),
				    rows[i].type);
		assert_string_equal(type_of(rows[i].mix, &facts_32, tensor.name, 172, 2), "F16");
		quant_mix_type(quant_mix_find(rows[i].mix), &facts_32, &tensor, &is_fallback);
		assert_int_equal(is_fallback, i < 6);
	}
	assert_string_equal(type_of("BF16", &facts_32, tensor.name, 171, 2), "BF16");
}

static void facts_are_read_from_the_metadata(void **state)
{
	struct gguf_writer w;
	struct buf file = BUF_INIT;
	struct quant_facts facts;
	struct gguf *gguf;
	struct error err;

	(void)state;
	gguf_writer_init(&w);
	gguf_writer_string(&w, "general.architecture", "qwen2");
	gguf_writer_u32(&w, "qwen2.block_count", 24);
	gguf_writer_u32(&w, "qwen2.attention.head_count", 14);
	gguf_writer_u32(&w, "qwen2.attention.head_count_kv", 2);
	gguf_writer_finish(&w, &file);
	assert_int_equal(gguf_open_memory("file", file.data, file.length, &gguf, &err), SC_OK);
	facts = quant_facts_of(gguf);
	assert_int_equal(facts.n_layers, 24);
	assert_int_equal(facts.heads_per_kv_head, 7);
	assert_int_equal(facts.n_experts, 0);
	assert_true(facts.is_tied);
	assert_false(facts.is_llama);
	gguf_close(gguf);
	gguf_writer_deinit(&w);
	buf_deinit(&file);
}

static void files_without_metadata_have_plain_facts(void **state)
{
	struct buf file = BUF_INIT;
	struct quant_facts facts;
	struct gguf_writer w;
	struct gguf *gguf;
	struct error err;

	(void)state;
	gguf_writer_init(&w);
	gguf_writer_u32(&w, "general.architecture", 3);
	gguf_writer_finish(&w, &file);
	assert_int_equal(gguf_open_memory("file", file.data, file.length, &gguf, &err), SC_OK);
	facts = quant_facts_of(gguf);
	assert_int_equal(facts.n_layers, 0);
	assert_int_equal(facts.heads_per_kv_head, 1);
	assert_string_equal(type_of("Q4_K_M", &facts, "blk.7.attn_v.weight", 256, 2), "Q6_K");
	gguf_close(gguf);
	gguf_writer_deinit(&w);
	buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_in_any_case_and_short),
		cmocka_unit_test(small_tensors_stay_as_they_are),
		cmocka_unit_test(the_output_matrix_keeps_more_bits),
		cmocka_unit_test(layers_that_matter_more_get_more_bits),
		cmocka_unit_test(numbers_that_no_layer_can_have_count_as_the_first),
		cmocka_unit_test(models_of_70_billion_and_of_8_experts_have_rules_of_their_own),
		cmocka_unit_test(rows_that_do_not_fit_fall_back),
		cmocka_unit_test(facts_are_read_from_the_metadata),
		cmocka_unit_test(files_without_metadata_have_plain_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
