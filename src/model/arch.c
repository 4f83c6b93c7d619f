/* SPDX-License-Identifier: Apache-2.0 */
#include "model/arch.h"

#include "base/nearest.h"
#include "model/quote.h"

#include <stdio.h>
#include <string.h>

#define N_ARCHS (sizeof archs / sizeof archs[0])

/* Sets of slots of a layer. */
#define L(slot) (UINT64_C(1) << LAYER_##slot)
#define QKV (L(ATTN_Q) | L(ATTN_K) | L(ATTN_V))
#define QKV_BIAS (L(ATTN_Q_BIAS) | L(ATTN_K_BIAS) | L(ATTN_V_BIAS))
#define ATTENTION (QKV | L(ATTN_OUTPUT))
#define ATTENTION_BIAS (QKV_BIAS | L(ATTN_OUTPUT_BIAS))
#define GATED (L(FFN_GATE) | L(FFN_UP) | L(FFN_DOWN))
#define GATED_BIAS (L(FFN_GATE_BIAS) | L(FFN_UP_BIAS) | L(FFN_DOWN_BIAS))
#define PLAIN (L(FFN_UP) | L(FFN_DOWN))
#define PLAIN_BIAS (L(FFN_UP_BIAS) | L(FFN_DOWN_BIAS))
#define NORMS (L(ATTN_NORM) | L(FFN_NORM))
#define NORMS_BIAS (L(ATTN_NORM_BIAS) | L(FFN_NORM_BIAS))
#define POST_NORMS (L(POST_ATTN_NORM) | L(POST_FFN_NORM))
#define QK_NORMS (L(ATTN_Q_NORM) | L(ATTN_K_NORM))
#define QK_NORMS_BIAS (L(ATTN_Q_NORM_BIAS) | L(ATTN_K_NORM_BIAS))

/* Sets of outer slots. */
#define O(slot) (UINT64_C(1) << OUTER_##slot)
#define ENDS (O(TOKEN_EMBD) | O(OUTPUT_NORM))
#define HEAD O(OUTPUT)
#define NORM_BIAS O(OUTPUT_NORM_BIAS)
#define FACTORS O(ROPE_FACTORS)
#define LONG_FACTORS (O(ROPE_FACTORS_LONG) | O(ROPE_FACTORS_SHORT))

