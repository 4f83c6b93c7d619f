/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PLAN_H
#define STAGECOACH_COORDINATOR_PLAN_H
/*
 * plan - which worker holds which layers, with how much memory.
 * Pure computation from the model's sizes: no compute, no messages.
 *
 * A step costs reading the weights plus the multiply-adds. How long that takes is not known: costs
 * only compare stages. A stage costs half its share of the model's decode step, where embedding and
 * head count, and half its share of a prompt's step, where the head is no work: as if both took
 * half of the time. Of the
 * splits that fit into the workers' memory, the one is taken whose most expensive stage is cheapest
 * and, among equals, whose sum of squares is least.
 */
#include "base/buf.h"
#include "base/error.h"
#include "model/model.h"

#define PLAN_MAX_STAGES MODEL_MAX_LAYERS

/* What a worker can do in some time, which is the same for all workers: only ratios count. */
struct plan_speed {
	double bytes;	/* of weights that it reads */
	double macs;
};
/* For workers whose speed is not known. */
struct plan_speed plan_default_speed(void);

struct plan_stage {
	uint32_t first_layer;
	uint32_t n_layers;
	bool has_embedding;
	bool has_head;
	uint64_t weight_bytes;		/* as stored */
	uint64_t kv_bytes;
	uint64_t work_bytes;		/* activations, attention, logits, frames: an
					 * estimate from above */
	uint64_t macs;			/* per row */
	double decode_cost;		/* of one row, and of max_rows rows of prompts; */
	double prompt_cost;		/* in the time of plan_speed */
};

struct plan_input {
	const struct model *model;
	unsigned n_stages;
	uint32_t max_rows;
	uint32_t max_sequences;
	uint32_t max_context;
	uint32_t n_blocks;
	uint32_t block_length;
	enum tensor_type kv_type;
	uint64_t frame_bytes;		/* of each worker's frames, those that links receive into
					 * included */
	const uint32_t *n_threads;	/* [n_stages] that compute, or NULL: one each */
	const struct plan_speed *speeds;	/* [n_stages], or NULL: all alike */
	const uint64_t *memory_bytes;		/* [n_stages] limits, 0: unknown; or NULL */
	uint32_t kv_parts;	/* KV takes at most one of so many equal parts of what weights and
				 * work leave; 0, 1: all of it */
};

struct plan {
	unsigned n_stages;
	struct plan_stage *stages;	/* [n_stages], owned */
};

/* SC_E_INVALID: more stages than layers, or none. SC_E_CAPACITY: no split fits into the workers'
 * memory; err names a stage of the best one that does not, what it needs and what is there. */
must_check enum sc_status plan_make(const struct plan_input *input, struct plan **plan_out,
				    struct error *err);
void plan_destroy(struct plan *plan);

/* The largest pool, of `most` blocks at most, for which there is a split that fits into the
 * workers' memory; 0: there is none. A context is no longer than the pool. input->n_blocks means
 * nothing. */
must_check enum sc_status plan_most_blocks(const struct plan_input *input, uint32_t most,
					   uint32_t *n_blocks_out);

/* The same with the stages as they are in the plan. */
uint32_t plan_room(const struct plan *plan, const struct plan_input *input, uint32_t most);

/* A table for people, a line per stage; `where` names the worker of each stage, or NULL. */
must_check enum sc_status plan_format(const struct plan *plan, const char *const *where,
				      struct buf *text);

#endif
