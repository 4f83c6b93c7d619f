/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tokenizer.h"

#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

#define BAD "\uFFFD"
#define SPACE "\u2581"

/* One, two, three and four bytes, and what is made of several characters. */
static const char mixed[] = "a\u00E9\u4E2D\U0001F601 z\U0001F1E9\U0001F1EA e\u0301\U0001F636"
			    "\u200D\U0001F32B\uFE0F\u07FF\uFFFD\U0010FFFF";

static struct tiny_tokenizer create_bytes(void)
{
	static const struct tiny_token end[] = { { "<|im_end|>", 0, T_CONTROL } };
	struct gguf_writer w;

	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, "gpt-2", end, 1, NULL, 0);
	return must_create(&w);
}

/* Add one token per byte; after each, what came out is whole characters. */
static void stream_bytes(const struct tokenizer *tokenizer, const char *bytes, size_t n_bytes,
			 struct buf *text)
{
	struct token_stream stream;

	token_stream_init(&stream, tokenizer, true);
	for (size_t i = 0; i < n_bytes; i++) {
		assert_int_equal(token_stream_add(&stream, (uint8_t)bytes[i], text), SC_OK);
		assert_int_equal(utf8_valid_length(text->data, text->length), text->length);
		assert_int_equal(text->data[text->length], '\0');
		assert_true(stream.n_pending < 4);
	}
	assert_int_equal(token_stream_finish(&stream, text), SC_OK);
	assert_int_equal(stream.n_pending, 0);
}

static void expect_stream(const char *bytes, size_t n_bytes, const char *expected)
{
	struct tiny_tokenizer tiny = create_bytes();
	struct buf text = BUF_INIT;

	stream_bytes(tiny.tokenizer, bytes, n_bytes, &text);
	assert_string_equal(text.data, expected);
	buf_deinit(&text);
	tiny_tokenizer_destroy(&tiny);
}

static void text_comes_out_whole(void **state)
{
	(void)state;
	expect_stream(mixed, sizeof mixed - 1, mixed);
}

static void a_character_comes_with_its_last_byte(void **state)
{
	struct tiny_tokenizer tiny = create_bytes();
	struct token_stream stream;
	struct buf text = BUF_INIT;

	(void)state;
	token_stream_init(&stream, tiny.tokenizer, true);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(text.length, 0);
		assert_int_equal(token_stream_add(&stream, (uint8_t)"\U0001F601"[i], &text), SC_OK);
	}
	assert_string_equal(text.data, "\U0001F601");
	buf_deinit(&text);
	tiny_tokenizer_destroy(&tiny);
}

