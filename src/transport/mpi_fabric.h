/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_MPI_FABRIC_H
#define STAGECOACH_TRANSPORT_MPI_FABRIC_H
/*
 * mpi_fabric - the kind of remote link (remote.h) that uses MPI. Parts: mpi_fabric.c (poller,
 * greetings, opening) and mpi_link.c (the requests of one link).
 *
 * - Each link receives on two tags of its own, which follow from its id: one for frames, one for
 *   notices (all other messages). MPI keeps messages that an earlier link did not receive; the tags
 *   keep them apart. Messages to a link that is not known yet go to MPI_GREETING_TAG.
 * - As many frame receives are posted as the peer has credits, so each frame is received without a
 *   copy. MPI matches messages of one tag to receives in the order in which both were posted: frame
 *   n is in receive n, in whatever order they complete. So frames need no envelope.
 * - A message that is not received cannot be taken back. So a closed link goes on to receive until
 *   it has all frames.
 * - MPI does not report a peer's death. If the peer is on the same host, its process is watched.
 * Thread: the loop's.
 */
#include "transport/process.h"
#include "transport/remote.h"

#include <mpi.h>

#define MPI_N_NOTICES 8		/* posted receives */
#define MPI_GREETING_TAG 0
#define MPI_LOOK_MS 20		/* interval of checks whether peers are alive */

struct mpi_world;

struct mpi_fabric {
	struct remote_fabric base;
	struct mpi_world *world;
	MPI_Request greeting_request;	/* the receive of the next greeting */
	uint8_t greeting[ENVELOPE_BYTES];
	uint64_t last_news_ns;
	uint64_t last_look_ns;
};

/* Requests, in this order: receives of frames [credits], receives of notices [MPI_N_NOTICES], sends
 * of control messages [REMOTE_N_CONTROL_MESSAGES] and, from hello on, sends of frames
 * [peer_credits]. */
struct mpi_link {
	struct remote_link base;
	int peer_rank;			/* in MPI_COMM_WORLD */
	size_t n_requests;
	MPI_Request *requests;		/* [n_requests] */
	int *done;			/* [n_requests] scratch of MPI_Testsome */
	MPI_Status *statuses;		/* [n_requests] same */
	uint8_t notices[MPI_N_NOTICES][ENVELOPE_BYTES];
	uint64_t n_expected;		/* frame receives posted so far */
	struct process_watch process;	/* the peer's */
};

/* The address of a fabric, after its header. */
struct mpi_native {
	struct process_id process;
	int64_t rank;		/* in MPI_COMM_WORLD */
};

/* mpi_world.c: numbers the fabrics of this process, from 0. */
uint32_t mpi_world_count_fabric(struct mpi_world *world);

/* mpi_link.c: the functions for remote_ops. */
enum sc_status mpi_link_connect(struct remote_link *base, const struct fabric_address *address,
				struct error *err);
enum sc_status mpi_link_greet(struct remote_link *base);
void mpi_link_post(struct remote_link *base, struct remote_message *message);
void mpi_link_end(struct remote_link *base);
bool mpi_link_is_ended(struct remote_link *base);
void mpi_link_destroy(struct remote_link *base);
/* Tests requests, handles received messages and posts receives. Returns true if something
 * happened. */
bool mpi_link_progress(struct mpi_link *link);
/* Checks whether the peer's process is alive. */
void mpi_link_look(struct mpi_link *link);

#endif
