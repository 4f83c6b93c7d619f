/* SPDX-License-Identifier: Apache-2.0 */
/* The bound by which a caller refuses a text before it is encoded. */
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"
#include "tests/model/hard_texts.h"
#include "tests/model/public_vocabs.h"

#define SPACE "\u2581"

static const struct tiny_token spm_tokens[] = {
	{ SPACE, -3, T_NORMAL }, { SPACE SPACE, -2, T_NORMAL },
	{ SPACE SPACE SPACE SPACE, -1, T_NORMAL }, { "<|im_end|>", 0, T_CONTROL },
};

static size_t count_ids(const struct tokenizer *tokenizer, const char *text, size_t n_bytes,
			unsigned flags)
{
	struct token_list ids = { 0 };
	size_t n;

	encode_bytes(tokenizer, text, n_bytes, flags, &ids);
	n = ids.n;
	token_list_deinit(&ids);
	return n;
}

static void the_longest_token_of_sentencepiece_counts_as_it_is_written(void **state)
{
	static const char visible[] = SPACE SPACE SPACE SPACE SPACE SPACE SPACE;
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, spm_tokens, 4);
	tiny = must_create(&w);
	/* Four spaces print four bytes, but a text can write them with twelve. */
	assert_int_equal(tokenizer_longest_token_bytes(tiny.tokenizer), 12);
	assert_int_equal(count_ids(tiny.tokenizer, visible, strlen(visible), 0), 2);
	tiny_tokenizer_destroy(&tiny);
}

static void special_tokens_are_counted_too(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "<|a_control_token|>", 0, T_CONTROL },
		{ "<|a token of the user's own|>", 0, T_USER_DEFINED },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	for (size_t n = 1; n <= 2; n++) {
		gguf_writer_init(&w);
		tiny_vocab_spm(&w, tokens, n);
		tiny = must_create(&w);
		assert_int_equal(tokenizer_longest_token_bytes(tiny.tokenizer),
				 strlen(tokens[n - 1].text));
		tiny_tokenizer_destroy(&tiny);
	}
}

static void a_byte_level_token_counts_its_bytes(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "\u0120\u0120", 0, T_NORMAL }, { "\u0120\u0120\u0120\u0120", 0, T_NORMAL },
		{ "\u0120\u0120\u0120\u0120\u0120\u0120\u0120\u0120", 0, T_NORMAL },
	};
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, "gpt-2", tokens, 3, NULL, 0);
	tiny = must_create(&w);
	assert_int_equal(tokenizer_longest_token_bytes(tiny.tokenizer), 8);
	tiny_tokenizer_destroy(&tiny);
}

static void there_is_no_bound_where_bytes_are_left_out(void **state)
{
	static const char *const texts[] = { "a", "b", "ab" };
	static const char *const merges[] = { "a b" };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	gguf_writer_string(&w, "tokenizer.ggml.model", "gpt2");
	gguf_writer_strings(&w, "tokenizer.ggml.tokens", texts, 3);
	gguf_writer_strings(&w, "tokenizer.ggml.merges", merges, 1);
	tiny = must_create(&w);
	assert_int_equal(count_ids(tiny.tokenizer, "zzzzzzzz", 8, 0), 0);
	assert_int_equal(tokenizer_longest_token_bytes(tiny.tokenizer), 0);
	tiny_tokenizer_destroy(&tiny);
}

static void sentencepiece_without_bytes_has_a_bound_by_its_unknown_token(void **state)
{
	static const char *const texts[] = { "<unk>", "<s>", "</s>", "a" };
	static const float scores[4] = { 0 };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	for (int has_unknown = 0; has_unknown < 2; has_unknown++) {
		gguf_writer_init(&w);
		gguf_writer_string(&w, "tokenizer.ggml.model", "llama");
		gguf_writer_strings(&w, "tokenizer.ggml.tokens", texts, 4);
		gguf_writer_array(&w, "tokenizer.ggml.scores", GGUF_F32, scores, 4, sizeof scores);
		if (!has_unknown)
			gguf_writer_u32(&w, "tokenizer.ggml.unknown_token_id", UINT32_MAX);
		tiny = must_create(&w);
		assert_int_equal(count_ids(tiny.tokenizer, "\U0001F636\U0001F636", 8, 0),
				 has_unknown ? 3 : 0);
		assert_int_equal(tokenizer_longest_token_bytes(tiny.tokenizer),
				 has_unknown ? strlen("<unk>") : 0);
		tiny_tokenizer_destroy(&tiny);
	}
}

