/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_ENGINE_LOCAL_H
#define STAGECOACH_ENGINE_LOCAL_H
/*
 * local - a coordinator and its stages in one process, joined by loopback links: no daemon, no MPI.
 * The stages' compute threads run beside the loop's thread.
 * Thread: the loop's.
 */
#include "coordinator/coordinator.h"
#include "worker/worker.h"

struct fabric_config;
struct local;

struct local_config {
	const struct coordinator_config *coordinator;	/* its fabric is ours; copied */
	const struct worker_config *worker;		/* for every stage, likewise */
	const struct fabric_config *fabric;		/* its rank is ours */
	/* For tests: [n_stages], as if each had a processor of its own. NULL: as worker says. */
	const enum cpu_isa *isas;
};

/* Starts everything; the coordinator's on_phase tells the rest. */
must_check enum sc_status local_create(const struct local_config *config, struct local **local_out,
				       struct error *err);
/* Accepts NULL. */
void local_destroy(struct local *local);

struct coordinator *local_coordinator(struct local *local);

#endif
