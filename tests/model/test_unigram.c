/* SPDX-License-Identifier: Apache-2.0 */
/* Unigram encoding with vocabularies of a few tokens: which way of cutting wins, what unknown
 * characters become, what a long text costs. tests/model/test_sentencepiece.c compares with
 * SentencePiece itself. */
#include "model/unigram.h"

#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

/* The names of ids: tiny_vocab_unigram puts three tokens in front. */
enum { PAD, END, UNKNOWN, FIRST };

static struct tiny_tokenizer create(const struct tiny_token *tokens, size_t n)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	tiny_vocab_unigram(&w, tokens, n);
	return must_create(&w);
}

#define CREATE(tokens) create(tokens, sizeof tokens / sizeof (tokens)[0])

static void best_sum_wins_and_not_the_longest_piece(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -1, T_NORMAL }, { "b", -1, T_NORMAL }, { "c", -1, T_NORMAL },
		{ "ab", -1.5f, T_NORMAL }, { "bc", -0.25f, T_NORMAL }, { "abc", -4, T_NORMAL },
	};
	struct tiny_tokenizer tiny = CREATE(tokens);

	(void)state;
	expect_ids(tiny.tokenizer, "abc", 0, "3 7");
	expect_ids(tiny.tokenizer, "ab", 0, "6");
	expect_ids(tiny.tokenizer, "", 0, "");
	tiny_tokenizer_destroy(&tiny);
}

static void of_equal_sums_the_one_with_the_longer_last_piece_wins(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -1, T_NORMAL }, { "aa", -2, T_NORMAL }, { "b", -1, T_NORMAL },
	};
	struct tiny_tokenizer tiny = CREATE(tokens);

	(void)state;
	expect_ids(tiny.tokenizer, "aa", 0, "4");
	expect_ids(tiny.tokenizer, "aaa", 0, "3 4");
	expect_ids(tiny.tokenizer, "aaab", 0, "3 4 5");
	tiny_tokenizer_destroy(&tiny);
}

static void adjacent_unknown_characters_are_one_unknown_token(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -1, T_NORMAL }, { "\u00E9", -1, T_NORMAL },
	};
	struct tiny_tokenizer tiny = CREATE(tokens);

	(void)state;
	expect_ids(tiny.tokenizer, "xyza\u4F60\u597Da\u00E9!", 0, "2 3 2 3 4 2");
	/* SentencePiece writes each byte that is no UTF-8 as U+FFFD. */
	expect_ids(tiny.tokenizer, "a\xFF\xFE\xE9" "a", 0, "3 2 3");
	tiny_tokenizer_destroy(&tiny);
}

static void unused_and_control_tokens_do_not_come_from_text(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -1, T_NORMAL }, { "b", -1, T_NORMAL }, { "ab", 0, T_UNUSED },
		{ "<x>", 0, T_CONTROL },
	};
	struct tiny_tokenizer tiny = CREATE(tokens);

	(void)state;
	expect_ids(tiny.tokenizer, "ab", 0, "3 4");
	expect_ids(tiny.tokenizer, "a<x>b", 0, "3 2 4");
	expect_ids(tiny.tokenizer, "a<x>b", TOKENIZE_PARSE_SPECIAL, "3 6 4");
	tiny_tokenizer_destroy(&tiny);
}

static void user_defined_piece_wins_by_its_bonus(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -1, T_NORMAL }, { "b", -1, T_NORMAL }, { "c", -1, T_NORMAL },
		{ "abc", -0.95f, T_NORMAL }, { "ab", 0, T_USER_DEFINED },
		{ "<|user|>", 0, T_USER_DEFINED },
	};
	static const char masked[] = "<|user|>";
	struct tiny_tokenizer tiny = CREATE(tokens);
	struct token_list ids = { 0 };
	struct error err;

	(void)state;
	/* 0.1 for its second byte, and -1 for c: -0.9. */
	expect_ids(tiny.tokenizer, "abc", 0, "7 5");
	/* A stranger's text does not become a token that looks like a control token. */
	expect_ids(tiny.tokenizer, "<|user|>", 0, "8");
	assert_int_equal(tokenizer_encode_masked(tiny.tokenizer, masked, "\0\0\0\0\0\0\0\0", 8,
						 TOKENIZE_PARSE_SPECIAL, &ids, &err), SC_OK);
	assert_int_equal(ids.n, 1);
	assert_int_equal(ids.ids[0], UNKNOWN);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

static void byte_tokens_stand_for_unknown_characters(void **state)
{
	static char texts[256][8];
	static struct tiny_token tokens[257];
	struct tiny_tokenizer tiny;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		snprintf(texts[i], sizeof texts[i], "<0x%02X>", i);
		tokens[i] = (struct tiny_token){ texts[i], 0, T_BYTE };
	}
	tokens[256] = (struct tiny_token){ "a", -1, T_NORMAL };
	tiny = create(tokens, 257);
	expect_ids(tiny.tokenizer, "a\u00E9", 0, "259 198 172");
	expect_ids(tiny.tokenizer, "<0x41>", 0, "63 51 123 55 52 65");
	tiny_tokenizer_destroy(&tiny);
}

