/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLUSTER_H
#define STAGECOACH_CLI_CLUSTER_H
/*
 * cluster - the processes that a launcher started, and how they find each other: everyone tells
 * everyone its address, or why it cannot go on.
 * Thread: one, before the loop runs.
 */
#include "config/config.h"
#include "coordinator/allowance.h"
#include "transport/fabrics.h"
#include "worker/worker.h"

struct cluster {
	unsigned rank;
	unsigned n_ranks;
	struct ucx_port *port;		/* NULL: links go over MPI */
	struct fabric *fabric;
	struct worker_peer *peers;	/* [n_ranks] */
	struct allowance allowance;	/* of its machine; rank 0 is no worker and has none */
	struct mpi_world *world;	/* open as long as links go over MPI */
	bool is_lost;			/* set by the owner: some process has ended or hangs */
	struct mpi_blob *blobs;
};

/*
 * Collective. Opens the fabric that config names and exchanges addresses.
 * - own_bytes: the memory that this process will take if it is the coordinator.
 * - trouble (or NULL): why this process cannot go on. It takes part all the same, so that nobody
 *   waits for it.
 * On failure every process gets the same status and text, so one may speak for all. It must do so
 * before cluster_close, because a launcher kills the rest once one process is gone.
 */
must_check enum sc_status cluster_open(struct cluster *cluster, struct loop *loop,
				       const struct config *config,
				       const struct fabric_config *fabric, uint64_t own_bytes,
				       const struct error *trouble, struct error *err);
/* Due in any case, also after a failure. Collective: nobody leaves before all have entered. With
 * is_lost this process takes part in nothing collective, because that would never return. False:
 * MPI is not finalised, and the process has to end by _exit. */
bool cluster_close(struct cluster *cluster);

#endif
