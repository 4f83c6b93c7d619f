/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_odd_file KIND FILE - a small model file for system tests that is whole, but special.
 *   unknown-arch   an architecture that nobody knows
 *   unknown-type   a tensor of a type that is not supported
 *   template       chat templates, one with bytes that a terminal would obey
 *   no-layers      broken: the number of layers is missing
 *   vocabulary     no tensors, only a vocabulary of the SentencePiece kind
 *   shards         FILE ends in -00001-of-00002.gguf; the second file is written beside it
 */
#include "tests/model/tiny_model.h"
#include "tests/model/tiny_vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SUFFIX "-00001-of-00002.gguf"
#define SECOND_SUFFIX "-00002-of-00002.gguf"

static void save(const struct gguf_writer *w, const char *path)
{
	struct buf bytes = BUF_INIT;
	FILE *file = fopen(path, "wb");

	gguf_writer_finish(w, &bytes);
	if (!file || fwrite(bytes.data, 1, bytes.length, file) != bytes.length || fclose(file))
		abort();
	buf_deinit(&bytes);
}

static void add_split(struct gguf_writer *w, uint32_t i, uint32_t n_tensors)
{
	gguf_writer_u32(w, "split.no", i);
	gguf_writer_u32(w, "split.count", 2);
	gguf_writer_u32(w, "split.tensors.count", n_tensors);
}

/* The second file of the model has its rope factors, nothing else. */
static void save_second(const char *first_path, uint32_t n_tensors)
{
	const size_t n = strlen(first_path) - strlen(FIRST_SUFFIX);
	float ones[] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	struct gguf_writer w;
	char path[4096];

	if (strcmp(first_path + n, FIRST_SUFFIX))
		abort();
	snprintf(path, sizeof path, "%.*s%s", (int)n, first_path, SECOND_SUFFIX);
	gguf_writer_init(&w);
	add_split(&w, 1, n_tensors);
	gguf_writer_floats(&w, "rope_freqs.weight", TENSOR_F32, 8, 1, ones);
	save(&w, path);
	gguf_writer_deinit(&w);
}

static void add_templates(struct gguf_writer *w)
{
	gguf_writer_string(w, "tokenizer.chat_template", "{{ x }}\n\x1B[2J{{ y }}\n");
	gguf_writer_string(w, "tokenizer.chat_template.tool_use", "{{ z }}\n");
}

static void write_vocabulary(const char *path)
{
	static const struct tiny_token tokens[] = {
		{ "\u2581", -1, T_NORMAL }, { "a", -2, T_NORMAL }, { "\u2581a", -1, T_NORMAL },
	};
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_string(&w, "general.architecture", "llama");
	tiny_vocab_spm(&w, tokens, sizeof tokens / sizeof tokens[0]);
	save(&w, path);
	gguf_writer_deinit(&w);
}

static bool write_model(const char *kind, const char *path)
{
	static const char bytes[66];
	const uint64_t dims[] = { 256 };
	struct tiny_model tiny = tiny_llama;
	struct gguf_writer w;
	bool is_known = true;

	if (!strcmp(kind, "unknown-arch"))
		tiny.arch = "mammoth";
	if (!strcmp(kind, "no-layers"))
		tiny.n_layers = 0;
	gguf_writer_init(&w);
	tiny_model_compose(&tiny, &w);
	if (!strcmp(kind, "template")) {
		add_templates(&w);
	} else if (!strcmp(kind, "unknown-type")) {
		gguf_writer_tensor(&w, "extra", 16, 1, dims, bytes, sizeof bytes);
	} else if (!strcmp(kind, "shards")) {
		const uint32_t n = (uint32_t)w.n_tensors + 1;

		add_split(&w, 0, n);
		save_second(path, n);
	} else {
		is_known = !strcmp(kind, "unknown-arch") || !strcmp(kind, "no-layers");
	}
	if (is_known)
		save(&w, path);
	gguf_writer_deinit(&w);
	return is_known;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return EXIT_FAILURE;
	if (!strcmp(argv[1], "vocabulary")) {
		write_vocabulary(argv[2]);
	} else if (!write_model(argv[1], argv[2])) {
		fprintf(stderr, "write_odd_file: no kind '%s'\n", argv[1]);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
