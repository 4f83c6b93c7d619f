/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/tiny_vocab.h"

#include "model/byte_alphabet.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_TOKENS 512

struct columns {
	const char *texts[MAX_TOKENS];
	float scores[MAX_TOKENS];
	int32_t types[MAX_TOKENS];
	char byte_texts[256][8];
	size_t n;
};

static void add(struct columns *columns, const char *text, float score, int type)
{
	if (columns->n == MAX_TOKENS)
		abort();
	columns->texts[columns->n] = text;
	columns->scores[columns->n] = score;
	columns->types[columns->n++] = type;
}

static void write_columns(struct gguf_writer *w, const struct columns *columns)
{
	gguf_writer_strings(w, "tokenizer.ggml.tokens", columns->texts, columns->n);
	gguf_writer_array(w, "tokenizer.ggml.scores", GGUF_F32, columns->scores, columns->n,
			  columns->n * sizeof columns->scores[0]);
	gguf_writer_array(w, "tokenizer.ggml.token_type", GGUF_I32, columns->types, columns->n,
			  columns->n * sizeof columns->types[0]);
}

static void add_tokens(struct columns *columns, const struct tiny_token *tokens, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(columns, tokens[i].text, tokens[i].score, tokens[i].type);
}

void tiny_vocab_spm(struct gguf_writer *w, const struct tiny_token *tokens, size_t n)
{
	struct columns columns = { .n = 0 };

	add(&columns, "<unk>", 0, T_UNKNOWN);
	add(&columns, "<s>", 0, T_CONTROL);
	add(&columns, "</s>", 0, T_CONTROL);
	for (unsigned byte = 0; byte < 256; byte++) {
		snprintf(columns.byte_texts[byte], sizeof columns.byte_texts[byte], "<0x%02X>",
			 byte);
		add(&columns, columns.byte_texts[byte], 0, T_BYTE);
	}
	add_tokens(&columns, tokens, n);
	gguf_writer_string(w, "tokenizer.ggml.model", "llama");
	write_columns(w, &columns);
}

void tiny_vocab_unigram(struct gguf_writer *w, const struct tiny_token *tokens, size_t n)
{
	struct columns columns = { .n = 0 };

	add(&columns, "<pad>", 0, T_CONTROL);
	add(&columns, "</s>", 0, T_CONTROL);
	add(&columns, "<unk>", 0, T_UNKNOWN);
	add_tokens(&columns, tokens, n);
	gguf_writer_string(w, "tokenizer.ggml.model", "t5");
	write_columns(w, &columns);
}

/* A code point below U+0800 as UTF-8. */
static void put_character(uint32_t code, char *out)
{
	size_t n = 0;

	if (code < 0x80) {
		out[n++] = (char)code;
	} else {
		out[n++] = (char)(0xC0 | code >> 6);
		out[n++] = (char)(0x80 | (code & 0x3F));
	}
	out[n] = '\0';
}

void tiny_vocab_bpe(struct gguf_writer *w, const char *pre, const struct tiny_token *tokens,
		    size_t n, const char *const *merges, size_t n_merges)
{
	struct columns columns = { .n = 0 };

	for (unsigned byte = 0; byte < 256; byte++) {
		put_character(byte_alphabet_code((uint8_t)byte), columns.byte_texts[byte]);
		add(&columns, columns.byte_texts[byte], 0, T_NORMAL);
	}
	add_tokens(&columns, tokens, n);
	gguf_writer_string(w, "tokenizer.ggml.model", "gpt2");
	if (pre)
		gguf_writer_string(w, "tokenizer.ggml.pre", pre);
	write_columns(w, &columns);
	gguf_writer_strings(w, "tokenizer.ggml.merges", merges, n_merges);
}

enum sc_status tiny_tokenizer_create(struct tiny_tokenizer *tiny, struct gguf_writer *w,
				     struct error *err)
{
	enum sc_status status;

	*tiny = (struct tiny_tokenizer){ .file = BUF_INIT };
	gguf_writer_finish(w, &tiny->file);
	gguf_writer_deinit(w);
	if (gguf_open_memory("memory", tiny->file.data, tiny->file.length, &tiny->gguf, err))
		abort();
	status = tokenizer_create(tiny->gguf, &tiny->tokenizer, err);
	if (status)
		tiny_tokenizer_destroy(tiny);
	return status;
}

void tiny_tokenizer_destroy(struct tiny_tokenizer *tiny)
{
	tokenizer_destroy(tiny->tokenizer);
	gguf_close(tiny->gguf);
	buf_deinit(&tiny->file);
	*tiny = (struct tiny_tokenizer){ .file = BUF_INIT };
}
