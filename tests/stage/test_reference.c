/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logits of small models against those that transformers computes in float32. The models, their
 * logits and the format of NAME.ref come from tools/make_reference.py.
 */
#include "base/bytes.h"
#include "tests/stage/chain.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MAX_CONTEXT 512

/* The largest relative error (L2 of the difference over L2 of the logits) per type of the matrices.
 * The kernels use weights exactly as stored; for BF16 they also round the activations to bfloat16,
 * for the quantised types to 8 bits, which the reference does not: test_oracle.c, whose oracle
 * does, is strict about them. */
static const struct {
	enum tensor_type type;
	double limit;
} bounds[] = {
	{ TENSOR_F32, 5e-5 }, { TENSOR_F16, 5e-5 }, { TENSOR_BF16, 3e-2 },
	{ TENSOR_Q8_0, 7e-2 }, { TENSOR_Q4_0, 7e-2 },
};

struct prompt {
	uint32_t n_tokens;
	uint32_t n_positions;
	const uint8_t *tokens;		/* unaligned u32 */
	const uint8_t *positions;	/* unaligned u32, ascending */
	const uint8_t *logits;		/* unaligned f32 [n_positions][n_vocab] */
};

/* Sums over the positions of one prompt, and which position is next. */
struct comparison {
	const struct prompt *prompt;
	uint32_t n_compared;
	double worst;			/* relative error of one position */
};

static double bound_of(const struct model *model)
{
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
		if (bounds[i].type == model->layers[0].of[LAYER_ATTN_Q]->type)
			return bounds[i].limit;
	fail_msg("no bound for this type");
	return 0;
}

static void compare(void *arg, uint32_t sequence, uint32_t position, const float *logits,
		    uint32_t n_vocab)
{
	struct comparison *c = arg;
	const uint8_t *expected = c->prompt->logits + (size_t)c->n_compared * n_vocab * 4;
	double difference = 0, length = 0, error;

	(void)sequence;
	assert_int_equal(position, load_le32(c->prompt->positions + 4 * c->n_compared) + 1);
	for (uint32_t i = 0; i < n_vocab; i++) {
		double want = (double)load_lef32(expected + (size_t)i * 4);
		double d = (double)logits[i] - want;

		difference += d * d;
		length += want * want;
	}
	error = sqrt(difference / length);
	/* Written so that NaN does not pass. */
	if (!(error <= c->worst))
		c->worst = error;
	c->n_compared++;
}

/* Each position whose logits are known ends a chunk. */
static double run_prompt(struct chain *chain, struct comparison *c, const struct prompt *prompt)
{
	static const struct sampling greedy = { .top_p = 1, SAMPLING_OFF };
	uint32_t tokens[MAX_CONTEXT], first = 0, n_records;

	*c = (struct comparison){ .prompt = prompt };
	for (uint32_t i = 0; i < prompt->n_tokens; i++)
		tokens[i] = load_le32(prompt->tokens + 4 * i);
	for (uint32_t i = 0; i < prompt->n_positions; i++) {
		uint32_t end = load_le32(prompt->positions + 4 * i) + 1;
		const struct chain_segment segment = {
			.sampling = first ? NULL : &greedy,
			.tokens = tokens + first,
			.n_rows = end - first,
			.is_sampling = true,
		};

		chain_step(chain, &segment, 1, NULL, 0, &n_records);
		assert_int_equal(n_records, 1);
		first = end;
	}
	chain_step(chain, NULL, 0, &(uint32_t){ 0 }, 1, &n_records);
	assert_int_equal(c->n_compared, prompt->n_positions);
	return c->worst;
}

static struct prompt read_prompt(struct cursor *cursor, uint32_t n_vocab)
{
	struct prompt prompt = { .n_tokens = cursor_u32(cursor) };

