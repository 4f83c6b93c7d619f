/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_WIRING_H
#define STAGECOACH_CLI_WIRING_H
/*
 * wiring - from settings to the objects that they describe: what stagecoachd, `stagecoach run`,
 * `bench`, `perplexity` and the pipeline tests do alike.
 * Thread: the loop's.
 */
#include "config/config.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

/* A model file with its tokenizer. */
struct opened_model {
	struct model *model;
	struct tokenizer *tokenizer;
};
must_check enum sc_status opened_model_open(struct opened_model *opened, const char *path,
					    struct error *err);
void opened_model_close(struct opened_model *opened);

/* What the settings say, for n_stages stages; loop, fabric, model and callbacks are the caller's.
 * SC_E_CONFIG: settings that contradict the model or each other. */
must_check enum sc_status wire_coordinator_config(const struct config *config,
						  const struct opened_model *opened,
						  unsigned n_stages,
						  struct coordinator_config *out,
						  struct error *err);

/* The same for a worker that shares its machine with n_neighbours others (at least 1: itself). */
must_check enum sc_status wire_worker_config(const struct config *config,
					     const struct model *model, unsigned n_neighbours,
					     struct worker_config *out, struct error *err);

/* Processors for a worker that shares them with n_sharers - 1 others: its threads, unless the
 * settings say how many, and their places. wire_worker_config takes it for the first of all its
 * neighbours. */
void wire_processors(const struct config *config, unsigned n_sharers, unsigned sharer,
		     struct worker_config *worker);

/* For the fabric of rank. */
struct fabric_config wire_fabric_config(const struct config *config,
					const struct coordinator_config *coordinator,
					unsigned rank);

/* A random seed when the setting is -1. */
uint64_t wire_seed(const struct config *config);

#endif