/* Table 3-8 of the Unicode Standard, and its neighbours. */
static void what_is_no_character_comes_out_as_replacements(void **state)
{
	(void)state;
	expect_stream("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", 13,
		      "a" BAD BAD BAD "b" BAD "c" BAD BAD "d");
	expect_stream("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 9,
		      BAD BAD BAD BAD BAD BAD BAD BAD "A");
	expect_stream("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 9,
		      BAD BAD BAD BAD BAD BAD BAD BAD "A");
	expect_stream("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 9,
		      BAD BAD BAD BAD BAD "A" BAD BAD "B");
	expect_stream("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 9, BAD BAD BAD BAD "A");
}

static void the_end_sets_free_what_is_pending_as_one_replacement(void **state)
{
	(void)state;
	expect_stream("a\xF0\x9F\x98", 4, "a" BAD);
	expect_stream("a\xE2", 2, "a" BAD);
	expect_stream("", 0, "");
}

/* Tokens of any bytes: cut the text everywhere, in up to three tokens. */
static void every_way_to_cut_a_text_gives_the_same_text(void **state)
{
	enum { N = sizeof mixed - 1 };
	struct tiny_token parts[3];
	char texts[3][2 * N + 1];

	(void)state;
	for (size_t first = 0; first <= N; first++) {
		for (size_t second = first; second <= N; second++) {
			const size_t cuts[4] = { 0, first, second, N };
			struct gguf_writer w;
			struct tiny_tokenizer tiny;
			struct token_stream stream;
			struct buf text = BUF_INIT;

			/* Tokens outside the alphabet print themselves, also half characters. */
			for (size_t i = 0; i < 3; i++) {
				size_t n = cuts[i + 1] - cuts[i];

				memcpy(texts[i], mixed + cuts[i], n);
				texts[i][n] = '\0';
				parts[i] = (struct tiny_token){ texts[i], 0, T_USER_DEFINED };
			}
			gguf_writer_init(&w);
			tiny_vocab_bpe(&w, "gpt-2", parts, 3, NULL, 0);
			tiny = must_create(&w);
			token_stream_init(&stream, tiny.tokenizer, true);
			for (uint32_t id = TINY_BPE_FIRST; id < TINY_BPE_FIRST + 3; id++) {
				assert_int_equal(token_stream_add(&stream, id, &text), SC_OK);
				assert_int_equal(utf8_valid_length(text.data, text.length),
						 text.length);
			}
			assert_int_equal(stream.n_pending, 0);
			assert_string_equal(text.data, mixed);
			buf_deinit(&text);
			tiny_tokenizer_destroy(&tiny);
		}
	}
}

static void special_tokens_are_silent_and_break_nothing(void **state)
{
	struct tiny_tokenizer tiny = create_bytes();
	struct token_stream stream;
	struct buf text = BUF_INIT;

	(void)state;
	token_stream_init(&stream, tiny.tokenizer, true);
	assert_int_equal(token_stream_add(&stream, 0xC3, &text), SC_OK);
	assert_int_equal(token_stream_add(&stream, TINY_BPE_FIRST, &text), SC_OK);
	assert_int_equal(token_stream_add(&stream, 0xA9, &text), SC_OK);
	assert_string_equal(text.data, "\u00E9");
	buf_deinit(&text);
	tiny_tokenizer_destroy(&tiny);
}

static void only_the_start_of_a_text_loses_its_space(void **state)
{
	static const struct tiny_token tokens[] = {
		{ SPACE "a", 0, T_NORMAL }, { SPACE, 0, T_NORMAL },
	};
	const uint32_t ids[] = { 1, 259, 260, 259 };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, 2);
	tiny = must_create(&w);
	for (int is_at_start = 0; is_at_start < 2; is_at_start++) {
		struct token_stream stream;
		struct buf text = BUF_INIT;

		token_stream_init(&stream, tiny.tokenizer, is_at_start);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(token_stream_add(&stream, ids[i], &text), SC_OK);
		assert_string_equal(text.data, is_at_start ? "a  a" : " a  a");
		buf_deinit(&text);
	}
	tiny_tokenizer_destroy(&tiny);
}

static void an_id_outside_the_vocabulary_is_refused(void **state)
{
	struct tiny_tokenizer tiny = create_bytes();
	struct token_stream stream;
	struct buf text = BUF_INIT;

	(void)state;
	token_stream_init(&stream, tiny.tokenizer, true);
	assert_int_equal(token_stream_add(&stream, 0xC3, &text), SC_OK);
	assert_int_equal(token_stream_add(&stream, TINY_BPE_FIRST + 1, &text), SC_E_INVALID);
	assert_int_equal(token_stream_add(&stream, TOKEN_NONE, &text), SC_E_INVALID);
	assert_int_equal(token_stream_add(&stream, 0xA9, &text), SC_OK);
	assert_string_equal(text.data, "\u00E9");
	buf_deinit(&text);
	tiny_tokenizer_destroy(&tiny);
}

static void random_bytes_give_valid_text(void **state)
{
	struct tiny_tokenizer tiny = create_bytes();
	uint64_t random = 3;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		char bytes[32];
		struct buf text = BUF_INIT;
		size_t n = next_random(&random) % sizeof bytes;

		for (size_t i = 0; i < n; i++)
			bytes[i] = (char)(next_random(&random) | (round % 2 ? 0x80 : 0));
		stream_bytes(tiny.tokenizer, bytes, n, &text);
		assert_int_equal(utf8_valid_length(text.data, text.length), text.length);
		buf_deinit(&text);
	}
	tiny_tokenizer_destroy(&tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_comes_out_whole),
		cmocka_unit_test(a_character_comes_with_its_last_byte),
		cmocka_unit_test(what_is_no_character_comes_out_as_replacements),
		cmocka_unit_test(the_end_sets_free_what_is_pending_as_one_replacement),
		cmocka_unit_test(every_way_to_cut_a_text_gives_the_same_text),
		cmocka_unit_test(special_tokens_are_silent_and_break_nothing),
		cmocka_unit_test(only_the_start_of_a_text_loses_its_space),
		cmocka_unit_test(an_id_outside_the_vocabulary_is_refused),
		cmocka_unit_test(random_bytes_give_valid_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
