/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PLAN_H
#define STAGECOACH_COORDINATOR_PLAN_H
/*
 * plan - decides which worker holds which layers, and computes memory and predicted time of each
 * stage. Pure computation from the model's sizes. Thread: any.
 *
 * A step is modelled as the time to read the weights plus the time of the multiply-adds. The cost
 * of a stage is
 * - half its share of the model's decode step (embedding and head count) plus
 * - half its share of the model's prompt step (the head is no work).
 * Of all splits that fit into the workers' memory, the plan uses the one whose most expensive stage
 * is cheapest; of equal ones, the one with the smallest sum of squares. Where the split is given
 * (plan_input.ends), nothing is searched.
 */
#include "base/buf.h"
#include "base/error.h"
#include "model/model.h"
#include "model/stage_sizes.h"

#define PLAN_MAX_STAGES MODEL_MAX_LAYERS
#define PLAN_WORKER_BYTES 64

/* A worker's speed: measured, or from plan_default_speed. */
struct plan_speed {
	double bytes;	/* of weights that it reads */
	double macs;
};
/* For workers whose speed is not known. */
struct plan_speed plan_default_speed(void);

struct plan_stage {
	char worker[PLAN_WORKER_BYTES];	/* id of the worker; "" if there is none yet */
	uint32_t first_layer;
	uint32_t n_layers;
	uint32_t group_layers[MODEL_MAX_GROUPS];	/* of them, by the model's group */
	bool has_embedding;
	bool has_head;
	uint64_t weight_bytes;		/* as stored */
	uint64_t kv_bytes;
	uint64_t work_bytes;		/* everything else, frames included: an upper bound */
	uint64_t macs;			/* per row */
	double decode_cost;		/* of one row, and of max_rows rows of prompts; */
	double prompt_cost;		/* in the time of plan_speed */
};

struct plan_input {
	const struct model *model;
	unsigned n_stages;
	uint32_t max_rows;
	uint32_t max_context;
	uint32_t n_blocks;	/* for the positions of all sequences; see model/kv_pools.h, also
				 * for n_sequences */
	uint32_t n_sequences;
	uint32_t block_length;
	const struct stage_sizes *sizes;	/* [n_stages] what a stage takes on each worker */
	uint64_t frame_bytes;		/* bytes of each worker's frames, including
					 * those that links receive into */
	const uint32_t *n_threads;	/* [n_stages] number of compute
					 * threads, or NULL: one each */
	const struct plan_speed *speeds;	/* [n_stages], or NULL: all equal */
	const uint64_t *memory_bytes;		/* [n_stages] limits, 0: unknown; or NULL */
	const char *const *workers;		/* [n_stages] ids; or NULL */
	const uint32_t *ends;	/* [n_stages] the layer behind each stage, rising to the number of
				 * layers; NULL: the plan chooses the split */
	uint32_t kv_parts;	/* KV may take one of this many equal parts of what
				 * weights and work memory leave; 0 or 1: all */
};

struct plan {
	unsigned n_stages;
	struct plan_stage *stages;	/* [n_stages], owned */
};

/* SC_E_INVALID: no stages, or more stages than layers. SC_E_CAPACITY: no split fits into the
 * workers' memory; err names a stage of the best split that does not fit, its needs and the
 * limit. */
must_check enum sc_status plan_make(const struct plan_input *input, struct plan **plan_out,
				    struct error *err);
void plan_destroy(struct plan *plan);

/* The pools of all groups. */
struct kv_pools plan_pools(const struct plan_input *input);

/* Finds the largest n_blocks, of at most `most` blocks, for which a split fits into the workers'
 * memory; 0: there is none. A context is at most as long as the pool. Ignores input->n_blocks. */
must_check enum sc_status plan_most_blocks(const struct plan_input *input, uint32_t most,
					   uint32_t *n_blocks_out);

/* The same, but with the stages of the plan, whose keys and values may take most_bytes. */
uint32_t plan_room(const struct plan *plan, const struct plan_input *input, uint32_t most,
		   uint64_t most_bytes);
/* Finds the largest n_sequences, of at most `most` and at least 1, for the same. Ignores
 * input->n_sequences. */
uint32_t plan_room_for_windows(const struct plan *plan, const struct plan_input *input,
			       uint32_t most, uint64_t most_bytes);

/* A table for people, a line per stage; `where` names the worker of each stage, or NULL. */
must_check enum sc_status plan_format(const struct plan *plan, const char *const *where,
				      struct buf *text);

#endif