static void spaces_follow_the_keys_of_the_file(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "\u2581", -2, T_NORMAL }, { "a", -1, T_NORMAL }, { "\u2581" "a", -1, T_NORMAL },
	};
	static const uint32_t ids[] = { 3, 5, 5 };
	struct gguf_writer w;
	struct tiny_tokenizer tiny = CREATE(tokens);

	(void)state;
	expect_ids(tiny.tokenizer, "a  a ", 0, "4 3 5 3");
	expect_text(tiny.tokenizer, ids, 3, false, "  a a");
	tiny_tokenizer_destroy(&tiny);

	gguf_writer_init(&w);
	tiny_vocab_unigram(&w, tokens, 3);
	gguf_writer_bool(&w, "tokenizer.ggml.add_space_prefix", true);
	gguf_writer_bool(&w, "tokenizer.ggml.remove_extra_whitespaces", true);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "  a  a ", 0, "5 5");
	expect_ids(tiny.tokenizer, "   ", 0, "");
	expect_text(tiny.tokenizer, ids, 3, false, "a a");
	tiny_tokenizer_destroy(&tiny);
}

/* A vocabulary in which no position settles what came before: a's in all lengths up to 16. */
static void long_text_costs_time_and_memory_in_proportion(void **state)
{
	static const char as[] = "aaaaaaaaaaaaaaaa";
	struct tiny_token tokens[16];
	char *text = malloc(1 << 20);
	struct tiny_tokenizer tiny;
	struct token_list ids = { 0 };

	(void)state;
	for (int i = 0; i < 16; i++)
		tokens[i] = (struct tiny_token){ as + 15 - i, -1 - 0.9f * (float)i, T_NORMAL };
	tiny = create(tokens, 16);
	assert_non_null(text);
	memset(text, 'a', 1 << 20);
	encode_bytes(tiny.tokenizer, text, 1 << 20, 0, &ids);
	assert_int_equal(ids.n, 1 << 16);
	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(ids.ids[i], FIRST + 15);
	free(text);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

static void work_of_a_long_text_is_counted(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -1, T_NORMAL }, { "aa", -2.5f, T_NORMAL }, { "aaaaaaaa", -9, T_NORMAL },
	};
	struct tiny_tokenizer tiny = CREATE(tokens);
	const struct vocab *vocab = tokenizer_vocab(tiny.tokenizer);
	struct unigram_scratch scratch = UNIGRAM_SCRATCH_INIT;
	struct token_list ids = { 0 };
	struct unigram *unigram;
	const size_t n = 1 << 20;
	char *text = malloc(n);
	struct error err;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', n);
	assert_int_equal(unigram_create(vocab, true, tiny.gguf, &unigram, &err), SC_OK);
	assert_int_equal(unigram_encode(unigram, text, n, &scratch, &ids), SC_OK);
	assert_int_equal(ids.n, n);
	assert_true(scratch.n_steps <= 9 * n);
	/* All ways meet again and again, so the search keeps only a window of the text, although
	 * pieces overlap everywhere. */
	assert_true(scratch.n_cells <= n / 4);
	unigram_scratch_deinit(&scratch);
	token_list_deinit(&ids);
	unigram_destroy(unigram);
	tiny_tokenizer_destroy(&tiny);
	free(text);
}

static void too_long_a_piece_is_refused(void **state)
{
	static char long_text[UNIGRAM_MAX_PIECE + 2];
	const struct tiny_token tokens[] = { { long_text, 0, T_NORMAL } };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	struct error err;

	(void)state;
	memset(long_text, 'x', UNIGRAM_MAX_PIECE + 1);
	gguf_writer_init(&w);
	tiny_vocab_unigram(&w, tokens, 1);
	assert_int_equal(tiny_tokenizer_create(&tiny, &w, &err), SC_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "4097 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_sum_wins_and_not_the_longest_piece),
		cmocka_unit_test(of_equal_sums_the_one_with_the_longer_last_piece_wins),
		cmocka_unit_test(adjacent_unknown_characters_are_one_unknown_token),
		cmocka_unit_test(unused_and_control_tokens_do_not_come_from_text),
		cmocka_unit_test(user_defined_piece_wins_by_its_bonus),
		cmocka_unit_test(byte_tokens_stand_for_unknown_characters),
		cmocka_unit_test(spaces_follow_the_keys_of_the_file),
		cmocka_unit_test(long_text_costs_time_and_memory_in_proportion),
		cmocka_unit_test(work_of_a_long_text_is_counted),
		cmocka_unit_test(too_long_a_piece_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
