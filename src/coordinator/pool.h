/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_POOL_H
#define STAGECOACH_COORDINATOR_POOL_H
/*
 * pool - how many KV blocks there are, how long a context may be, and the plan that goes with them.
 *
 * What was asked for is had or refused. What was left open is chosen by memory:
 * - The context is what was wanted if one such context fits at all. Otherwise it is as long as the
 *   pool, which then takes half of what weights and work leave on the fullest worker.
 * - The layers are split for one context, so that a large pool moves none of them.
 * - The pool has room for the wanted number of contexts, or for one. Between the two, it is at most
 *   as large as the weights (or 512 MiB), because all of it is taken before the first request: it
 *   would otherwise take longer than loading the model does.
 * - The pool takes at most half of what weights and work leave. The other half stays free because
 *   every page of the pool is taken at the start, and because other programs need memory too.
 * Pure computation.
 */
#include "coordinator/plan.h"

/* Of a context that was left open. Below it a model is of no use. */
#define POOL_LEAST_CONTEXT 512

struct pool_wish {
	uint32_t context;	/* positions of one sequence */
	bool is_context_fixed;	/* exactly so many, or it is an error */
	uint32_t n_positions;	/* of the pool; 0: chosen */
	uint32_t n_contexts;	/* that the pool should have room for, when it is chosen */
};

/* Sets n_blocks and max_context of input, and makes the plan. SC_E_CAPACITY: err says what is
 * missing, and how many positions would fit. Otherwise as plan_make. */
must_check enum sc_status pool_plan(struct plan_input *input, const struct pool_wish *wish,
				    struct plan **plan_out, struct error *err);

/* After pool_plan: says why the context is shorter than wished, and what to do. False: it is not
 * shorter, and nothing is written. */
#define POOL_TEXT_BYTES 192
bool pool_explain(const struct plan_input *input, const struct pool_wish *wish,
		  char text_out[POOL_TEXT_BYTES]);

#endif
