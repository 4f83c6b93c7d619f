/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

#define SPACE "\u2581"

/* 259 to 272. "lo" scores higher than "ll", "hell" can only come from "he" and "ll". */
static const struct tiny_token spm_tokens[] = {
	{ SPACE, -10, T_NORMAL }, { "h", -11, T_NORMAL }, { "e", -12, T_NORMAL },
	{ "l", -13, T_NORMAL }, { "o", -14, T_NORMAL }, { "he", -1, T_NORMAL },
	{ "ll", -3, T_NORMAL }, { "lo", -2, T_NORMAL }, { "hell", -4, T_NORMAL },
	{ SPACE "he", -5, T_NORMAL }, { SPACE SPACE, -6, T_NORMAL }, { "a", -15, T_NORMAL },
	{ "aa", -7, T_NORMAL }, { "<|im_end|>", 0, T_NORMAL },
};
#define N_SPM_TOKENS (sizeof spm_tokens / sizeof *spm_tokens)

static struct tiny_tokenizer create_spm(void)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	tiny_vocab_spm(&w, spm_tokens, N_SPM_TOKENS);
	return must_create(&w);
}

static void the_highest_score_is_joined_first(void **state)
{
	struct tiny_tokenizer tiny = create_spm();

	(void)state;
	/* he (-1), lo (-2), then the space before he (-5): ll never gets its turn. */
	expect_ids(tiny.tokenizer, "hello", 0, "268 262 266");
	/* Here ll (-3) makes hell (-4) before the space comes (-5). */
	expect_ids(tiny.tokenizer, "hellhe", 0, "259 267 264");
	/* Of equals the leftmost. */
	expect_ids(tiny.tokenizer, "aaa", 0, "259 271 270");
	tiny_tokenizer_destroy(&tiny);
}

static void zero_and_minus_zero_are_the_same_score(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "a", -3, T_NORMAL }, { "b", -3, T_NORMAL }, { "ab", -0.0f, T_NORMAL },
		{ "ba", 0.0f, T_NORMAL },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 4);
	gguf_writer_bool(&w, "tokenizer.ggml.add_space_prefix", false);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "aba", 0, "261 259");
	expect_ids(tiny.tokenizer, "bab", 0, "262 260");
	tiny_tokenizer_destroy(&tiny);
}

static void a_text_gets_a_space_in_front_and_loses_it_again(void **state)
{
	struct tiny_tokenizer tiny = create_spm();
	const uint32_t ids[] = { 1, 268, 259, 268, 2 };

	(void)state;
	expect_ids(tiny.tokenizer, "", 0, "");
	expect_ids(tiny.tokenizer, "a", 0, "259 270");
	expect_ids(tiny.tokenizer, " a", 0, "269 270");
	expect_text(tiny.tokenizer, ids, 5, false, "he  he");
	expect_text(tiny.tokenizer, ids, 5, true, "<s>he  he</s>");
	expect_text(tiny.tokenizer, ids + 2, 1, false, "");
	expect_round_trip(tiny.tokenizer, "  he  llo ", 10);
	tiny_tokenizer_destroy(&tiny);
}

static void no_space_is_added_where_the_file_says_so(void **state)
{
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	const uint32_t ids[] = { 268 };

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, spm_tokens, N_SPM_TOKENS);
	gguf_writer_bool(&w, "tokenizer.ggml.add_space_prefix", false);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "hello", 0, "264 262 266");
	expect_text(tiny.tokenizer, ids, 1, false, " he");
	expect_round_trip(tiny.tokenizer, " hello", 6);
	tiny_tokenizer_destroy(&tiny);
}

static void characters_without_a_token_become_bytes(void **state)
{
	struct tiny_tokenizer tiny = create_spm();

	(void)state;
	expect_ids(tiny.tokenizer, "a\u00E9", 0, "259 270 198 172");
	expect_ids(tiny.tokenizer, "\n", 0, "259 13");
	/* Not UTF-8: byte by byte, and what follows is not swallowed. */
	expect_ids(tiny.tokenizer, "\xFF\xC3he\xE2\x96", 0, "259 258 198 264 229 153");
	tiny_tokenizer_destroy(&tiny);
}

static void characters_without_bytes_become_the_unknown_token(void **state)
{
	static const char *const texts[] = { "<unk>", "<s>", "</s>", SPACE, "a" };
	static const float scores[5] = { 0 };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	gguf_writer_string(&w, "tokenizer.ggml.model", "llama");
	gguf_writer_strings(&w, "tokenizer.ggml.tokens", texts, 5);
	gguf_writer_array(&w, "tokenizer.ggml.scores", GGUF_F32, scores, 5, sizeof scores);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "a\u00E9z", 0, "3 4 0 0");
	tiny_tokenizer_destroy(&tiny);
}

