/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logits of whole models against an oracle in double that rounds the inputs of products
 * as the kernels must. test_reference.c cannot be strict about those: transformers does not round.
 *
 * Every error is that of float sums, with one exception: where the input of a quantised product
 * lies almost between two integers, float and double may round it to different ones, and everything
 * behind it differs as if the input did. That is rare, and the only thing that is let pass.
 */
#include "tests/stage/chain.h"
#include "tests/stage/oracle.h"

#include "tests/model/tiny_model.h"
#include "tests/quant/encode_blocks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define N_PROMPTS 40
#define N_TOKENS 6
#define N_TINY_PROMPTS 7

/* Relative errors: L2 of the difference over L2 of the logits. Measured: under 3e-6 in models
 * whose activations are not rounded, and in the others at nine of ten positions. */
#define MAX_ERROR 5e-6
#define MOST_APART 5		/* one position in so many */
#define MAX_ERROR_APART 5e-2

struct comparison {
	const double *expected;		/* [N_TOKENS][n_vocab] of the current prompt */
	unsigned n;
	unsigned n_apart;		/* positions over MAX_ERROR */
	double worst, worst_apart;
};

static void compare(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		    uint32_t n_vocab)
{
	struct comparison *c = arg;
	const double *expected = c->expected + (size_t)(position - 1) * n_vocab;
	double difference = 0, length = 0, error;

	(void)sequence;
	for (uint32_t i = 0; i < n_vocab; i++) {
		difference += pow((double)logits[i] - expected[i], 2);
		length += expected[i] * expected[i];
	}
	error = sqrt(difference / length);
	assert_true(error < MAX_ERROR_APART);
	c->n++;
	if (error > MAX_ERROR) {
		c->n_apart++;
		c->worst_apart = fmax(c->worst_apart, error);
	} else {
		c->worst = fmax(c->worst, error);
	}
}

static void run_prompt(struct chain *chain, const uint32_t *tokens)
{
	static const struct sampling greedy = { .top_p = 1, SAMPLING_OFF };
	uint32_t n_records;

	for (uint32_t i = 0; i < N_TOKENS; i++) {
		const struct chain_segment segment = {
			.sampling = i ? NULL : &greedy, .tokens = tokens + i, .n_rows = 1,
			.is_sampling = true,
		};

		chain_step(chain, &segment, 1, NULL, 0, &n_records);
	}
	chain_step(chain, NULL, 0, &(uint32_t){ 0 }, 1, &n_records);
}

static void run_model(const struct model *model, const char *name, unsigned n_prompts)
{
	struct comparison c = { .n = 0 };
	const struct chain_config config = {
		.model = model, .n_stages = 1, .n_threads = 1, .max_rows = N_TOKENS,
		.max_context = N_TOKENS, .on_logits = compare, .arg = &c,
	};
	struct chain *chain = chain_create(&config);
	double *expected = calloc((size_t)N_TOKENS * model->hparams.n_vocab, sizeof *expected);
	const enum tensor_type type = model->layers[0].of[LAYER_ATTN_Q]->type;
	const bool is_rounding = type != TENSOR_F32 && type != TENSOR_F16;
	uint32_t tokens[N_TOKENS], random = 1;

	assert_non_null(expected);
	c.expected = expected;
	for (unsigned prompt = 0; prompt < n_prompts; prompt++) {
		for (unsigned i = 0; i < N_TOKENS; i++) {
			random = random * 1664525 + 1013904223;
			tokens[i] = (random >> 8) % model->hparams.n_vocab;
		}
		oracle_run(model, tokens, N_TOKENS, expected);
		run_prompt(chain, tokens);
	}
	print_message("%-20s %-6s worst %.1e; rounded apart %u of %u, worst %.1e\n", name,
		      tensor_type_info(type)->name, c.worst, c.n_apart, c.n, c.worst_apart);
	assert_int_equal(c.n, n_prompts * N_TOKENS);
	assert_in_range(c.n_apart, 0, is_rounding ? c.n / MOST_APART : 0);
	free(expected);
	chain_destroy(chain);
}

static void logits_are_those_of_an_oracle_in_double(void **state)
{
	static const char *const names[] = {
		"llama-mha", "llama-gqa2", "llama-gqa3-4layers", "llama-mqa", "llama-head-dim",
		"llama-rope-linear", "llama-rope-llama3", "qwen2-bias", "qwen2-tied", "llama-f16",
		"llama-bf16", "llama-q8_0", "llama-q4_0",
	};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct model *model = chain_open_reference(names[i]);

		run_model(model, names[i], N_PROMPTS);
		model_close(model);
	}
}

static void logits_of_every_type_are_those_of_an_oracle_in_double(void **state)
{
	static const enum tensor_type types[] = {
		TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
		TENSOR_Q5_0, TENSOR_Q5_1, TENSOR_IQ4_NL, TENSOR_MXFP4, TENSOR_Q2_K, TENSOR_Q3_K,
		TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K, TENSOR_IQ4_XS,
	};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct tiny_model tiny = tiny_llama;
		struct buf file = BUF_INIT;
		struct model *model;

		tiny.type = types[i];
		tiny.encode = encode_blocks;
		tiny.n_layers = 1;
		tiny.dim = tiny.ffn_dim = 256;
		tiny.head_dim = 64;
		model = tiny_model_open(&tiny, &file);
		run_model(model, "tiny", N_TINY_PROMPTS);
		model_close(model);
		buf_deinit(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logits_are_those_of_an_oracle_in_double),
		cmocka_unit_test(logits_of_every_type_are_those_of_an_oracle_in_double),
	};
	int n_failed = 0;

	for (enum cpu_isa isa = CPU_SCALAR; isa < CPU_N_ISAS; isa++)
		if (chain_use_isa(isa))
			n_failed += cmocka_run_group_tests_name(cpu_isa_name(isa), tests, NULL,
								NULL);
	return n_failed;
}