static const struct arch archs[] = {
	{ .name = "llama", .families = "Llama 1 to 3, Mistral, SmolLM2, Yi, TinyLlama",
	  .tokenizers = "SentencePiece, BPE",
	  .rope = ROPE_INTERLEAVED, .is_gated = true, .windows = WINDOWS_ALL,
	  .keys = KEYS_ATTENTION_SCALE,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS | LONG_FACTORS },
	{ .name = "qwen2", .families = "Qwen 2, Qwen 2.5",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .is_gated = true, .windows = WINDOWS_PATTERN,
	  .layer_required = NORMS | ATTENTION | QKV_BIAS | GATED,
	  .outer_required = ENDS, .outer_optional = HEAD | O(OUTPUT_BIAS) | FACTORS },
	{ .name = "qwen3", .families = "Qwen 3 (dense)",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .is_gated = true, .windows = WINDOWS_PATTERN,
	  .layer_required = NORMS | ATTENTION | QK_NORMS | GATED,
	  .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS },
	{ .name = "gemma", .families = "Gemma",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_HALVES, .activation = ARCH_GELU_TANH, .is_gated = true,
	  .has_root_embedding = true,
	  .layer_required = NORMS | ATTENTION | GATED, .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "gemma2", .families = "Gemma 2",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_HALVES, .activation = ARCH_GELU_TANH, .is_gated = true,
	  .has_root_embedding = true, .attention_scale = SCALE_GEMMA2,
	  .windows = WINDOWS_PERIOD, .window_period = 2, .window = 4096,
	  .keys = KEYS_CAPS | KEYS_ATTENTION_SCALE,
	  .layer_required = NORMS | POST_NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "gemma3", .families = "Gemma 3 (text)",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_HALVES, .activation = ARCH_GELU_TANH, .is_gated = true,
	  .has_root_embedding = true, .attention_scale = SCALE_GEMMA3,
	  .windows = WINDOWS_PERIOD, .window_period = 6,
	  .sliding_rope_base = 10000, .is_sliding_rope_unscaled = true,
	  .keys = KEYS_CAPS | KEYS_ATTENTION_SCALE,
	  .layer_required = NORMS | POST_NORMS | ATTENTION | QK_NORMS | GATED,
	  .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "phi2", .families = "Phi 1, 1.5, 2",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_TANH,
	  .parallel = PARALLEL_ALWAYS,
	  .layer_required = L(ATTN_NORM) | L(ATTN_NORM_BIAS) | ATTENTION | ATTENTION_BIAS |
			    PLAIN | PLAIN_BIAS,
	  .outer_required = ENDS | NORM_BIAS | HEAD | O(OUTPUT_BIAS) },
	{ .name = "phi3", .families = "Phi 3, 3.5, 4",
	  .tokenizers = "SentencePiece, BPE",
	  .rope = ROPE_HALVES, .is_gated = true, .windows = WINDOWS_ALL,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .outer_required = ENDS, .outer_optional = HEAD | LONG_FACTORS },
	{ .name = "smollm3", .families = "SmolLM3",
	  .tokenizers = "BPE",
	  .rope = ROPE_INTERLEAVED, .is_gated = true, .windows = WINDOWS_ALL,
	  .rope_layers = ROPE_LAYERS_NOT_FOURTH,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS },
	{ .name = "glm4", .families = "GLM 4 (0414)",
	  .tokenizers = "BPE",
	  .rope = ROPE_INTERLEAVED, .is_gated = true,
	  .layer_required = NORMS | POST_NORMS | ATTENTION | GATED, .layer_optional = QKV_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "chatglm", .families = "GLM 4 (9B chat)",
	  .tokenizers = "BPE",
	  .rope = ROPE_INTERLEAVED, .is_gated = true,
	  .layer_required = NORMS | ATTENTION | GATED, .layer_optional = QKV_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "olmo2", .families = "OLMo 2, OLMo 3",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .is_gated = true, .qk_norm = QK_NORM_ROW,
	  .windows = WINDOWS_PERIOD, .window_period = 4, .is_sliding_rope_unscaled = true,
	  .layer_required = POST_NORMS | ATTENTION | QK_NORMS | GATED,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "granite", .families = "Granite 3, 4 (dense)",
	  .tokenizers = "BPE",
	  .rope = ROPE_INTERLEAVED, .is_gated = true,
	  .logit_scale = LOGITS_DIVIDED, .is_logit_scale_required = true,
	  .keys = KEYS_ATTENTION_SCALE | KEYS_SCALES | KEYS_ROPE_SWITCH,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS | LONG_FACTORS },
	{ .name = "command-r", .families = "Command R, Command R+, Aya",
	  .tokenizers = "BPE",
	  .rope = ROPE_INTERLEAVED, .norm = ARCH_NORM_LAYER, .is_gated = true,
	  .parallel = PARALLEL_ALWAYS, .qk_norm = QK_NORM_PER_HEAD_OWN,
	  .logit_scale = LOGITS_MULTIPLIED,
	  .layer_required = L(ATTN_NORM) | ATTENTION | GATED,
	  .layer_optional = QK_NORMS | ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "cohere2", .families = "Command R7B, Command A, Aya Expanse 2",
	  .tokenizers = "BPE",
	  .rope = ROPE_INTERLEAVED, .norm = ARCH_NORM_LAYER, .is_gated = true,
	  .parallel = PARALLEL_ALWAYS,
	  .logit_scale = LOGITS_MULTIPLIED, .is_logit_scale_required = true,
	  .windows = WINDOWS_PERIOD, .window_period = 4, .is_window_required = true,
	  .rope_layers = ROPE_LAYERS_SLIDING,
	  .layer_required = L(ATTN_NORM) | ATTENTION | GATED, .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "starcoder2", .families = "StarCoder2",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_TANH,
	  .windows = WINDOWS_ALL,
	  .layer_required = NORMS | NORMS_BIAS | ATTENTION | PLAIN,
	  .layer_optional = ATTENTION_BIAS | PLAIN_BIAS,
	  .outer_required = ENDS | NORM_BIAS, .outer_optional = HEAD },
	/* The first norm feeds the feed-forward, and attention only if there is no second. */
	{ .name = "falcon", .families = "Falcon 7B, 11B, 40B, 180B",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_ERF,
	  .parallel = PARALLEL_ALWAYS,
	  .layer_required = L(ATTN_NORM) | L(ATTN_NORM_BIAS) | ATTENTION | PLAIN,
	  .layer_optional = L(ATTN_NORM_2) | L(ATTN_NORM_2_BIAS) | ATTENTION_BIAS | PLAIN_BIAS,
	  .outer_required = ENDS | NORM_BIAS, .outer_optional = HEAD },
	{ .name = "gpt2", .families = "GPT-2",
	  .tokenizers = "BPE",
	  .rope = ROPE_NONE, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_TANH,
	  .layer_required = NORMS | NORMS_BIAS | ATTENTION | ATTENTION_BIAS | PLAIN | PLAIN_BIAS,
	  .outer_required = ENDS | NORM_BIAS | O(POSITION_EMBD), .outer_optional = HEAD },
	{ .name = "gptneox", .families = "GPT-NeoX, Pythia, Dolly",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_ERF,
	  .parallel = PARALLEL_BY_KEY,
	  .layer_required = NORMS | NORMS_BIAS | ATTENTION | PLAIN | PLAIN_BIAS,
	  .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS | NORM_BIAS, .outer_optional = HEAD },
	{ .name = "stablelm", .families = "StableLM, StableLM 2",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .norm = ARCH_NORM_LAYER, .is_gated = true,
	  .parallel = PARALLEL_BY_NORM, .qk_norm = QK_NORM_PER_HEAD_OWN,
	  .layer_required = L(ATTN_NORM) | L(ATTN_NORM_BIAS) | ATTENTION | GATED,
	  .layer_optional = L(FFN_NORM) | L(FFN_NORM_BIAS) | QKV_BIAS | QK_NORMS,
	  .outer_required = ENDS | NORM_BIAS, .outer_optional = HEAD },
	{ .name = "minicpm", .families = "MiniCPM 1, 2",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_INTERLEAVED, .is_gated = true,
	  .logit_scale = LOGITS_DIVIDED, .has_minicpm_scales = true,
	  .keys = KEYS_SCALES,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS | LONG_FACTORS },
	{ .name = "exaone4", .families = "EXAONE 4",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .is_gated = true,
	  .windows = WINDOWS_PERIOD, .window_period = 4, .window = 4096, .window_layers = 64,
	  .rope_layers = ROPE_LAYERS_SLIDING,
	  .layer_required = POST_NORMS | ATTENTION | QK_NORMS | GATED,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS },
	{ .name = "nemotron", .families = "Nemotron 4, Minitron",
	  .tokenizers = "SentencePiece, BPE",
	  .rope = ROPE_HALVES, .norm = ARCH_NORM_LAYER, .activation = ARCH_RELU2,
	  .layer_required = NORMS | NORMS_BIAS | ATTENTION | PLAIN,
	  .layer_optional = ATTENTION_BIAS | PLAIN_BIAS,
	  .outer_required = ENDS | NORM_BIAS, .outer_optional = HEAD },
	{ .name = "internlm2", .families = "InternLM 2, 2.5",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_INTERLEAVED, .is_gated = true,
	  .layer_required = NORMS | ATTENTION | GATED, .layer_optional = ATTENTION_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "ernie4_5", .families = "ERNIE 4.5 (dense)",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_INTERLEAVED, .is_gated = true,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "seed_oss", .families = "Seed-OSS",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .is_gated = true, .keys = KEYS_ATTENTION_SCALE,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD,
	  .ffn_norm_name = "post_attention_norm.weight" },
	{ .name = "apertus", .families = "Apertus",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .activation = ARCH_XIELU, .keys = KEYS_ATTENTION_SCALE,
	  .layer_required = NORMS | ATTENTION | QK_NORMS | PLAIN,
	  .layer_optional = ATTENTION_BIAS | PLAIN_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD | FACTORS | LONG_FACTORS },
	{ .name = "hunyuan-dense", .families = "Hunyuan (dense)",
	  .tokenizers = "BPE",
	  .rope = ROPE_HALVES, .is_gated = true, .is_qk_norm_after_rope = true,
	  .layer_required = NORMS | ATTENTION | QK_NORMS | GATED,
	  .layer_optional = ATTENTION_BIAS | GATED_BIAS,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "baichuan", .families = "Baichuan 1, 2",
	  .tokenizers = "SentencePiece",
	  .rope = ROPE_INTERLEAVED, .is_gated = true, .alibi = ALIBI_40_LAYERS,
	  .layer_required = NORMS | ATTENTION | GATED,
	  .outer_required = ENDS, .outer_optional = HEAD },
	{ .name = "mpt", .families = "MPT",
	  .tokenizers = "BPE",
	  .rope = ROPE_NONE, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_ERF,
	  .qk_norm = QK_NORM_ROW, .alibi = ALIBI_KEY, .keys = KEYS_CLAMP,
	  .layer_required = NORMS | ATTENTION | PLAIN,
	  .layer_optional = NORMS_BIAS | ATTENTION_BIAS | PLAIN_BIAS | QK_NORMS | QK_NORMS_BIAS,
	  .outer_required = ENDS,
	  .outer_optional = NORM_BIAS | HEAD | O(POSITION_EMBD) },
	{ .name = "bloom", .families = "BLOOM, BLOOMZ",
	  .tokenizers = "BPE",
	  .rope = ROPE_NONE, .norm = ARCH_NORM_LAYER, .activation = ARCH_GELU_TANH,
	  .alibi = ALIBI_ALWAYS,
	  .layer_required = NORMS | NORMS_BIAS | ATTENTION | ATTENTION_BIAS | PLAIN | PLAIN_BIAS,
	  .outer_required = ENDS | NORM_BIAS | O(TOKEN_EMBD_NORM) | O(TOKEN_EMBD_NORM_BIAS),
	  .outer_optional = HEAD },
};

