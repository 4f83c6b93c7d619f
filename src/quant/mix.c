/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/mix.h"

#include "base/buf.h"
#include "base/parse.h"
#include "model/gguf_head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* llama_ftype */
enum file_type {
	FILE_F16 = 1, FILE_Q4_0 = 2, FILE_Q4_1 = 3, FILE_Q8_0 = 7, FILE_Q5_0 = 8, FILE_Q5_1 = 9,
	FILE_Q2_K = 10, FILE_Q3_K_S = 11, FILE_Q3_K_M = 12, FILE_Q3_K_L = 13, FILE_Q4_K_S = 14,
	FILE_Q4_K_M = 15, FILE_Q5_K_S = 16, FILE_Q5_K_M = 17, FILE_Q6_K = 18, FILE_IQ4_NL = 25,
	FILE_IQ4_XS = 30, FILE_BF16 = 32, FILE_MXFP4 = 38,
};

static const struct quant_mix mixes[] = {
	{ "F16", FILE_F16, TENSOR_F16 },
	{ "BF16", FILE_BF16, TENSOR_BF16 },
	{ "Q8_0", FILE_Q8_0, TENSOR_Q8_0 },
	{ "Q6_K", FILE_Q6_K, TENSOR_Q6_K },
	{ "Q5_K_M", FILE_Q5_K_M, TENSOR_Q5_K },
	{ "Q5_K_S", FILE_Q5_K_S, TENSOR_Q5_K },
	{ "Q5_1", FILE_Q5_1, TENSOR_Q5_1 },
	{ "Q5_0", FILE_Q5_0, TENSOR_Q5_0 },
	{ "Q4_K_M", FILE_Q4_K_M, TENSOR_Q4_K },
	{ "Q4_K_S", FILE_Q4_K_S, TENSOR_Q4_K },
	{ "Q4_1", FILE_Q4_1, TENSOR_Q4_1 },
	{ "Q4_0", FILE_Q4_0, TENSOR_Q4_0 },
	{ "IQ4_NL", FILE_IQ4_NL, TENSOR_IQ4_NL },
	{ "IQ4_XS", FILE_IQ4_XS, TENSOR_IQ4_XS },
	{ "MXFP4", FILE_MXFP4, TENSOR_MXFP4 },
	{ "Q3_K_L", FILE_Q3_K_L, TENSOR_Q3_K },
	{ "Q3_K_M", FILE_Q3_K_M, TENSOR_Q3_K },
	{ "Q3_K_S", FILE_Q3_K_S, TENSOR_Q3_K },
	{ "Q2_K", FILE_Q2_K, TENSOR_Q2_K },
};

enum { N_MIXES = sizeof mixes / sizeof mixes[0] };

const struct quant_mix *quant_mix_find(const char *name)
{
	const size_t length = strlen(name);

	for (size_t i = 0; i < N_MIXES; i++) {
		const char *full = mixes[i].name;

		if (!strcasecmp(full, name) ||
		    (!strncasecmp(full, name, length) && !strcmp(full + length, "_M")))
			return &mixes[i];
	}
	return NULL;
}

/* Appends all names, separated by ", ". */
static enum sc_status add_names(struct buf *text)
{
	for (size_t i = 0; i < N_MIXES; i++) {
		enum sc_status status = buf_add_format(text, "%s%s", i ? ", " : "", mixes[i].name);

		if (status)
			return status;
	}
	return SC_OK;
}

enum sc_status quant_mix_require(const char *name, const char *what,
				 const struct quant_mix **mix_out, struct error *err)
{
	struct buf names = BUF_INIT;
	enum sc_status status;

	*mix_out = quant_mix_find(name);
	if (*mix_out)
		return SC_OK;
	status = add_names(&names);
	if (status)
		(void)error_set(err, status, "no memory");
	else
		status = error_set(err, SC_E_INVALID, "%s: expected one of %s; found '%s'", what,
				   names.data, name);
	buf_deinit(&names);
	return status;
}

enum sc_status quant_mix_put_metadata(const struct quant_mix *mix, const struct gguf *from,
				      struct gguf_head *head)
{
	static const char *const replaced[] = {
		"general.file_type", "general.quantization_version", "split.no", "split.count",
		"split.tensors.count", NULL,
	};
	enum sc_status status = gguf_head_copy_pairs(head, from, replaced + (mix ? 0 : 2));

	if (status || !mix)
		return status;
	status = gguf_head_add_u32(head, "general.file_type", mix->file_type);
	return status ? status : gguf_head_add_u32(head, "general.quantization_version", 2);
}

