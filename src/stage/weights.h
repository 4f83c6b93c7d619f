/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_WEIGHTS_H
#define STAGECOACH_STAGE_WEIGHTS_H
/*
 * weights - the tensors of a range of layers and, according to its place, the embedding and the
 * head, copied from the model file to device memory. A member is NULL if the model does not have
 * the tensor.
 * The range can change. Tensors of both the old and the new range stay as they are.
 * Ownership: owns the copies; the backend and the model must outlive them. Thread: the compute
 * thread.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "model/model.h"

/* A loaded tensor: by the kind of its slot a matrix, or floats in device memory. */
union loaded {
	struct weight *matrix;
	float *vector;
};

struct layer_weights {
	union loaded of[N_LAYER_SLOTS];
};

/* Sums over the tensors of a layer, or of one outer tensor. */
struct weights_sum {
	uint64_t n_bytes;			/* bytes of device memory */
	uint32_t n_not_finite;			/* number of tensors with NaN or infinity */
	const struct tensor *not_finite;	/* the first of them in the file, or NULL */
};

struct weights {
	struct backend *backend;
	const struct model *model;
	uint32_t n_layers;
	const struct layer_weights *layers;	/* [n_layers] of the range */
	struct weight *embedding;	/* [n_vocab][dim]; first stage */
	struct weight *head;		/* [n_vocab][dim]; last stage; the embedding when tied */
	union loaded outer[N_OUTER_SLOTS];	/* of the range; OUTER_OUTPUT is NULL when tied */
	uint64_t n_bytes;		/* bytes of device memory */

	/* Private. */
	struct layer_weights *held;	/* [n_layers of the model] */
	struct weights_sum *sums;	/* [n_layers of the model + N_OUTER_SLOTS] */
};

struct weights_range {
	uint32_t first_layer;
	uint32_t n_layers;
	/* As in stage_config. Counts only what must be loaded. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Starts with no tensors. The caller calls weights_deinit, also after a failure. */
must_check enum sc_status weights_init(struct weights *weights, struct backend *backend,
				       const struct model *model, struct error *err);
/* Changes the range: first frees the tensors that the new range does not need, then loads the ones
 * that are missing and reads every page of those. After a failure, the tensors that were loaded
 * stay for the next change, and no layer may be used until then. The hash of each tensor that is
 * loaded is noted in the model.
 * SC_E_CAPACITY: err names the tensor, its size, what is already loaded and the total.
 * SC_E_CANCELLED: on_progress returned false. SC_E_IO: layers are missing, and the model's file was
 * changed since it was opened. */
must_check enum sc_status weights_change(struct weights *weights,
					 const struct weights_range *range, struct error *err);
/* The longest run of layers whose tensors are all in memory. n_out is 0 if there is none. */
void weights_held(const struct weights *weights, uint32_t *first_out, uint32_t *n_out);
/* The first tensor in the file that holds NaN or infinity, and the number of such tensors. NULL and
 * 0 if there is none. */
const struct tensor *weights_not_finite(const struct weights *weights, uint32_t *n_out);
/* Bytes beyond those of the tensors: of any range, and of each layer in addition. All layers count
 * as the one with the most tensors. */
uint64_t weights_fixed_bytes(const struct model *model, const struct backend_sizes *sizes);
uint64_t weights_layer_bytes(const struct model *model, const struct backend_sizes *sizes);
/* Accepts a struct of zeros. */
void weights_deinit(struct weights *weights);

#endif