size_t arch_count(void)
{
	return N_ARCHS;
}

const struct arch *arch_at(size_t i)
{
	return &archs[i];
}

/* "the nearest that is supported is 'X'", or all names. */
static void describe_known(const char *name, size_t length, char *out, size_t n_bytes)
{
	char word[NEAREST_MAX_LENGTH + 1];
	struct nearest nearest;
	size_t used;

	snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : 0), name);
	nearest_init(&nearest, word);
	for (size_t i = 0; i < N_ARCHS; i++)
		nearest_offer(&nearest, archs[i].name);
	if (nearest.best) {
		snprintf(out, n_bytes, "the nearest that is supported is '%s'", nearest.best);
		return;
	}
	used = (size_t)snprintf(out, n_bytes, "supported are:");
	for (size_t i = 0; i < N_ARCHS && used < n_bytes; i++)
		used += (size_t)snprintf(out + used, n_bytes - used, "%s %s", i ? "," : "",
					 archs[i].name);
}

enum sc_status arch_find(const char *name, size_t length, const struct arch **arch_out,
			 struct error *err)
{
	char known[400];

	for (size_t i = 0; i < N_ARCHS; i++) {
		if (strlen(archs[i].name) == length && !memcmp(archs[i].name, name, length)) {
			*arch_out = &archs[i];
			return SC_OK;
		}
	}
	describe_known(name, length, known, sizeof known);
	return error_set(err, SC_E_UNSUPPORTED, "architecture '%s' is not supported; %s",
			 quote(name, length).text, known);
}