static void bos_comes_where_asked_and_where_the_file_says_and_eos_never(void **state)
{
	struct tiny_tokenizer tiny = create_spm();
	struct gguf_writer w;

	(void)state;
	assert_int_equal(tokenizer_n_vocab(tiny.tokenizer), TINY_SPM_FIRST + N_SPM_TOKENS);
	assert_int_equal(tokenizer_bos(tiny.tokenizer), 1);
	assert_int_equal(tokenizer_eos(tiny.tokenizer), 2);
	assert_true(tokenizer_adds_bos(tiny.tokenizer));
	expect_ids(tiny.tokenizer, "a", TOKENIZE_ADD_BOS, "1 259 270");
	expect_ids(tiny.tokenizer, "", TOKENIZE_ADD_BOS, "1");
	tiny_tokenizer_destroy(&tiny);

	gguf_writer_init(&w);
	tiny_vocab_spm(&w, spm_tokens, N_SPM_TOKENS);
	gguf_writer_bool(&w, "tokenizer.ggml.add_bos_token", false);
	gguf_writer_bool(&w, "tokenizer.ggml.add_eos_token", true);
	gguf_writer_u32(&w, "tokenizer.ggml.eos_token_id", 270);
	tiny = must_create(&w);
	assert_false(tokenizer_adds_bos(tiny.tokenizer));
	expect_ids(tiny.tokenizer, "a", TOKENIZE_ADD_BOS, "259 270");
	tiny_tokenizer_destroy(&tiny);
}

static void a_text_with_a_bos_of_its_own_gets_no_other(void **state)
{
	const unsigned flags = TOKENIZE_ADD_BOS | TOKENIZE_PARSE_SPECIAL;
	struct tiny_tokenizer tiny = create_spm();

	(void)state;
	expect_ids(tiny.tokenizer, "<s>a", flags, "1 259 270");
	expect_ids(tiny.tokenizer, "<s>", flags, "1");
	expect_ids(tiny.tokenizer, "a<s>", flags, "1 259 270 1");
	expect_ids(tiny.tokenizer, "<s><s>a", flags, "1 1 259 270");
	expect_ids(tiny.tokenizer, "<s>a", TOKENIZE_PARSE_SPECIAL, "1 259 270");
	expect_ids(tiny.tokenizer, "<s>", TOKENIZE_ADD_BOS, "1 259 63 118 65");
	tiny_tokenizer_destroy(&tiny);
}

static void special_tokens_are_parsed_only_where_asked(void **state)
{
	struct tiny_tokenizer tiny = create_spm();
	struct gguf_writer w;
	/* Joining these would make "<s>", whose score is the highest. */
	static const struct tiny_token steps[] = {
		{ "<", -1, T_NORMAL }, { "s", -2, T_NORMAL }, { ">", -3, T_NORMAL },
		{ "<s", -4, T_NORMAL }, { "s>", -5, T_NORMAL }, { SPACE, -6, T_NORMAL },
	};

	(void)state;
	expect_ids(tiny.tokenizer, "a<s>a", TOKENIZE_PARSE_SPECIAL, "259 270 1 259 270");
	expect_ids(tiny.tokenizer, "<unk></s>", TOKENIZE_PARSE_SPECIAL, "0 2");
	expect_ids(tiny.tokenizer, "a<s>", 0, "259 270 63 118 65");
	tiny_tokenizer_destroy(&tiny);

	gguf_writer_init(&w);
	tiny_vocab_spm(&w, steps, 6);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "<s>", 0, "264 262 261");
	expect_ids(tiny.tokenizer, "<s>", TOKENIZE_PARSE_SPECIAL, "1");
	/* Nor is the text of a byte token that byte. */
	expect_round_trip(tiny.tokenizer, "<0x41>", 6);
	tiny_tokenizer_destroy(&tiny);
}

static void user_defined_tokens_come_first_and_the_longest_wins(void **state)
{
	static const struct tiny_token tokens[] = {
		{ SPACE, -1, T_NORMAL }, { "a", -2, T_NORMAL }, { "b", -3, T_NORMAL },
		{ "ab", 0, T_NORMAL }, { "ba", 0, T_USER_DEFINED }, { "bab", 0, T_USER_DEFINED },
		{ "  ", 0, T_USER_DEFINED },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	const uint32_t ids[] = { 265, 263 };

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 7);
	tiny = must_create(&w);
	/* "ab" would be joined first: it never gets the chance. */
	expect_ids(tiny.tokenizer, "aba", 0, "259 260 263");
	expect_ids(tiny.tokenizer, "ababab", 0, "259 260 264 259 262");
	expect_ids(tiny.tokenizer, "a   a", 0, "259 260 265 259 259 260");
	/* A user-defined token's own space is not encode's. */
	expect_text(tiny.tokenizer, ids, 2, false, "  ba");
	tiny_tokenizer_destroy(&tiny);
}

