/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_ENGINE_WIRING_H
#define STAGECOACH_ENGINE_WIRING_H
/*
 * wiring - from settings to the coordinator and the stages that they describe. For the engine, and
 * for who does without one: a process that is a stage of another's engine, and who asks whether a
 * model would fit.
 * Thread: the loop's.
 */
#include "config/config.h"
#include "coordinator/allowance.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

struct opened_model;

/* What the settings say, for n_stages stages; loop, fabric, model and callbacks are the caller's.
 * SC_E_CONFIG: settings that contradict the model or each other. */
must_check enum sc_status wire_coordinator_config(const struct config *config,
						  const struct opened_model *opened,
						  unsigned n_stages,
						  struct coordinator_config *out,
						  struct error *err);

/* The most prompt tokens of a step, with all stages in this process. */
uint32_t wire_prompt_chunk(const struct config *config);

/* Memory that the process of such a coordinator comes to take: its frames, what its links receive
 * into (has_links; not for loopback), jobs, and client_bytes for clients (0: none). */
uint64_t wire_coordinator_bytes(const struct coordinator_config *coordinator, bool has_links,
				size_t client_bytes);

/* The set of the setting `cpu`: CPU_AUTO for auto. SC_E_CONFIG: this processor does not have it. */
must_check enum sc_status wire_isa(const struct config *config, enum cpu_isa *isa_out,
				   struct error *err);

/* The same for a worker with its share of the machine; settings for memory and threads come first.
 * allowance NULL: the coordinator divides the machine. */
must_check enum sc_status wire_worker_config(const struct config *config,
					     const struct model *model,
					     const struct allowance *allowance,
					     struct worker_config *out, struct error *err);

#endif
