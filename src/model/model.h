/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MODEL_H
#define STAGECOACH_MODEL_MODEL_H
/*
 * model - a model file that was read and validated: its architecture, its hyper-parameters and the
 * tensors of each layer. Every shape is checked against the hyper-parameters.
 * Opening computes nothing and reads no weights; a stage reads them when it loads its layers.
 * Thread: one thread opens; afterwards read-only and freely shared, except for hashes, which are
 * atomic.
 */
#include "base/error.h"
#include "model/arch.h"
#include "model/gguf.h"
#include "model/slots.h"
#include "model/tensor.h"

#include <stdatomic.h>

/* With these limits every product of sizes stays well below 2^63. */
#define MODEL_MAX_LAYERS 1024
#define MODEL_MAX_DIM 131072
#define MODEL_MAX_VOCAB (4u << 20)
#define MODEL_MAX_ROPE_DIM 512	/* backends have room for the angles of as many elements */

#define MODEL_NAME_BYTES 128

enum rope_scaling {
	ROPE_SCALING_NONE,
	ROPE_SCALING_LINEAR,	/* positions are divided by the factor */
	ROPE_SCALING_YARN,	/* slow rotations are divided, fast ones are not */
};

/* Rotary positions: pair i of a head turns by position * base^(-2i / rope_dim), scaled. */
struct rope_hparams {
	float base;
	enum rope_scaling scaling;
	float factor;			/* 1: no scaling */
	float magnitude;		/* of all cosines and sines */
	/* YaRN: pairs that turn more than fast times in n_original positions are not divided, those
	 * that turn less than slow times are, by the factor; ext weighs this correction. */
	uint32_t n_original;
	float beta_fast, beta_slow;
	float ext;
};

/* Kinds of layers as to their rotary positions. */
enum rope_kind {
	ROPE_KIND_FULL,		/* layers that see all positions */
	ROPE_KIND_SLIDING,	/* layers with a window */
	N_ROPE_KINDS,
};

struct hparams {
	uint32_t n_layers;
	uint32_t n_context;	/* positions that the model was trained for */
	uint32_t n_vocab;
	uint32_t dim;		/* width of the residual stream */
	/* These five are the largest of all layers; struct layer_shape has each layer's. */
	uint32_t ffn_dim;
	uint32_t n_heads;
	uint32_t n_kv_heads;
	uint32_t head_dim;	/* elements per head of keys and queries */
	uint32_t value_dim;	/* elements per head of values */
	uint32_t rope_dim;	/* number of leading elements of a head that are rotated; even */
	struct rope_hparams rope[N_ROPE_KINDS];
	float norm_eps;
	bool is_parallel;	/* attention and feed-forward both read what enters the layer */
	float embedding_scale;	/* factors; 1: none */
	float residual_scale;	/* of what a layer adds to the residual stream */
	float attention_scale;	/* of scores */
	float logit_scale;
	float attention_cap;	/* scores become cap * tanh(score / cap); 0: none */
	float logit_cap;	/* likewise */
	float qkv_limit;	/* queries, keys and values are cut to +- this; 0: none */
	float alibi_bias;	/* ALiBi: its largest exponent, usually 8; 0: none */
	uint32_t long_from;	/* LongRoPE: sequences that may grow longer than this use the long
				 * factors from their first position on; 0: never */
};

/* At most so many kinds of layers as to their keys and values. */
#define MODEL_MAX_GROUPS 4

/* Layers whose keys and values have the same shape and the same window. Each group has a pool of
 * blocks, and a sequence a table of blocks in each. */
struct kv_group {
	uint32_t window;	/* a row sees so many positions, its own included; 0: all */
	uint32_t n_kv_heads;
	uint32_t head_dim;
	uint32_t value_dim;
	uint32_t n_layers;	/* of the model */
};

/* The numbers of the activation of Apertus, as files have them; see backend/row_ops.h. */
struct xielu {
	float alpha_p, alpha_n, beta, eps;
};

/* What layers may have differently. */
struct layer_shape {
	uint32_t n_heads;
	uint32_t n_kv_heads;	/* divides n_heads */
	uint32_t head_dim;
	uint32_t value_dim;
	uint32_t ffn_dim;
	uint32_t window;	/* as in kv_group */
	uint32_t group;		/* index of model.groups */
	bool has_rope;
	enum rope_kind rope;
	struct xielu xielu;
};

