/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_SLOTS_H
#define STAGECOACH_MODEL_SLOTS_H
/*
 * slots - the tensors that a model may have, in one list: a layer's, and those outside of layers.
 * Whoever finds, checks, loads, counts or names tensors goes over this list.
 * Which slots an architecture needs or may have is in its row of model/arch.c.
 * Thread: any; the tables are constant.
 */
#include <stdint.h>

/* Each matrix is followed by its bias, and each norm's gain by its bias. */
enum layer_slot {
	LAYER_ATTN_NORM,
	LAYER_ATTN_NORM_BIAS,
	LAYER_ATTN_NORM_2,
	LAYER_ATTN_NORM_2_BIAS,
	LAYER_ATTN_Q,
	LAYER_ATTN_Q_BIAS,
	LAYER_ATTN_K,
	LAYER_ATTN_K_BIAS,
	LAYER_ATTN_V,
	LAYER_ATTN_V_BIAS,
	LAYER_ATTN_Q_NORM,
	LAYER_ATTN_Q_NORM_BIAS,
	LAYER_ATTN_K_NORM,
	LAYER_ATTN_K_NORM_BIAS,
	LAYER_ATTN_OUTPUT,
	LAYER_ATTN_OUTPUT_BIAS,
	LAYER_POST_ATTN_NORM,
	LAYER_POST_ATTN_NORM_BIAS,
	LAYER_FFN_NORM,
	LAYER_FFN_NORM_BIAS,
	LAYER_FFN_GATE,
	LAYER_FFN_GATE_BIAS,
	LAYER_FFN_UP,
	LAYER_FFN_UP_BIAS,
	LAYER_FFN_DOWN,
	LAYER_FFN_DOWN_BIAS,
	LAYER_POST_FFN_NORM,
	LAYER_POST_FFN_NORM_BIAS,
	N_LAYER_SLOTS,
};

enum outer_slot {
	OUTER_TOKEN_EMBD,
	OUTER_TOKEN_EMBD_NORM,
	OUTER_TOKEN_EMBD_NORM_BIAS,
	OUTER_POSITION_EMBD,
	OUTER_OUTPUT_NORM,
	OUTER_OUTPUT_NORM_BIAS,
	OUTER_OUTPUT,
	OUTER_OUTPUT_BIAS,
	OUTER_ROPE_FACTORS,
	OUTER_ROPE_FACTORS_LONG,
	OUTER_ROPE_FACTORS_SHORT,
	N_OUTER_SLOTS,
};

enum slot_kind {
	SLOT_VECTOR,		/* stored as F32, used as float */
	SLOT_PRODUCT,		/* a matrix of products: its multiply-adds count */
	SLOT_LOOKUP,		/* a matrix whose rows are looked up */
};

/* Sizes that a shape is made of. */
enum slot_size {
	SIZE_ONE,
	SIZE_DIM,
	SIZE_FFN,
	SIZE_Q,			/* n_heads * head_dim */
	SIZE_K,			/* n_kv_heads * head_dim */
	SIZE_V,			/* n_kv_heads * value_dim */
	SIZE_ATTENDED,		/* n_heads * value_dim */
	SIZE_Q_NORM,		/* these four depend on the architecture's norm of queries */
	SIZE_Q_NORM_ROWS,
	SIZE_K_NORM,
	SIZE_K_NORM_ROWS,
	SIZE_VOCAB,
	SIZE_CONTEXT,		/* trained positions */
	SIZE_ROPE_PAIRS,	/* rope_dim / 2 */
};

/* The stages that load an outer slot. */
enum slot_place {
	PLACE_LAYER,		/* the stage that holds the layer */
	PLACE_FIRST,		/* with the first layer */
	PLACE_LAST,		/* with the last layer */
	PLACE_NONE,		/* read from the file when a stage starts */
};

struct slot {
	const char *gguf;	/* the tensor's name in GGUF; for a layer's after "blk.N." */
	const char *hf;		/* its name in a folder of Hugging Face, as Llama's has it; for a
				 * layer's after "model.layers.N."; NULL: Llama has no such tensor */
	enum slot_kind kind;
	enum slot_size n_in, n_out;	/* [n_out][n_in]; a vector has n_out SIZE_ONE, unless it
					 * has a row per head */
	enum slot_place place;
};

extern const struct slot layer_slots[N_LAYER_SLOTS];
extern const struct slot outer_slots[N_OUTER_SLOTS];

/* Tensors that files may have in place of several slots: the rows of each part in turn. A model
 * that is open has views of them, so only the code that finds tensors knows of this list. */
enum { FUSED_MAX_PARTS = 3 };

struct fused_slot {
	const char *gguf;
	unsigned n_parts;
	enum layer_slot parts[FUSED_MAX_PARTS];
};

enum { N_FUSED_SLOTS = 4 };
extern const struct fused_slot fused_slots[N_FUSED_SLOTS];

struct arch;
struct hparams;
struct layer_shape;

/* The shape of a slot's tensor. shape is the layer's; NULL for an outer slot. */
void slot_dims(const struct slot *slot, const struct arch *arch, const struct hparams *hparams,
	       const struct layer_shape *shape, uint64_t dims_out[2]);

#endif
