/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of the table of families, with random weights: the same bits of logits however layers
 * are split into stages, prompts into chunks, sequences into steps, and tensors into parts.
 * That the numbers are the right ones is test_families' business.
 */
#include "tests/model/any_model.h"
#include "tests/stage/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BIT(slot) (UINT64_C(1) << (slot))
#define N_PROMPT 61
#define N_SHORT 9
#define MAX_VOCAB 300
#define WINDOW 16

struct logits {
	float of[2][MAX_VOCAB];		/* by sequence */
	unsigned n;
};

struct way {
	unsigned n_stages, n_threads;
	uint32_t chunk;
	bool has_company;	/* a second sequence, in the same steps */
};

static const struct sampling greedy = { .top_p = 1, SAMPLING_OFF };
static const char *current_arch;

static void add_window(struct gguf_writer *w)
{
	const uint8_t slides[] = { 1, 0, 1, 1, 0 };

	gguf_writer_u32(w, any_key(current_arch, "attention.sliding_window"), WINDOW);
	gguf_writer_array(w, any_key(current_arch, "attention.sliding_window_pattern"), GGUF_BOOL,
			  slides, sizeof slides, sizeof slides);
}

static void keep(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		 uint32_t n_vocab)
{
	struct logits *kept = arg;

	(void)position;
	assert_true(sequence < 2 && n_vocab <= MAX_VOCAB);
	memcpy(kept->of[sequence], logits, n_vocab * sizeof *logits);
	kept->n++;
}

static void fill_prompt(uint32_t *tokens, uint32_t n, uint32_t seed, uint32_t n_vocab)
{
	for (uint32_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		tokens[i] = (seed >> 8) % n_vocab;
	}
}

static struct chain_segment segment_of(uint32_t sequence, const uint32_t *tokens, uint32_t at,
				       uint32_t n_all, uint32_t chunk, bool is_long)
{
	const uint32_t n = n_all - at < chunk ? n_all - at : chunk;

	return (struct chain_segment){
		.sequence = sequence, .sampling = at ? NULL : &greedy, .tokens = tokens + at,
		.n_rows = n, .is_sampling = at + n == n_all, .is_long = is_long,
	};
}

/* Runs a prompt of N_PROMPT tokens as sequence 0, with another beside it. is_long: of both. */
static void run(const struct model *model, struct way way, const bool is_long[2],
		struct logits *logits)
{
	const struct chain_config config = {
		.model = model, .n_stages = way.n_stages, .n_threads = way.n_threads,
		.max_rows = 2 * way.chunk, .max_context = 64, .on_logits = keep, .arg = logits,
	};
	struct chain *chain = chain_create(&config);
	uint32_t tokens[2][N_PROMPT], n_records;

	fill_prompt(tokens[0], N_PROMPT, 1, model->hparams.n_vocab);
	fill_prompt(tokens[1], N_SHORT, 2, model->hparams.n_vocab);
	memset(logits, 0, sizeof *logits);
	for (uint32_t at = 0; at < N_PROMPT; at += way.chunk) {
		struct chain_segment segments[2] = {
			segment_of(0, tokens[0], at, N_PROMPT, way.chunk, is_long[0]),
		};
		const bool is_beside = way.has_company && at < N_SHORT;

		if (is_beside)
			segments[1] = segment_of(1, tokens[1], at, N_SHORT, way.chunk, is_long[1]);
		(void)chain_step(chain, segments, 1 + is_beside, NULL, 0, &n_records);
	}
	assert_int_equal(logits->n, way.has_company ? 2 : 1);
	chain_destroy(chain);
}

static struct model *open_any(struct any_model *any, struct buf *file)
{
	struct error err = { .text = "" };
	struct model *model = any_model_open(any, file, &err);

	if (!model)
		fail_msg("%s: %s", any->arch, err.text);
	return model;
}

/* Another sequence must not change a bit, whichever table of rotary positions it has. */
static void check_ways(const struct model *model)
{
	static const struct way ways[] = {
		{ 1, 1, 61, false }, { 1, 2, 7, true }, { 2, 1, 16, true }, { 4, 2, 1, false },
	};
	static const bool are_short[2] = { false, false }, are_mixed[2] = { false, true };
	struct logits first, other;

	run(model, ways[0], are_short, &first);
	for (unsigned i = 0; i < MAX_VOCAB; i++)
		assert_true(first.of[0][i] == first.of[0][i]);
	for (size_t i = 1; i < sizeof ways / sizeof ways[0]; i++) {
		run(model, ways[i], are_mixed, &other);
		if (memcmp(first.of[0], other.of[0], sizeof first.of[0]))
			fail_msg("%s: other bits in %u stages with chunks of %u",
				 model->arch->name, ways[i].n_stages, ways[i].chunk);
	}
}

static void check_every_arch(enum cpu_isa isa)
{
	if (!chain_use_isa(isa))
		skip();
	for (size_t i = 0; i < arch_count(); i++) {
		struct any_model any = any_model_of(arch_at(i)->name);
		struct buf file = BUF_INIT;
		struct model *model;

		current_arch = any.arch;
		any.n_layers = 5;
		any.layer_more = arch_at(i)->layer_optional;
		any.outer_more = arch_at(i)->outer_optional &
				 ~(BIT(OUTER_ROPE_FACTORS_LONG) | BIT(OUTER_ROPE_FACTORS_SHORT));
		if (arch_at(i)->windows != WINDOWS_NONE && !arch_at(i)->is_window_required)
			any.add_keys = add_window;
		model = open_any(&any, &file);
		check_ways(model);
		model_close(model);
		buf_deinit(&file);
	}
}

