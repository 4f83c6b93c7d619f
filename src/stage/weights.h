/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_WEIGHTS_H
#define STAGECOACH_STAGE_WEIGHTS_H
/*
 * weights - the tensors of one stage's layers and, according to its place, the embedding and the
 * head, copied from the model file to device memory. A member is NULL if the model does not have
 * the tensor.
 * Ownership: owns the copies; the backend must outlive them. Thread: the compute thread.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "model/model.h"

struct layer_weights {
	float *attn_norm;			/* [dim] */
	struct weight *q, *k, *v;		/* [n_heads*head_dim][dim], .. */
	float *q_bias, *k_bias, *v_bias;	/* [n_heads*head_dim], .. */
	struct weight *attn_output;		/* [dim][n_heads*value_dim] */
	float *ffn_norm;			/* [dim] */
	struct weight *gate, *up;		/* [ffn_dim][dim] */
	struct weight *down;			/* [dim][ffn_dim] */
};

struct weights {
	struct backend *backend;
	uint32_t n_layers;
	struct layer_weights *layers;	/* [n_layers], the first is the stage's first */
	struct weight *embedding;	/* [n_vocab][dim]; first stage */
	float *output_norm;		/* [dim]; last stage */
	struct weight *head;		/* [n_vocab][dim]; last stage; the embedding when tied and
					 * the stage holds both */
	uint64_t n_bytes;		/* bytes of device memory */
	const struct tensor *not_finite;	/* the first tensor with NaN or infinity, or NULL */
	uint32_t n_not_finite;		/* number of such tensors */
};

struct weights_config {
	const struct model *model;
	uint32_t first_layer;
	uint32_t n_layers;
	/* As in stage_config. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Loads the weights and reads every page of the stage's tensors. The caller calls weights_deinit,
 * also after a failure. SC_E_CAPACITY: err names the tensor, its size, what is already loaded and
 * the total. SC_E_CANCELLED: on_progress returned false. */
must_check enum sc_status weights_init(struct weights *weights, struct backend *backend,
				       const struct weights_config *config, struct error *err);
/* Notes a tensor with NaN or infinity. weights_init does so for the tensors that it loads. */
void weights_note_not_finite(struct weights *weights, const struct tensor *tensor);
/* Accepts a struct of zeros. */
void weights_deinit(struct weights *weights);

#endif
