/* SPDX-License-Identifier: Apache-2.0 */
#include "model/slots.h"

#include "model/model.h"

#define VECTOR(name, folder, n) \
	{ .gguf = name, .hf = folder, .kind = SLOT_VECTOR, .n_in = n, .n_out = SIZE_ONE }
#define MATRIX(name, folder, in, out) \
	{ .gguf = name, .hf = folder, .kind = SLOT_PRODUCT, .n_in = in, .n_out = out }
/* A vector with a row per head, if the architecture has it so. */
#define ROWS(name, folder, n, rows) \
	{ .gguf = name, .hf = folder, .kind = SLOT_VECTOR, .n_in = n, .n_out = rows }
#define OUTER(name, folder, what, in, out, where) \
	{ .gguf = name, .hf = folder, .kind = what, .n_in = in, .n_out = out, .place = where }

const struct slot layer_slots[N_LAYER_SLOTS] = {
	[LAYER_ATTN_NORM] = VECTOR("attn_norm.weight", "input_layernorm.weight", SIZE_DIM),
	[LAYER_ATTN_NORM_BIAS] = VECTOR("attn_norm.bias", "input_layernorm.bias", SIZE_DIM),
	[LAYER_ATTN_NORM_2] = VECTOR("attn_norm_2.weight", NULL, SIZE_DIM),
	[LAYER_ATTN_NORM_2_BIAS] = VECTOR("attn_norm_2.bias", NULL, SIZE_DIM),
	[LAYER_ATTN_Q] = MATRIX("attn_q.weight", "self_attn.q_proj.weight", SIZE_DIM, SIZE_Q),
	[LAYER_ATTN_Q_BIAS] = VECTOR("attn_q.bias", "self_attn.q_proj.bias", SIZE_Q),
	[LAYER_ATTN_K] = MATRIX("attn_k.weight", "self_attn.k_proj.weight", SIZE_DIM, SIZE_K),
	[LAYER_ATTN_K_BIAS] = VECTOR("attn_k.bias", "self_attn.k_proj.bias", SIZE_K),
	[LAYER_ATTN_V] = MATRIX("attn_v.weight", "self_attn.v_proj.weight", SIZE_DIM, SIZE_V),
	[LAYER_ATTN_V_BIAS] = VECTOR("attn_v.bias", "self_attn.v_proj.bias", SIZE_V),
	[LAYER_ATTN_Q_NORM] = ROWS("attn_q_norm.weight", "self_attn.q_norm.weight", SIZE_Q_NORM,
				   SIZE_Q_NORM_ROWS),
	[LAYER_ATTN_Q_NORM_BIAS] = ROWS("attn_q_norm.bias", "self_attn.q_norm.bias", SIZE_Q_NORM,
					SIZE_Q_NORM_ROWS),
	[LAYER_ATTN_K_NORM] = ROWS("attn_k_norm.weight", "self_attn.k_norm.weight", SIZE_K_NORM,
				   SIZE_K_NORM_ROWS),
	[LAYER_ATTN_K_NORM_BIAS] = ROWS("attn_k_norm.bias", "self_attn.k_norm.bias", SIZE_K_NORM,
					SIZE_K_NORM_ROWS),
	[LAYER_ATTN_OUTPUT] = MATRIX("attn_output.weight", "self_attn.o_proj.weight",
				     SIZE_ATTENDED, SIZE_DIM),
	[LAYER_ATTN_OUTPUT_BIAS] = VECTOR("attn_output.bias", "self_attn.o_proj.bias", SIZE_DIM),
	[LAYER_POST_ATTN_NORM] = VECTOR("post_attention_norm.weight", NULL, SIZE_DIM),
	[LAYER_POST_ATTN_NORM_BIAS] = VECTOR("post_attention_norm.bias", NULL, SIZE_DIM),
	[LAYER_FFN_NORM] = VECTOR("ffn_norm.weight", "post_attention_layernorm.weight", SIZE_DIM),
	[LAYER_FFN_NORM_BIAS] = VECTOR("ffn_norm.bias", "post_attention_layernorm.bias", SIZE_DIM),
	[LAYER_FFN_GATE] = MATRIX("ffn_gate.weight", "mlp.gate_proj.weight", SIZE_DIM, SIZE_FFN),
	[LAYER_FFN_GATE_BIAS] = VECTOR("ffn_gate.bias", "mlp.gate_proj.bias", SIZE_FFN),
	[LAYER_FFN_UP] = MATRIX("ffn_up.weight", "mlp.up_proj.weight", SIZE_DIM, SIZE_FFN),
	[LAYER_FFN_UP_BIAS] = VECTOR("ffn_up.bias", "mlp.up_proj.bias", SIZE_FFN),
	[LAYER_FFN_DOWN] = MATRIX("ffn_down.weight", "mlp.down_proj.weight", SIZE_FFN, SIZE_DIM),
	[LAYER_FFN_DOWN_BIAS] = VECTOR("ffn_down.bias", "mlp.down_proj.bias", SIZE_DIM),
	[LAYER_POST_FFN_NORM] = VECTOR("post_ffw_norm.weight", "post_feedforward_layernorm.weight",
				       SIZE_DIM),
	[LAYER_POST_FFN_NORM_BIAS] = VECTOR("post_ffw_norm.bias",
					    "post_feedforward_layernorm.bias", SIZE_DIM),
};

