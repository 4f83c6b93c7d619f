/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_MPI_FABRIC_H
#define STAGECOACH_TRANSPORT_MPI_FABRIC_H
/*
 * mpi_fabric - what the two parts of the mpi fabric share: mpi_fabric.c (poller, opening, closing)
 * and mpi_link.c (one link).
 *
 * - Frames and notices (envelopes with credits or goodbye) have one tag each.
 * - As many frame receives are posted as the peer has credits, so each frame is received without a
 *   copy. MPI matches messages of one tag to receives in the order in which both were posted: frame
 *   n is in receive n, in whatever order they complete.
 * - Each link receives on tags of its own, which follow from its id (mpi_tag). MPI keeps messages
 *   that an earlier link did not receive; the tags keep them apart.
 * - Both ends send hello when they connect, on MPI_HELLO_TAG. It names the link, and with it the
 *   tags to send to, and says what the link receives.
 * - MPI does not report a peer's death. If the peer is on the same host, its process is watched.
 * - Each end says goodbye once, with the number of its last frame. A link is over when both ends
 *   have said goodbye and all frames have arrived.
 * Thread: the loop's.
 */
#include "base/list.h"
#include "transport/envelope.h"
#include "transport/grant.h"
#include "transport/link.h"
#include "transport/process.h"

#include <mpi.h>

#define MPI_TRANSPORT "mpi "
#define MPI_N_NOTICES 8		/* receives for notices, and sends */
#define MPI_HELLO_TAG 0
#define MPI_LINGER_MS 1000
#define MPI_LOOK_MS 20		/* interval of checks whether peers are alive */

struct mpi_fabric {
	struct fabric base;
	struct loop *loop;
	struct poller *poller;
	struct wake *wake;
	struct mpi_world *world;
	uint8_t *address;
	size_t n_address;
	uint64_t id;
	struct mpi_link **by_peer;	/* [n_peers] the link that the owner has open, or NULL */
	struct envelope *hellos;	/* [n_peers] hello of a link that waits
					 * for ours; `from` is 0 if there is none */
	MPI_Request hello_request;	/* the receive of the next hello */
	uint8_t hello[ENVELOPE_BYTES];
	struct list links;		/* all, lingering ones too */
	uint64_t last_news_ns;
	uint64_t last_look_ns;
	bool is_busy;		/* inside progress: callbacks may be running */
	bool is_closed;		/* the owner closed it inside a
				 * callback: destroyed after progress */
};

enum mpi_link_state {
	MPI_LINK_GREETING,	/* our hello is sent, the peer's has not come */
	MPI_LINK_UP,
	MPI_LINK_LEAVING,	/* our goodbye is sent */
	MPI_LINK_ENDING,	/* receives are cancelled, and we wait for them to complete */
	MPI_LINK_GONE,		/* freed once the owner has closed it */
};

/* The data of the request with the same index. */
struct mpi_slot {
	struct frame *frame;
	uint8_t envelope[ENVELOPE_BYTES];
	bool is_whole;		/* for receives: the message is complete but not read yet */
	int n_bytes;
};

/* Receives are posted round robin into places [n_posted % n] and read in the same order. */
struct mpi_ring {
	size_t first;		/* index of place 0 among slots and requests */
	size_t n;
	uint64_t n_posted;
	uint64_t n_read;
};

struct mpi_link {
	struct link base;
	struct list in_fabric;
	enum mpi_link_state state;
	uint64_t id;
	uint64_t peer_fabric;
	uint64_t peer_id;		/* 0 until hello */
	int peer_rank;			/* in MPI_COMM_WORLD */
	bool is_closed;			/* the owner closed it: no more callbacks */
	bool is_down_told;

	size_t n_requests;		/* frame receives, notice receives,
					 * notice sends and, from hello on, frame sends */
	MPI_Request *requests;		/* [n_requests] */
	int *done;			/* [n_requests] scratch of MPI_Testsome */
	MPI_Status *statuses;		/* [n_requests] same */
	struct mpi_slot *slots;		/* [first_frame_send] */
	struct mpi_slot *frame_sends;	/* [n_requests - first_frame_send] */
	struct mpi_ring frames;
	struct mpi_ring notices;
	size_t first_send;
	size_t first_frame_send;
	size_t n_sending;

	uint64_t n_sent;
	unsigned peer_credits;
	unsigned n_credits;
	uint64_t peer_max_payload;
	bool wants_credit;

	struct frame_pool *pool;
	struct grant *grant;
	bool has_goodbye;
	uint64_t peer_last;

	struct process_watch process;	/* the peer's */
	bool is_failed;
	struct error failure;
	uint64_t deadline_ns;
};

/* The address of a fabric, after its header. */
struct mpi_native {
	struct process_id process;
	int64_t rank;		/* in MPI_COMM_WORLD */
};

/* mpi_world.c: numbers the links of this process, from 1. */
uint32_t mpi_world_count_link(struct mpi_world *world);

/* connect, send and close_link are the fabric's operations of those names. */
enum sc_status mpi_link_connect(struct fabric *base, unsigned peer, const void *address,
				size_t n_bytes, const struct link_config *config,
				const struct link_events *events, void *arg,
				struct link **link_out, struct error *err);
enum sc_status mpi_link_send(struct link *base, struct frame *frame);
void mpi_link_close(struct link *base);
/* Takes the hello of the peer's link. */
void mpi_link_greet(struct mpi_link *link, const struct envelope *hello);
/* Checks whether the peer's process is alive. */
void mpi_link_look(struct mpi_link *link);
/* Tests requests and acts on received messages. Returns true if something happened. May free the
 * link. */
bool mpi_link_advance(struct mpi_link *link);

#endif
