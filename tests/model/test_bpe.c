/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-level BPE through the tokenizer, over vocabularies of a few tokens. */
#include "model/tokenizer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

/* 256 to 263; G with a dot is the space. */
#define G "\u0120"
static const struct tiny_token tokens[] = {
	{ "ab", 0, T_NORMAL }, { "bc", 0, T_NORMAL }, { "abc", 0, T_NORMAL },
	{ G "a", 0, T_NORMAL }, { "aa", 0, T_NORMAL }, { "abcd", 0, T_NORMAL },
	{ "<|im_end|>", 0, T_CONTROL },
	{ "\u00C3\u00A9", 0, T_NORMAL },	/* the two bytes of U+00E9 */
};
#define N_TOKENS (sizeof tokens / sizeof *tokens)
static const char *const merges[] = {
	"b c", "a b", "a bc", G " a", "a a", "\u00C3 \u00A9",
};
#define N_MERGES (sizeof merges / sizeof *merges)

static struct tiny_tokenizer create_bpe(const char *pre)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, pre, tokens, N_TOKENS, merges, N_MERGES);
	return must_create(&w);
}

static void the_first_merge_of_the_list_is_joined_first(void **state)
{
	struct tiny_tokenizer tiny = create_bpe("gpt-2");

	(void)state;
	expect_ids(tiny.tokenizer, "abc", 0, "258");
	expect_ids(tiny.tokenizer, "ab", 0, "256");
	expect_ids(tiny.tokenizer, "aaa", 0, "260 97");
	expect_ids(tiny.tokenizer, "a abc", 0, "97 32 258");
	expect_ids(tiny.tokenizer, "\u00E9", 0, "263");
	expect_ids(tiny.tokenizer, "", TOKENIZE_ADD_BOS, "");
	tiny_tokenizer_destroy(&tiny);
}

static void words_are_never_joined(void **state)
{
	struct tiny_tokenizer tiny = create_bpe("gpt-2");

	(void)state;
	/* The second a stands in a word of its own, with its space. */
	expect_ids(tiny.tokenizer, "a a", 0, "97 259");
	/* Two spaces: the first one is a word, the second goes with the letter. */
	expect_ids(tiny.tokenizer, "a  a", 0, "97 32 259");
	tiny_tokenizer_destroy(&tiny);
}

static void a_word_that_is_a_token_is_taken_whole_where_merges_are_ignored(void **state)
{
	struct tiny_tokenizer tiny = create_bpe("gpt-2");
	struct gguf_writer w;

	(void)state;
	/* No merge makes abcd. */
	expect_ids(tiny.tokenizer, "abcd", 0, "258 100");
	tiny_tokenizer_destroy(&tiny);

	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, "llama-bpe", tokens, N_TOKENS, merges, N_MERGES);
	gguf_writer_u32(&w, "tokenizer.ggml.bos_token_id", 262);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "abcd", 0, "261");
	expect_ids(tiny.tokenizer, "abcdd", 0, "258 100 100");
	/* This pre-tokenizer's vocabularies begin with BOS even if the file does not say so. */
	assert_true(tokenizer_adds_bos(tiny.tokenizer));
	expect_ids(tiny.tokenizer, "ab", TOKENIZE_ADD_BOS, "262 256");
	tiny_tokenizer_destroy(&tiny);
}

static void a_file_without_a_name_is_cut_the_default_way(void **state)
{
	struct tiny_tokenizer tiny = create_bpe(NULL);

	(void)state;
	assert_false(tokenizer_adds_bos(tiny.tokenizer));
	assert_int_equal(tokenizer_bos(tiny.tokenizer), TOKEN_NONE);
	assert_int_equal(tokenizer_eos(tiny.tokenizer), TOKEN_NONE);
	expect_ids(tiny.tokenizer, "abc", 0, "258");
	tiny_tokenizer_destroy(&tiny);
}

