/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_FABRICS_H
#define STAGECOACH_TRANSPORT_FABRICS_H
/*
 * fabrics - opens each kind of fabric, and wraps MPI as the launcher.
 * Each kind has its own open function; there is no table of all kinds. A program that needs only
 * loopback links therefore does not load UCX and MPI.
 */
#include "transport/link.h"

/* The ends of a loopback hub connect to each other inside a process, also across loops and threads.
 * Each fabric has an address of its own, so fabrics of an old and of a new epoch may be open at the
 * same time, and an address of a closed fabric leads nowhere: such a link goes down.
 * Ownership: the hub must outlive its fabrics. Frames may outlive both.
 * News arrive through the loop's wake-up; the fabric passes spin_us to loop_spin. */
struct loopback_hub;
must_check enum sc_status loopback_hub_create(struct loopback_hub **hub_out);
void loopback_hub_destroy(struct loopback_hub *hub);
must_check enum sc_status fabric_loopback_open(struct loop *loop, struct loopback_hub *hub,
					       const struct fabric_config *config,
					       struct fabric **fabric_out, struct error *err);

/* One loop's fabrics of a hub. Everything is borrowed for as long as the source is used. */
struct loopback_port {
	struct loop *loop;
	struct loopback_hub *hub;
};
struct fabric_source loopback_source(struct loopback_port *port);

/* What the ucx fabrics of one loop share: UCX's context, and the closed fabrics that are not gone
 * yet (parked). Closing a fabric never waits: links say goodbye from the loop, for a second at most,
 * also to peers that are dead or stopped. If UCX does not give memory back two seconds after
 * closing, the memory is kept; with eight such fabrics no other can be opened (SC_E_CAPACITY).
 * The port must outlive its fabrics, and the loop must outlive the port. Closing the port waits for
 * parked fabrics, for two seconds at most. Close accepts NULL. */
struct ucx_port;
must_check enum sc_status ucx_port_open(struct loop *loop, struct ucx_port **port_out,
					struct error *err);
void ucx_port_close(struct ucx_port *port);
unsigned ucx_port_n_parked(const struct ucx_port *port);

/* UCX 1.13: posix shared memory inside a host, RDMA or TCP between hosts, errors reported per peer.
 * Environment: sets the UCX_* variables that it relies on, unless the user has set them. Call it
 * before other threads read the environment.
 * Security: UCX over TCP listens on every interface, without authentication or encryption. Set
 * UCX_NET_DEVICES to a trusted interface. If all ranks are on one host, no port is opened: TCP is
 * left out (UCX_TLS), and if the user asks for TCP, it stays on loopback (UCX_NET_DEVICES).
 * Limitation: a peer that is killed while it writes into shared memory leaves a slot in this end's
 * queue that is never filled. Then nothing more is received from any peer that shares the memory.
 * Links go down in time nevertheless. To go on, close the fabric and open another: each has a queue
 * of its own. */
must_check enum sc_status fabric_ucx_open(struct ucx_port *port, const struct fabric_config *config,
					  struct fabric **fabric_out, struct error *err);
struct fabric_source ucx_source(struct ucx_port *port);

/* Some UCX_* variables are read before main. If any is missing, this sets them and executes the
 * program again, once, in place (same process, arguments and descriptors). Call it first in main.
 * Returns if nothing was missing or the restart failed; the program then works, with UCX's
 * defaults. */
void ucx_env_prepare(char **argv);

/*
 * MPI as the launcher: rank and size, and an exchange of small blobs.
 * - mpi_world_open calls MPI_Init, once per process. If all ranks are on one host it keeps MPI from
 *   opening a port, unless the user asks for TCP (OMPI_MCA_btl).
 * - With ucx, close the world right after the exchange: from then on a dead rank cannot take the
 *   others down. The mpi fabric keeps the world open.
 * - Without a launcher (no mpirun, srun or PMIx in the environment) do not open it. Call
 *   mpi_world_is_launched first; it does not load or start anything.
 */
struct mpi_world;
bool mpi_world_is_launched(unsigned *rank_out, unsigned *size_out);
/* Whether all ranks run on this host, according to the launcher's variables. False if they do not
 * tell. */
bool mpi_world_is_on_one_host(void);
must_check enum sc_status mpi_world_open(struct mpi_world **world_out, struct error *err);
unsigned mpi_world_rank(const struct mpi_world *world);
unsigned mpi_world_size(const struct mpi_world *world);
/* Collective, blocks. Every rank gives a blob of at most 1 MiB and receives the blobs of all ranks:
 * blobs_out[size]. All are in one allocation; the caller frees it with mpi_world_free. */
struct mpi_blob {
	const void *data;
	size_t n_bytes;
};
must_check enum sc_status mpi_world_exchange(struct mpi_world *world, const void *data,
					     size_t n_bytes, struct mpi_blob **blobs_out,
					     struct error *err);
void mpi_world_free(struct mpi_blob *blobs);
/* Calls MPI_Finalize: collective, blocks until all ranks have called it. If that takes longer than
 * MPI_WORLD_CLOSE_MS because a rank hangs, the process ends with exit code 69. Accepts NULL. */
#define MPI_WORLD_CLOSE_MS 15000
void mpi_world_close(struct mpi_world *world);
/* Gives the world up without MPI_Finalize, after a rank was lost. The process must then leave by
 * _exit. */
void mpi_world_abandon(struct mpi_world *world);

/* Non-blocking point-to-point messages over an open world. Borrows the world until close. MPI ends
 * the whole job if a rank dies, and the launcher reports it. */
must_check enum sc_status fabric_mpi_open(struct loop *loop, struct mpi_world *world,
					  const struct fabric_config *config,
					  struct fabric **fabric_out, struct error *err);

/* One loop's fabrics of a world. Everything is borrowed for as long as the source is used. */
struct mpi_port {
	struct loop *loop;
	struct mpi_world *world;
};
struct fabric_source mpi_source(struct mpi_port *port);

#endif
