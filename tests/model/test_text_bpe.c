/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding over characters, and Unigram, as models of a pipeline. */
#include "model/pipeline.h"
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

#define A (TINY_SPM_FIRST + 0)
#define B (TINY_SPM_FIRST + 1)
#define C (TINY_SPM_FIRST + 2)
#define AB (TINY_SPM_FIRST + 3)
#define BC (TINY_SPM_FIRST + 4)
#define ABC (TINY_SPM_FIRST + 5)

static const struct tiny_token tokens[] = {
	{ "a", 0, T_NORMAL }, { "b", 0, T_NORMAL }, { "c", 0, T_NORMAL }, { "ab", 0, T_NORMAL },
	{ "bc", 0, T_NORMAL }, { "abc", 0, T_NORMAL },
};

/* steps: of the pipeline, behind its version. */
static struct tiny_tokenizer create(const char *const *merges, size_t n_merges,
				    const char *const *steps, size_t n_steps)
{
	const char *pipeline[32] = { PIPELINE_VERSION };
	struct gguf_writer w;

	memcpy(pipeline + 1, steps, n_steps * sizeof *steps);
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, sizeof tokens / sizeof *tokens);
	gguf_writer_u32(&w, "tokenizer.ggml.unknown_token_id", 0);
	gguf_writer_strings(&w, "tokenizer.ggml.merges", merges, n_merges);
	gguf_writer_strings(&w, PIPELINE_KEY, pipeline, n_steps + 1);
	return must_create(&w);
}

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

/* Uses the unknown token, fuses it, falls back to bytes, ignores merges. */
#define STEPS(...) ((const char *const[]){ "model.bpe", __VA_ARGS__ }), 5

static void pairs_are_joined_by_rank(void **state)
{
	static const char *const merges[] = { "b c", "a b", "ab c" };
	static const char *const others[] = { "a b", "b c", "ab c" };
	static const char *const twice[] = { "a b", "b c", "ab c", "a b" };
	struct tiny_tokenizer tiny = create(merges, 3, STEPS("1", "1", "1", "0"));

	(void)state;
	expect_ids(tiny.tokenizer, "abc", 0, "259 263");
	expect_ids(tiny.tokenizer, "ab", 0, "262");
	tiny_tokenizer_destroy(&tiny);
	tiny = create(others, 3, STEPS("1", "1", "1", "0"));
	expect_ids(tiny.tokenizer, "abcbc", 0, "264 263");
	tiny_tokenizer_destroy(&tiny);
	/* Of equal pairs the last counts: b c now comes first. */
	tiny = create(twice, 4, STEPS("1", "1", "1", "0"));
	expect_ids(tiny.tokenizer, "abc", 0, "259 263");
	tiny_tokenizer_destroy(&tiny);
	tiny = create(merges, 3, STEPS("1", "1", "1", "1"));
	expect_ids(tiny.tokenizer, "abc", 0, "264");
	tiny_tokenizer_destroy(&tiny);
}

static void unknown_characters_follow_the_settings(void **state)
{
	static const char *const merges[] = { "a b" };
	struct tiny_tokenizer tiny = create(merges, 1, STEPS("1", "1", "1", "0"));

	(void)state;
	expect_ids(tiny.tokenizer, "a\u00E9" "b", 0, "259 198 172 260");
	expect_ids(tiny.tokenizer, "\xE9" "ab\xE9", 0, "236 262 236");
	tiny_tokenizer_destroy(&tiny);
	tiny = create(merges, 1, STEPS("1", "1", "0", "0"));
	expect_ids(tiny.tokenizer, "ax\u00E9yb", 0, "259 0 260");
	tiny_tokenizer_destroy(&tiny);
	tiny = create(merges, 1, STEPS("1", "0", "0", "0"));
	expect_ids(tiny.tokenizer, "ax\u00E9yb", 0, "259 0 0 0 260");
	tiny_tokenizer_destroy(&tiny);
	/* What is left out does not keep its neighbours apart. */
	tiny = create(merges, 1, STEPS("0", "0", "0", "0"));
	expect_ids(tiny.tokenizer, "ax\u00E9yb", 0, "262");
	expect_ids(tiny.tokenizer, "xyz", 0, "");
	expect_ids(tiny.tokenizer, "xyzaz", 0, "259");
	tiny_tokenizer_destroy(&tiny);
}

static void long_words_are_joined_in_windows(void **state)
{
	static const char *const merges[] = { "a b", "b c", "ab c" };
	struct tiny_tokenizer tiny = create(merges, 3, STEPS("1", "1", "0", "0"));
	struct token_list ids = { 0 };
	const size_t n = 200000;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 1000 < 500 ? "abc"[i % 3] : '-';
	encode_bytes(tiny.tokenizer, text, n, 0, &ids);
	for (size_t i = 0, at = 0; i < ids.n; i++) {
		const char *expected = ids.ids[i] == ABC ? "abc" : ids.ids[i] == BC ? "bc" :
				       ids.ids[i] == AB ? "ab" : ids.ids[i] == C ? "c" : "b";

		if (!ids.ids[i]) {	/* unknown: the whole run */
			while (at < n && text[at] == '-')
				at++;
			continue;
		}
		if (ids.ids[i] == A)
			expected = "a";
		assert_memory_equal(text + at, expected, strlen(expected));
		at += strlen(expected);
	}
	assert_true(ids.n < n / 4);
	free(text);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

static void unigram_of_a_pipeline_rounds_no_sum(void **state)
{
	static const char *const pipeline[] = { PIPELINE_VERSION, "model.unigram", "0" };
	/* In float both ways have the sum -3; as doubles a + b + c is larger. */
	double scores[TINY_SPM_FIRST + N_OF(tokens)] = { 0 };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	scores[A] = scores[B] = scores[C] = -1;
	scores[AB] = scores[BC] = -5;
	scores[ABC] = -3 - 1e-9;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, N_OF(tokens));
	gguf_writer_u32(&w, "tokenizer.ggml.unknown_token_id", 0);
	gguf_writer_strings(&w, PIPELINE_KEY, pipeline, 3);
	gguf_writer_array(&w, "stagecoach.tokenizer.unigram_scores", GGUF_F64, scores,
			  N_OF(scores), sizeof scores);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "abc", 0, "259 260 261");
	expect_ids(tiny.tokenizer, "axyc", 0, "259 0 261");
	/* To the tokenizers package a byte's name is a piece like any other. */
	expect_ids(tiny.tokenizer, "a<0x41>", 0, "259 68");
	tiny_tokenizer_destroy(&tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_joined_by_rank),
		cmocka_unit_test(unknown_characters_follow_the_settings),
		cmocka_unit_test(long_words_are_joined_in_windows),
		cmocka_unit_test(unigram_of_a_pipeline_rounds_no_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