const struct slot outer_slots[N_OUTER_SLOTS] = {
	[OUTER_TOKEN_EMBD] = OUTER("token_embd.weight", "model.embed_tokens.weight", SLOT_LOOKUP,
				   SIZE_DIM, SIZE_VOCAB, PLACE_FIRST),
	[OUTER_TOKEN_EMBD_NORM] = OUTER("token_embd_norm.weight", NULL, SLOT_VECTOR, SIZE_DIM,
					SIZE_ONE, PLACE_FIRST),
	[OUTER_TOKEN_EMBD_NORM_BIAS] = OUTER("token_embd_norm.bias", NULL, SLOT_VECTOR, SIZE_DIM,
					     SIZE_ONE, PLACE_FIRST),
	[OUTER_POSITION_EMBD] = OUTER("position_embd.weight", NULL, SLOT_LOOKUP, SIZE_DIM,
				      SIZE_CONTEXT, PLACE_FIRST),
	[OUTER_OUTPUT_NORM] = OUTER("output_norm.weight", "model.norm.weight", SLOT_VECTOR,
				    SIZE_DIM, SIZE_ONE, PLACE_LAST),
	[OUTER_OUTPUT_NORM_BIAS] = OUTER("output_norm.bias", "model.norm.bias", SLOT_VECTOR,
					 SIZE_DIM, SIZE_ONE, PLACE_LAST),
	[OUTER_OUTPUT] = OUTER("output.weight", "lm_head.weight", SLOT_PRODUCT, SIZE_DIM,
			       SIZE_VOCAB, PLACE_LAST),
	[OUTER_OUTPUT_BIAS] = OUTER("output.bias", "lm_head.bias", SLOT_VECTOR, SIZE_VOCAB,
				    SIZE_ONE, PLACE_LAST),
	[OUTER_ROPE_FACTORS] = OUTER("rope_freqs.weight", NULL, SLOT_VECTOR, SIZE_ROPE_PAIRS,
				     SIZE_ONE, PLACE_NONE),
	[OUTER_ROPE_FACTORS_LONG] = OUTER("rope_factors_long.weight", NULL, SLOT_VECTOR,
					  SIZE_ROPE_PAIRS, SIZE_ONE, PLACE_NONE),
	[OUTER_ROPE_FACTORS_SHORT] = OUTER("rope_factors_short.weight", NULL, SLOT_VECTOR,
					   SIZE_ROPE_PAIRS, SIZE_ONE, PLACE_NONE),
};

const struct fused_slot fused_slots[N_FUSED_SLOTS] = {
	{ "attn_qkv.weight", 3, { LAYER_ATTN_Q, LAYER_ATTN_K, LAYER_ATTN_V } },
	{ "attn_qkv.bias", 3, { LAYER_ATTN_Q_BIAS, LAYER_ATTN_K_BIAS, LAYER_ATTN_V_BIAS } },
	{ "ffn_up.weight", 2, { LAYER_FFN_GATE, LAYER_FFN_UP } },
	{ "ffn_up.bias", 2, { LAYER_FFN_GATE_BIAS, LAYER_FFN_UP_BIAS } },
};

static uint64_t size_of(enum slot_size size, const struct arch *arch,
			const struct hparams *hparams, const struct layer_shape *shape)
{
	const bool is_row = arch->qk_norm == QK_NORM_ROW;
	const bool is_own = arch->qk_norm == QK_NORM_PER_HEAD_OWN;

	switch (size) {
	case SIZE_ONE:
		return 1;
	case SIZE_DIM:
		return hparams->dim;
	case SIZE_FFN:
		return shape->ffn_dim;
	case SIZE_Q:
		return (uint64_t)shape->n_heads * shape->head_dim;
	case SIZE_K:
		return (uint64_t)shape->n_kv_heads * shape->head_dim;
	case SIZE_V:
		return (uint64_t)shape->n_kv_heads * shape->value_dim;
	case SIZE_ATTENDED:
		return (uint64_t)shape->n_heads * shape->value_dim;
	case SIZE_Q_NORM:
		return (uint64_t)shape->head_dim * (is_row ? shape->n_heads : 1);
	case SIZE_K_NORM:
		return (uint64_t)shape->head_dim * (is_row ? shape->n_kv_heads : 1);
	case SIZE_Q_NORM_ROWS:
		return is_own ? shape->n_heads : 1;
	case SIZE_K_NORM_ROWS:
		return is_own ? shape->n_kv_heads : 1;
	case SIZE_VOCAB:
		return hparams->n_vocab;
	case SIZE_CONTEXT:
		return hparams->n_context;
	case SIZE_ROPE_PAIRS:
		return hparams->rope_dim / 2;
	}
	return 0;
}

void slot_dims(const struct slot *slot, const struct arch *arch, const struct hparams *hparams,
	       const struct layer_shape *shape, uint64_t dims_out[2])
{
	dims_out[0] = size_of(slot->n_in, arch, hparams, shape);
	dims_out[1] = size_of(slot->n_out, arch, hparams, shape);
}
