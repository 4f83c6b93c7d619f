/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_FABRICS_H
#define STAGECOACH_TRANSPORT_FABRICS_H
/*
 * fabrics - how each kind of fabric is opened, and MPI as launcher.
 * Each is opened directly, not through a table of all kinds, so that a program that needs only
 * loopback links does not load UCX and MPI.
 */
#include "transport/link.h"

/* Ends of one hub connect to each other inside a process. The ends of one hub may be on several
 * loops and threads. The hub outlives its fabrics; frames may outlive both. News come through the
 * loop's wake-up; spin_us is what the loop is told (loop_spin). */
struct loopback_hub;
must_check enum sc_status loopback_hub_create(unsigned n_ranks, struct loopback_hub **hub_out);
void loopback_hub_destroy(struct loopback_hub *hub);
must_check enum sc_status fabric_loopback_open(struct loop *loop, struct loopback_hub *hub,
					       const struct fabric_config *config,
					       struct fabric **fabric_out, struct error *err);

/* UCX 1.13: posix shared memory inside a node, RDMA or TCP between nodes, error handling by peer.
 * Sets the UCX_* variables that it relies on where the user has not set them, in the process's
 * environment: open it before other threads run that read the environment. UCX over TCP listens on
 * every interface, and neither authenticates nor encrypts: set UCX_NET_DEVICES to a trusted one.
 * With all ranks on one host it opens no port, because TCP is left out (UCX_TLS), and a TCP that
 * the user asks for is kept on loopback (UCX_NET_DEVICES).
 * A peer that is killed while it writes into shared memory leaves a place in this end's queue that
 * is never filled: nothing that comes later is received, from anybody who shares the memory. Links
 * go down in time all the same; to go on, close the fabric and open another. */
must_check enum sc_status fabric_ucx_open(struct loop *loop, const struct fabric_config *config,
					  struct fabric **fabric_out, struct error *err);

/* Some UCX_* variables are read before main: where they are missing, set them and start the
 * program again, once, in place (the same process, arguments and descriptors). First thing in
 * main; returns when nothing was missing or when it cannot be done, which does little harm. */
void ucx_env_prepare(char **argv);

/*
 * MPI as the launcher: rank and size, and an exchange of small blobs.
 * mpi_world_open calls MPI_Init once per process. With all ranks on one host it keeps MPI from
 * opening a port, unless the user asks for TCP (OMPI_MCA_btl). For ucx, close it right after the
 * exchange: from then on one dead rank cannot take the others down. The mpi fabric keeps it open.
 * Without a launcher (no mpirun, srun or PMIx in the environment) do not open it: ask
 * mpi_world_is_launched first, which does not load or start anything.
 */
struct mpi_world;
bool mpi_world_is_launched(unsigned *rank_out, unsigned *size_out);
/* All ranks run on this host, as the launcher's variables say; false when they do not say. */
bool mpi_world_is_on_one_host(void);
must_check enum sc_status mpi_world_open(struct mpi_world **world_out, struct error *err);
unsigned mpi_world_rank(const struct mpi_world *world);
unsigned mpi_world_size(const struct mpi_world *world);
/* Everyone gives a blob of at most max_bytes and gets all: blobs_out[size], each n_bytes_out[i]
 * long; one allocation at blobs_out[0]'s block, freed with mpi_world_free. Collective: blocks. */
struct mpi_blob {
	const void *data;
	size_t n_bytes;
};
must_check enum sc_status mpi_world_exchange(struct mpi_world *world, const void *data,
					     size_t n_bytes, struct mpi_blob **blobs_out,
					     struct error *err);
void mpi_world_free(struct mpi_blob *blobs);
/* MPI_Finalize: collective. It waits for all ranks, and for ever if one of them hangs: after
 * MPI_WORLD_CLOSE_MS the process ends with exit code 69. Accepts NULL. */
#define MPI_WORLD_CLOSE_MS 15000
void mpi_world_close(struct mpi_world *world);
/* Without MPI_Finalize, when a rank is lost: the process has to leave by _exit. */
void mpi_world_abandon(struct mpi_world *world);

/* Non-blocking point to point over an open world, which it borrows until close. A rank's death
 * ends the whole job: that is MPI's way, and the launcher says so. */
must_check enum sc_status fabric_mpi_open(struct loop *loop, struct mpi_world *world,
					  const struct fabric_config *config,
					  struct fabric **fabric_out, struct error *err);

#endif
