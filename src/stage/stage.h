/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_STAGE_H
#define STAGECOACH_STAGE_STAGE_H
/*
 * stage - a contiguous range of layers on one backend: forward pass, KV blocks and, at the end of
 * the pipeline, head and sampler.
 * A stage lives as long as its worker and consists of two parts:
 * - the backend and the weights stay from one assignment to the next. Only layers that are missing
 *   are loaded, and only layers that are no longer needed are freed.
 * - KV cache, sequences, sampler and memory between operations are made for one assignment and
 *   dropped as a whole.
 * Knows nothing of links, jobs or processes.
 * Thread: one compute thread, also for creation. stage_run blocks for the whole computation and
 * allocates nothing.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "model/model.h"
#include "wire/step.h"

struct stage;

struct stage_config {
	const struct model *model;		/* borrowed until destroy */
	const struct backend_ops *backend;
	unsigned device;
	unsigned n_threads;			/* 0: one per processor */
	struct backend_place place;
	/* Called after each tensor that is loaded, and while memory for keys and values is taken.
	 * The byte counts include both. Returning false cancels. May be NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* What a stage is and does until the next assignment. */
struct stage_assignment {
	enum cpu_isa isa;			/* CPU backend: its instruction set */
	uint32_t first_layer;
	uint32_t n_layers;			/* at least 1 */
	enum tensor_type kv_type;		/* type of stored keys and values */
	struct step_limits limits;
};

/* Makes a stage that holds nothing yet. SC_E_UNSUPPORTED: the backend cannot run a model. */
must_check enum sc_status stage_create(const struct stage_config *config, struct stage **stage_out,
				       struct error *err);
void stage_destroy(struct stage *stage);

/* Drops the sequences of the last assignment, loads the weights that are missing, and takes all
 * memory that steps need. The embedding and the head are loaded according to the range's place.
 * - Memory: KV cache and surplus layers are freed before anything is loaded. The KV cache stays if
 *   the new one would have the same size and type; what it holds does not matter.
 * - Instruction set: the layout of the weights depends on it. If it differs from the last one, the
 *   backend is opened again and all layers are loaded again.
 * After a failure the stage has no assignment: steps must not be run, but it keeps the weights that
 * are loaded and can be assigned again.
 * SC_E_INVALID: layers or limits do not fit the model. SC_E_CAPACITY: err says what did not fit and
 * how much was needed. SC_E_CANCELLED: on_progress returned false. SC_E_IO: layers are missing, and
 * the model's file was changed since it was opened. */
must_check enum sc_status stage_assign(struct stage *stage,
				       const struct stage_assignment *assignment,
				       struct error *err);
/* Only the weights, for a later assignment. Otherwise as stage_assign; afterwards the stage has no
 * assignment. */
must_check enum sc_status stage_preload(struct stage *stage, enum cpu_isa isa, uint32_t first_layer,
					uint32_t n_layers, struct error *err);
/* Ends the assignment: frees the KV cache and all that belongs to it, keeps the weights. */
void stage_release(struct stage *stage);
/* Frees the weights, too, and closes the backend. */
void stage_drop(struct stage *stage);
/* The longest run of layers whose weights are in memory. n_out is 0 if there is none. */
void stage_held(const struct stage *stage, uint32_t *first_out, uint32_t *n_out);

/* Valid while the stage is assigned, down to stage_run. */
bool stage_is_first(const struct stage *stage);
bool stage_is_last(const struct stage *stage);
uint64_t stage_weight_bytes(const struct stage *stage);
uint64_t stage_kv_bytes(const struct stage *stage);
/* The number of keys and values that exceeded the KV cache's type since the cache was made, and the
 * model's layer that had the first of them. Thread: the compute thread. */
uint64_t stage_kv_saturated(const struct stage *stage, uint32_t *layer_out);
/* The name of the stage's first tensor with NaN or infinity, and the number of such tensors. NULL
 * and 0 if there is none. */
const char *stage_not_finite(const struct stage *stage, uint32_t *n_out);

/* What the last stage makes of a step. */
struct stage_answer {
	struct token_record *records;		/* room for a record of each row */
	struct token_top *tops;			/* room for step_max_tops */
	uint32_t n_records;
	uint32_t n_tops;
};

/* Runs a step that was decoded under the stage's limits.
 * - Input: the first stage embeds step->tokens; the others read step->activations.
 * - Output of all stages except the last: activations_out[n_rows][dim] in host memory. It may be
 *   the memory of step->activations. If it is aligned to 64 bytes, a backend in host memory
 *   computes in it.
 * - Output of the last stage: `answer`, with one record per sampling or scored row, in row order,
 *   and the likeliest tokens that go with them. A row whose logits are not finite gets a record
 *   with a fault; it does not affect other rows. Other stages do not look at `answer`.
 * SC_E_PROTOCOL: the step contradicts earlier steps (a slot that is not empty, a gap in positions,
 * a block table that is too short). Nothing was changed, and the pipeline cannot continue. */
must_check enum sc_status stage_run(struct stage *stage, const struct step *step,
				    float *activations_out, struct stage_answer *answer,
				    struct error *err);

/* For tests and evaluation, for all assignments: called on the last stage for each sampling row,
 * before sampling. position is that of the token to be drawn. Borrows logits[n_vocab] during the call. */
typedef void stage_logits_fn(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			     uint32_t n_vocab);
void stage_on_logits(struct stage *stage, stage_logits_fn *fn, void *arg);

#endif
