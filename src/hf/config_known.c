/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/config_known.h"

#include "model/quote.h"

#include <stdio.h>
#include <string.h>

/* Keys that are read for every family, or that change nothing when a model computes: training,
 * generation, the origin of the file. */
static const char harmless[] =
	/* read by config.c, config_rope.c, config_layers.c and tensors.c */
	"architectures|model_type|text_config|num_hidden_layers|n_layer|n_layers|num_layers|"
	"hidden_size|n_embd|n_embed|d_model|intermediate_size|n_inner|ffn_hidden_size|"
	"num_attention_heads|n_head|n_heads|num_key_value_heads|num_kv_heads|n_head_kv|head_dim|"
	"max_position_embeddings|n_positions|n_ctx|max_seq_len|seq_length|model_max_length|"
	"vocab_size|rope_parameters|rope_scaling|rope_theta|rotary_emb_base|rope_local_base_freq|"
	"partial_rotary_factor|rotary_pct|rope_pct|original_max_position_embeddings|"
	"sliding_window|use_sliding_window|max_window_layers|layer_types|sliding_window_pattern|"
	"_sliding_window_pattern|tie_word_embeddings|quantization_config|default_theta|"
	/* the presence of tensors says it */
	"attention_bias|mlp_bias|use_bias|use_qkv_bias|qkv_bias|bias|attention_out_bias|"
	"use_qk_norm|add_qkv_bias|add_bias_linear|no_bias|"
	/* training */
	"initializer_range|initializer_factor|initializer|attention_dropout|hidden_dropout|"
	"residual_dropout|embedding_dropout|resid_pdrop|embd_pdrop|attn_pdrop|emb_pdrop|"
	"resid_dropout|attn_dropout|classifier_dropout|hidden_dropout_prob|dropout|ffn_dropout|"
	"attention_probs_dropout_prob|init_method|init_std|output_router_logits|"
	"router_aux_loss_coef|gradient_checkpointing|pretraining_tp|mup_base_width|"
	"label2id|id2label|num_labels|problem_type|finetuning_task|task_specific_params|"
	/* generation and tokens */
	"bos_token_id|eos_token_id|pad_token_id|unk_token_id|sep_token_id|cls_token_id|"
	"eod_token_id|im_start_id|im_end_id|text_start_id|text_end_id|eot_token_id|eoi_token_index|"
	"boi_token_index|image_token_index|image_token_id|mm_tokens_per_image|"
	"decoder_start_token_id|forced_bos_token_id|forced_eos_token_id|suppress_tokens|"
	"begin_suppress_tokens|bad_words_ids|"
	"max_length|min_length|do_sample|temperature|top_k|top_p|typical_p|num_beams|"
	"num_beam_groups|num_return_sequences|repetition_penalty|length_penalty|"
	"no_repeat_ngram_size|encoder_no_repeat_ngram_size|diversity_penalty|early_stopping|"
	"exponential_decay_length_penalty|remove_invalid_values|return_dict_in_generate|"
	"output_scores|tokenizer_class|prefix|"
	/* how a program runs it */
	"use_cache|torch_dtype|dtype|torchscript|transformers_version|auto_map|_name_or_path|"
	"name_or_path|_attn_implementation|_attn_implementation_autoset|attn_implementation|"
	"_flash_attn_2_enabled|use_flash_attn|use_flash_attention|flash_attn|fused_bias_fc|"
	"fused_mlp|output_attentions|output_hidden_states|return_dict|use_bfloat16|tf_legacy_loss|"
	"pruned_heads|is_decoder|is_encoder_decoder|is_causal|add_cross_attention|"
	"cross_attention_hidden_size|tie_encoder_decoder|chunk_size_feed_forward|"
	"attn_config_type|cache_implementation|hybrid_cache|unsloth_version|unsloth_fixed|"
	"onnx|init_device|verbose|model_name|_commit_hash|hidden_act|hidden_activation|"
	"activation_function|activation|"
	/* of the other parts of a wrapper */
	"vision_config|projector_hidden_act|vision_feature_layer|vision_feature_select_strategy|"
	"multimodal_projector_bias|spatial_merge_size|image_seq_length|ignore_index|"
	"image_grid_pinpoints|projector_pooling_kernel_size";

/* For every family: parts that make another model of it. */
static const struct hf_check common_checks[] = {
	{ "num_local_experts|num_experts|n_routed_experts", "0|1" },
	{ "is_encoder_decoder", "false" },
	{ "is_causal", "true" },
	{ "kv_lora_rank|q_lora_rank", "" },
	{ NULL, NULL },
};

/* Numbers of the same value are equal, whether they are written as 1 or 1.0. */
static bool is_allowed(const char *values, const json_t *value)
{
	struct hf_text text = hf_json_text(value);
	char whole[32] = "";

	if (json_is_string(value))
		return hf_is_listed(values, json_string_value(value));
	if (json_is_real(value))
		snprintf(whole, sizeof whole, "%.9g", json_real_value(value));
	return hf_is_listed(values, text.text) || hf_is_listed(values, whole);
}

