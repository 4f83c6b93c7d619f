/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_POOL_H
#define STAGECOACH_COORDINATOR_POOL_H
/*
 * pool - chooses the number of KV blocks and the length of a context, and makes the plan for them.
 *
 * Explicit settings are met or refused. Automatic settings depend on memory:
 * - The context has the wanted length if one such context fits. Otherwise it is as long as the
 *   pool, which then takes half of what weights and work memory leave on the fullest worker.
 * - Layers are split for one context, so that a large pool moves none of them.
 * - The pool has room for the wanted number of contexts, or for at least one. Beyond one context it
 *   is at most as large as the weights (or 512 MiB): all of it is taken before the first request,
 *   and a larger pool would take longer than loading the model.
 * - The pool takes at most half of what weights and work memory leave. The other half stays free
 *   for other programs, because every page of the pool is taken at the start.
 *
 * "The pool" means all pools of the model's groups of layers (model/kv_pools.h). The pools of layers
 * with a sliding window have room for n_sequences sequences, because many short sequences need more
 * of their blocks than a few long ones of as many positions. Within the same bounds of size, and
 * where memory is short, they have room for fewer, at least for the wanted contexts.
 * Pure computation. Thread: any.
 */
#include "coordinator/plan.h"

/* The shortest automatic context. Shorter ones are of no use. */
#define POOL_LEAST_CONTEXT 512

struct pool_wish {
	uint32_t context;	/* wanted positions per sequence */
	bool is_context_fixed;	/* true: exactly `context` positions, or an error */
	uint32_t n_positions;	/* positions of the pool; 0: automatic */
	uint32_t n_contexts;	/* contexts that an automatic pool should have room for */
	uint32_t n_sequences;	/* sequences that windows should have room for */
};

/* Sets n_blocks, n_sequences and max_context of input and makes the plan. SC_E_CAPACITY: err says what is
 * missing and how many positions would fit. Otherwise as plan_make. */
must_check enum sc_status pool_plan(struct plan_input *input, const struct pool_wish *wish,
				    struct plan **plan_out, struct error *err);

/* Call after pool_plan. Writes why the context is shorter than wanted and what to do, and returns
 * true; or returns false, and writes nothing, if it is not shorter. */
#define POOL_TEXT_BYTES 192
bool pool_explain(const struct plan_input *input, const struct pool_wish *wish,
		  char text_out[POOL_TEXT_BYTES]);

#endif