	prompt.n_positions = cursor_u32(cursor);
	prompt.tokens = cursor_take(cursor, (uint64_t)prompt.n_tokens * 4);
	prompt.positions = cursor_take(cursor, (uint64_t)prompt.n_positions * 4);
	prompt.logits = cursor_take(cursor, (uint64_t)prompt.n_positions * n_vocab * 4);
	assert_false(cursor->is_short);
	assert_in_range(prompt.n_tokens, 1, MAX_CONTEXT);
	assert_in_range(prompt.n_positions, 1, prompt.n_tokens);
	return prompt;
}

static uint8_t *read_file(const char *path, size_t *n_bytes_out)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long n;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	n = ftell(file);
	assert_true(n > 0);
	rewind(file);
	bytes = malloc((size_t)n);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t)n, file), n);
	fclose(file);
	*n_bytes_out = (size_t)n;
	return bytes;
}

static void run_reference(const char *name, const char *ref_path)
{
	struct comparison comparison;
	struct model *model = chain_open_reference(name);
	const struct chain_config config = {
		.model = model, .n_stages = 1, .n_threads = 2, .max_rows = MAX_CONTEXT,
		.max_context = MAX_CONTEXT, .on_logits = compare, .arg = &comparison,
	};
	struct chain *chain = chain_create(&config);
	uint32_t n_vocab = model->hparams.n_vocab, n_prompts;
	double limit = bound_of(model);
	size_t n_bytes;
	uint8_t *bytes = read_file(ref_path, &n_bytes);
	struct cursor cursor = cursor_init(bytes, n_bytes);

	assert_memory_equal(cursor_take(&cursor, 8), "SCREF001", 8);
	assert_int_equal(cursor_u32(&cursor), n_vocab);
	n_prompts = cursor_u32(&cursor);
	assert_true(n_prompts > 0);
	for (uint32_t i = 0; i < n_prompts; i++) {
		struct prompt prompt = read_prompt(&cursor, n_vocab);
		double error = run_prompt(chain, &comparison, &prompt);

		print_message("%-20s %-5s %4u tokens %3u positions  error %.2e  limit %.0e%s\n",
			      name, tensor_type_info(model->layers[0].of[LAYER_ATTN_Q]->type)->name,
			      prompt.n_tokens, prompt.n_positions, error, limit,
			      error < limit ? "" : "  TOO LARGE");
		assert_true(error < limit);
	}
	assert_int_equal(cursor_left(&cursor), 0);
	free(bytes);
	chain_destroy(chain);
	model_close(model);
}

static void run_all(void)
{
	const char *source = getenv("SRCDIR");
	char pattern[4096], name[256];
	glob_t found;

	snprintf(pattern, sizeof pattern, "%s/tests/data/reference/*.ref", source ? source : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *base = strrchr(found.gl_pathv[i], '/') + 1;

		snprintf(name, sizeof name, "%.*s", (int)(strlen(base) - strlen(".ref")), base);
		run_reference(name, found.gl_pathv[i]);
	}
	globfree(&found);
}

static void run_with(enum cpu_isa isa)
{
	if (!chain_use_isa(isa))
		skip();
	print_message("instruction set %s\n", cpu_isa_name(isa));
	run_all();
}

static void logits_agree_with_transformers_on_scalar_code(void **state)
{
	(void)state;
	run_with(CPU_SCALAR);
}

static void logits_agree_with_transformers_on_avx2(void **state)
{
	(void)state;
	run_with(CPU_AVX2);
}

static void logits_agree_with_transformers_on_avx512(void **state)
{
	(void)state;
	run_with(CPU_AVX512);
}

static void logits_agree_with_transformers_on_avx512_bf16(void **state)
{
	(void)state;
	run_with(CPU_AVX512_BF16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logits_agree_with_transformers_on_scalar_code),
		cmocka_unit_test(logits_agree_with_transformers_on_avx2),
		cmocka_unit_test(logits_agree_with_transformers_on_avx512),
		cmocka_unit_test(logits_agree_with_transformers_on_avx512_bf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