static enum sc_status check_all(const struct hf_check *checks, const struct hf_family *family,
				const struct hf_config *config, struct error *err)
{
	for (; checks && checks->json; checks++) {
		const json_t *value = hf_config_get(config, checks->json);

		if (value && !is_allowed(checks->values, value))
			return hf_config_error(config, SC_E_UNSUPPORTED, err,
					       "'%s' is %s; for models of the family %s only %s is "
					       "supported, because other values compute something "
					       "else", checks->json, hf_json_text(value).text,
					       family->name,
					       *checks->values ? checks->values : "null");
	}
	return SC_OK;
}

/* The weights of compressed-tensors: floats of 8 bits in all groups? */
static bool is_compressed_fp8(const json_t *quantization)
{
	json_t *groups = json_object_get(quantization, "config_groups"), *group;
	const char *name;
	bool has_any = false;

	json_object_foreach(groups, name, group) {
		const json_t *weights = json_object_get(group, "weights");
		const char *type = json_string_value(json_object_get(weights, "type"));

		if (!type || strcmp(type, "float") ||
		    json_integer_value(json_object_get(weights, "num_bits")) != 8)
			return false;
		has_any = true;
	}
	return has_any;
}

static bool is_fp8(const json_t *quantization, const char *method)
{
	const char *algorithm = json_string_value(json_object_get(quantization, "quant_algo"));

	if (!strcmp(method, "fp8") || !strcmp(method, "fbgemm_fp8"))
		return true;
	if (!strcmp(method, "compressed-tensors"))
		return is_compressed_fp8(quantization);
	return !strcmp(method, "modelopt") && algorithm && !strcmp(algorithm, "FP8");
}

static enum sc_status check_quantization(const struct hf_config *config, struct error *err)
{
	const json_t *quantization = hf_config_get(config, "quantization_config");
	const char *method = json_string_value(json_object_get(quantization, "quant_method"));

	if (!quantization)
		return SC_OK;
	if (!method)
		method = json_is_true(json_object_get(quantization, "load_in_4bit")) ||
			 json_is_true(json_object_get(quantization, "load_in_8bit")) ?
			 "bitsandbytes" : "unknown";
	if (is_fp8(quantization, method))
		return SC_OK;
	return hf_config_error(config, SC_E_UNSUPPORTED, err,
			       "the weights are quantised with '%s'; a folder may hold BF16, F16, "
			       "F32 or FP8 weights. Use the folder of the unquantised model, or a "
			       "GGUF file of it", quote(method, strlen(method)).text);
}

enum sc_status hf_config_check(const struct hf_family *family, const struct hf_config *config,
			       struct error *err)
{
	enum sc_status status = check_quantization(config, err);

	if (!status)
		status = check_all(common_checks, family, config, err);
	return status ? status : check_all(family->checks, family, config, err);
}

/* Zero, false, empty: the value of a feature that is off. */
static bool says_nothing(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return json_object_size(value) == 0;
	case JSON_ARRAY: return json_array_size(value) == 0;
	case JSON_STRING: return json_string_length(value) == 0;
	case JSON_INTEGER: return json_integer_value(value) == 0;
	case JSON_REAL: return json_real_value(value) == 0;
	case JSON_TRUE: return false;
	case JSON_FALSE: case JSON_NULL: return true;
	}
	return false;
}

static bool is_known(const struct hf_family *family, const char *key)
{
	if (hf_is_listed(harmless, key) || hf_is_listed(family->harmless, key))
		return true;
	for (const struct hf_key *row = family->keys; row && row->gguf; row++)
		if (hf_is_listed(row->json, key))
			return true;
	for (const struct hf_check *row = common_checks; row->json; row++)
		if (hf_is_listed(row->json, key))
			return true;
	for (const struct hf_check *row = family->checks; row && row->json; row++)
		if (hf_is_listed(row->json, key))
			return true;
	return hf_is_listed(family->json.n_context, key) ||
	       hf_is_listed(family->json.ffn_dim, key) ||
	       hf_is_listed(family->json.n_kv_heads, key);
}

size_t hf_config_unknown(const struct hf_family *family, const struct hf_config *config, char *out,
			 size_t n_bytes)
{
	size_t used = 0, n = 0;
	const char *key;
	json_t *value;

	*out = '\0';
	json_object_foreach(config->json, key, value) {
		int length;

		if (says_nothing(value) || is_known(family, key))
			continue;
		n++;
		length = snprintf(out + used, n_bytes - used, "%s%s", used ? ", " : "",
				  quote(key, strlen(key)).text);
		if ((size_t)length < n_bytes - used)
			used += (size_t)length;
		else
			out[used] = '\0';
	}
	return n;
}
