/* SPDX-License-Identifier: Apache-2.0 */
#include "model/hparams.h"

#include "model/hparams_reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define MAX_CONTEXT (1u << 30)
#define ALIBI_USUAL_BIAS 8

/* Refuses features that change the computation, because a wrong answer is worse than none. */
static enum sc_status refuse_variants(struct reader *r)
{
	enum sc_status status;
	bool is_causal = true;
	uint32_t n = 0;

	if (reader_seek(r, "expert_count")) {
		status = reader_u32(r, 0, UINT32_MAX, &n);
		if (status || n > 0)
			return status ? status : reader_unsupported(r, "mixtures of experts are");
	}
	status = reader_maybe_bool(r, "attention.causal", &is_causal);
	if (status || is_causal)
		return status;
	return reader_unsupported(r, "attention to later tokens is");
}

static enum sc_status read_sizes(struct reader *r, struct hparams *hp)
{
	enum sc_status status;

	status = reader_need_u32(r, "block_count", MODEL_MAX_LAYERS, &hp->n_layers);
	if (!status)
		status = reader_need_u32(r, "context_length", MAX_CONTEXT, &hp->n_context);
	if (!status)
		status = reader_need_u32(r, "embedding_length", MODEL_MAX_DIM, &hp->dim);
	return status;
}

/* Reads the elements per head. Without a key, they are embedding_length / head_count. */
static enum sc_status read_head_dim(struct reader *r, const char *name, const struct hparams *hp,
				    uint32_t *dim_out)
{
	enum sc_status status;
	uint32_t dim = 0;

	status = reader_maybe_u32(r, name, MODEL_MAX_DIM, &dim);
	if (status)
		return status;
	if (dim == 0 && hp->dim % hp->n_heads)
		return reader_error(r, SC_E_FORMAT,
				    "expected it or an embedding_length that is a multiple of "
				    "head_count = %" PRIu32 ", found an embedding_length of %"
				    PRIu32, hp->n_heads, hp->dim);
	if (dim == 0)
		dim = hp->dim / hp->n_heads;
	if ((uint64_t)dim * hp->n_heads > MODEL_MAX_DIM)
		return reader_error(r, SC_E_FORMAT,
				    "expected at most %d elements in all heads, found %" PRIu32
				    " heads of %" PRIu32, MODEL_MAX_DIM, hp->n_heads, dim);
	*dim_out = dim;
	return SC_OK;
}

static uint32_t largest(const uint32_t *values, uint32_t n)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < n; i++)
		most = values[i] > most ? values[i] : most;
	return most;
}

/* Each layer's heads of keys must divide its heads. */
static enum sc_status read_kv_heads(struct reader *r, const struct hparams *hp,
				    const uint32_t *heads, uint32_t *kv_heads)
{
	enum sc_status status = reader_layers_u32(r, "attention.head_count_kv", hp->n_heads,
						  hp->n_layers, kv_heads);

	for (uint32_t i = 0; i < hp->n_layers && !status; i++)
		if (heads[i] % kv_heads[i])
			status = reader_error(r, SC_E_FORMAT, "expected a divisor of head_count = %"
					      PRIu32 ", found %" PRIu32, heads[i], kv_heads[i]);
	return status;
}

/* Reads what layers may have differently into arrays [n_layers]. */
static enum sc_status read_layers(struct reader *r, struct hparams *hp, uint32_t *ffn_dims,
				  uint32_t *heads, uint32_t *kv_heads)
{
	const uint32_t n = hp->n_layers;
	enum sc_status status = reader_need(r, "feed_forward_length");

	if (!status)
		status = reader_layers_u32(r, "feed_forward_length", MODEL_MAX_DIM, n, ffn_dims);
	if (!status)
		status = reader_need(r, "attention.head_count");
	if (!status)
		status = reader_layers_u32(r, "attention.head_count", MODEL_MAX_DIM, n, heads);
	if (status)
		return status;
	hp->ffn_dim = largest(ffn_dims, n);
	hp->n_heads = largest(heads, n);
	for (uint32_t i = 0; i < n; i++)
		kv_heads[i] = heads[i];
	status = read_kv_heads(r, hp, heads, kv_heads);
	hp->n_kv_heads = largest(kv_heads, n);
	if (!status)
		status = read_head_dim(r, "attention.key_length", hp, &hp->head_dim);
	return status ? status : read_head_dim(r, "attention.value_length", hp, &hp->value_dim);
}

static enum sc_status make_shapes(struct reader *r, struct model *model)
{
	struct hparams *hp = &model->hparams;
	const uint32_t n = hp->n_layers;
	uint32_t *values = calloc((size_t)n * 3, sizeof *values);
	enum sc_status status;

