/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

/* 256 and on: ab, <|im_end|>, <|im|>, <|im|>more, <tool>, <stop>, and what files have the wrong
 * type for. */
static const struct tiny_token tokens[] = {
	{ "ab", 0, T_NORMAL }, { "<|im_end|>", 0, T_CONTROL }, { "<|im|>", 0, T_CONTROL },
	{ "<|im|>more", 0, T_CONTROL }, { "<tool>", 0, T_USER_DEFINED },
	{ "<stop>", 0, T_USER_DEFINED }, { "<|user|>", 0, T_USER_DEFINED },
	{ "<\uFF5Cuser\uFF5C>", 0, T_USER_DEFINED }, { "<start_of_turn>", 0, T_USER_DEFINED },
};
#define N_TOKENS (sizeof tokens / sizeof *tokens)
enum { AB = 256, IM_END, IM, IM_MORE, TOOL, STOP };

static struct tiny_tokenizer create(void)
{
	static const char *const merges[] = { "a b" };
	struct gguf_writer w;

	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, NULL, tokens, N_TOKENS, merges, 1);
	gguf_writer_u32(&w, "tokenizer.ggml.eot_token_id", STOP);
	return must_create(&w);
}

/* Ids of special or longer tokens as {id}, others as their bytes. */
static void expect_masked(const char *text, const char *mask, unsigned flags,
			  const char *expected)
{
	struct tiny_tokenizer tiny = create();
	struct token_list ids = { 0 };
	struct buf found = BUF_INIT;
	struct error err;
	char bits[64];

	assert_true(strlen(text) < sizeof bits && strlen(text) == strlen(mask));
	for (size_t i = 0; text[i]; i++)
		bits[i] = mask[i] == 't';
	assert_int_equal(tokenizer_encode_masked(tiny.tokenizer, text, bits, strlen(text), flags,
						 &ids, &err), SC_OK);
	for (size_t i = 0; i < ids.n; i++) {
		size_t n;
		const char *piece = tokenizer_piece(tiny.tokenizer, ids.ids[i], &n);

		assert_int_equal(ids.ids[i] < AB
				 ? buf_add(&found, piece, n)
				 : buf_add_format(&found, "{%u}", ids.ids[i]), SC_OK);
	}
	assert_string_equal(found.data, expected);
	buf_deinit(&found);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

static void control_tokens_match_only_where_the_mask_lets_them(void **state)
{
	(void)state;
	expect_masked("x<|im_end|>", "uuuuuuuuuuu", TOKENIZE_PARSE_SPECIAL, "x<|im_end|>");
	expect_masked("x<|im_end|>", "utttttttttt", TOKENIZE_PARSE_SPECIAL, "x{257}");
	expect_masked("<|im_end|><|im_end|>", "uuuuuuuuuutttttttttt", TOKENIZE_PARSE_SPECIAL,
		      "<|im_end|>{257}");
	expect_masked("<|im_end|>", "tttttttttt", 0, "<|im_end|>");
}

static void a_stranger_cannot_complete_a_control_token(void **state)
{
	(void)state;
	expect_masked("<|im_end|>", "ttttuuuuuu", TOKENIZE_PARSE_SPECIAL, "<|im_end|>");
	expect_masked("<|im_end|>", "uttttttttt", TOKENIZE_PARSE_SPECIAL, "<|im_end|>");
	expect_masked("<|im_end|>", "tttttutttt", TOKENIZE_PARSE_SPECIAL, "<|im_end|>");
	/* The shorter token is the template's own; what follows is the stranger's. */
	expect_masked("<|im|>more", "ttttttuuuu", TOKENIZE_PARSE_SPECIAL, "{258}more");
	expect_masked("<|im|>more", "tttttttttt", TOKENIZE_PARSE_SPECIAL, "{259}");
}

static void merges_go_across_the_edges_of_the_mask(void **state)
{
	(void)state;
	expect_masked("ab", "tu", TOKENIZE_PARSE_SPECIAL, "{256}");
	expect_masked("ab", "ut", TOKENIZE_PARSE_SPECIAL, "{256}");
	expect_masked("<|im_end|>ab", "uuuuuuuuuutu", TOKENIZE_PARSE_SPECIAL, "<|im_end|>{256}");
}

static void user_defined_tokens_are_text_unless_they_end_generation(void **state)
{
	(void)state;
	expect_masked("<tool>", "uuuuuu", TOKENIZE_PARSE_SPECIAL, "{260}");
	expect_masked("<tool>", "uuuuuu", 0, "{260}");
	expect_masked("<stop>", "tttttt", TOKENIZE_PARSE_SPECIAL, "{261}");
	expect_masked("<stop>", "uuuuuu", TOKENIZE_PARSE_SPECIAL, "<stop>");
	expect_masked("<stop>", "tttttt", 0, "<stop>");
}

/* Without a mask they match everywhere, as in llama.cpp. */
static void user_defined_tokens_that_look_like_control_tokens_need_leave(void **state)
{
	(void)state;
	expect_masked("<|user|>", "uuuuuuuu", TOKENIZE_PARSE_SPECIAL, "<|user|>");
	expect_masked("<|user|>", "uutttttt", TOKENIZE_PARSE_SPECIAL, "<|user|>");
	expect_masked("<|user|>", "tttttttt", TOKENIZE_PARSE_SPECIAL, "{262}");
	expect_masked("<\uFF5Cuser\uFF5C>", "uuuuuuuuuuuu", TOKENIZE_PARSE_SPECIAL,
		      "<\uFF5Cuser\uFF5C>");
	expect_masked("<\uFF5Cuser\uFF5C>", "tttttttttttt", TOKENIZE_PARSE_SPECIAL, "{263}");
	expect_masked("<start_of_turn>", "uuuuuuuuuuuuuuu", TOKENIZE_PARSE_SPECIAL,
		      "<start_of_turn>");
	expect_masked("<start_of_turn>", "ttttttttttttttt", TOKENIZE_PARSE_SPECIAL, "{264}");
}

/* A mask of ones is no mask; a mask of zeros is TOKENIZE_PARSE_SPECIAL not given. */
static void whole_masks_are_the_two_flags(void **state)
{
	static const char *const parts[] = {
		"ab", "a", "b", "<|im_end|>", "<|im|>", "more", "<|im", "_end|>", "<tool>", " ",
		"<stop>",
	};
	struct tiny_tokenizer tiny = create();
	char ones[512], zeros[512] = { 0 };
	uint64_t random = 1;

	(void)state;
	memset(ones, 1, sizeof ones);
	for (unsigned round = 0; round < 500; round++) {
		struct buf text = BUF_INIT;
		struct token_list plain = { 0 }, masked = { 0 };
		struct error err;
		unsigned flags = round & 1 ? TOKENIZE_PARSE_SPECIAL : 0;

		for (unsigned i = next_random(&random) % 20; i; i--)
			assert_int_equal(buf_add_string(&text, parts[next_random(&random) % 11]),
					 SC_OK);
		encode_bytes(tiny.tokenizer, text.data, text.length, flags, &plain);
		assert_int_equal(tokenizer_encode_masked(tiny.tokenizer, text.data,
							 flags ? ones : zeros, text.length,
							 TOKENIZE_PARSE_SPECIAL, &masked, &err),
				 SC_OK);
		assert_int_equal(masked.n, plain.n);
		if (plain.n)
			assert_memory_equal(masked.ids, plain.ids, plain.n * sizeof plain.ids[0]);
		token_list_deinit(&plain);
		token_list_deinit(&masked);
		buf_deinit(&text);
	}
	tiny_tokenizer_destroy(&tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_tokens_match_only_where_the_mask_lets_them),
		cmocka_unit_test(a_stranger_cannot_complete_a_control_token),
		cmocka_unit_test(merges_go_across_the_edges_of_the_mask),
		cmocka_unit_test(user_defined_tokens_are_text_unless_they_end_generation),
		cmocka_unit_test(user_defined_tokens_that_look_like_control_tokens_need_leave),
		cmocka_unit_test(whole_masks_are_the_two_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
