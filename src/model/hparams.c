/* SPDX-License-Identifier: Apache-2.0 */
#include "model/hparams.h"

#include "model/quote.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_CONTEXT (1u << 30)
#define KEY_MAX 96

/* State for reading keys: the file, the architecture's prefix, and space for the full key. */
struct reader {
	const struct gguf *gguf;
	const struct arch *arch;
	char key[KEY_MAX];
	struct error *err;
};

/* Selects the key to read. Returns false if the file does not have it. */
static bool seek(struct reader *r, const char *name)
{
	snprintf(r->key, sizeof r->key, "%s.%s", r->arch->name, name);
	return gguf_has(r->gguf, r->key);
}

static enum sc_status need(struct reader *r, const char *name)
{
	(void)seek(r, name);
	return gguf_require(r->gguf, r->key, r->err);
}

/* An error about the selected key. */
#define key_error(r, status, ...) \
	gguf_key_error((r)->gguf, (r)->key, status, (r)->err, __VA_ARGS__)

/* Reads the selected key, which must be from min to max. */
static enum sc_status read_u32(struct reader *r, uint32_t min, uint32_t max, uint32_t *value_out)
{
	enum sc_status status;
	uint32_t value;

	status = gguf_get_u32(r->gguf, r->key, &value, r->err);
	if (status)
		return status;
	if (value < min || value > max)
		return key_error(r, SC_E_FORMAT,
				 "expected %" PRIu32 " to %" PRIu32 ", found %" PRIu32, min, max,
				 value);
	*value_out = value;
	return SC_OK;
}

static enum sc_status need_u32(struct reader *r, const char *name, uint32_t max,
			       uint32_t *value_out)
{
	enum sc_status status = need(r, name);

	return status ? status : read_u32(r, 1, max, value_out);
}

/* Leaves the value unchanged if the key is missing. */
static enum sc_status maybe_u32(struct reader *r, const char *name, uint32_t max, uint32_t *value)
{
	return seek(r, name) ? read_u32(r, 1, max, value) : SC_OK;
}

static enum sc_status read_positive(struct reader *r, float *value_out)
{
	enum sc_status status;
	float value;

	status = gguf_get_f32(r->gguf, r->key, &value, r->err);
	if (status)
		return status;
	if (!isfinite(value) || value <= 0)
		return key_error(r, SC_E_FORMAT, "expected a positive, finite number, found %g",
				 (double)value);
	*value_out = value;
	return SC_OK;
}

/* Reads a factor. Some files write 0 for "no factor"; like llama.cpp, that counts as 1. */
static enum sc_status read_factor(struct reader *r, float *value_out)
{
	float value = 1.0f;

	if (!gguf_get_f32(r->gguf, r->key, &value, NULL) && value == 0) {
		*value_out = 1.0f;
		return SC_OK;
	}
	return read_positive(r, value_out);
}

static enum sc_status unsupported(struct reader *r, const char *what)
{
	return key_error(r, SC_E_UNSUPPORTED, "%s not supported", what);
}

/* Refuses features that change the computation (experts, windows, ...), because a wrong answer is
 * worse than none. */
static enum sc_status refuse_variants(struct reader *r, const struct hparams *hp)
{
	enum sc_status status;
	bool is_causal = true;
	float factor = 1.0f;
	uint32_t n = 0;

	if (seek(r, "expert_count")) {
		status = read_u32(r, 0, UINT32_MAX, &n);
		if (status || n > 0)
			return status ? status : unsupported(r, "mixtures of experts are");
	}
	if (seek(r, "attention.sliding_window")) {
		status = read_u32(r, 0, UINT32_MAX, &n);
		/* A window of at least the context length has no effect. */
		if (status || (n > 0 && n < hp->n_context))
			return status ? status : unsupported(r, "sliding windows are");
	}
	if (seek(r, "attention.causal")) {
		status = gguf_get_bool(r->gguf, r->key, &is_causal, r->err);
		if (status || !is_causal)
			return status ? status : unsupported(r, "attention to later tokens is");
	}
	if (seek(r, "rope.scaling.attn_factor")) {
		status = read_factor(r, &factor);
		if (status || factor != 1.0f)
			return status ? status : unsupported(r, "scaled attention is");
	}
	return SC_OK;
}

static enum sc_status read_sizes(struct reader *r, struct hparams *hp)
{
	enum sc_status status;

	status = need_u32(r, "block_count", MODEL_MAX_LAYERS, &hp->n_layers);
	if (!status)
		status = need_u32(r, "context_length", MAX_CONTEXT, &hp->n_context);
	if (!status)
		status = need_u32(r, "embedding_length", MODEL_MAX_DIM, &hp->dim);
	if (!status)
		status = need_u32(r, "feed_forward_length", MODEL_MAX_DIM, &hp->ffn_dim);
	return status;
}

/* Reads the elements per head. Without a key, they are embedding_length / head_count. */
static enum sc_status read_head_dim(struct reader *r, const char *name, const struct hparams *hp,
				    uint32_t *dim_out)
{
	enum sc_status status;
	uint32_t dim = 0;

	status = maybe_u32(r, name, MODEL_MAX_DIM, &dim);
	if (status)
		return status;
	if (dim == 0 && hp->dim % hp->n_heads)
		return key_error(r, SC_E_FORMAT,
				 "expected it or an embedding_length that is a multiple of "
				 "head_count = %" PRIu32 ", found an embedding_length of %" PRIu32,
				 hp->n_heads, hp->dim);
	if (dim == 0)
		dim = hp->dim / hp->n_heads;
	if ((uint64_t)dim * hp->n_heads > MODEL_MAX_DIM)
		return key_error(r, SC_E_FORMAT,
				 "expected at most %d elements in all heads, found %" PRIu32
				 " heads of %" PRIu32, MODEL_MAX_DIM, hp->n_heads, dim);
	*dim_out = dim;
	return SC_OK;
}

