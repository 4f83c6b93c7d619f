/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_FIT_H
#define STAGECOACH_COORDINATOR_FIT_H
/*
 * fit - whether a model would fit into workers, before there are any. Plans come from pool_plan,
 * asked as a coordinator of the same settings asks it, so the answers are those of a start.
 * Pure computation.
 */
#include "coordinator/coordinator.h"

/* All workers are alike. */
struct fit_workers {
	uint64_t memory_bytes;	/* of each; 0: unknown, then everything fits */
	uint32_t n_threads;	/* of each */
	struct stage_sizes sizes;	/* of each, for coordinator_stage_limits(config) */
	bool has_links;		/* several are processes, whose links receive into buffers;
				 * else all are in one */
};

/* A plan, with the context and the pool that go with it. */
struct fit {
	struct plan *plan;	/* owned; NULL: it does not fit */
	uint32_t context;	/* positions of one sequence */
	uint64_t n_positions;	/* of the pool */
	struct error why_not;	/* without a plan */
};

/* For config->n_stages workers. loop, fabric and callbacks of config are not looked at.
 * SC_E_NOMEM; a model that does not fit is SC_OK. The caller calls fit_deinit in any case. */
must_check enum sc_status fit_plan(const struct coordinator_config *config,
				   const struct fit_workers *workers, struct fit *fit,
				   struct error *err);
void fit_deinit(struct fit *fit);

/* The least number of workers for a pool of one context; 0: no number of them has room, even with
 * one layer each. */
must_check enum sc_status fit_least_stages(const struct coordinator_config *config,
					   const struct fit_workers *workers, uint32_t context,
					   unsigned *n_stages_out, struct error *err);

/* Keys and values of one position in all layers, or only in those without a window, which keep it as
 * long as the sequence lives. */
uint64_t fit_position_bytes(const struct coordinator_config *config,
			    const struct fit_workers *workers, bool has_windows);
/* Keys and values of one sequence of so many positions. */
uint64_t fit_context_bytes(const struct coordinator_config *config,
			   const struct fit_workers *workers, uint32_t context);

#endif