static uint32_t u32_of(const struct gguf *gguf, struct gguf_string arch, const char *key,
		       uint32_t otherwise)
{
	char full[256];
	uint32_t value;

	snprintf(full, sizeof full, "%.*s.%s", (int)(arch.length < 64 ? arch.length : 64),
		 arch.data, key);
	return gguf_get_u32(gguf, full, &value, NULL) ? otherwise : value;
}

struct quant_facts quant_facts_of(const struct gguf *gguf)
{
	struct gguf_string arch = { "", 0 };
	struct quant_facts facts = { .heads_per_kv_head = 1 };
	uint32_t n_heads, n_kv_heads;

	if (gguf_get_string(gguf, "general.architecture", &arch, NULL))
		arch = (struct gguf_string){ "", 0 };
	n_heads = u32_of(gguf, arch, "attention.head_count", 1);
	n_kv_heads = u32_of(gguf, arch, "attention.head_count_kv", n_heads);
	if (n_kv_heads > 0 && n_heads > n_kv_heads)
		facts.heads_per_kv_head = n_heads / n_kv_heads;
	facts.n_layers = u32_of(gguf, arch, "block_count", 0);
	facts.n_experts = u32_of(gguf, arch, "expert_count", 0);
	facts.is_tied = !gguf_find_tensor(gguf, "output.weight");
	facts.is_llama = gguf_string_is(arch, "llama");
	return facts;
}

static bool has_part(const struct tensor *tensor, const char *part)
{
	return strstr(tensor->name, part) != NULL;
}

/* Returns N of "blk.N.", or 0 if there is none or N is too large for a layer. */
static uint32_t layer_of(const char *name)
{
	static const char front[] = "blk.";
	const size_t n_front = sizeof front - 1;
	char number[32];
	uint64_t layer;
	size_t n;

	if (strncmp(name, front, n_front))
		return 0;
	n = strcspn(name + n_front, ".");
	if (!name[n_front + n] || n >= sizeof number)
		return 0;
	memcpy(number, name + n_front, n);
	number[n] = '\0';
	return parse_u64(number, &layer) && layer <= UINT32_MAX ? (uint32_t)layer : 0;
}

/* Returns false for norms, biases, routers and other small tensors, which are not quantised. */
static bool is_matrix(const struct tensor *tensor)
{
	static const char *const kept[] = {
		"_norm.weight", "ffn_gate_inp.weight", "position_embd", "token_types",
		"ssm_conv1d", "shortconv.conv",
	};
	const size_t length = strlen(tensor->name);

	if (tensor->dims[1] * tensor->dims[2] * tensor->dims[3] < 2)
		return false;
	if (length < 6 || strcmp(tensor->name + length - 6, "weight"))
		return false;
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (has_part(tensor, kept[i]))
			return false;
	return true;
}

/* Returns true for every third layer and for the first and last eighths. */
static bool has_more_bits(uint32_t layer, uint32_t n_layers)
{
	return layer < n_layers / 8 || layer >= 7ull * n_layers / 8 ||
	       (layer - n_layers / 8) % 3 == 2;
}

static enum tensor_type output_type(const struct quant_mix *mix, const struct tensor *tensor)
{
	if (mix->file_type == FILE_MXFP4 || mix->type == TENSOR_Q8_0 ||
	    tensor->dims[0] % tensor_type_info(mix->type)->block_length)
		return TENSOR_Q8_0;
	return TENSOR_Q6_K;
}

static enum tensor_type value_type(const struct quant_mix *mix, const struct quant_facts *facts,
				   uint32_t layer)
{
	const bool is_shared = facts->heads_per_kv_head >= 4;

	switch ((enum file_type)mix->file_type) {
	case FILE_Q2_K:
		return is_shared ? TENSOR_Q4_K : TENSOR_Q3_K;
	case FILE_Q3_K_M:
		return layer < 2 ? TENSOR_Q5_K : TENSOR_Q4_K;
	case FILE_Q3_K_L:
		return TENSOR_Q5_K;
	case FILE_Q4_K_S:
		return layer < 4 ? TENSOR_Q5_K : mix->type;
	case FILE_Q4_K_M:
	case FILE_Q5_K_M:
		return has_more_bits(layer, facts->n_layers) ? TENSOR_Q6_K : mix->type;
	case FILE_IQ4_NL:
	case FILE_IQ4_XS:
		return is_shared ? TENSOR_Q5_K : mix->type;
	default:
		return mix->type;
	}
}

