/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_ENGINE_LOCAL_STAGES_H
#define STAGECOACH_ENGINE_LOCAL_STAGES_H
/*
 * local_stages - the stages of an engine that are in its own process, and the loopback links that
 * join them to the coordinator and to each other.
 * Thread: the loop's. The stages' compute threads run beside it.
 */
#include "base/cpu.h"
#include "worker/worker.h"

struct fabric_config;
struct local_stages;

struct local_stages_config {
	unsigned n_stages;
	const struct worker_config *worker;	/* for every stage; fabric and callbacks are ours */
	const struct fabric_config *fabric;	/* its rank is ours */
	const enum cpu_isa *isas;		/* [n_stages]; NULL: as worker says */
};

/* Makes the links' ends. config is copied, but for what it points at in worker. */
must_check enum sc_status local_stages_open(const struct local_stages_config *config,
					    struct local_stages **stages_out, struct error *err);
/* The end for the coordinator; and the addresses of all ends, by rank. Borrowed until close. */
struct fabric *local_stages_fabric(const struct local_stages *stages);
const struct worker_peer *local_stages_peers(const struct local_stages *stages);

/* Starts the stages, once the coordinator is there. A stage that fails tells the coordinator. */
must_check enum sc_status local_stages_start(struct local_stages *stages, struct error *err);

/* Call after the coordinator is destroyed. Waits until steps under way have ended. Accepts NULL. */
void local_stages_close(struct local_stages *stages);

#endif