static void there_is_no_bound_where_special_tokens_swallow_spaces(void **state)
{
	struct gguf_writer w;
	struct tiny_tokenizer tiny;

	(void)state;
	gguf_writer_init(&w);
	gguf_writer_string(&w, "general.name", "Phi-3 Mini");
	tiny_vocab_spm(&w, spm_tokens, 4);
	tiny = must_create(&w);
	assert_int_equal(count_ids(tiny.tokenizer, "<|im_end|>             ", 23,
				   TOKENIZE_PARSE_SPECIAL), 1);
	assert_int_equal(tokenizer_longest_token_bytes(tiny.tokenizer), 0);
	tiny_tokenizer_destroy(&tiny);
}

static void random_texts_keep_to_the_bound(void **state)
{
	static const char *const parts[] = { SPACE, " ", "<|im_end|>", "<s>", "\xFF", "a", "\n" };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	uint64_t random = 1;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, spm_tokens, 4);
	tiny = must_create(&w);
	for (unsigned round = 0; round < 500; round++) {
		const unsigned flags = round % 2 ? TOKENIZE_PARSE_SPECIAL : 0;
		const char *part = parts[next_random(&random) % 7];
		char text[640] = "";

		for (unsigned i = 0; i < 60; i++) {
			if (next_random(&random) % 16 == 0)
				part = parts[next_random(&random) % 7];
			strcat(text, part);
		}
		assert_true(count_ids(tiny.tokenizer, text, strlen(text), flags) >=
			    strlen(text) / tokenizer_longest_token_bytes(tiny.tokenizer));
	}
	tiny_tokenizer_destroy(&tiny);
}

static unsigned n_vocabs;

/* Those of kinds that are not read, or without a bound, are left out. */
static void check_vocab(const char *path)
{
	enum { N = 4096 };
	static char text[N];
	struct tokenizer *tokenizer;
	struct gguf *gguf;
	size_t longest;

	assert_int_equal(gguf_open(path, &gguf, NULL), SC_OK);
	if (tokenizer_create(gguf, &tokenizer, NULL) != SC_OK) {
		gguf_close(gguf);
		return;
	}
	longest = tokenizer_longest_token_bytes(tokenizer);
	for (const struct hard_text *kind = hard_texts; longest && kind->name; kind++)
		for (unsigned flags = 0; flags <= TOKENIZE_PARSE_SPECIAL;
		     flags += TOKENIZE_PARSE_SPECIAL) {
			size_t n;

			hard_text_fill(kind, text, N);
			n = count_ids(tokenizer, text, N, flags);
			if (n < N / longest)
				fail_msg("%s: %s: %zu tokens of at most %zu bytes for %d", path,
					 kind->name, n, longest, N);
		}
	n_vocabs += longest > 0;
	tokenizer_destroy(tokenizer);
	gguf_close(gguf);
}

static void hard_texts_keep_to_the_bound_of_public_vocabularies(void **state)
{
	(void)state;
	if (!public_vocabs_each(check_vocab))
		skip();
	assert_true(n_vocabs > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_token_of_sentencepiece_counts_as_it_is_written),
		cmocka_unit_test(special_tokens_are_counted_too),
		cmocka_unit_test(a_byte_level_token_counts_its_bytes),
		cmocka_unit_test(there_is_no_bound_where_bytes_are_left_out),
		cmocka_unit_test(sentencepiece_without_bytes_has_a_bound_by_its_unknown_token),
		cmocka_unit_test(there_is_no_bound_where_special_tokens_swallow_spaces),
		cmocka_unit_test(random_texts_keep_to_the_bound),
		cmocka_unit_test(hard_texts_keep_to_the_bound_of_public_vocabularies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