static void every_architecture_computes_the_same_bits_in_any_way_on_scalar_code(void **state)
{
	(void)state;
	check_every_arch(CPU_SCALAR);
}

static void every_architecture_computes_the_same_bits_in_any_way_on_avx2(void **state)
{
	(void)state;
	check_every_arch(CPU_AVX2);
}

static void every_architecture_computes_the_same_bits_in_any_way_on_avx512(void **state)
{
	(void)state;
	check_every_arch(CPU_AVX512);
}

/* Layers with other heads of keys are groups of their own, also without windows. */
static void layers_may_differ_in_heads_and_widths(void **state)
{
	static const struct layer_shape shapes[] = {
		{ .n_heads = 4, .n_kv_heads = 2, .ffn_dim = 77 },
		{ .n_heads = 6, .n_kv_heads = 1, .ffn_dim = 50 },
		{ .n_heads = 3, .n_kv_heads = 3, .ffn_dim = 120 },
		{ .n_heads = 4, .n_kv_heads = 1, .ffn_dim = 77 },
	};
	struct any_model any = any_model_of("llama");
	struct buf file = BUF_INIT;
	struct model *model;

	(void)state;
	any.n_layers = 4;
	any.shapes = shapes;
	model = open_any(&any, &file);
	assert_int_equal(model->n_groups, 3);
	assert_int_equal(model->hparams.n_heads, 6);
	assert_int_equal(model->hparams.n_kv_heads, 3);
	assert_int_equal(model->hparams.ffn_dim, 120);
	check_ways(model);
	model_close(model);
	buf_deinit(&file);
}

static void fused_tensors_give_the_bits_of_their_parts(void **state)
{
	static const char *const names[] = { "phi3", "glm4", "gpt2", "falcon" };
	static const bool are_short[2] = { false, false };
	static const struct way way = { 2, 2, 16, false };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct any_model any = any_model_of(names[i]);
		struct logits logits[2];

		for (unsigned k = 0; k < 2; k++) {
			struct buf file = BUF_INIT;
			struct model *model;

			any.is_fused = k;
			model = open_any(&any, &file);
			assert_int_equal(model->n_views > 0, k);
			run(model, way, are_short, &logits[k]);
			model_close(model);
			buf_deinit(&file);
		}
		assert_memory_equal(logits[0].of[0], logits[1].of[0], sizeof logits[0].of[0]);
	}
}

static void add_original_context(struct gguf_writer *w)
{
	gguf_writer_u32(w, "phi3.rope.scaling.original_context_length", 32);
}

/* LongRoPE: neighbours in a step have tables of their own. */
static void long_and_short_sequences_share_steps(void **state)
{
	static const bool kinds[3][2] = { { false, false }, { true, true }, { true, false } };
	static const struct way way = { 1, 2, 16, true };
	struct any_model any = any_model_of("phi3");
	struct logits logits[3];
	struct buf file = BUF_INIT;
	struct model *model;

	(void)state;
	any.outer_more = BIT(OUTER_ROPE_FACTORS_LONG) | BIT(OUTER_ROPE_FACTORS_SHORT);
	any.add_keys = add_original_context;
	model = open_any(&any, &file);
	for (unsigned i = 0; i < 3; i++)
		run(model, way, kinds[i], &logits[i]);
	assert_memory_not_equal(logits[0].of[0], logits[1].of[0], sizeof logits[0].of[0]);
	assert_memory_not_equal(logits[0].of[1], logits[1].of[1], sizeof logits[0].of[1]);
	assert_memory_equal(logits[2].of[0], logits[1].of[0], sizeof logits[0].of[0]);
	assert_memory_equal(logits[2].of[1], logits[0].of[1], sizeof logits[0].of[1]);
	model_close(model);
	buf_deinit(&file);
}

static void learned_positions_end(void **state)
{
	struct any_model any = any_model_of("gpt2");
	struct buf file = BUF_INIT;
	struct model *model;

	(void)state;
	model = open_any(&any, &file);
	assert_int_equal(model_max_positions(model), any.n_context);
	model_close(model);
	buf_deinit(&file);
	file = (struct buf)BUF_INIT;
	any.arch = "bloom";
	model = open_any(&any, &file);
	assert_int_equal(model_max_positions(model), UINT32_MAX);
	model_close(model);
	buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_architecture_computes_the_same_bits_in_any_way_on_scalar_code),
		cmocka_unit_test(every_architecture_computes_the_same_bits_in_any_way_on_avx2),
		cmocka_unit_test(every_architecture_computes_the_same_bits_in_any_way_on_avx512),
		cmocka_unit_test(layers_may_differ_in_heads_and_widths),
		cmocka_unit_test(fused_tensors_give_the_bits_of_their_parts),
		cmocka_unit_test(long_and_short_sequences_share_steps),
		cmocka_unit_test(learned_positions_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
