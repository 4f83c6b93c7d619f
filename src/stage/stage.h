/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_STAGE_H
#define STAGECOACH_STAGE_STAGE_H
/*
 * stage - a contiguous range of layers on one backend: forward pass, KV blocks and, at the end of
 * the pipeline, head and sampler.
 * Owns its weights, its KV cache and the block table of each sequence slot. Knows nothing of links,
 * jobs or processes.
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
	enum cpu_isa isa;			/* CPU backend: its instruction set */
	unsigned n_threads;			/* 0: one per processor */
	struct backend_place place;
	uint32_t first_layer;
	uint32_t n_layers;			/* at least 1 */
	enum tensor_type kv_type;		/* type of stored keys and values */
	struct step_limits limits;
	/* Called from stage_create after each tensor, and while memory for keys and values is
	 * taken. The byte counts include both. Returning false cancels. May be NULL. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Loads the weights of its layers (and embedding or head, according to its place) and takes all
 * memory that it will ever need. SC_E_CAPACITY: err says what did not fit and how much was needed.
 * SC_E_CANCELLED: on_progress returned false. */
must_check enum sc_status stage_create(const struct stage_config *config, struct stage **stage_out,
				       struct error *err);
void stage_destroy(struct stage *stage);

bool stage_is_first(const struct stage *stage);
bool stage_is_last(const struct stage *stage);
uint64_t stage_weight_bytes(const struct stage *stage);
uint64_t stage_kv_bytes(const struct stage *stage);
/* The number of keys and values that exceeded the KV cache's type, and the model's layer that had
 * the first of them. Thread: the compute thread. */
uint64_t stage_kv_saturated(const struct stage *stage, uint32_t *layer_out);
/* The name of the stage's first tensor with NaN or infinity, and the number of such tensors. NULL
 * and 0 if there is none. */
const char *stage_not_finite(const struct stage *stage, uint32_t *n_out);

/* Runs a step that was decoded under the stage's limits.
 * - Input: the first stage embeds step->tokens; the others read step->activations.
 * - Output of all stages except the last: activations_out[n_rows][dim] in host memory. It may be
 *   the memory of step->activations. If it is aligned to 64 bytes, a backend in host memory
 *   computes in it.
 * - Output of the last stage: records_out[n_rows], one record per sampling or scored row, in row
 *   order. A row whose logits are not finite gets a record with a fault; it does not affect other
 *   rows.
 * SC_E_PROTOCOL: the step contradicts earlier steps (a slot that is not empty, a gap in positions,
 * a block table that is too short). Nothing was changed, and the pipeline cannot continue. */
must_check enum sc_status stage_run(struct stage *stage, const struct step *step,
				    float *activations_out, struct token_record *records_out,
				    uint32_t *n_records_out, struct error *err);

/* For tests and evaluation: called on the last stage for each sampling row, before sampling.
 * position is that of the token to be drawn. Borrows logits[n_vocab] during the call. */
typedef void stage_logits_fn(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			     uint32_t n_vocab);
void stage_on_logits(struct stage *stage, stage_logits_fn *fn, void *arg);

#endif
