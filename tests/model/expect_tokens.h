/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_EXPECT_TOKENS_H
#define STAGECOACH_TESTS_MODEL_EXPECT_TOKENS_H
/*
 * expect_tokens - assertions about tokenizers, for cmocka programs: include it behind cmocka.h.
 */
#include "tests/model/tiny_vocab.h"

#include <inttypes.h>
#include <string.h>

static inline struct tiny_tokenizer must_create(struct gguf_writer *w)
{
	struct tiny_tokenizer tiny;
	struct error err;

	if (tiny_tokenizer_create(&tiny, w, &err))
		fail_msg("%s", err.text);
	return tiny;
}

static inline void encode_bytes(const struct tokenizer *tokenizer, const void *text, size_t n_bytes,
				unsigned flags, struct token_list *ids)
{
	struct error err;

	ids->n = 0;
	if (tokenizer_encode(tokenizer, text, n_bytes, flags, ids, &err))
		fail_msg("%s", err.text);
}

/* The ids of text, as decimals with a blank between them. */
static inline void expect_ids(const struct tokenizer *tokenizer, const char *text, unsigned flags,
			      const char *expected)
{
	struct token_list ids = { 0 };
	struct buf found = BUF_INIT;

	encode_bytes(tokenizer, text, strlen(text), flags, &ids);
	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(buf_add_format(&found, i ? " %" PRIu32 : "%" PRIu32, ids.ids[i]),
				 SC_OK);
	if (strcmp(found.data, expected))
		fail_msg("\"%s\": expected %s, found %s", text, expected, found.data);
	token_list_deinit(&ids);
	buf_deinit(&found);
}

static inline void expect_text(const struct tokenizer *tokenizer, const uint32_t *ids, size_t n,
			       bool with_special, const char *expected)
{
	struct buf text = BUF_INIT;

	assert_int_equal(tokenizer_decode(tokenizer, ids, n, with_special, &text), SC_OK);
	assert_string_equal(text.data, expected);
	buf_deinit(&text);
}

static inline void expect_round_trip(const struct tokenizer *tokenizer, const void *text,
				     size_t n_bytes)
{
	struct token_list ids = { 0 };
	struct buf back = BUF_INIT;

	encode_bytes(tokenizer, text, n_bytes, 0, &ids);
	assert_int_equal(tokenizer_decode(tokenizer, ids.ids, ids.n, false, &back), SC_OK);
	assert_int_equal(back.length, n_bytes);
	assert_memory_equal(back.data, text, n_bytes);
	token_list_deinit(&ids);
	buf_deinit(&back);
}

/* A small generator, the same everywhere. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

#endif