static enum tensor_type attn_v_type(const struct quant_mix *mix, const struct quant_facts *facts,
				    uint32_t layer)
{
	enum tensor_type type = value_type(mix, facts, layer);

	if (facts->n_experts == 8)
		return TENSOR_Q8_0;
	/* In models of 70 billion parameters this matrix is small, so it gets more bits. */
	if (facts->is_llama && facts->n_layers == 80 &&
	    (type == TENSOR_Q3_K || type == TENSOR_Q4_K))
		type = TENSOR_Q5_K;
	return type;
}

static enum tensor_type ffn_down_type(const struct quant_mix *mix, const struct quant_facts *facts,
				      uint32_t layer)
{
	const uint32_t n = facts->n_layers;

	switch ((enum file_type)mix->file_type) {
	case FILE_Q2_K:
		return TENSOR_Q3_K;
	case FILE_Q3_K_M:
		return layer < n / 16 ? TENSOR_Q5_K : TENSOR_Q4_K;
	case FILE_Q3_K_L:
		return TENSOR_Q5_K;
	case FILE_Q4_K_M:
	case FILE_Q5_K_M:
		return has_more_bits(layer, n) ? TENSOR_Q6_K : mix->type;
	case FILE_Q4_K_S:
	case FILE_IQ4_NL:
	case FILE_IQ4_XS:
		return layer < n / 8 ? TENSOR_Q5_K : mix->type;
	default:
		return mix->type;
	}
}

static enum tensor_type attn_output_type(const struct quant_mix *mix,
					 const struct quant_facts *facts)
{
	switch ((enum file_type)mix->file_type) {
	case FILE_Q2_K:
		return facts->n_experts == 8 ? TENSOR_Q5_K : TENSOR_Q3_K;
	case FILE_Q3_K_M:
		return facts->n_experts == 8 ? TENSOR_Q5_K : TENSOR_Q4_K;
	case FILE_Q3_K_L:
		return facts->n_experts == 8 ? mix->type : TENSOR_Q5_K;
	case FILE_Q3_K_S:
	case FILE_Q4_K_S:
	case FILE_Q4_K_M:
	case FILE_IQ4_NL:
	case FILE_IQ4_XS:
		return facts->n_experts == 8 ? TENSOR_Q5_K : mix->type;
	default:
		return mix->type;
	}
}

static enum tensor_type wanted_type(const struct quant_mix *mix, const struct quant_facts *facts,
				    const struct tensor *tensor)
{
	const bool is_embedding = !strcmp(tensor->name, "token_embd.weight");
	const uint32_t layer = layer_of(tensor->name);

	if (!strcmp(tensor->name, "output.weight") || (facts->is_tied && is_embedding))
		return output_type(mix, tensor);
	if (is_embedding || mix->type == TENSOR_MXFP4)
		return mix->type;
	if (has_part(tensor, "attn_v.weight") || has_part(tensor, "attn_qkv.weight") ||
	    has_part(tensor, "attn_kv_b.weight"))
		return attn_v_type(mix, facts, layer);
	if (has_part(tensor, "attn_k.weight"))
		return facts->n_experts == 8 ? TENSOR_Q8_0 : mix->type;
	if (has_part(tensor, "ffn_down"))
		return ffn_down_type(mix, facts, layer);
	if (has_part(tensor, "attn_output.weight"))
		return attn_output_type(mix, facts);
	return mix->type;
}

static enum tensor_type fallback_type(enum tensor_type type)
{
	switch (type) {
	case TENSOR_IQ4_XS:
		return TENSOR_IQ4_NL;
	case TENSOR_Q2_K:
	case TENSOR_Q3_K:
		return TENSOR_Q4_0;
	case TENSOR_Q4_K:
		return TENSOR_Q5_0;
	case TENSOR_Q5_K:
		return TENSOR_Q5_1;
	case TENSOR_Q6_K:
		return TENSOR_Q8_0;
	default:
		return TENSOR_F16;
	}
}

enum tensor_type quant_mix_type(const struct quant_mix *mix, const struct quant_facts *facts,
				const struct tensor *tensor, bool *is_fallback_out)
{
	enum tensor_type type;

	*is_fallback_out = false;
	if (!is_matrix(tensor))
		return tensor->type;
	if (tensor_type_info(mix->type)->block_length == 1)
		return mix->type;
	type = wanted_type(mix, facts, tensor);
	while (tensor->dims[0] % tensor_type_info(type)->block_length) {
		type = fallback_type(type);
		*is_fallback_out = true;
	}
	return type;
}
