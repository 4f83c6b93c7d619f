/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SUMMARY_H
#define STAGECOACH_MODEL_SUMMARY_H
/*
 * summary - what a model file says about itself: shape, tensor types, tokenizer, chat templates.
 * Reads metadata and tensor directory only, of any architecture, also where model_open refuses the
 * file. For a file that model_open accepts, the shape is that of struct hparams.
 * Thread: any; reads gguf, which it borrows until summary_deinit.
 */
#include "base/error.h"
#include "model/gguf.h"
#include "model/model.h"
#include "model/quote.h"

/* A size that may differ between layers. Both 0: the file does not say. */
struct summary_range {
	uint32_t min, max;
};

struct summary_shape {
	struct summary_range n_layers;
	struct summary_range n_context;		/* positions it was trained for */
	struct summary_range dim;		/* of the residual stream */
	struct summary_range ffn_dim;
	struct summary_range n_heads, n_kv_heads;
	struct summary_range head_dim;		/* of keys and queries */
	struct summary_range value_dim;
	struct summary_range n_experts, n_used_experts;
	struct summary_range n_vocab;
	struct summary_range rope_dim;
	double rope_base;			/* 0: unknown */
	struct quote rope_scaling;		/* "none", "linear", "yarn", ... */
	double rope_factor;			/* 1 without scaling */
};

/* All tensors of one type. */
struct summary_type {
	uint32_t type;		/* see summary_type_name */
	bool is_supported;
	uint64_t n_tensors, n_elements, n_bytes;
};

/* A key tokenizer.ggml.NAME_token_id. */
struct summary_token {
	struct gguf_string name;	/* "bos" */
	uint32_t id;
	bool has_text;			/* the id is in the vocabulary */
	struct gguf_string text;
};

struct summary_template {
	struct gguf_string name;	/* empty: the default one */
	struct gguf_string text;
};

struct summary {
	char name[MODEL_NAME_BYTES];
	struct gguf_string arch;	/* as the file says; empty: it does not */
	struct summary_shape shape;
	uint64_t n_elements;		/* of all tensors */
	uint64_t tensor_bytes;		/* without padding, where the size of the type is known */
	struct summary_type *types;	/* [n_types], owned; most bytes first */
	size_t n_types;
	struct gguf_string tokenizer, pre;	/* empty: the file does not say */
	struct summary_token *tokens;	/* [n_tokens], owned; in file order */
	size_t n_tokens;
	struct summary_template *templates;	/* [n_templates], owned */
	size_t n_templates;
};

/* summary is the caller's storage, who calls summary_deinit in any case. SC_E_NOMEM. */
must_check enum sc_status summary_read(const struct gguf *gguf, struct summary *summary,
				       struct error *err);
void summary_deinit(struct summary *summary);

/* Bits per element of all tensors; 0 without tensors. */
double summary_bits_per_weight(const struct summary *summary);

/* "Q4_K", or "type 77" for a number that nobody knows. */
struct quote summary_type_name(uint32_t type);

#endif
