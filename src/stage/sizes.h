/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_STAGE_SIZES_H
#define STAGECOACH_STAGE_SIZES_H
/*
 * sizes - the memory that a stage will take, before there is one: the backend's numbers and the
 * stage's own. Each part comes from the function by which that part is allocated.
 * Pure computation. Thread: any.
 */
#include "model/stage_sizes.h"
#include "stage/stage.h"

/* n_threads, layers, groups and max_context are not looked at. Fails as stage_assign does for a
 * type or limits that the backend refuses. */
must_check enum sc_status stage_sizes_of(const struct stage_config *config,
					 const struct stage_assignment *assignment,
					 struct stage_sizes *sizes_out, struct error *err);

/* The settings of the stage's backend. */
struct backend_config stage_backend_config(const struct stage_config *config, enum cpu_isa isa,
					   uint32_t max_rows);

#endif
