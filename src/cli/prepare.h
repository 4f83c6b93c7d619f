/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_PREPARE_H
#define STAGECOACH_CLI_PREPARE_H
/*
 * prepare - all that one process of stagecoachd can find wrong before it talks to others. Starting
 * and --check-config ask the same functions.
 * Thread: the main thread, before its loop runs.
 */
#include "engine/engine.h"
#include "engine/wiring.h"

/* Settings that contradict each other, or how the process was launched. n_ranks: processes that
 * were launched together, or 1. SC_E_CONFIG. */
must_check enum sc_status prepare_settings(const struct config *config, unsigned n_ranks,
					   struct error *err);

/* Stages that the cluster starts with; for a worker, which does not know, 1. */
unsigned prepare_n_stages(const struct config *config, unsigned n_ranks);
/* What this process is: one of the workers of a cluster; all there is of the pipeline. */
bool prepare_is_worker(const struct config *config, unsigned rank);
bool prepare_is_alone(const struct config *config, unsigned n_ranks);

/* Whether the process may open enough files and connections to run. Warns when there are too few
 * for all clients. */
must_check enum sc_status prepare_descriptors(const struct config *config, unsigned n_ranks,
					      struct error *err);

/* Memory in bytes for the requests and answers of all clients together; 0 with a prompt, when there
 * are no clients. Depends on the free memory: ask once, so that what is planned and what is allowed
 * are the same. */
size_t prepare_client_bytes(const struct config *config);

/* Open the model and derive what coordinator and workers need. opened: the caller closes it, also
 * after a failure. */
must_check enum sc_status prepare_model(const struct config *config, unsigned n_ranks,
					struct opened_model *opened,
					struct coordinator_config *coordinator, struct error *err);

/* --check-config, after these two: the rest of what a start does, short of serving. out: gets
 * what was checked, line by line; NULL: say nothing. The status is that with which a start would
 * fail. */
must_check enum sc_status prepare_check(const struct config *config, unsigned n_ranks, FILE *out,
					struct error *err);

#endif