	model->shapes = calloc(n, sizeof *model->shapes);
	if (values && model->shapes)
		status = read_layers(r, hp, values, values + n, values + (size_t)n * 2);
	else
		status = error_set(r->err, SC_E_NOMEM, "%s: no memory for %" PRIu32 " layers",
				   gguf_path(r->gguf), n);
	for (uint32_t i = 0; i < n && !status; i++)
		model->shapes[i] = (struct layer_shape){
			.ffn_dim = values[i], .n_heads = values[n + i],
			.n_kv_heads = values[(size_t)n * 2 + i], .head_dim = hp->head_dim,
			.value_dim = hp->value_dim,
		};
	free(values);
	return status;
}

static enum sc_status read_norm(struct reader *r, struct hparams *hp)
{
	enum sc_status status = reader_need(r, r->arch->norm == ARCH_NORM_RMS ?
					       "attention.layer_norm_rms_epsilon" :
					       "attention.layer_norm_epsilon");

	return status ? status : reader_positive(r, &hp->norm_eps);
}

static enum sc_status read_parallel(struct reader *r, struct hparams *hp)
{
	switch (r->arch->parallel) {
	case PARALLEL_NEVER:
		return SC_OK;
	case PARALLEL_ALWAYS:
		hp->is_parallel = true;
		return SC_OK;
	case PARALLEL_BY_KEY:
		hp->is_parallel = true;
		return reader_maybe_bool(r, "use_parallel_residual", &hp->is_parallel);
	case PARALLEL_BY_NORM:
		hp->is_parallel = !gguf_find_tensor(r->gguf, "blk.0.ffn_norm.weight");
		return SC_OK;
	}
	return SC_OK;
}

/* MiniCPM's files without keys were made for models with these constants. */
static void set_minicpm_scales(struct hparams *hp)
{
	hp->embedding_scale = 12;
	hp->residual_scale = (float)(1.4 / sqrt(hp->n_layers));
	hp->logit_scale = (float)hp->dim / 256;
}

/* Gemma's references round sqrt(dim) to the type of the weights; here it is a float. */
static enum sc_status read_scales(struct reader *r, struct hparams *hp)
{
	const struct arch *arch = r->arch;
	enum sc_status status = SC_OK;

	hp->embedding_scale = hp->residual_scale = hp->logit_scale = 1;
	if (arch->has_root_embedding)
		hp->embedding_scale = sqrtf((float)hp->dim);
	if (arch->has_minicpm_scales)
		set_minicpm_scales(hp);
	if (arch->keys & KEYS_SCALES) {
		status = reader_maybe_factor(r, "embedding_scale", &hp->embedding_scale);
		if (!status)
			status = reader_maybe_factor(r, "residual_scale", &hp->residual_scale);
	}
	if (!status && arch->is_logit_scale_required)
		status = reader_need(r, "logit_scale");
	if (!status && arch->logit_scale != LOGITS_UNSCALED)
		status = reader_maybe_factor(r, "logit_scale", &hp->logit_scale);
	if (arch->logit_scale == LOGITS_DIVIDED)
		hp->logit_scale = 1 / hp->logit_scale;
	return status;
}

/* A cap, or another number of which 0 means none. */
static enum sc_status read_cap(struct reader *r, const char *name, float *cap)
{
	float value = 0;

	if (!reader_seek(r, name))
		return SC_OK;
	if (!gguf_get_f32(r->gguf, r->key, &value, NULL) && value == 0) {
		*cap = 0;
		return SC_OK;
	}
	return reader_positive(r, cap);
}

/* Gemma 2 has its caps also in files without keys, as llama.cpp has it. */
static enum sc_status read_caps(struct reader *r, struct hparams *hp)
{
	enum sc_status status;

	if (r->arch->keys & KEYS_CLAMP)
		return read_cap(r, "attention.clamp_kqv", &hp->qkv_limit);
	if (!(r->arch->keys & KEYS_CAPS))
		return SC_OK;
	if (r->arch->attention_scale == SCALE_GEMMA2) {
		hp->attention_cap = 50;
		hp->logit_cap = 30;
	}
	status = read_cap(r, "attn_logit_softcapping", &hp->attention_cap);
	return status ? status : read_cap(r, "final_logit_softcapping", &hp->logit_cap);
}

/* The largest models of Gemma scale scores by another number than their heads' size. */
static double attention_root(enum arch_attention_scale rule, const struct hparams *hp)
{
	const uint32_t largest_model = rule == SCALE_GEMMA2 ? 46 : rule == SCALE_GEMMA3 ? 62 : 0;

	return hp->n_layers == largest_model ? (double)hp->dim / hp->n_heads : hp->head_dim;
}

static enum sc_status read_attention_scale(struct reader *r, struct hparams *hp)
{
	enum sc_status status = SC_OK;
	float scale = 0;

