/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_ENGINE_LOCAL_STAGES_H
#define STAGECOACH_ENGINE_LOCAL_STAGES_H
/*
 * local_stages - the workers of an engine that are in its own process: channels to the coordinator
 * and loopback data links, instead of sockets.
 * Thread: the loop's. The workers' compute threads run beside it.
 */
#include "base/cpu.h"
#include "coordinator/coordinator.h"
#include "worker/worker.h"

struct local_stages;

struct local_stages_config {
	unsigned n_stages;
	const struct worker_config *worker;	/* for every one; id, fabrics and callbacks are
						 * ours */
	const enum cpu_isa *isas;		/* [n_stages]; NULL: as worker says */
};

/* config is copied, but for what it points at in worker. */
must_check enum sc_status local_stages_open(const struct local_stages_config *config,
					    struct local_stages **stages_out, struct error *err);
/* The coordinator's data links. Valid until close. */
struct fabric_source local_stages_fabrics(struct local_stages *stages);

/* Starts the workers, which dial in to the coordinator. A worker that fails tells the
 * coordinator. */
must_check enum sc_status local_stages_start(struct local_stages *stages,
					     struct coordinator *coordinator, struct error *err);

/* Call after the coordinator is destroyed. Waits until steps under way have ended. Accepts NULL. */
void local_stages_close(struct local_stages *stages);

#endif
