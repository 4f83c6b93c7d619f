/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers with each of their allocations failing in turn: a clean error or, where something can
 * be done without the memory, the right result; and nothing is left behind. */
#include "model/tokenizer.h"

#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

/* More than 64 tokens: the list of ids grows in the middle. */
#define PART "ab  abab "
#define END " <|im_end|> 12 ab's ab zzzzzzzzzz zzzzzzzzzz zzzzzzzzzz zzzzzzzzzz zzzzzzzzzz"
static const char text[] = PART "\xFF" END;

static const struct tiny_token tokens[] = {
	{ "ab", 0, T_NORMAL }, { "<|im_end|>", 0, T_CONTROL }, { "\u2581", 0, T_NORMAL },
	{ "12", 0, T_USER_DEFINED },
};
static const char *const merges[] = { "a b" };

static void write_file(struct buf *file, bool is_spm)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	/* Behind a user-defined token SentencePiece adds a space of its own: not here. */
	if (is_spm)
		tiny_vocab_spm(&w, tokens, 3);
	else
		tiny_vocab_bpe(&w, "deepseek-llm", tokens, 4, merges, 1);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

/* False once n allocations were not needed. */
static bool create_with_failure(const struct gguf *gguf, long n)
{
	const long n_before = failing_alloc_n_live();
	struct tokenizer *tokenizer = NULL;
	struct error err = { .text = "" };
	enum sc_status status;
	bool has_failed;

	failing_alloc_arm(n);
	status = tokenizer_create(gguf, &tokenizer, &err);
	has_failed = failing_alloc_disarm();
	if (status) {
		assert_true(has_failed);
		assert_int_equal(status, SC_E_NOMEM);
		assert_int_equal(err.status, SC_E_NOMEM);
		assert_non_null(strstr(err.text, "no memory"));
		assert_null(tokenizer);
	}
	tokenizer_destroy(tokenizer);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return has_failed;
}

static bool encode_with_failure(const struct tokenizer *tokenizer, long n)
{
	const long n_before = failing_alloc_n_live();
	struct token_list ids = { 0 };
	struct error err = { .text = "" };
	enum sc_status status;
	bool has_failed;

	failing_alloc_arm(n);
	status = tokenizer_encode(tokenizer, text, sizeof text - 1, 0, &ids, &err);
	has_failed = failing_alloc_disarm();
	if (status) {
		assert_int_equal(status, SC_E_NOMEM);
		assert_non_null(strstr(err.text, "no memory"));
		assert_int_equal(ids.n, 0);
	} else {
		struct buf back = BUF_INIT;

		assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.n, false, &back), SC_OK);
		assert_int_equal(back.length, sizeof text - 1);
		assert_memory_equal(back.data, text, back.length);
		buf_deinit(&back);
	}
	token_list_deinit(&ids);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return has_failed;
}

static bool decode_with_failure(const struct tokenizer *tokenizer, const struct token_list *ids,
				long n)
{
	const long n_before = failing_alloc_n_live();
	struct token_stream stream;
	struct buf whole = BUF_INIT, streamed = BUF_INIT;
	enum sc_status status;
	bool has_failed;

	token_stream_init(&stream, tokenizer, true);
	failing_alloc_arm(n);
	status = tokenizer_decode(tokenizer, ids->ids, ids->n, false, &whole);
	/* A token whose text found no memory can be added again. */
	for (size_t i = 0; i < ids->n; i++)
		if (token_stream_add(&stream, ids->ids[i], &streamed))
			assert_int_equal(token_stream_add(&stream, ids->ids[i], &streamed), SC_OK);
	has_failed = failing_alloc_disarm();
	assert_true(status == SC_OK || status == SC_E_NOMEM);
	assert_int_equal(whole.length, status ? 0 : sizeof text - 1);
	assert_string_equal(streamed.data, PART "\uFFFD" END);
	buf_deinit(&whole);
	buf_deinit(&streamed);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return has_failed;
}

