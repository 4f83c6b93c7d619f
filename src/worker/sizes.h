/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_SIZES_H
#define STAGECOACH_WORKER_SIZES_H
/*
 * sizes - how much of its memory a stage takes on this worker: the stage's numbers and the worker's
 * own. The coordinator plans with them.
 * Pure computation. Thread: any.
 */
#include "model/stage_sizes.h"
#include "worker/worker.h"

#include "wire/control.h"

/* What a stage takes that no table counts: queues, control messages, small objects. */
#define WORKER_UNCOUNTED_BYTES (1 << 20)

/* The table for one instruction set; CPU_AUTO: the best, or the backend has none.
 * SC_E_INVALID, SC_E_UNSUPPORTED: the worker cannot have a stage with such limits. */
must_check enum sc_status worker_sizes_of(const struct worker_config *config, enum cpu_isa isa,
					  const struct stage_limits *limits,
					  struct stage_sizes *sizes_out, struct error *err);

/* The message Sizes with a table for each instruction set up to best_isa (CPU_AUTO: the backend has
 * none). limits may be NULL, as an incomplete message has them; that is SC_E_PROTOCOL. The message
 * points into the struct, so that the struct must not be copied. */
struct worker_sizes {
	Stagecoach__Cluster__V1__Control message;
	Stagecoach__Cluster__V1__Sizes body;
	Stagecoach__Cluster__V1__StageSizes tables[CPU_N_ISAS];
	Stagecoach__Cluster__V1__StageSizes *pointers[CPU_N_ISAS];
	Stagecoach__Cluster__V1__CacheSizes caches[CPU_N_ISAS][MODEL_MAX_GROUPS];
	Stagecoach__Cluster__V1__CacheSizes *cache_pointers[CPU_N_ISAS][MODEL_MAX_GROUPS];
};
must_check enum sc_status worker_sizes_for(const struct worker_config *config,
					   enum cpu_isa best_isa,
					   const Stagecoach__Cluster__V1__StageLimits *limits,
					   struct worker_sizes *sizes_out, struct error *err);

#endif
