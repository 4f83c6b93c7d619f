/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_FORWARD_H
#define STAGECOACH_STAGE_FORWARD_H
/*
 * forward - the forward pass of all architectures: from tokens or activations through a stage's
 * layers, and from activations to logits. Differences between architectures come from the model's
 * row in model/arch.c and from which tensors exist.
 * Ownership: owns the KV cache and the memory between operations, both of fixed size. Borrows
 * model, weights and backend, which must outlive it.
 * Thread: the compute thread.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "model/model.h"
#include "stage/ropes.h"
#include "stage/weights.h"
#include "wire/step.h"

struct sequences;

/* The most rows per call of forward_logits: enough to use the head's weights efficiently, few
 * enough to keep the logits of a large vocabulary small. */
#define FORWARD_MAX_LOGIT_ROWS 64

/* Consecutive rows of a step that use the same table of rotary positions. */
struct rope_run {
	uint32_t first_row;
	uint32_t n_rows;
	bool is_long;		/* of sequences with LongRoPE's long factors */
};

/* Private fields: use the functions. Shapes are for max_rows. */
struct forward {
	struct backend *backend;
	const struct model *model;
	const struct weights *weights;
	uint32_t first_layer;		/* of the weights' range, in the model */
	struct kv_cache *caches[MODEL_MAX_GROUPS];	/* NULL: the range has no such layer */
	struct ropes ropes;
	float *slopes;			/* [n_heads] of ALiBi, host; or NULL */
	uint32_t *positions;		/* [max_rows], host */
	uint32_t *tokens;		/* [max_rows], host; the first stage's */
	struct attention_span *spans[MODEL_MAX_GROUPS];	/* [max_sequences], host */
	struct rope_run *rope_runs;	/* [max_sequences], host */
	uint32_t n_rope_runs;		/* of the step */
	void *memory;			/* one block of device memory that
					 * holds the following arrays */
	float *x;			/* [max_rows][dim] the residual stream,
					 * unless it is in the step's frame */
	float *normed;			/* [max_rows][dim] */
	float *q;			/* [max_rows][n_heads][head_dim] */
	float *k;			/* [max_rows][n_kv_heads][head_dim] */
	float *v;			/* [max_rows][n_kv_heads][value_dim] */
	float *attended;		/* [max_rows][n_heads][value_dim] */
	float *gated;			/* [max_rows][ffn_dim] */
	/* These three are empty unless the model needs them. */
	float *normed2;			/* [max_rows][dim] a second norm of parallel blocks */
	float *branch;			/* [max_rows][dim] what a block adds, before its norm */
	float *up;			/* [max_rows][ffn_dim] */
	float *logits;			/* [min(max_rows, FORWARD_MAX_LOGIT_ROWS)][n_vocab];
					 * last stage */
};

struct forward_config {
	struct backend *backend;
	const struct model *model;
	const struct weights *weights;		/* all three are borrowed until deinit */
	const struct step_limits *limits;
	uint32_t first_layer;			/* of the weights' range */
	enum tensor_type kv_type;
	struct kv_cache *caches[MODEL_MAX_GROUPS];	/* by the model's group. forward_init takes
							 * them, and makes those that are missing.
							 * They must have the same layers, blocks
							 * and type */
	uint64_t kv_bytes;			/* of all caches, for error messages */
	/* Called while memory for keys and values is taken. Returning false cancels. May be
	 * NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* SC_E_CAPACITY: err says what did not fit and how much was needed. SC_E_CANCELLED: on_progress
 * returned false. The caller calls forward_deinit, also after a failure. */
must_check enum sc_status forward_init(struct forward *forward,
				       const struct forward_config *config, struct error *err);
/* Returns the KV caches for a later forward_init; the caller owns them. */
void forward_take_caches(struct forward *forward, struct kv_cache *caches_out[MODEL_MAX_GROUPS]);
/* Bytes of everything beside the caches. has_head: with the logits of the last stage. */
uint64_t forward_bytes(const struct model *model, const struct step_limits *limits, bool has_head);
/* The cache of the model's group, but for the number of its layers. */
struct kv_cache_config forward_cache_config(const struct model *model,
					    const struct step_limits *limits,
					    enum tensor_type kv_type, uint32_t group);
/* Returns backend_ops.kv_saturated of all caches, with the model's layer. */
uint64_t forward_kv_saturated(const struct forward *forward, uint32_t *layer_out);
/* Accepts a struct of zeros. */
void forward_deinit(struct forward *forward);

/* The widest row that any operation of this model's forward pass handles. */
unsigned forward_max_width(const struct model *model);

/* Runs the step's rows through all layers and writes their keys and values into the cache.
 * `sequences` must include the step already. The result goes to activations_out (host memory); if
 * that is NULL it stays inside for forward_logits. */
void forward_run(struct forward *forward, const struct step *step,
		 const struct sequences *sequences, float *activations_out);

/* Computes logits [n_rows][n_vocab] of the given rows of the last forward_run; n_rows is at most
 * FORWARD_MAX_LOGIT_ROWS. The result is in device memory and valid until the next call. */
const float *forward_logits(struct forward *forward, const uint32_t *rows, uint32_t n_rows);

#endif