static void sweep(bool is_spm)
{
	struct buf file = BUF_INIT;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
	struct token_list ids = { 0 };
	struct error err;
	long n_create = 0, n_encode = 0, n_decode = 0;

	write_file(&file, is_spm);
	assert_int_equal(gguf_open_memory("memory", file.data, file.length, &gguf, &err), SC_OK);
	while (create_with_failure(gguf, n_create))
		n_create++;
	assert_int_equal(tokenizer_create(gguf, &tokenizer, &err), SC_OK);
	while (encode_with_failure(tokenizer, n_encode))
		n_encode++;
	encode_bytes(tokenizer, text, sizeof text - 1, 0, &ids);
	while (decode_with_failure(tokenizer, &ids, n_decode))
		n_decode++;
	/* The tokenizer, its vocabulary, map and trie; scratch memory and ids; two texts. */
	assert_true(n_create >= 9 && n_encode >= 3 && n_decode >= 2);
	token_list_deinit(&ids);
	tokenizer_destroy(tokenizer);
	gguf_close(gguf);
	buf_deinit(&file);
}

static void every_allocation_of_a_sentencepiece_tokenizer_may_fail(void **state)
{
	(void)state;
	if (!has_failing_alloc)
		skip();
	sweep(true);
}

static void every_allocation_of_a_byte_level_tokenizer_may_fail(void **state)
{
	(void)state;
	if (!has_failing_alloc)
		skip();
	sweep(false);
}

/* SentencePiece's own Unigram and BPE, and both as models of a pipeline. */
static void write_other(struct buf *file, unsigned kind)
{
	static const struct tiny_token pieces[] = {
		{ "a", -2, T_NORMAL }, { "b", -2, T_NORMAL }, { "ab", -1, T_UNUSED },
		{ "12", 0, T_USER_DEFINED }, { "\u2581", -2, T_NORMAL },
	};
	static const char *const steps[2][6] = {
		{ "1", "model.bpe", "1", "1", "0", "0" },
		{ "1", "normalize.precompiled", "split.whitespace_only", "model.unigram", "0" },
	};
	struct gguf_writer w;

	gguf_writer_init(&w);
	if (kind % 2)
		tiny_vocab_unigram(&w, pieces, 5);
	else
		tiny_vocab_spm(&w, pieces, 5);
	gguf_writer_bool(&w, "stagecoach.tokenizer.sentencepiece", true);
	gguf_writer_strings(&w, "tokenizer.ggml.merges", merges, 1);
	if (kind > 1)
		gguf_writer_strings(&w, "stagecoach.tokenizer.pipeline", steps[kind % 2],
				    kind % 2 ? 5 : 6);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

static bool encode_same_with_failure(const struct tokenizer *tokenizer,
				     const struct token_list *expected, long n)
{
	const long n_before = failing_alloc_n_live();
	struct token_list ids = { 0 };
	struct error err = { .text = "" };
	enum sc_status status;
	bool has_failed;

	failing_alloc_arm(n);
	status = tokenizer_encode(tokenizer, text, sizeof text - 1, 0, &ids, &err);
	has_failed = failing_alloc_disarm();
	if (status) {
		assert_int_equal(status, SC_E_NOMEM);
		assert_int_equal(ids.n, 0);
	} else {
		assert_int_equal(ids.n, expected->n);
		assert_memory_equal(ids.ids, expected->ids, ids.n * sizeof ids.ids[0]);
	}
	token_list_deinit(&ids);
	assert_int_equal(failing_alloc_n_live(), n_before);
	return has_failed;
}

static void every_allocation_of_the_other_tokenizers_may_fail(void **state)
{
	(void)state;
	if (!has_failing_alloc)
		skip();
	for (unsigned kind = 0; kind < 4; kind++) {
		struct buf file = BUF_INIT;
		struct gguf *gguf;
		struct tokenizer *tokenizer;
		struct token_list ids = { 0 };
		struct error err = { .text = "" };
		long n_create = 0, n_encode = 0;

		write_other(&file, kind);
		assert_int_equal(gguf_open_memory("memory", file.data, file.length, &gguf, &err),
				 SC_OK);
		while (create_with_failure(gguf, n_create))
			n_create++;
		if (tokenizer_create(gguf, &tokenizer, &err))
			fail_msg("%u: %s", kind, err.text);
		encode_bytes(tokenizer, text, sizeof text - 1, 0, &ids);
		while (encode_same_with_failure(tokenizer, &ids, n_encode))
			n_encode++;
		assert_true(n_create >= 9 && n_encode >= 2);
		token_list_deinit(&ids);
		tokenizer_destroy(tokenizer);
		gguf_close(gguf);
		buf_deinit(&file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_of_a_sentencepiece_tokenizer_may_fail),
		cmocka_unit_test(every_allocation_of_a_byte_level_tokenizer_may_fail),
		cmocka_unit_test(every_allocation_of_the_other_tokenizers_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