static void tokens_may_have_a_space_inside(void **state)
{
	static const struct tiny_token tokens[] = {
		{ SPACE, -5, T_NORMAL }, { "a", -6, T_NORMAL }, { "b", -7, T_NORMAL },
		{ "a" SPACE, -1, T_NORMAL }, { "a" SPACE "b", -2, T_NORMAL },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 5);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "a b b", 0, "259 263 259 261");
	tiny_tokenizer_destroy(&tiny);
}

static void ends_of_generation_are_known_by_id_and_by_name(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "<|eot_id|>", 0, T_CONTROL }, { "<|im_end|>", 0, T_USER_DEFINED },
		{ "<end_of_turn>", 0, T_NORMAL }, { "stop", 0, T_NORMAL },
		{ "[EOS]", 0, T_NORMAL }, { "[EOT]", 0, T_CONTROL }, { "<|start|>", 0, T_CONTROL },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 7);
	gguf_writer_u32(&w, "tokenizer.ggml.eot_token_id", 262);
	tiny = must_create(&w);
	assert_true(tokenizer_is_end(tiny.tokenizer, 2));
	assert_false(tokenizer_is_end(tiny.tokenizer, 1));
	for (uint32_t id = 259; id <= 262; id++)
		assert_true(tokenizer_is_end(tiny.tokenizer, id));
	assert_false(tokenizer_is_end(tiny.tokenizer, 263));
	assert_true(tokenizer_is_end(tiny.tokenizer, 264));
	assert_false(tokenizer_is_end(tiny.tokenizer, 265));
	assert_false(tokenizer_is_end(tiny.tokenizer, TOKEN_NONE));
	/* Such names are control tokens, whatever the file says; "stop" stays text. */
	assert_true(tokenizer_is_special(tiny.tokenizer, 260));
	assert_true(tokenizer_is_special(tiny.tokenizer, 261));
	assert_false(tokenizer_is_special(tiny.tokenizer, 262));
	assert_false(tokenizer_is_special(tiny.tokenizer, TOKEN_NONE));
	tiny_tokenizer_destroy(&tiny);
}

static void harmony_goes_on_behind_the_end_of_a_message(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "<|end|>", 0, T_CONTROL }, { "<|return|>", 0, T_CONTROL },
		{ "<|call|>", 0, T_CONTROL },
	};

	(void)state;
	for (size_t n = 1; n <= 3; n += 2) {
		struct gguf_writer w;
		struct tiny_tokenizer tiny;

		gguf_writer_init(&w);
		tiny_vocab_spm(&w, tokens, n);
		tiny = must_create(&w);
		assert_int_equal(tokenizer_is_end(tiny.tokenizer, 259), n == 1);
		tiny_tokenizer_destroy(&tiny);
	}
}

static void phi_3_swallows_the_space_behind_special_tokens(void **state)
{
	static const struct tiny_token tokens[] = {
		{ SPACE, -1, T_NORMAL }, { "a", -2, T_NORMAL }, { "<|user|>", 0, T_CONTROL },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	gguf_writer_string(&w, "general.name", "Phi-3 Mini");
	tiny_vocab_spm(&w, tokens, 3);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "<|user|> \n a", TOKENIZE_PARSE_SPECIAL, "261 259 260");
	expect_ids(tiny.tokenizer, "<s> a", TOKENIZE_PARSE_SPECIAL, "1 259 259 260");
	expect_ids(tiny.tokenizer, "<|user|> ", TOKENIZE_PARSE_SPECIAL, "261");
	tiny_tokenizer_destroy(&tiny);
}

static void of_equal_tokens_the_lowest_id_is_written_and_all_are_read(void **state)
{
	static const struct tiny_token tokens[] = {
		{ SPACE, -1, T_NORMAL }, { "a", -2, T_NORMAL }, { "a", -1, T_NORMAL },
		{ "", 0, T_NORMAL },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	const uint32_t ids[] = { 260, 262, 261 };

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 4);
	tiny = must_create(&w);
	expect_ids(tiny.tokenizer, "a", 0, "259 260");
	expect_text(tiny.tokenizer, ids, 3, false, "aa");
	tiny_tokenizer_destroy(&tiny);
}