/* NULL if the architecture or the file does not have the tensor. Borrowed from the model. */
struct layer_tensors {
	const struct tensor *of[N_LAYER_SLOTS];
};

struct model {
	struct gguf *gguf;	/* owned */
	const struct arch *arch;
	struct hparams hparams;
	char name[MODEL_NAME_BYTES];	/* see model_name */
	uint64_t fingerprint;	/* XXH3 of metadata and tensor directory */
	uint64_t samples;	/* XXH3 of samples of each tensor, once taken; 0: not taken */
	uint64_t n_params;
	/* As layer_tensors. A tied OUTER_OUTPUT is the embedding again. */
	const struct tensor *outer[N_OUTER_SLOTS];
	struct layer_tensors *layers;		/* [n_layers], owned */
	struct layer_shape *shapes;		/* [n_layers], owned */
	struct kv_group groups[MODEL_MAX_GROUPS];
	uint32_t n_groups;
	struct tensor *views;		/* [n_views], owned: the parts of fused tensors */
	size_t n_views;
	atomic_uint_least64_t *hashes;		/* [model_n_tensors], owned; see model_hash */
};

/* As gguf_open, and:
 * SC_E_UNSUPPORTED: unknown architecture, rope scaling or key. gguf_ignore_keys, called before
 * model_open_gguf, can ignore keys.
 * SC_E_FORMAT: hyper-parameters or shapes are inconsistent; err names the key or tensor. */
must_check enum sc_status model_open(const char *path, struct model **model_out,
				     struct error *err);
/* The same for an open file. Takes gguf, also on failure. */
must_check enum sc_status model_open_gguf(struct gguf *gguf, struct model **model_out,
					  struct error *err);
void model_close(struct model *model);

/* Sets model->samples: the hash of three pieces of 4 KiB of each tensor, at its start, middle and
 * end. Files with the same header and other weights differ in it, unless all differences are
 * elsewhere; tensor_hash.h sees every byte. Call it before the model is shared. Reads from the
 * disk. SC_E_NOMEM, SC_E_FORMAT: as tensor_read_rows. */
must_check enum sc_status model_take_samples(struct model *model, struct error *err);

/* The tensors have numbers: those of the file as in gguf.h, then the parts of fused tensors. A
 * part has the name of the tensor that it is part of. */
size_t model_n_tensors(const struct model *model);
const struct tensor *model_tensor(const struct model *model, size_t i);
size_t model_tensor_number(const struct model *model, const struct tensor *tensor);

/* tensor_hash of tensor i, if any stage of this process has loaded it; else 0. Caches may use it as
 * a key. Thread: any. */
uint64_t model_hash(const struct model *model, size_t i);
/* Calls visit for each tensor that a stage of these layers holds: with the embedding at the start of
 * the model, with the head at its end. A tied output matrix is visited once. */
typedef void model_tensor_fn(void *arg, const struct model *model, const struct tensor *tensor);
void model_visit_layers(const struct model *model, uint32_t first_layer, uint32_t n_layers,
			model_tensor_fn *visit, void *arg);
void model_note_hash(const struct model *model, const struct tensor *tensor, uint64_t hash);

/* general.name, or the file's name without .gguf; whole, printable characters of UTF-8 alone. */
void model_name(const struct gguf *gguf, char name_out[MODEL_NAME_BYTES]);

/* Stored bytes of the tensors of one layer; of the embedding and what comes with it; of the head.
 * The head is the output matrix, its norm and biases. If output and embedding are tied, the head
 * counts the embedding's bytes again, because the last stage needs them, too. */
uint64_t model_layer_bytes(const struct model *model, uint32_t layer);
uint64_t model_embedding_bytes(const struct model *model);
uint64_t model_head_bytes(const struct model *model);

/* The longest context that can be computed: learned positions end somewhere; others do not
 * (UINT32_MAX). */
uint32_t model_max_positions(const struct model *model);

/* Returns true if most elements of the layers' matrices are BF16. */
bool model_is_bf16(const struct model *model);

/* Multiply-adds per row of one layer and of the head; products with matrices only. */
uint64_t model_layer_macs(const struct model *model, uint32_t layer);
uint64_t model_head_macs(const struct model *model);

#endif
