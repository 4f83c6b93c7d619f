/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CLUSTER_H
#define STAGECOACH_CLI_CLUSTER_H
/*
 * cluster - the processes that work together, and how they find each other. The coordinator listens,
 * the workers dial it, and a key lets nobody else in.
 *
 * Under a launcher rank 0 is the coordinator. MPI carries its addresses to the other ranks, and a
 * key that it has made if there is no key file. With links over ucx MPI is then finalised. Such a
 * key guards against strangers and accidents, not against whoever reads what MPI sends. Without a
 * launcher all of this is in the settings: cli/dial_in.h.
 * Thread: one, before the loop runs.
 */
#include "base/resources.h"
#include "config/config.h"
#include "transport/channel_dialler.h"
#include "transport/channel_listener.h"
#include "transport/fabrics.h"

enum {
	CLUSTER_MAX_ADDRESSES = 8,
	CLUSTER_ADDRESS_MAX = 272,	/* a host name of 255 bytes, and a port */
	CLUSTER_ID_MAX = 64,		/* of a worker's id, with the NUL */
};

struct cluster {
	unsigned rank;
	unsigned n_ranks;
	struct resources resources;	/* of this process, without what links and MPI have taken */
	struct fabric_source fabrics;	/* of data links */
	struct ucx_port *ucx;		/* NULL: data links go over MPI */
	struct mpi_port mpi;
	struct mpi_world *world;	/* open as long as links go over MPI */
	struct channel_listener *listener;	/* of rank 0 */
	bool is_lost;			/* set by the owner: some process has ended or hangs */
	struct mpi_blob *blobs;
	struct cluster_keys keys;
	/* Of workers: whom they dial. */
	unsigned n_addresses;
	char addresses[CLUSTER_MAX_ADDRESSES][CLUSTER_ADDRESS_MAX];
	bool must_exit;			/* set by the owner: a thread hangs, so the process has to
					 * end by _exit */
	/* Of the coordinator: who takes the channels of the others. Set it before the loop runs. */
	void (*on_accept)(void *arg, struct channel *channel);
	void *arg;
};

/*
 * Collective. Prepares the links that config names, and exchanges addresses.
 * - trouble (or NULL): why this process cannot go on. It takes part all the same, so that nobody
 *   waits for it.
 * On failure every process gets the same status and text, so one may speak for all. It must do so
 * before cluster_close, because a launcher kills the rest once one process is gone.
 */
must_check enum sc_status cluster_open(struct cluster *cluster, struct loop *loop,
				       const struct config *config, const struct error *trouble,
				       struct error *err);
/* Reads the key file that config names. Errors as of cluster_keys_read; err names the setting. */
must_check enum sc_status cluster_read_keys(const struct config *config,
					    struct cluster_keys *keys_out, struct error *err);
/* Prepares the links that config names: sets fabrics. For a cluster that is being opened. */
must_check enum sc_status cluster_prepare_links(struct cluster *cluster, struct loop *loop,
						const struct config *config, struct error *err);
/* A channel_accept_fn whose arg is the cluster: hands the channel to on_accept. */
void cluster_accept(void *arg, struct channel *channel, const char *key_id);
/* Of workers: starts to dial the coordinator. events and arg as in channel_dialler_config. */
must_check enum sc_status cluster_dial(const struct cluster *cluster, struct loop *loop,
				       unsigned dead_ms,
				       const struct channel_dialler_events *events, void *arg,
				       struct channel_dialler **dialler_out, struct error *err);
/* Reads the key file again, if there is one: the listener, or the dialler of a worker, uses the new
 * keys from now on. Channels stay. On failure the old keys stay. */
must_check enum sc_status cluster_reload_keys(struct cluster *cluster, const char *key_file,
					      struct channel_dialler *dialler,
					      struct error *err);
/* Due in any case, also after a failure. Collective: nobody leaves before all have entered. With
 * is_lost this process takes part in nothing collective, because that would never return. False:
 * MPI is not finalised or a thread hangs, and the process has to end by _exit. */
bool cluster_close(struct cluster *cluster);

#endif
