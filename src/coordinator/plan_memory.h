/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_PLAN_MEMORY_H
#define STAGECOACH_COORDINATOR_PLAN_MEMORY_H
/*
 * plan_memory - the memory that a stage needs in addition to its weights. Upper bounds: the largest
 * of what the backends are known to use. tests/worker/test_memory.c compares them with the memory
 * that stages really take.
 * Pure computation. Thread: any.
 */
#include "coordinator/plan.h"

/* Bytes of keys and values of n_layers layers in all blocks of the pool. Exact for vectors of 16
 * floats; shorter vectors need less padding. */
uint64_t plan_kv_bytes(const struct plan_input *input, uint32_t n_layers);

/* Bytes of activations, attention, logits, block tables, threads and frames. */
uint64_t plan_work_bytes(const struct plan_input *input, unsigned stage);

#endif
