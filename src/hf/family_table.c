/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows. A new family: its class names, its GGUF architecture (which must be in model/arch.c),
 * and what differs from the usual names and keys. tests/hf/test_hf_config.c shows a config.json of
 * each.
 */
#include "hf/family.h"

#include "hf/put_key.h"

#define END { NULL, NULL, 0, 0 }

#define RMS_EPS(names, fallback) \
	{ "attention.layer_norm_rms_epsilon", names, HF_KEY_F32, fallback }
#define LAYER_EPS(names, fallback) \
	{ "attention.layer_norm_epsilon", names, HF_KEY_F32, fallback }

/* --- names of tensors --- */

#define L "model.layers.#."
#define B "blk.#."

/* Norms before and behind each branch. */
static const struct hf_tensor_name gemma2_tensors[] = {
	{ B "post_attention_norm", L "post_attention_layernorm", HF_AS_IS },
	{ B "ffn_norm", L "pre_feedforward_layernorm", HF_AS_IS },
	{ B "post_ffw_norm", L "post_feedforward_layernorm", HF_AS_IS },
	{ NULL, NULL, 0 },
};

/* Norms behind the branches only. */
static const struct hf_tensor_name post_norm_tensors[] = {
	{ B "post_attention_norm", L "post_attention_layernorm", HF_AS_IS },
	{ B "post_ffw_norm", L "post_feedforward_layernorm", HF_AS_IS },
	{ B "ffn_norm", NULL, HF_AS_IS },
	{ B "attn_norm", NULL, HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name phi3_tensors[] = {
	{ B "attn_qkv", L "self_attn.qkv_proj", HF_AS_IS },
	{ B "ffn_up", L "mlp.gate_up_proj", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name phi2_tensors[] = {
	{ "output_norm", "model.final_layernorm", HF_AS_IS },
	{ B "attn_output", L "self_attn.dense", HF_AS_IS },
	{ B "ffn_up", L "mlp.fc1", HF_AS_IS },
	{ B "ffn_down", L "mlp.fc2", HF_AS_IS },
	{ NULL, NULL, 0 },
};

/* post_attention_layernorm is the norm before the feed-forward part, as usual. */
static const struct hf_tensor_name glm4_tensors[] = {
	{ B "post_attention_norm", L "post_self_attn_layernorm", HF_AS_IS },
	{ B "post_ffw_norm", L "post_mlp_layernorm", HF_AS_IS },
	{ B "ffn_up", L "mlp.gate_up_proj", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name glm_tensors[] = {
	{ B "ffn_up", L "mlp.gate_up_proj", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name granite_hybrid_tensors[] = {
	{ B "ffn_gate", L "shared_mlp.input_linear", HF_FIRST_HALF },
	{ B "ffn_up", L "shared_mlp.input_linear", HF_SECOND_HALF },
	{ B "ffn_down", L "shared_mlp.output_linear", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name starcoder2_tensors[] = {
	{ B "ffn_up", L "mlp.c_fc", HF_AS_IS },
	{ B "ffn_down", L "mlp.c_proj", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name falcon_tensors[] = {
	{ "token_embd", "transformer.word_embeddings", HF_AS_IS },
	{ "output_norm", "transformer.ln_f", HF_AS_IS },
	{ "output", "lm_head", HF_AS_IS },
	/* One norm for both branches, or with two ln_attn for attention. */
	{ B "attn_norm", "transformer.h.#.input_layernorm", HF_AS_IS },
	{ B "attn_norm", "transformer.h.#.ln_mlp", HF_AS_IS },
	{ B "attn_norm_2", "transformer.h.#.ln_attn", HF_AS_IS },
	{ B "attn_qkv", "transformer.h.#.self_attention.query_key_value", HF_GROUPS_TO_QKV },
	{ B "attn_output", "transformer.h.#.self_attention.dense", HF_AS_IS },
	{ B "ffn_up", "transformer.h.#.mlp.dense_h_to_4h", HF_AS_IS },
	{ B "ffn_down", "transformer.h.#.mlp.dense_4h_to_h", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name gpt2_tensors[] = {
	{ "token_embd", "transformer.wte", HF_AS_IS },
	{ "position_embd", "transformer.wpe", HF_AS_IS },
	{ "output_norm", "transformer.ln_f", HF_AS_IS },
	{ "output", "lm_head", HF_AS_IS },
	{ B "attn_norm", "transformer.h.#.ln_1", HF_AS_IS },
	{ B "attn_qkv", "transformer.h.#.attn.c_attn", HF_TRANSPOSE },
	{ B "attn_output", "transformer.h.#.attn.c_proj", HF_TRANSPOSE },
	{ B "ffn_norm", "transformer.h.#.ln_2", HF_AS_IS },
	{ B "ffn_up", "transformer.h.#.mlp.c_fc", HF_TRANSPOSE },
	{ B "ffn_down", "transformer.h.#.mlp.c_proj", HF_TRANSPOSE },
	{ NULL, NULL, 0 },
};

#define N "gpt_neox.layers.#."
static const struct hf_tensor_name gptneox_tensors[] = {
	{ "token_embd", "gpt_neox.embed_in", HF_AS_IS },
	{ "output_norm", "gpt_neox.final_layer_norm", HF_AS_IS },
	{ "output", "embed_out", HF_AS_IS },
	{ "output", "lm_head", HF_AS_IS },	/* of transformers 5 */
	{ B "attn_norm", N "input_layernorm", HF_AS_IS },
	{ B "attn_qkv", N "attention.query_key_value", HF_HEADS_TO_QKV },
	{ B "attn_output", N "attention.dense", HF_AS_IS },
	{ B "ffn_norm", N "post_attention_layernorm", HF_AS_IS },
	{ B "ffn_up", N "mlp.dense_h_to_4h", HF_AS_IS },
	{ B "ffn_down", N "mlp.dense_4h_to_h", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name stablelm_tensors[] = {
	{ B "attn_q_norm", L "self_attn.q_layernorm.norms.@", HF_STACK_Q },
	{ B "attn_k_norm", L "self_attn.k_layernorm.norms.@", HF_STACK_K },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name internlm2_tensors[] = {
	{ "token_embd", "model.tok_embeddings", HF_AS_IS },
	{ "output_norm", "model.norm", HF_AS_IS },
	{ "output", "output", HF_AS_IS },
	{ B "attn_norm", L "attention_norm", HF_AS_IS },
	{ B "attn_q", L "attention.wqkv", HF_GROUPS_Q_PERMUTED },
	{ B "attn_k", L "attention.wqkv", HF_GROUPS_K_PERMUTED },
	{ B "attn_v", L "attention.wqkv", HF_GROUPS_V },
	{ B "attn_output", L "attention.wo", HF_AS_IS },
	{ B "ffn_norm", L "ffn_norm", HF_AS_IS },
	{ B "ffn_gate", L "feed_forward.w1", HF_AS_IS },
	{ B "ffn_up", L "feed_forward.w3", HF_AS_IS },
	{ B "ffn_down", L "feed_forward.w2", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name seed_oss_tensors[] = {
	{ B "post_attention_norm", L "post_attention_layernorm", HF_AS_IS },
	{ B "ffn_norm", NULL, HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name apertus_tensors[] = {
	{ B "attn_norm", L "attention_layernorm", HF_AS_IS },
	{ B "ffn_norm", L "feedforward_layernorm", HF_AS_IS },
	{ NULL, NULL, 0 },
};

/* Parameters of the activation xIELU. */
static const struct hf_scalar apertus_scalars[] = {
	{ "xielu.alpha_n", L "mlp.act_fn.alpha_n" },
	{ "xielu.alpha_p", L "mlp.act_fn.alpha_p" },
	{ "xielu.beta", L "mlp.act_fn.beta" },
	{ "xielu.eps", L "mlp.act_fn.eps" },
	{ NULL, NULL },
};

static const struct hf_tensor_name hunyuan_tensors[] = {
	{ B "attn_q_norm", L "self_attn.query_layernorm", HF_AS_IS },
	{ B "attn_k_norm", L "self_attn.key_layernorm", HF_AS_IS },
	{ NULL, NULL, 0 },
};

static const struct hf_tensor_name baichuan_tensors[] = {
	{ B "attn_q", L "self_attn.W_pack", HF_PART_Q_PERMUTED },
	{ B "attn_k", L "self_attn.W_pack", HF_PART_K_PERMUTED },
	{ B "attn_v", L "self_attn.W_pack", HF_PART_V },
	{ NULL, NULL, 0 },
};

#define M "transformer.blocks.#."
static const struct hf_tensor_name mpt_tensors[] = {
	{ "token_embd", "transformer.wte", HF_AS_IS },
	{ "position_embd", "transformer.wpe", HF_AS_IS },
	{ "output_norm", "transformer.norm_f", HF_AS_IS },
	{ "output", "lm_head", HF_AS_IS },
	{ B "attn_norm", M "norm_1", HF_AS_IS },
	{ B "attn_qkv", M "attn.Wqkv", HF_AS_IS },
	{ B "attn_output", M "attn.out_proj", HF_AS_IS },
	{ B "ffn_norm", M "norm_2", HF_AS_IS },
	{ B "ffn_up", M "ffn.up_proj", HF_AS_IS },
	{ B "ffn_down", M "ffn.down_proj", HF_AS_IS },
	{ NULL, NULL, 0 },
};

#define H "transformer.h.#."
static const struct hf_tensor_name bloom_tensors[] = {
	{ "token_embd", "transformer.word_embeddings", HF_AS_IS },
	{ "token_embd_norm", "transformer.word_embeddings_layernorm", HF_AS_IS },
	{ "output_norm", "transformer.ln_f", HF_AS_IS },
	{ "output", "lm_head", HF_AS_IS },
	{ B "attn_norm", H "input_layernorm", HF_AS_IS },
	{ B "attn_qkv", H "self_attention.query_key_value", HF_HEADS_TO_QKV },
	{ B "attn_output", H "self_attention.dense", HF_AS_IS },
	{ B "ffn_norm", H "post_attention_layernorm", HF_AS_IS },
	{ B "ffn_up", H "mlp.dense_h_to_4h", HF_AS_IS },
	{ B "ffn_down", H "mlp.dense_4h_to_h", HF_AS_IS },
	{ NULL, NULL, 0 },
};

/* --- keys --- */

static const struct hf_key rms_1e6[] = { RMS_EPS("rms_norm_eps", 1e-6), END };
static const struct hf_key rms_1e5[] = { RMS_EPS("rms_norm_eps", 1e-5), END };
static const struct hf_key glm_keys[] = { RMS_EPS("rms_norm_eps", 1.5625e-7), END };
static const struct hf_key gemma3_keys[] = {
	RMS_EPS("rms_norm_eps", 1e-6),
	{ "final_logit_softcapping", "final_logit_softcapping", HF_KEY_F32, HF_NO_KEY },
	END
};
static const struct hf_key granite_keys[] = {
	RMS_EPS("rms_norm_eps", 1e-6),
	{ "attention.scale", "attention_multiplier", HF_KEY_F32, 1 },
	{ "embedding_scale", "embedding_multiplier", HF_KEY_F32, 1 },
	{ "residual_scale", "residual_multiplier", HF_KEY_F32, 1 },
	{ "logit_scale", "logits_scaling", HF_KEY_F32, 1 },
	END
};
static const struct hf_key cohere_keys[] = {
	LAYER_EPS("layer_norm_eps", 1e-5),
	{ "logit_scale", "logit_scale", HF_KEY_F32, 0.0625 },
	END
};
static const struct hf_key layer_1e5[] = {
	LAYER_EPS("layer_norm_eps|layer_norm_epsilon|norm_epsilon|norm_eps", 1e-5), END
};
static const struct hf_key parallel_true[] = {
	LAYER_EPS("layer_norm_eps", 1e-5),
	{ "use_parallel_residual", "use_parallel_residual", HF_KEY_BOOL, 1 },
	END
};
static const struct hf_key stablelm_keys[] = {
	LAYER_EPS("layer_norm_eps|norm_eps", 1e-5),
	{ "use_parallel_residual", "use_parallel_residual", HF_KEY_BOOL, 0 },
	END
};
static const struct hf_key mpt_keys[] = {
	LAYER_EPS("layer_norm_epsilon", 1e-5),
	{ "attention.clamp_kqv", "attn_config.clip_qkv", HF_KEY_F32, HF_NO_KEY },
	END
};

/* --- what must have a certain value --- */

#define SILU { "hidden_act", "silu|swish" }
#define TANH_GELU "gelu_new|gelu_fast|gelu_pytorch_tanh"

static const struct hf_check silu[] = { SILU, { NULL, NULL } };
static const struct hf_check llama_checks[] = {
	SILU, { "rope_interleaved", "false" }, { NULL, NULL },
};
static const struct hf_check minicpm_checks[] = { SILU, { "use_mup", "true" }, { NULL, NULL } };
/* Keys of the first models, which name what transformers has without them. */
static const struct hf_check cohere2_checks[] = {
	SILU, { "order_of_interleaved_layers", "local_attn_first" },
	{ "position_embedding_type", "rope_gptj" }, { "use_gated_activation", "true" },
	{ "use_parallel_block", "true" }, { NULL, NULL },
};
static const struct hf_check gemma_checks[] = {
	/* Gemma computes with tanh, whatever the configurations of its first days said. */
	{ "hidden_activation|hidden_act", TANH_GELU "|gelu" },
	{ "use_bidirectional_attention", "false" }, { NULL, NULL },
};
static const struct hf_check gemma3_checks[] = {
	{ "hidden_activation", TANH_GELU }, { "use_bidirectional_attention", "false" },
	{ "attn_logit_softcapping", "" }, { NULL, NULL },
};
static const struct hf_check phi2_checks[] = {
	{ "hidden_act", TANH_GELU }, { "qk_layernorm", "false" }, { NULL, NULL },
};
static const struct hf_check tanh_gelu[] = {
	{ "hidden_act|activation_function", TANH_GELU }, { NULL, NULL },
};
static const struct hf_check falcon_checks[] = {
	{ "alibi", "false" }, { "activation", "gelu" }, { "parallel_attn", "true" },
	{ "bias", "false" }, { NULL, NULL },
};
static const struct hf_check gpt2_checks[] = {
	{ "activation_function", TANH_GELU }, { "scale_attn_weights", "true" },
	{ "scale_attn_by_inverse_layer_idx", "false" }, { "add_cross_attention", "false" },
	{ NULL, NULL },
};
static const struct hf_check erf_gelu[] = { { "hidden_act", "gelu" }, { NULL, NULL } };
static const struct hf_check nemotron_checks[] = { { "hidden_act", "relu2" }, { NULL, NULL } };
static const struct hf_check apertus_checks[] = { { "hidden_act", "xielu" }, { NULL, NULL } };
static const struct hf_check granite_hybrid_checks[] = {
	SILU, { "position_embedding_type", "rope" }, { NULL, NULL },
};
static const struct hf_check olmo2_checks[] = { SILU, { "clip_qkv", "" }, { NULL, NULL } };
static const struct hf_check mpt_checks[] = {
	{ "attn_config.attn_type", "multihead_attention" }, { "attn_config.qk_ln", "false" },
	{ "attn_config.prefix_lm", "false" }, { "attn_config.softmax_scale", "" },
	{ "attn_config.attn_uses_sequence_id", "false" },
	{ "norm_type", "low_precision_layernorm|layernorm" }, { "logit_scale", "1" },
	{ "embedding_fraction", "1" }, { NULL, NULL },
};
static const struct hf_check bloom_checks[] = {
	{ "apply_residual_connection_post_layernorm", "false" }, { NULL, NULL },
};

/* --- what data cannot say --- */

/* Without the new decoder, multi_query means one head of keys and values. */
static enum sc_status falcon_numbers(const struct hf_config *config, struct hf_numbers *numbers,
				     struct error *err)
{
	(void)err;
	if (!hf_config_flag(config, "new_decoder_architecture", false))
		numbers->n_kv_heads = hf_config_flag(config, "multi_query", true) ?
				      1 : numbers->n_heads;
	return SC_OK;
}

/* Attention is scaled by 1 / sqrt(query_pre_attn_scalar). llama.cpp has no key for it and knows the
 * models in which that is not the head size. */
static enum sc_status put_query_scale(const struct hf_config *config, const char *arch,
				      const struct hf_numbers *numbers, struct gguf_head *head,
				      struct error *err)
{
	double scalar;
	enum sc_status status = hf_config_number(config, "query_pre_attn_scalar", 256, &scalar,
						 err);

	if (status || scalar == numbers->head_dim)
		return status;
	if (!(scalar > 0))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'query_pre_attn_scalar' must be above 0, found %g", scalar);
	return put_f32(head, arch, "attention.scale", 1 / sqrt(scalar));
}

/* A cap that is null is none; the architecture would take a missing key for the usual cap. */
static enum sc_status put_cap(const struct hf_config *config, const char *name, double usual,
			      struct gguf_head *head, struct error *err)
{
	bool is_off = json_is_null(json_object_get(config->json, name));
	double cap;
	enum sc_status status = hf_config_number(config, name, is_off ? 0 : usual, &cap, err);

	return status ? status : put_f32(head, "gemma2", name, cap);
}

static enum sc_status gemma2_more(const struct hf_config *config, const struct hf_numbers *numbers,
				  struct gguf_head *head, struct error *err)
{
	enum sc_status status = put_cap(config, "attn_logit_softcapping", 50, head, err);

	if (!status)
		status = put_cap(config, "final_logit_softcapping", 30, head, err);
	return status ? status : put_query_scale(config, "gemma2", numbers, head, err);
}

static enum sc_status gemma3_more(const struct hf_config *config, const struct hf_numbers *numbers,
				  struct gguf_head *head, struct error *err)
{
	return put_query_scale(config, "gemma3", numbers, head, err);
}

/* The key for the residual holds scale_depth / sqrt(layers), the key for logits the divisor. */
static enum sc_status minicpm_more(const struct hf_config *config,
				   const struct hf_numbers *numbers, struct gguf_head *head,
				   struct error *err)
{
	double embedding, depth, base;
	enum sc_status status = hf_config_number(config, "scale_emb", 1, &embedding, err);

	if (!status)
		status = hf_config_number(config, "scale_depth", 1, &depth, err);
	if (!status)
		status = hf_config_number(config, "dim_model_base", numbers->dim, &base, err);
	if (!status && !(base > 0))
		return hf_config_error(config, SC_E_FORMAT, err,
				       "'dim_model_base' must be above 0, found %g", base);
	if (!status)
		status = put_f32(head, "minicpm", "embedding_scale", embedding);
	if (!status)
		status = put_f32(head, "minicpm", "residual_scale",
				 depth / sqrt(numbers->n_layers));
	return status ? status : put_f32(head, "minicpm", "logit_scale", numbers->dim / base);
}

/* Positions are biases (ALiBi), or learned. */
static enum sc_status mpt_more(const struct hf_config *config, const struct hf_numbers *numbers,
			       struct gguf_head *head, struct error *err)
{
	double bias = 0;
	enum sc_status status = SC_OK;

	(void)numbers;
	if (hf_config_flag(config, "attn_config.alibi", true))
		status = hf_config_number(config, "attn_config.alibi_bias_max", 8, &bias, err);
	return status ? status : put_f32(head, "mpt", "attention.max_alibi_bias", bias);
}

/* The model of 13 billion parameters has ALiBi instead of rotary positions. llama.cpp knows it by
 * its number of layers. */
static enum sc_status baichuan_more(const struct hf_config *config,
				    const struct hf_numbers *numbers, struct gguf_head *head,
				    struct error *err)
{
	bool has_rope = hf_config_get(config, "max_position_embeddings");

	(void)head;
	if (has_rope == (numbers->n_layers != 40))
		return SC_OK;
	return hf_config_error(config, SC_E_UNSUPPORTED, err,
			       "%s 'max_position_embeddings' in a model of %u layers. In the "
			       "family baichuan only models of 40 layers have ALiBi positions and "
			       "no such key", has_rope ? "found" : "found no", numbers->n_layers);
}

/* --- rows --- */

const struct hf_family hf_families[] = {
	{ .name = "llama", .classes = { "LlamaForCausalLM", "LLaMAForCausalLM" },
	  .types = { "llama" }, .arch = "llama", .keys = rms_1e6, .checks = llama_checks,
	  .permutes_qk = true, .harmless = "is_llama_config|unsloth_version" },
	{ .name = "mistral", .classes = { "MistralForCausalLM" }, .types = { "mistral" },
	  .arch = "llama", .keys = rms_1e6, .checks = silu, .permutes_qk = true,
	  .fallbacks = { .n_kv_heads = 8 }, .windows = HF_WINDOWS_ALL, .window = 4096 },
	{ .name = "smollm3", .classes = { "SmolLM3ForCausalLM" }, .types = { "smollm3" },
	  .arch = "smollm3", .keys = rms_1e6, .checks = silu, .permutes_qk = true,
	  .fallbacks = { .n_kv_heads = 4 }, .is_tied = true, .windows = HF_WINDOWS_FLAG,
	  .harmless = "no_rope_layers|no_rope_layer_interval",
	  .rope = { .theta = 2e6, .has_no_rope_layers = true } },
	{ .name = "qwen2", .classes = { "Qwen2ForCausalLM" }, .types = { "qwen2" },
	  .arch = "qwen2", .keys = rms_1e6, .checks = silu, .windows = HF_WINDOWS_FLAG,
	  .window = 4096, .fallbacks = { .n_kv_heads = 32 } },
	{ .name = "qwen3", .classes = { "Qwen3ForCausalLM" }, .types = { "qwen3" },
	  .arch = "qwen3", .keys = rms_1e6, .checks = silu, .windows = HF_WINDOWS_FLAG,
	  .window = 4096, .fallbacks = { .n_kv_heads = 32, .head_dim = 128 } },
	{ .name = "gemma", .classes = { "GemmaForCausalLM" }, .types = { "gemma" },
	  .arch = "gemma", .keys = rms_1e6, .checks = gemma_checks, .adds_one_to_norms = true,
	  .is_tied = true, .fallbacks = { .n_kv_heads = 16, .head_dim = 256 } },
	{ .name = "gemma2", .classes = { "Gemma2ForCausalLM" }, .types = { "gemma2" },
	  .arch = "gemma2", .keys = rms_1e6, .checks = gemma_checks,
	  .tensors = gemma2_tensors, .adds_one_to_norms = true, .is_tied = true,
	  .fallbacks = { .n_kv_heads = 4, .head_dim = 256 },
	  .windows = HF_WINDOWS_PERIOD, .period = 2, .is_period_implied = true, .window = 4096,
	  .harmless = "query_pre_attn_scalar|sliding_window_size|attn_logit_softcapping|"
		      "final_logit_softcapping", .put_more = gemma2_more },
	{ .name = "gemma3", .classes = { "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration" },
	  .types = { "gemma3_text", "gemma3" }, .arch = "gemma3", .keys = gemma3_keys,
	  .checks = gemma3_checks, .tensors = gemma2_tensors, .adds_one_to_norms = true,
	  .is_tied = true,
	  .fallbacks = { .n_layers = 26, .n_context = 131072, .dim = 2304, .ffn_dim = 9216,
			 .n_heads = 8, .n_kv_heads = 4, .head_dim = 256 },
	  .rope = { .theta = 1e6, .local_theta = 10000 },
	  .windows = HF_WINDOWS_PERIOD, .period = 6, .is_period_implied = true, .window = 4096,
	  .harmless = "query_pre_attn_scalar", .put_more = gemma3_more },
	{ .name = "phi3", .classes = { "Phi3ForCausalLM" }, .types = { "phi3" }, .arch = "phi3",
	  .keys = rms_1e5, .checks = silu, .tensors = phi3_tensors, .windows = HF_WINDOWS_ALL,
	  .has_window_key = true,
	  .rope = { .partial = 1 } },
	{ .name = "phi2", .classes = { "PhiForCausalLM" }, .types = { "phi" }, .arch = "phi2",
	  .keys = layer_1e5, .checks = phi2_checks, .tensors = phi2_tensors,
	  .rope = { .partial = 0.5 } },
	{ .name = "glm4", .classes = { "Glm4ForCausalLM" }, .types = { "glm4" }, .arch = "glm4",
	  .keys = glm_keys, .checks = silu, .tensors = glm4_tensors,
	  .fallbacks = { .n_kv_heads = 2, .head_dim = 128 }, .rope = { .partial = 0.5 } },
	{ .name = "glm", .classes = { "GlmForCausalLM" }, .types = { "glm" }, .arch = "chatglm",
	  .keys = glm_keys, .checks = silu, .tensors = glm_tensors,
	  .fallbacks = { .n_kv_heads = 2, .head_dim = 128 }, .rope = { .partial = 0.5 } },
	{ .name = "olmo2", .classes = { "Olmo2ForCausalLM" }, .types = { "olmo2" },
	  .arch = "olmo2", .keys = rms_1e5, .checks = olmo2_checks,
	  .tensors = post_norm_tensors },
	{ .name = "olmo3", .classes = { "Olmo3ForCausalLM" }, .types = { "olmo3" },
	  .arch = "olmo2", .keys = rms_1e5, .checks = olmo2_checks,
	  .tensors = post_norm_tensors, .rope = { .theta = 500000, .local_theta = HF_AS_THETA },
	  .windows = HF_WINDOWS_PERIOD, .period = 4, .is_period_implied = true, .window = 4096 },
	{ .name = "granite", .classes = { "GraniteForCausalLM" }, .types = { "granite" },
	  .arch = "granite", .keys = granite_keys, .checks = silu, .permutes_qk = true },
	{ .name = "granite (hybrid without Mamba)", .classes = { "GraniteMoeHybridForCausalLM" },
	  .types = { "granitemoehybrid" }, .arch = "granite", .keys = granite_keys,
	  .checks = granite_hybrid_checks, .tensors = granite_hybrid_tensors,
	  .permutes_qk = true, .json = { .ffn_dim = "shared_intermediate_size" },
	  .harmless = "num_experts_per_tok|mamba_n_heads|mamba_n_groups|mamba_d_state|"
		      "mamba_d_head|mamba_d_conv|mamba_expand|mamba_chunk_size|mamba_conv_bias|"
		      "mamba_proj_bias|time_step_limit|time_step_min|time_step_max|"
		      "normalization_function|attn_layer_indices" },
	{ .name = "command-r", .classes = { "CohereForCausalLM" }, .types = { "cohere" },
	  .arch = "command-r", .keys = cohere_keys, .checks = silu, .is_tied = true,
	  .json = { .n_context = "model_max_length|max_position_embeddings" },
	  .rope = { .theta = 500000 }, .fallbacks = { .n_context = 8192 } },
	{ .name = "cohere2", .classes = { "Cohere2ForCausalLM" }, .types = { "cohere2" },
	  .arch = "cohere2", .keys = cohere_keys, .checks = cohere2_checks, .is_tied = true,
	  .windows = HF_WINDOWS_PERIOD, .period = 4, .is_period_implied = true, .window = 4096,
	  .harmless = "layer_switch|use_embedding_sharing|use_parallel_embedding" },
	{ .name = "starcoder2", .classes = { "Starcoder2ForCausalLM" },
	  .types = { "starcoder2" }, .arch = "starcoder2", .keys = layer_1e5,
	  .checks = tanh_gelu, .tensors = starcoder2_tensors, .is_tied = true,
	  .fallbacks = { .n_kv_heads = 2 }, .windows = HF_WINDOWS_ALL,
	  .harmless = "mlp_type|norm_type|scale_attention_softmax_in_fp32|scale_attn_weights|"
		      "attention_softmax_in_fp32" },
	{ .name = "falcon", .classes = { "FalconForCausalLM", "RWForCausalLM" },
	  .types = { "falcon", "RefinedWeb", "RefinedWebModel" }, .arch = "falcon",
	  .keys = layer_1e5, .checks = falcon_checks, .tensors = falcon_tensors,
	  .has_only_own_tensors = true, .is_tied = true, .ffn_per_dim = 4,
	  .fallbacks = { .n_context = 2048 },
	  .harmless = "multi_query|new_decoder_architecture|num_ln_in_parallel_attn",
	  .fix_numbers = falcon_numbers },
	{ .name = "gpt2", .classes = { "GPT2LMHeadModel" }, .types = { "gpt2" },
	  .arch = "gpt2", .keys = layer_1e5, .checks = gpt2_checks, .tensors = gpt2_tensors,
	  .has_only_own_tensors = true, .is_tied = true, .ffn_per_dim = 4,
	  .keeps_kv_heads_out = true, .rope = { .is_absent = true },
	  .skipped = ".attn.bias|.attn.masked_bias",
	  .harmless = "reorder_and_upcast_attn|summary_type|summary_use_proj|"
		      "summary_activation|summary_proj_to_labels|summary_first_dropout" },
	{ .name = "gptneox", .classes = { "GPTNeoXForCausalLM" }, .types = { "gpt_neox" },
	  .arch = "gptneox", .keys = parallel_true, .checks = erf_gelu,
	  .tensors = gptneox_tensors, .has_only_own_tensors = true,
	  .keeps_kv_heads_out = true, .rope = { .partial = 0.25 },
	  .skipped = ".attention.bias|.attention.masked_bias" },
	{ .name = "stablelm",
	  .classes = { "StableLmForCausalLM", "StableLMEpochForCausalLM" },
	  .types = { "stablelm", "stablelm_epoch" }, .arch = "stablelm",
	  .keys = stablelm_keys, .checks = silu, .tensors = stablelm_tensors,
	  .rope = { .partial = 0.25 }, .harmless = "qk_layernorm|norm_bias" },
	{ .name = "minicpm", .classes = { "MiniCPMForCausalLM" }, .types = { "minicpm" },
	  .arch = "minicpm", .keys = rms_1e6, .checks = minicpm_checks, .permutes_qk = true,
	  .harmless = "scale_emb|scale_depth|dim_model_base|mup_denominator",
	  .put_more = minicpm_more },
	{ .name = "exaone4", .classes = { "Exaone4ForCausalLM" }, .types = { "exaone4" },
	  .arch = "exaone4", .keys = rms_1e5, .checks = silu, .tensors = post_norm_tensors,
	  .windows = HF_WINDOWS_PERIOD, .period = 4, .window = 4096 },
	{ .name = "nemotron", .classes = { "NemotronForCausalLM" }, .types = { "nemotron" },
	  .arch = "nemotron", .keys = layer_1e5, .checks = nemotron_checks,
	  .adds_one_to_norms = true, .rope = { .partial = 0.5 }, .harmless = "kv_channels" },
	{ .name = "internlm2", .classes = { "InternLM2ForCausalLM" }, .types = { "internlm2" },
	  .arch = "internlm2", .keys = rms_1e6, .checks = silu, .tensors = internlm2_tensors,
	  .has_only_own_tensors = true },
	{ .name = "ernie4.5", .classes = { "Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM" },
	  .types = { "ernie4_5" }, .arch = "ernie4_5", .keys = rms_1e5, .checks = silu,
	  .is_tied = true, .fallbacks = { .n_kv_heads = 2, .head_dim = 128 },
	  .rope = { .theta = 500000 }, .harmless = "compression_ratio|weight_share_add_bias" },
	{ .name = "seed-oss", .classes = { "SeedOssForCausalLM" }, .types = { "seed_oss" },
	  .arch = "seed_oss", .keys = rms_1e6, .checks = silu, .tensors = seed_oss_tensors,
	  .fallbacks = { .n_kv_heads = 8, .head_dim = 128 } },
	{ .name = "apertus", .classes = { "ApertusForCausalLM" }, .types = { "apertus" },
	  .arch = "apertus", .keys = rms_1e5, .checks = apertus_checks,
	  .tensors = apertus_tensors, .scalars = apertus_scalars,
	  .rope = { .theta = 12e6, .must_be_given = true },
	  .harmless = "post_norm|qk_norm|mlp_act_fn_params" },
	{ .name = "hunyuan-dense", .classes = { "HunYuanDenseV1ForCausalLM" },
	  .types = { "hunyuan_v1_dense" }, .arch = "hunyuan-dense", .keys = rms_1e5,
	  .checks = silu, .tensors = hunyuan_tensors, .rope = { .has_alpha = true },
	  .harmless = "attention_head_dim|use_cla|cla_share_factor|use_rotary_pos_emb|"
		      "norm_type|mlp_type|anyres_vit_max_image_size|sep_token_id|"
		      "enable_lm_head_fp32|org_vocab_size|routed_scaling_factor" },
	{ .name = "baichuan", .classes = { "BaichuanForCausalLM", "BaiChuanForCausalLM" },
	  .types = { "baichuan" }, .arch = "baichuan", .keys = rms_1e6, .checks = silu,
	  .tensors = baichuan_tensors, .unit_head_vocab = 125696,
	  .json = { .n_context = "max_position_embeddings|model_max_length" },
	  .fallbacks = { .n_context = 4096 }, .harmless = "z_loss_weight|gradient_checkpointing",
	  .put_more = baichuan_more },
	{ .name = "mpt", .classes = { "MPTForCausalLM", "MptForCausalLM" }, .types = { "mpt" },
	  .arch = "mpt", .keys = mpt_keys, .checks = mpt_checks, .tensors = mpt_tensors,
	  .has_only_own_tensors = true, .is_tied = true, .ffn_per_dim = 4,
	  .json = { .ffn_dim = "ffn_dim", .n_kv_heads = "attn_config.kv_n_heads" },
	  .fallbacks = { .n_context = 2048 }, .rope = { .is_absent = true },
	  .harmless = "attn_config|expansion_ratio|learned_pos_emb|init_config|tokenizer_name",
	  .put_more = mpt_more },
	{ .name = "bloom", .classes = { "BloomForCausalLM", "BloomModel" },
	  .types = { "bloom" }, .arch = "bloom", .keys = layer_1e5, .checks = bloom_checks,
	  .tensors = bloom_tensors, .has_only_own_tensors = true, .is_tied = true,
	  .json = { .ffn_dim = "ffn_dim" }, .ffn_per_dim = 4, .keeps_kv_heads_out = true,
	  .fallbacks = { .n_context = 2048 }, .rope = { .is_absent = true },
	  .harmless = "slow_but_exact|masked_softmax_fusion|skip_bias_add|skip_bias_add_qkv|"
		      "hidden_dropout|offset_alibi|attention_softmax_in_fp32|bias_dropout_fusion|"
		      "unk_token_id" },
};

const size_t hf_n_families = sizeof hf_families / sizeof hf_families[0];