static void merges_cannot_forge_a_control_token(void **state)
{
	static const struct tiny_token forged[] = {
		{ "<s", 0, T_NORMAL }, { "<s>", 0, T_CONTROL }, { "x<", 0, T_USER_DEFINED },
		{ "end", 0, T_CONTROL },
	};
	static const char *const steps[] = { "< s", "<s >" };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	/* This pattern keeps "<s>" in one word. */
	tiny_vocab_bpe(&w, "bloom", forged, 4, steps, 2);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "<s>", 0, "256 62");
	expect_ids(tiny.tokenizer, "<s>", TOKENIZE_PARSE_SPECIAL, "257");
	/* User-defined ones are found in any text. */
	expect_ids(tiny.tokenizer, "xx<s>", 0, "120 258 115 62");
	assert_true(tokenizer_is_special(tiny.tokenizer, 257));
	tiny_tokenizer_destroy(&tiny);

	/* Nor does a whole word become one. */
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, "llama-bpe", forged, 4, steps, 2);
	gguf_writer_bool(&w, "tokenizer.ggml.add_bos_token", false);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "end", 0, "101 110 100");
	tiny_tokenizer_destroy(&tiny);
}

static void merges_of_texts_that_are_no_tokens_are_left_out(void **state)
{
	static const struct tiny_token few[] = { { "ab", 0, T_NORMAL } };
	static const char *const odd[] = { "zz z", "a z", "\u4E2D a", "a b", "a b", "b zz" };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, "gpt-2", few, 1, odd, 6);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "abazzz", 0, "256 97 122 122 122");
	tiny_tokenizer_destroy(&tiny);
}

static void a_byte_without_a_token_is_left_out_or_replaced(void **state)
{
	/* The letter a, and the three bytes of U+FFFD. */
	static const char *const texts[] = { "a", "\u00EF", "\u00BF", "\u00BD", "\u00BF\u00BD" };
	static const char *const pairs[] = { "\u00BF \u00BD" };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	for (size_t n = 1; n <= 5; n += 4) {
		gguf_writer_init(&w);
		gguf_writer_string(&w, "tokenizer.ggml.model", "gpt2");
		gguf_writer_strings(&w, "tokenizer.ggml.tokens", texts, n);
		gguf_writer_strings(&w, "tokenizer.ggml.merges", pairs, 1);
		tiny = must_create(&w);
		expect_ids(tiny.tokenizer, "a\xFF" "a", 0, n == 5 ? "0 1 4 0" : "0 0");
		expect_ids(tiny.tokenizer, "a\x01\xC3\xA9" "a", 0, "0 0");
		tiny_tokenizer_destroy(&tiny);
	}
}

static void tokens_print_their_bytes(void **state)
{
	static const struct tiny_token odd[] = {
		{ "a\u4E2D", 0, T_NORMAL },		/* not of the alphabet */
		{ "\u00E9", 0, T_USER_DEFINED },	/* as it is written, not the byte E9 */
		{ G G, 0, T_UNUSED },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	const uint32_t ids[] = { 256, 257, 258, 0xE9 };

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, "gpt-2", odd, 3, merges, N_MERGES);
	tiny = must_create(&w);
	expect_text(tiny.tokenizer, ids, 4, false, "a\u4E2D\u00E9  \xE9");
	/* The byte stays the byte: only the character is the user-defined token. */
	expect_ids(tiny.tokenizer, "\xE9", 0, "233");
	expect_ids(tiny.tokenizer, "\u00E9", 0, "257");
	tiny_tokenizer_destroy(&tiny);
}

static void a_leading_space_stays(void **state)
{
	struct tiny_tokenizer tiny = create_bpe("gpt-2");
	const uint32_t ids[] = { 259, 262, 259 };

	(void)state;
	expect_text(tiny.tokenizer, ids, 3, false, " a a");
	expect_text(tiny.tokenizer, ids, 3, true, " a<|im_end|> a");
	tiny_tokenizer_destroy(&tiny);
}