static enum sc_status read_attention(struct reader *r, struct hparams *hp)
{
	enum sc_status status;

	status = need_u32(r, "attention.head_count", MODEL_MAX_DIM, &hp->n_heads);
	if (status)
		return status;
	hp->n_kv_heads = hp->n_heads;
	status = maybe_u32(r, "attention.head_count_kv", hp->n_heads, &hp->n_kv_heads);
	if (status)
		return status;
	if (hp->n_heads % hp->n_kv_heads)
		return key_error(r, SC_E_FORMAT,
				 "expected a divisor of head_count = %" PRIu32 ", found %" PRIu32,
				 hp->n_heads, hp->n_kv_heads);
	status = read_head_dim(r, "attention.key_length", hp, &hp->head_dim);
	if (!status)
		status = read_head_dim(r, "attention.value_length", hp, &hp->value_dim);
	if (status)
		return status;
	status = need(r, "attention.layer_norm_rms_epsilon");
	return status ? status : read_positive(r, &hp->norm_eps);
}

/* Reads how positions are scaled. A factor without a type means linear, as in llama.cpp. */
static enum sc_status read_rope_scaling(struct reader *r, struct hparams *hp)
{
	struct gguf_string type = { .data = "linear", .length = 6 };
	enum sc_status status;

	hp->rope_scaling = ROPE_SCALING_NONE;
	hp->rope_factor = 1.0f;
	if (seek(r, "rope.scaling.type")) {
		status = gguf_get_string(r->gguf, r->key, &type, r->err);
		if (status)
			return status;
	}
	if (type.length == 4 && !memcmp(type.data, "none", 4))
		return SC_OK;
	if (type.length != 6 || memcmp(type.data, "linear", 6))
		return key_error(r, SC_E_UNSUPPORTED,
				 "expected none or linear, found '%s', which is not supported",
				 quote(type.data, type.length).text);
	if (!seek(r, "rope.scaling.factor") && !seek(r, "rope.scale_linear"))
		return SC_OK;
	status = read_factor(r, &hp->rope_factor);
	if (!status && hp->rope_factor != 1.0f)
		hp->rope_scaling = ROPE_SCALING_LINEAR;
	return status;
}

static enum sc_status read_rope(struct reader *r, struct hparams *hp)
{
	enum sc_status status;

	hp->rope_dim = hp->head_dim;
	status = maybe_u32(r, "rope.dimension_count", hp->head_dim, &hp->rope_dim);
	if (status)
		return status;
	if (hp->rope_dim % 2)
		return key_error(r, SC_E_FORMAT,
				 "expected an even number of rotated elements, found %" PRIu32,
				 hp->rope_dim);
	hp->rope_base = 10000.0f;
	if (seek(r, "rope.freq_base")) {
		status = read_positive(r, &hp->rope_base);
		if (status)
			return status;
	}
	return read_rope_scaling(r, hp);
}

/* The vocabulary's size is stored in up to three places, which must agree. */
static enum sc_status read_vocab(struct reader *r, struct hparams *hp)
{
	const struct tensor *embedding = gguf_find_tensor(r->gguf, "token_embd.weight");
	struct gguf_array tokens = { 0 };
	enum sc_status status;
	uint32_t n = 0;

	if (!embedding)
		return error_set(r->err, SC_E_FORMAT,
				 "%s: expected a tensor 'token_embd.weight', found none",
				 gguf_path(r->gguf));
	if (embedding->dims[1] > MODEL_MAX_VOCAB)
		return error_set(r->err, SC_E_FORMAT,
				 "%s: tensor 'token_embd.weight': expected at most %u rows, found %"
				 PRIu64, gguf_path(r->gguf), MODEL_MAX_VOCAB, embedding->dims[1]);
	hp->n_vocab = (uint32_t)embedding->dims[1];
	status = maybe_u32(r, "vocab_size", MODEL_MAX_VOCAB, &n);
	if (status)
		return status;
	if (n && n != hp->n_vocab)
		return key_error(r, SC_E_FORMAT,
				 "expected %" PRIu32 ", the rows of token_embd.weight, found %"
				 PRIu32, hp->n_vocab, n);
	if (!gguf_has(r->gguf, "tokenizer.ggml.tokens"))
		return SC_OK;
	status = gguf_get_array(r->gguf, "tokenizer.ggml.tokens", &tokens, r->err);
	if (!status && tokens.n != hp->n_vocab)
		return gguf_key_error(r->gguf, "tokenizer.ggml.tokens", SC_E_FORMAT, r->err,
				      "expected %" PRIu32 " tokens, the rows of "
				      "token_embd.weight, found %zu", hp->n_vocab, tokens.n);
	return status;
}

enum sc_status hparams_read(const struct gguf *gguf, const struct arch *arch,
			    struct hparams *hparams_out, struct error *err)
{
	struct reader r = { .gguf = gguf, .arch = arch, .err = err };
	struct hparams hp = { 0 };
	enum sc_status status;

	status = read_sizes(&r, &hp);
	if (!status)
		status = refuse_variants(&r, &hp);
	if (!status)
		status = read_attention(&r, &hp);
	if (!status)
		status = read_rope(&r, &hp);
	if (!status)
		status = read_vocab(&r, &hp);
	if (!status)
		*hparams_out = hp;
	return status;
}
