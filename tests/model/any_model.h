/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_ANY_MODEL_H
#define STAGECOACH_TESTS_MODEL_ANY_MODEL_H
/*
 * any_model - for tests: small models of any architecture of model/arch.h, with the tensors that its
 * row requires and those that are asked for, and pseudo-random weights. A tensor's numbers depend on
 * its slot and layer alone, so models with and without another tensor share the rest. No vocabulary.
 */
#include "model/model.h"

#include "tests/model/gguf_writer.h"

struct any_model {
	const char *arch;
	uint32_t n_layers, n_vocab, n_context;
	uint32_t dim, ffn_dim;
	uint32_t n_heads, n_kv_heads, head_dim;
	uint64_t layer_more, outer_more;	/* optional slots, bit i: slot i */
	uint64_t layer_without;			/* slots that are left out */
	bool is_fused;		/* attn_qkv and, of gated feed-forwards, ffn_up of both halves */
	/* [n_layers] heads, heads of keys and ffn_dim of each layer, in arrays; or NULL */
	const struct layer_shape *shapes;
	bool has_no_sizes_of_layers;	/* no keys of heads and ffn_dim: add_keys writes them */
	void (*add_keys)(struct gguf_writer *w);	/* may be NULL */
};

/* 3 layers, 4 heads of 12 with 2 of keys, 48 wide, 283 tokens. Change what the test is about. */
struct any_model any_model_of(const char *arch);

/* Writes into `file` and opens that: file must outlive the model. NULL: err says why it is
 * refused. */
struct model *any_model_open(const struct any_model *any, struct buf *file, struct error *err);

/* "ARCH.NAME", valid until the next call. */
const char *any_key(const char *arch, const char *name);

#endif
