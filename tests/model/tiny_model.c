/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/tiny_model.h"

#include "tests/model/tiny_vocab.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct tiny_model tiny_llama = {
	.arch = "llama", .type = TENSOR_F32, .n_layers = 4, .n_context = 512, .n_vocab = 288,
	.dim = 64, .ffn_dim = 96, .n_heads = 4, .n_kv_heads = 2, .head_dim = 16,
	.rope_factor = 1.0f, .seed = 1,
};

const struct tiny_model tiny_qwen2 = {
	.arch = "qwen2", .type = TENSOR_F32, .n_layers = 4, .n_context = 512, .n_vocab = 288,
	.dim = 64, .ffn_dim = 96, .n_heads = 4, .n_kv_heads = 2, .head_dim = 16,
	.is_tied = true, .rope_factor = 1.0f, .seed = 2,
};

/* splitmix64: as good as needed, and the same everywhere. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* n numbers around center, up to spread away. */
static float *random_floats(uint64_t *seed, uint64_t n, float center, float spread)
{
	float *values = malloc(n * sizeof *values);

	if (!values)
		abort();
	for (uint64_t i = 0; i < n; i++) {
		const float unit = (float)(next_random(seed) >> 40) * 0x1p-23f - 1.0f;

		values[i] = center + spread * unit;
	}
	return values;
}

/* Uniform weights of variance 1/n_in: a row of outputs is as large as its input. */
static void add_matrix(struct gguf_writer *w, const struct tiny_model *tiny, uint64_t *seed,
		       const char *name, uint32_t n_in, uint32_t n_out)
{
	float *values = random_floats(seed, (uint64_t)n_in * n_out, 0.0f,
				      sqrtf(3.0f / (float)n_in));

	if (tiny->encode) {
		const uint64_t dims[] = { n_in, n_out };
		struct buf blocks = BUF_INIT;

		tiny->encode(tiny->type, values, (size_t)n_in * n_out, &blocks);
		gguf_writer_tensor(w, name, tiny->type, 2, dims, blocks.data, blocks.length);
		buf_deinit(&blocks);
	} else {
		gguf_writer_floats(w, name, tiny->type, n_in, n_out, values);
	}
	free(values);
}

static void add_vector(struct gguf_writer *w, uint64_t *seed, const char *name, uint32_t n,
		       float center, float spread)
{
	float *values = random_floats(seed, n, center, spread);

	gguf_writer_floats(w, name, TENSOR_F32, n, 1, values);
	free(values);
}

static void add_layer(struct gguf_writer *w, const struct tiny_model *tiny, uint64_t *seed,
		      uint32_t i)
{
	const uint32_t q_dim = tiny->n_heads * tiny->head_dim;
	const uint32_t kv_dim = tiny->n_kv_heads * tiny->head_dim;
	const struct {
		const char *name;
		uint32_t n_in, n_out;
	} matrices[] = {
		{ "attn_q", tiny->dim, q_dim }, { "attn_k", tiny->dim, kv_dim },
		{ "attn_v", tiny->dim, kv_dim }, { "attn_output", q_dim, tiny->dim },
		{ "ffn_gate", tiny->dim, tiny->ffn_dim }, { "ffn_up", tiny->dim, tiny->ffn_dim },
		{ "ffn_down", tiny->ffn_dim, tiny->dim },
	};
	const bool has_bias = !strcmp(tiny->arch, "qwen2");
	char name[64];

	for (size_t m = 0; m < sizeof matrices / sizeof matrices[0]; m++) {
		snprintf(name, sizeof name, "blk.%u.%s.weight", i, matrices[m].name);
		add_matrix(w, tiny, seed, name, matrices[m].n_in, matrices[m].n_out);
		if (!has_bias || m > 2)
			continue;
		snprintf(name, sizeof name, "blk.%u.%s.bias", i, matrices[m].name);
		add_vector(w, seed, name, matrices[m].n_out, 0.0f, 0.5f);
	}
	snprintf(name, sizeof name, "blk.%u.attn_norm.weight", i);
	add_vector(w, seed, name, tiny->dim, 1.0f, 0.3f);
	snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", i);
	add_vector(w, seed, name, tiny->dim, 1.0f, 0.3f);
}

static void add_sizes(struct gguf_writer *w, const struct tiny_model *tiny)
{
	const struct {
		const char *name;
		uint32_t value;
	} sizes[] = {
		{ "context_length", tiny->n_context }, { "embedding_length", tiny->dim },
		{ "block_count", tiny->n_layers }, { "feed_forward_length", tiny->ffn_dim },
		{ "attention.head_count", tiny->n_heads },
		{ "attention.head_count_kv", tiny->n_kv_heads },
		{ "attention.key_length", tiny->head_dim },
		{ "attention.value_length", tiny->head_dim },
		{ "rope.dimension_count", tiny->head_dim }, { "vocab_size", tiny->n_vocab },
	};
	char key[64];

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		snprintf(key, sizeof key, "%s.%s", tiny->arch, sizes[i].name);
		gguf_writer_u32(w, key, sizes[i].value);
	}
	snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", tiny->arch);
	gguf_writer_f32(w, key, 1e-5f);
	if (tiny->rope_factor != 1.0f) {
		snprintf(key, sizeof key, "%s.rope.scaling.type", tiny->arch);
		gguf_writer_string(w, key, "linear");
		snprintf(key, sizeof key, "%s.rope.scaling.factor", tiny->arch);
		gguf_writer_f32(w, key, tiny->rope_factor);
	}
}

