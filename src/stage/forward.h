/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_FORWARD_H
#define STAGECOACH_STAGE_FORWARD_H
/*
 * forward - the one forward pass: from tokens or activations through a stage's layers, and from
 * activations to logits. What distinguishes architectures is read from the model's row and from
 * which tensors are there.
 * Owns the KV cache and the memory between operations, sized once; borrows model, weights and
 * backend, which must outlive it. Thread: the compute thread.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "model/model.h"
#include "stage/weights.h"
#include "wire/step.h"

struct sequences;

/* The most rows that forward_logits takes: enough to use the head's weights well, few enough that
 * the logits of a large vocabulary stay small. */
#define FORWARD_MAX_LOGIT_ROWS 64

/* Fields are the pass's own: use the functions. Shapes hold for max_rows. */
struct forward {
	struct backend *backend;
	const struct model *model;
	const struct weights *weights;
	struct kv_cache *cache;
	uint64_t kv_bytes;
	struct rope_table rope;
	float *inverse_frequency;	/* [rope_dim / 2], host */
	bool is_rope_finite;		/* all of them are */
	uint32_t *positions;		/* [max_rows], host */
	struct attention_span *spans;	/* [max_sequences], host */
	void *memory;			/* what follows, in one piece of device memory */
	float *x;			/* [max_rows][dim]: the residual stream, unless it lies
					 * in the step's frame */
	float *normed;			/* [max_rows][dim] */
	float *q;			/* [max_rows][n_heads][head_dim] */
	float *k;			/* [max_rows][n_kv_heads][head_dim] */
	float *v;			/* [max_rows][n_kv_heads][value_dim] */
	float *attended;		/* [max_rows][n_heads][value_dim] */
	float *gated;			/* [max_rows][ffn_dim] */
	float *logits;			/* [min(max_rows, FORWARD_MAX_LOGIT_ROWS)][n_vocab];
					 * last stage */
};

struct forward_config {
	struct backend *backend;
	const struct model *model;
	const struct weights *weights;		/* all three borrowed until deinit */
	const struct step_limits *limits;
	enum tensor_type kv_type;
	/* While memory for keys and values is taken, whether to go on; may be NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* SC_E_CAPACITY: err says what for and how much. SC_E_CANCELLED: on_progress said so.
 * forward_deinit empties, also after a failure. */
must_check enum sc_status forward_init(struct forward *forward,
				       const struct forward_config *config, struct error *err);
/* Bytes of keys and values of n_layers, without what a backend adds; UINT64_MAX: too many. */
uint64_t forward_kv_bytes(const struct model *model, uint32_t n_layers,
			  const struct step_limits *limits, enum tensor_type kv_type);
/* Accepts a struct of zeros. */
void forward_deinit(struct forward *forward);

/* The widest row that any operation of this model's forward pass reads. */
unsigned forward_max_width(const struct model *model);

/* Compute step's rows through all layers and write their keys and values into the cache. Sequences
 * hold the step already. With activations_out (host memory) the result goes there; without, it
 * stays inside for forward_logits. */
void forward_run(struct forward *forward, const struct step *step,
		 const struct sequences *sequences, float *activations_out);

/* Logits [n_rows][n_vocab] of the given rows of the last forward_run, n_rows at most
 * FORWARD_MAX_LOGIT_ROWS: device memory, valid until the next call. */
const float *forward_logits(struct forward *forward, const uint32_t *rows, uint32_t n_rows);

#endif