static void random_bytes_come_back(void **state)
{
	static const char *const names[] = { "gpt-2", "deepseek-coder", "falcon", "gpt-4o" };
	static const char likely[] = "a bc\n1'\xC3\xA9\xE4\xB8\xAD";
	uint64_t random = 2;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct tiny_tokenizer tiny = create_bpe(names[i]);

		for (unsigned round = 0; round < 500; round++) {
			uint8_t bytes[64];
			size_t n = next_random(&random) % sizeof bytes;

			for (size_t k = 0; k < n; k++)
				bytes[k] = round % 2
					 ? (uint8_t)next_random(&random)
					 : (uint8_t)likely[next_random(&random) % 12];
			expect_round_trip(tiny.tokenizer, bytes, n);
		}
		tiny_tokenizer_destroy(&tiny);
	}
}

/* Quadratic time would take minutes here. */
static void a_megabyte_without_a_space_is_one_word(void **state)
{
	enum { N_BYTES = 1 << 20 };
	struct tiny_tokenizer tiny = create_bpe("gpt-2");
	char *text = malloc(N_BYTES);
	struct token_list ids = { 0 };

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < N_BYTES; i++)
		text[i] = "abc"[i % 3];
	encode_bytes(tiny.tokenizer, text, N_BYTES, 0, &ids);
	/* abc all along, and the one letter that is over. */
	assert_int_equal(ids.n, N_BYTES / 3 + 1);
	for (size_t i = 0; i < ids.n - 1; i++)
		assert_int_equal(ids.ids[i], 258);
	token_list_deinit(&ids);
	free(text);
	tiny_tokenizer_destroy(&tiny);
}

struct worker {
	pthread_t thread;
	const struct tokenizer *tokenizer;
	struct token_list ids;
};

static const char shared_text[] = "a abc it's 12 ab \u4E2D\u6587 \xFF <|im_end|> abcabc";

/* No assertions here: they belong to the thread that runs the test. */
static void *encode_often(void *argument)
{
	struct worker *worker = argument;

	for (unsigned i = 0; i < 50; i++) {
		struct error err;

		worker->ids.n = 0;
		if (tokenizer_encode(worker->tokenizer, shared_text, sizeof shared_text - 1,
				     TOKENIZE_PARSE_SPECIAL, &worker->ids, &err))
			return NULL;
	}
	return worker;
}

static void threads_may_encode_at_once(void **state)
{
	struct tiny_tokenizer tiny = create_bpe("deepseek-v3");
	struct token_list expected = { 0 };
	struct worker workers[4];
	void *result;

	(void)state;
	encode_bytes(tiny.tokenizer, shared_text, sizeof shared_text - 1, TOKENIZE_PARSE_SPECIAL,
		     &expected);
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){ .tokenizer = tiny.tokenizer };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, encode_often,
						&workers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(workers[i].thread, &result), 0);
		assert_ptr_equal(result, &workers[i]);
		assert_int_equal(workers[i].ids.n, expected.n);
		assert_memory_equal(workers[i].ids.ids, expected.ids,
				    expected.n * sizeof expected.ids[0]);
		token_list_deinit(&workers[i].ids);
	}
	token_list_deinit(&expected);
	tiny_tokenizer_destroy(&tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_merge_of_the_list_is_joined_first),
		cmocka_unit_test(words_are_never_joined),
		cmocka_unit_test(
			a_word_that_is_a_token_is_taken_whole_where_merges_are_ignored),
		cmocka_unit_test(a_file_without_a_name_is_cut_the_default_way),
		cmocka_unit_test(merges_cannot_forge_a_control_token),
		cmocka_unit_test(merges_of_texts_that_are_no_tokens_are_left_out),
		cmocka_unit_test(a_byte_without_a_token_is_left_out_or_replaced),
		cmocka_unit_test(tokens_print_their_bytes),
		cmocka_unit_test(a_leading_space_stays),
		cmocka_unit_test(random_bytes_come_back),
		cmocka_unit_test(a_megabyte_without_a_space_is_one_word),
		cmocka_unit_test(threads_may_encode_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