static void random_bytes_come_back(void **state)
{
	static const char likely[] = " helo" SPACE;
	struct tiny_tokenizer tiny = create_spm();
	uint64_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		uint8_t bytes[64];
		size_t n = next_random(&random) % sizeof bytes;

		for (size_t i = 0; i < n; i++)
			bytes[i] = round % 2 ? (uint8_t)next_random(&random)
					     : (uint8_t)likely[next_random(&random) % 8];
		/* Text that has the visible space itself comes back with blanks: not our case. */
		if (!memmem(bytes, n, SPACE, strlen(SPACE)))
			expect_round_trip(tiny.tokenizer, bytes, n);
	}
	tiny_tokenizer_destroy(&tiny);
}

static void a_failed_call_leaves_its_outputs_alone(void **state)
{
	struct tiny_tokenizer tiny = create_spm();
	struct buf text = BUF_INIT;
	struct token_list ids = { 0 };
	const uint32_t bad[] = { 270, TINY_SPM_FIRST + N_SPM_TOKENS };
	struct error err;

	(void)state;
	assert_int_equal(buf_add_string(&text, "kept"), SC_OK);
	assert_int_equal(tokenizer_decode(tiny.tokenizer, bad, 2, false, &text), SC_E_INVALID);
	assert_string_equal(text.data, "kept");
	assert_int_equal(tokenizer_encode(tiny.tokenizer, "abc", 3, 0, &ids, &err), SC_OK);
	assert_int_equal(tokenizer_decode_within(tiny.tokenizer, ids.ids, ids.n, false, 2, &text),
			 SC_E_TOO_LARGE);
	assert_string_equal(text.data, "kept");
	assert_int_equal(tokenizer_decode_within(tiny.tokenizer, ids.ids, ids.n, false, 3, &text),
			 SC_OK);
	assert_string_equal(text.data, "keptabc");
	ids.n = 0;
	assert_int_equal(token_list_add(&ids, 7), SC_OK);
	assert_int_equal(tokenizer_encode(tiny.tokenizer, "a", (size_t)INT32_MAX + 1,
					  TOKENIZE_ADD_BOS, &ids, &err), SC_E_TOO_LARGE);
	assert_int_equal(ids.n, 1);
	assert_int_equal(tokenizer_encode(tiny.tokenizer, "a", 1, 0, &ids, &err), SC_OK);
	assert_int_equal(ids.n, 3);
	assert_int_equal(ids.ids[0], 7);
	token_list_deinit(&ids);
	buf_deinit(&text);
	tiny_tokenizer_destroy(&tiny);
}

/* The model of the shared folder, where it is there. */
static void stories260k_reads_its_own_text(void **state)
{
	const char *shared = getenv("SHARED_DIR");
	const char *story = "Once upon a time, there was a little girl named Lily.";
	struct buf path = BUF_INIT;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
	struct error err;

	(void)state;
	assert_int_equal(buf_add_format(&path, "%s/models/stories260K.gguf",
					shared ? shared : "../shared"), SC_OK);
	if (gguf_open(path.data, &gguf, &err)) {
		buf_deinit(&path);
		skip();
	}
	if (tokenizer_create(gguf, &tokenizer, &err))
		fail_msg("%s", err.text);
	assert_int_equal(tokenizer_n_vocab(tokenizer), 512);
	expect_ids(tokenizer, "Once upon a time", TOKENIZE_ADD_BOS, "1 403 407 261 378");
	expect_round_trip(tokenizer, story, strlen(story));
	expect_round_trip(tokenizer, "\xF0\x9F\x98\x81\n\xFF", 6);
	tokenizer_destroy(tokenizer);
	gguf_close(gguf);
	buf_deinit(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_score_is_joined_first),
		cmocka_unit_test(zero_and_minus_zero_are_the_same_score),
		cmocka_unit_test(a_text_gets_a_space_in_front_and_loses_it_again),
		cmocka_unit_test(no_space_is_added_where_the_file_says_so),
		cmocka_unit_test(characters_without_a_token_become_bytes),
		cmocka_unit_test(characters_without_bytes_become_the_unknown_token),
		cmocka_unit_test(bos_comes_where_asked_and_where_the_file_says_and_eos_never),
		cmocka_unit_test(a_text_with_a_bos_of_its_own_gets_no_other),
		cmocka_unit_test(special_tokens_are_parsed_only_where_asked),
		cmocka_unit_test(user_defined_tokens_come_first_and_the_longest_wins),
		cmocka_unit_test(tokens_may_have_a_space_inside),
		cmocka_unit_test(ends_of_generation_are_known_by_id_and_by_name),
		cmocka_unit_test(harmony_goes_on_behind_the_end_of_a_message),
		cmocka_unit_test(phi_3_swallows_the_space_behind_special_tokens),
		cmocka_unit_test(of_equal_tokens_the_lowest_id_is_written_and_all_are_read),
		cmocka_unit_test(random_bytes_come_back),
		cmocka_unit_test(a_failed_call_leaves_its_outputs_alone),
		cmocka_unit_test(stories260k_reads_its_own_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