/* GPT-2's notation: bytes that print stand for themselves, the others for U+0100 and on. */
static void byte_character(unsigned byte, char *text)
{
	unsigned n_before = 0;
	unsigned code = byte;

	for (unsigned b = 0; b <= byte; b++) {
		const bool prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

		if (b == byte && !prints)
			code = 256 + n_before;
		n_before += !prints;
	}
	if (code < 128)
		snprintf(text, 4, "%c", (char)code);
	else
		snprintf(text, 4, "%c%c", (char)(0xc0 | code >> 6), (char)(0x80 | (code & 63)));
}

static void token_text(uint32_t id, char *text, size_t n_bytes)
{
	static const char *const others[] = { "\u0120t", "he", "in", "\u0120the", "<|begin|>",
					      "<|end|>" };

	if (id < 256)
		byte_character(id, text);
	else if (id <= TINY_EOS)
		snprintf(text, n_bytes, "%s", others[id - 256]);
	else
		snprintf(text, n_bytes, "fill%u", id);
}

static void add_vocabulary(struct gguf_writer *w, const struct tiny_model *tiny)
{
	static const char *const merges[] = { "\u0120 t", "h e", "i n", "\u0120t he" };
	const uint32_t n = tiny->n_vocab;
	const char **tokens = malloc(n * sizeof *tokens);
	char (*texts)[16] = malloc(n * sizeof *texts);
	int32_t *types = malloc(n * sizeof *types);

	if (!tokens || !texts || !types || n < TINY_EOS + 1)
		abort();
	for (uint32_t i = 0; i < n; i++) {
		token_text(i, texts[i], sizeof texts[i]);
		tokens[i] = texts[i];
		types[i] = i == TINY_BOS || i == TINY_EOS ? 3 : 1;	/* control, normal */
	}
	gguf_writer_string(w, "tokenizer.ggml.model", "gpt2");
	gguf_writer_string(w, "tokenizer.ggml.pre", "gpt-2");
	gguf_writer_strings(w, "tokenizer.ggml.tokens", tokens, n);
	gguf_writer_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, n, n * sizeof *types);
	gguf_writer_strings(w, "tokenizer.ggml.merges", merges, 4);
	gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", TINY_BOS);
	gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", TINY_EOS);
	gguf_writer_bool(w, "tokenizer.ggml.add_bos_token", true);
	free(tokens);
	free(texts);
	free(types);
}

/* <unk>, <s>, </s>, the bytes, a few words, fill. */
static void add_spm_vocabulary(struct gguf_writer *w, uint32_t n)
{
	static const struct tiny_token words[] = {
		{ "\u2581", -9, T_NORMAL }, { "t", -8, T_NORMAL }, { "h", -8, T_NORMAL },
		{ "e", -8, T_NORMAL }, { "he", -2, T_NORMAL }, { "\u2581t", -3, T_NORMAL },
		{ "\u2581the", -1, T_NORMAL },
	};
	const uint32_t n_words = sizeof words / sizeof *words, n_more = n - TINY_SPM_FIRST;
	struct tiny_token *tokens = calloc(n_more, sizeof *tokens);
	char (*texts)[16] = malloc(n_more * sizeof *texts);

	if (!tokens || !texts || n_more < n_words)
		abort();
	memcpy(tokens, words, sizeof words);
	for (uint32_t i = n_words; i < n_more; i++) {
		snprintf(texts[i], sizeof texts[i], "fill%u", i);
		tokens[i] = (struct tiny_token){ texts[i], -20, T_NORMAL };
	}
	tiny_vocab_spm(w, tokens, n_more);
	free(tokens);
	free(texts);
}

void tiny_model_compose(const struct tiny_model *tiny, struct gguf_writer *w)
{
	uint64_t seed = tiny->seed;

	gguf_writer_string(w, "general.architecture", tiny->arch);
	gguf_writer_string(w, "general.name", "tiny");
	add_sizes(w, tiny);
	if (tiny->is_spm)
		add_spm_vocabulary(w, tiny->n_vocab);
	else
		add_vocabulary(w, tiny);
	if (tiny->has_rope_factors)
		add_vector(w, &seed, "rope_freqs.weight", tiny->head_dim / 2, 3.0f, 2.0f);
	add_matrix(w, tiny, &seed, "token_embd.weight", tiny->dim, tiny->n_vocab);
	for (uint32_t i = 0; i < tiny->n_layers; i++)
		add_layer(w, tiny, &seed, i);
	add_vector(w, &seed, "output_norm.weight", tiny->dim, 1.0f, 0.3f);
	if (!tiny->is_tied)
		add_matrix(w, tiny, &seed, "output.weight", tiny->dim, tiny->n_vocab);
}

void tiny_model_write(const struct tiny_model *tiny, struct buf *file)
{
	struct gguf_writer w;

	gguf_writer_init(&w);
	tiny_model_compose(tiny, &w);
	gguf_writer_finish(&w, file);
	gguf_writer_deinit(&w);
}

void tiny_model_save(const struct tiny_model *tiny, const char *path)
{
	struct buf file = BUF_INIT;
	FILE *out = fopen(path, "wb");

	tiny_model_write(tiny, &file);
	if (!out || fwrite(file.data, 1, file.length, out) != file.length || fclose(out))
		abort();
	buf_deinit(&file);
}

struct model *tiny_model_open(const struct tiny_model *tiny, struct buf *file)
{
	struct model *model;
	struct gguf *gguf;
	struct error err;

	tiny_model_write(tiny, file);
	if (gguf_open_memory("tiny", file->data, file->length, &gguf, &err) ||
	    model_open_gguf(gguf, &model, &err)) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return model;
}
