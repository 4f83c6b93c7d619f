/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model file's tokenizer, and a text for it. Input: the text's length (u16, little-endian), the
 * text, the file. Encodes with all flags, decodes what came out, whole and as a stream.
 */
#include "tests/fuzz/fuzz.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "model/pretokenizer.h"
#include "tests/model/tiny_vocab.h"

#include <stdlib.h>
#include <string.h>

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void decode(const struct tokenizer *tokenizer, const struct token_list *ids)
{
	for (int with_special = 0; with_special < 2; with_special++) {
		struct buf text = BUF_INIT;

		require(!tokenizer_decode(tokenizer, ids->ids, ids->n, with_special, &text));
		buf_deinit(&text);
	}
}

/* Whatever the tokens print, a stream of them is valid text after each one. */
static void stream(const struct tokenizer *tokenizer, const struct token_list *ids)
{
	struct token_stream stream;
	struct buf text = BUF_INIT;

	token_stream_init(&stream, tokenizer, ids->n & 1);
	for (size_t i = 0; i < ids->n; i++) {
		size_t n_before = text.length;

		require(!token_stream_add(&stream, ids->ids[i], &text));
		require(utf8_valid_length(text.data + n_before, text.length - n_before) ==
			text.length - n_before);
	}
	require(!token_stream_finish(&stream, &text));
	buf_deinit(&text);
}

static void use(const struct tokenizer *tokenizer, const char *text, size_t n_bytes)
{
	const unsigned all_flags = TOKENIZE_ADD_BOS | TOKENIZE_PARSE_SPECIAL;
	const size_t longest = tokenizer_longest_token_bytes(tokenizer);

	for (unsigned flags = 0; flags <= all_flags; flags++) {
		struct token_list ids = { 0 };
		struct error err = { .status = SC_OK };
		enum sc_status status = tokenizer_encode(tokenizer, text, n_bytes, flags, &ids,
							 &err);

		require(status == SC_OK || (status == SC_E_TOO_LARGE && err.text[0]));
		if (!status && longest)
			require(ids.n >= n_bytes / longest);
		for (size_t i = 0; i < ids.n; i++) {
			require(ids.ids[i] < tokenizer_n_vocab(tokenizer));
			(void)tokenizer_is_end(tokenizer, ids.ids[i]);
			(void)tokenizer_is_special(tokenizer, ids.ids[i]);
		}
		decode(tokenizer, &ids);
		stream(tokenizer, &ids);
		token_list_deinit(&ids);
	}
}

