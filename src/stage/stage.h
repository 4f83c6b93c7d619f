/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_STAGE_H
#define STAGECOACH_STAGE_STAGE_H
/*
 * stage - a contiguous range of layers on one backend: forward pass, KV blocks, and at the end of
 * the pipeline the head and the sampler.
 * Owns its weights, its KV cache and the block table of each sequence slot. Knows nothing of
 * links, jobs or processes.
 * Thread: one compute thread, creation included. stage_run blocks for the whole computation and
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
	enum cpu_isa isa;			/* of the CPU backend */
	unsigned n_threads;			/* 0: one per processor */
	struct backend_place place;
	uint32_t first_layer;
	uint32_t n_layers;			/* at least 1 */
	enum tensor_type kv_type;		/* of stored keys and values */
	struct step_limits limits;
	/* Called from stage_create after each tensor, and while memory for keys and values is
	 * taken, whether to go on; may be NULL. Bytes are those of both. */
	bool (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Loads the weights of its layers (and embedding or head, by its place) and takes all memory that
 * it will ever need. SC_E_CAPACITY names what did not fit, and how much was asked for. */
must_check enum sc_status stage_create(const struct stage_config *config, struct stage **stage_out,
				       struct error *err);
void stage_destroy(struct stage *stage);

bool stage_is_first(const struct stage *stage);
bool stage_is_last(const struct stage *stage);
uint64_t stage_weight_bytes(const struct stage *stage);
uint64_t stage_kv_bytes(const struct stage *stage);
/* Keys and values that the KV cache's type could not hold, and the model's layer that had the first
 * of them. Thread: the compute thread. */
uint64_t stage_kv_saturated(const struct stage *stage, uint32_t *layer_out);
/* The first tensor of the stage that holds NaN or infinity, and how many do; NULL and 0: none. The
 * model's name for it. */
const char *stage_not_finite(const struct stage *stage, uint32_t *n_out);

/* Run a step that was decoded under the stage's limits. The first stage embeds step->tokens, the
 * others read step->activations. Writes activations_out[n_rows][dim] (host memory; it may be where
 * step->activations lies, and when it is aligned to 64 bytes a backend in host memory computes in
 * it) unless this is the last stage; the last one writes a record per sampling or scored row, in
 * row order, to records_out[n_rows]. A row whose logits are not finite numbers gets a record with a
 * fault; the other rows are as they would be without it.
 * SC_E_PROTOCOL: the step contradicts what earlier steps said (a slot that is not empty, a gap in
 * positions, a block table that is too short): nothing was changed, and the pipeline cannot go
 * on. */
must_check enum sc_status stage_run(struct stage *stage, const struct step *step,
				    float *activations_out, struct token_record *records_out,
				    uint32_t *n_records_out, struct error *err);

/* For tests and evaluation: called on the last stage for each sampling row, before sampling.
 * position is the one that the drawn token will have. logits[n_vocab] is borrowed for the call. */
typedef void stage_logits_fn(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			     uint32_t n_vocab);
void stage_on_logits(struct stage *stage, stage_logits_fn *fn, void *arg);

#endif
