/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PLAN_MEMORY_H
#define STAGECOACH_COORDINATOR_PLAN_MEMORY_H
/*
 * plan_memory - what a stage takes of its worker's memory beside weights. Estimates from above:
 * of what the backends are known to do, the largest. tests/worker/test_memory.c compares them with
 * what stages really take.
 * Pure computation.
 */
#include "coordinator/plan.h"

/* Keys and values of n_layers layers in all blocks of the pool. Exact for vectors of 16 floats;
 * shorter ones pad less. */
uint64_t plan_kv_bytes(const struct plan_input *input, uint32_t n_layers);

/* Activations, attention, logits, block tables, threads and frames. */
uint64_t plan_work_bytes(const struct plan_input *input, unsigned stage);

#endif