static void read_file(const void *file, size_t n_file, const char *text, size_t n_text)
{
	struct tokenizer *tokenizer;
	struct gguf *gguf;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	if (gguf_open_memory("memory", file, n_file, &gguf, NULL))
		return;
	status = tokenizer_create(gguf, &tokenizer, &err);
	if (status) {
		/* A failure says what failed. */
		require(status == err.status && err.text[0]);
	} else {
		use(tokenizer, text, n_text);
		tokenizer_destroy(tokenizer);
	}
	gguf_close(gguf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_init(data, size);
	size_t n_text = cursor_u16(&cursor);
	const char *text = cursor_take(&cursor, n_text);
	size_t n_file = cursor_left(&cursor);
	void *file;

	if (!text)
		return 0;
	/* Files are aligned in memory. */
	file = malloc(n_file + 1);
	require(file);
	memcpy(file, cursor.at, n_file);
	read_file(file, n_file, text, n_text);
	free(file);
	return 0;
}

static void small_spm(struct gguf_writer *w)
{
	static const struct tiny_token tokens[] = {
		{ "\u2581", -1, T_NORMAL }, { "a", -2, T_NORMAL }, { "\u2581a", -3, T_NORMAL },
		{ "ab", -4, T_NORMAL }, { "b", -5, T_NORMAL }, { "a\u2581b", -6, T_NORMAL },
		{ "  ", 0, T_USER_DEFINED }, { "<|im_end|>", 0, T_CONTROL },
	};

	gguf_writer_string(w, "general.name", "phi-3");
	gguf_writer_bool(w, "tokenizer.ggml.add_space_prefix", true);
	gguf_writer_bool(w, "tokenizer.ggml.add_eos_token", true);
	gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", 2);
	tiny_vocab_spm(w, tokens, sizeof tokens / sizeof *tokens);
}

/* Compiled rules: A becomes x, B becomes nothing. */
static void add_rules(struct gguf_writer *w)
{
	uint32_t units[256 + 2] = { 256 * 4 };
	uint8_t rules[sizeof units - 1];

	for (size_t i = 1; i <= 256; i++)
		units[i] = 0x80000000u;
	units[1] = 128u << 10;
	units[1 + (128 ^ 'A')] = 'A' | 1u << 8 | (128u ^ 'A' ^ 4) << 10;
	units[1 + 4] = 0;
	units[1 + (128 ^ 'B')] = 'B' | 1u << 8 | (128u ^ 'B' ^ 8) << 10;
	units[1 + 8] = 2;
	memcpy(&units[257], "x\0\0", 3);
	memcpy(rules, units, sizeof rules);
	gguf_writer_array(w, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, rules, sizeof rules,
			  sizeof rules);
}

/* SentencePiece itself: Unigram, or BPE with user-defined and unused pieces. */
static void small_exact(struct gguf_writer *w, bool is_unigram)
{
	static const struct tiny_token tokens[] = {
		{ "\u2581", -1, T_NORMAL }, { "a", -2, T_NORMAL }, { "b", -3, T_NORMAL },
		{ "ab", -1.5f, T_NORMAL }, { "abc", -4, T_UNUSED }, { "\u2581ab", -2, T_UNUSED },
		{ "  ", 0, T_USER_DEFINED }, { "it", 0, T_USER_DEFINED }, { "c", -9, T_NORMAL },
	};

	gguf_writer_bool(w, "stagecoach.tokenizer.sentencepiece", true);
	gguf_writer_bool(w, "tokenizer.ggml.remove_extra_whitespaces", is_unigram);
	gguf_writer_bool(w, "tokenizer.ggml.add_space_prefix", true);
	add_rules(w);
	if (is_unigram)
		tiny_vocab_unigram(w, tokens, sizeof tokens / sizeof *tokens);
	else
		tiny_vocab_spm(w, tokens, sizeof tokens / sizeof *tokens);
}

static void small_bpe(struct gguf_writer *w, const struct pretokenizer_row *row)
{
	static const struct tiny_token tokens[] = {
		{ "ab", 0, T_NORMAL }, { "\u0120a", 0, T_NORMAL }, { "abc", 0, T_NORMAL },
		{ "  ", 0, T_USER_DEFINED }, { "<|endoftext|>", 0, T_CONTROL },
	};
	static const char *const merges[] = { "a b", "\u0120 a", "ab c" };
	struct buf name = BUF_INIT;

	require(!buf_add(&name, row->names, strcspn(row->names, " ")));
	tiny_vocab_bpe(w, name.data, tokens, 5, merges, 3);
	gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", 260);
	buf_deinit(&name);
}

/* A pipeline with every kind of step, and with mistakes that a mutation can mend. */
static void small_pipeline(struct gguf_writer *w)
{
	static const struct tiny_token tokens[] = {
		{ "ab", 0, T_NORMAL }, { "\u0120a", 0, T_NORMAL }, { "abc", 0, T_NORMAL },
		{ "  ", 0, T_USER_DEFINED }, { "<|endoftext|>", 0, T_CONTROL },
	};
	static const char *const merges[] = { "a b", "\u0120 a", "ab c" };
	static const char *const steps[] = {
		"1", "normalize.nfkc", "normalize.lowercase", "normalize.strip", "0", "1",
		"normalize.prepend", "a", "normalize.replace", "b", "bb",
		"normalize.replace_regex", "\\s{3,}", " ",
		"split.text", "b", "merged_with_previous", "0",
		"split.regex", "[\\p{L}&&[^x]]+|(?i)\\d{2,3}+?", "contiguous", "1",
		"split.byte_level", "1", "1", "split.digits", "0", "split.punctuation", "isolated",
		"model.bpe", "0", "0", "0", "1", "template.before", "260", "template.behind", "260",
		"decode.byte_level", "added", "259", "6", "  ", "added", "260", "41",
		"<|endoftext|>",
	};

	tiny_vocab_bpe(w, "gpt-2", tokens, 5, merges, 3);
	gguf_writer_strings(w, "stagecoach.tokenizer.pipeline", steps,
			    sizeof steps / sizeof *steps);
	gguf_writer_bool(w, "tokenizer.ggml.add_bos_token", true);
	gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", 260);
}

bool fuzz_seed(unsigned i, struct buf *seed)
{
	static const char text[] = "ab abc  it's 1234 <|endoftext|>\r\n \u4E2D\u6587\u3002 A\u0301b"
				   "\U0001F636\u200D <s>ab</s><|im_end|> \xFF\xC3 fooBar?! \t x";
	uint8_t length[2];
	struct buf file = BUF_INIT;
	struct gguf_writer w;

	gguf_writer_init(&w);
	if (!i)
		small_spm(&w);
	else if (i == 1)
		small_pipeline(&w);
	else if (i < 4)
		small_exact(&w, i == 2);
	else if (pretokenizer_rows[i - 4].names)
		small_bpe(&w, &pretokenizer_rows[i - 4]);
	else
		return false;
	store_le16(length, sizeof text - 1);
	require(!buf_add(seed, length, sizeof length) && !buf_add(seed, text, sizeof text - 1));
	gguf_writer_finish(&w, &file);
	require(!buf_add(seed, file.data, file.length));
	buf_deinit(&file);
	gguf_writer_deinit(&w);
	return true;
}
