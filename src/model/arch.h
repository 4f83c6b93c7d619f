/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_ARCH_H
#define STAGECOACH_MODEL_ARCH_H
/*
 * arch - the differences between families of transformers, as a table: a row says what the
 * metadata of a GGUF file leaves open. The single forward pass (stage/forward.c) reads the row.
 * What a file says by having a tensor (a bias, a norm after a block, norms of queries and keys) is
 * read from the file; the row says which tensors it must and may have.
 * Source: the modeling files of transformers, and llama.cpp for the keys and names of tensors.
 * Thread: any; the table is constant.
 */
#include "base/error.h"
#include "model/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arch_rope {
	ROPE_NONE,
	ROPE_INTERLEAVED,	/* pairs (2i, 2i+1); GGUF's llama
				 * files are permuted to this order */
	ROPE_HALVES,		/* pairs (i, i + n/2), "NEOX" */
};

enum arch_norm {
	ARCH_NORM_RMS,
	ARCH_NORM_LAYER,	/* the mean is subtracted */
};

enum arch_activation {
	ARCH_SILU,
	ARCH_GELU_TANH,		/* by tanh, as "gelu_new" and "gelu_pytorch_tanh" */
	ARCH_GELU_ERF,
	ARCH_RELU2,
	ARCH_XIELU,		/* with parameters of each layer */
};

/* Whether attention and feed-forward both read what enters the layer. */
enum arch_parallel {
	PARALLEL_NEVER,
	PARALLEL_ALWAYS,
	PARALLEL_BY_KEY,	/* use_parallel_residual */
	PARALLEL_BY_NORM,	/* if there is no ffn_norm */
};

enum arch_qk_norm {
	QK_NORM_PER_HEAD,	/* each head alone; all heads have the same gain [head_dim] */
	QK_NORM_PER_HEAD_OWN,	/* each head alone, with a gain of its own [n_heads][head_dim] */
	QK_NORM_ROW,		/* all heads together [n_heads * head_dim] */
};

enum arch_logit_scale {
	LOGITS_UNSCALED,
	LOGITS_MULTIPLIED,	/* by logit_scale */
	LOGITS_DIVIDED,		/* by logit_scale */
};

/* Which layers slide if the file has a window. */
enum arch_windows {
	WINDOWS_NONE,		/* none may */
	WINDOWS_ALL,		/* all, unless the file has a pattern */
	WINDOWS_PERIOD,		/* all but every window_period-th, unless the file has a pattern */
	WINDOWS_PATTERN,	/* as the pattern says, which the file must have */
};

enum arch_rope_layers {
	ROPE_LAYERS_ALL,
	ROPE_LAYERS_NOT_FOURTH,	/* all but every fourth */
	ROPE_LAYERS_SLIDING,	/* those that slide; all if none does */
};

enum arch_alibi {
	ALIBI_NONE,
	ALIBI_KEY,		/* attention.max_alibi_bias */
	ALIBI_ALWAYS,		/* with the usual bias of 8 */
	ALIBI_40_LAYERS,	/* models of 40 layers have it in place of rotary positions */
};

/* Attention scores are multiplied by attention.scale. Without the key: */
enum arch_attention_scale {
	SCALE_HEAD,		/* 1 / sqrt(head_dim) */
	SCALE_GEMMA2,		/* 1 / sqrt(head_dim), but the 27 B model (46 layers)
				 * 1 / sqrt(dim / n_heads) */
	SCALE_GEMMA3,		/* likewise, with 62 layers */
};

/* Keys that only some architectures read. Others refuse them, unless they change nothing. */
enum arch_keys {
	KEYS_ATTENTION_SCALE = 1 << 0,
	KEYS_SCALES = 1 << 1,		/* embedding_scale, residual_scale */
	KEYS_CAPS = 1 << 2,		/* attn_logit_softcapping, final_logit_softcapping */
	KEYS_ROPE_SWITCH = 1 << 3,	/* rope.scaling.finetuned false: no rotary positions */
	KEYS_CLAMP = 1 << 4,		/* attention.clamp_kqv */
};

struct arch {
	const char *name;	/* general.architecture; also the prefix of its keys */
	const char *families;	/* for documents: the models that have it */
	const char *tokenizers;	/* for documents: the kinds that these models come with */
	enum arch_rope rope;
	enum arch_norm norm;
	enum arch_activation activation;
	bool is_gated;		/* feed-forward: activation(gate) * up; else activation(up) */
	enum arch_parallel parallel;
	enum arch_qk_norm qk_norm;
	bool is_qk_norm_after_rope;
	enum arch_attention_scale attention_scale;
	bool has_root_embedding;	/* embeddings are multiplied by sqrt(dim) */
	enum arch_logit_scale logit_scale;
	bool is_logit_scale_required;
	bool has_minicpm_scales;	/* its constants, for files without keys of scales */
	enum arch_windows windows;
	uint32_t window_period;
	uint32_t window;	/* without a key; 0: none */
	uint32_t window_layers;	/* not 0: only models of so many layers have this window */
	bool is_window_required;
	float sliding_rope_base;	/* of layers that slide, without a key; 0: as the others */
	bool is_sliding_rope_unscaled;	/* they have no rope scaling */
	enum arch_rope_layers rope_layers;
	enum arch_alibi alibi;
	unsigned keys;		/* of enum arch_keys */
	/* Sets of slots: bit i is slot i of model/slots.h. A tensor of neither set is refused. */
	uint64_t layer_required, layer_optional;
	uint64_t outer_required, outer_optional;
	const char *ffn_norm_name;	/* of the tensor, if it is another than the slot's */
};

/* Finds a row by name. SC_E_UNSUPPORTED: err names the nearest known name, or all. */
must_check enum sc_status arch_find(const char *name, size_t length, const struct arch **arch_out,
				    struct error *err);

/* The rows in order, for lists. */
size_t arch_count(void);
const struct arch *arch_at(size_t i);

#endif