	/* 0 stands for "not set", as in llama.cpp. */
	if (r->arch->keys & KEYS_ATTENTION_SCALE)
		status = read_cap(r, "attention.scale", &scale);
	if (scale == 0)
		scale = (float)(1.0 / sqrt(attention_root(r->arch->attention_scale, hp)));
	hp->attention_scale = scale;
	return status;
}

/* Slopes belong to heads, so all layers must have the same number of heads. */
static enum sc_status check_alibi(struct reader *r, const struct model *model)
{
	const struct hparams *hp = &model->hparams;

	for (uint32_t i = 0; i < hp->n_layers && hp->alibi_bias != 0; i++)
		if (model->shapes[i].n_heads != hp->n_heads) {
			(void)reader_seek(r, "attention.head_count");
			return reader_unsupported(r, "ALiBi with other heads in some layers is");
		}
	return SC_OK;
}

static enum sc_status read_alibi(struct reader *r, struct hparams *hp)
{
	switch (r->arch->alibi) {
	case ALIBI_NONE:
		return SC_OK;
	case ALIBI_KEY:
		return read_cap(r, "attention.max_alibi_bias", &hp->alibi_bias);
	case ALIBI_40_LAYERS:
		hp->alibi_bias = hp->n_layers == 40 ? ALIBI_USUAL_BIAS : 0;
		return SC_OK;
	case ALIBI_ALWAYS:
		hp->alibi_bias = ALIBI_USUAL_BIAS;
		return SC_OK;
	}
	return SC_OK;
}

/* One number for all layers, or one each. These keys have no architecture in front. */
static enum sc_status read_xielu_number(struct reader *r, const char *key, struct model *model,
					size_t offset)
{
	const uint32_t n = model->hparams.n_layers;
	struct gguf_array array;
	enum sc_status status = gguf_require(r->gguf, key, r->err);
	float value = 0;

	if (status)
		return status;
	if (gguf_get_array(r->gguf, key, &array, NULL)) {
		array.n = 0;
		status = gguf_get_f32(r->gguf, key, &value, r->err);
	} else if (array.n < n || array.type == GGUF_STRING || array.type == GGUF_ARRAY) {
		status = gguf_key_error(r->gguf, key, SC_E_FORMAT, r->err,
					"expected a number for each of %" PRIu32
					" layers, found an array of %zu", n, array.n);
	}
	for (uint32_t i = 0; i < n && !status; i++) {
		float *number = (float *)((char *)&model->shapes[i].xielu + offset);

		*number = array.n ? (float)gguf_array_number(&array, i) : value;
		if (!isfinite(*number))
			status = gguf_key_error(r->gguf, key, SC_E_FORMAT, r->err,
						"expected finite numbers, found %g",
						(double)*number);
	}
	return status;
}

static enum sc_status read_xielu(struct reader *r, struct model *model)
{
	static const struct {
		const char *key;
		size_t offset;
	} numbers[] = {
		{ "xielu.alpha_p", offsetof(struct xielu, alpha_p) },
		{ "xielu.alpha_n", offsetof(struct xielu, alpha_n) },
		{ "xielu.beta", offsetof(struct xielu, beta) },
		{ "xielu.eps", offsetof(struct xielu, eps) },
	};
	enum sc_status status = SC_OK;

	if (r->arch->activation != ARCH_XIELU)
		return SC_OK;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && !status; i++)
		status = read_xielu_number(r, numbers[i].key, model, numbers[i].offset);
	return status;
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
	status = reader_maybe_u32(r, "vocab_size", MODEL_MAX_VOCAB, &n);
	if (status)
		return status;
	if (n && n != hp->n_vocab)
		return reader_error(r, SC_E_FORMAT,
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

enum sc_status hparams_read(struct model *model, struct error *err)
{
	struct reader r = { .gguf = model->gguf, .arch = model->arch, .err = err };
	struct hparams *hp = &model->hparams;
	enum sc_status status;

	status = read_sizes(&r, hp);
	if (!status)
		status = refuse_variants(&r);
	if (!status)
		status = make_shapes(&r, model);
	if (!status)
		status = read_norm(&r, hp);
	if (!status)
		status = read_parallel(&r, hp);
	if (!status)
		status = read_scales(&r, hp);
	if (!status)
		status = read_caps(&r, hp);
	if (!status)
		status = read_attention_scale(&r, hp);
	if (!status)
		status = read_alibi(&r, hp);
	if (!status)
		status = check_alibi(&r, model);
	if (!status)
		status = read_xielu(&r, model);
	if (!status)
		status = hparams_read_rope(&r, model);
	if (!status)
		status = hparams_read_windows(&r, model);
	return status ? status : read_vocab(&r, hp);
}
