/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_WORKER_H
#define STAGECOACH_WORKER_WORKER_H
/*
 * worker - a process, or a part of one, that computes a stage for a coordinator: receives steps
 * from the previous stage, computes, and sends the results on.
 *
 * A worker outlives its coordinators. While it has a channel to one (worker_attach) it may be given
 * a stage, epoch after epoch. For each epoch it opens data links of its own. When an epoch ends,
 * the links and keys and values are dropped, and the weights stay in memory. When the channel is lost,
 * the same happens, and the owner finds another channel.
 * Threads: the loop's thread owns links and control messages; a compute thread owns the stage.
 * Frames pass between them through bounded queues. The loop's thread never waits for the compute
 * thread, except in worker_destroy.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "base/resources.h"
#include "event/loop.h"
#include "model/model.h"
#include "transport/channel.h"
#include "transport/link.h"

struct worker;

/* Why a worker has no channel any more. */
enum worker_detachment {
	WORKER_LOST,		/* the coordinator is gone, silent, or broke the protocol */
	WORKER_REFUSED,		/* it does not take this worker, from the start or any more, or
				 * this worker cannot have a stage of it; dialling again soon is no
				 * use */
};

struct worker_config {
	struct loop *loop;
	struct fabric_source fabrics;	/* of the data links of each epoch */
	const char *id;			/* 1 to 63 bytes; the same in every life; copied */
	uint32_t launch_rank;		/* the launcher's rank of this process; 0: none */
	const struct model *model;	/* borrowed */
	const struct backend_ops *backend;
	unsigned device;
	enum cpu_isa isa;		/* CPU backend: the best instruction set that it
					 * may use; CPU_AUTO: the processor's best */
	unsigned n_threads;		/* 0: as the coordinator says, which knows who shares
					 * the processors */
	struct backend_place place;	/* where these threads are bound; n_stages 0: likewise */
	unsigned spin_us;		/* both threads spin for so long after their work */
	uint64_t memory_bytes;		/* limit for weights, KV and work memory;
					 * 0: what resources allow */
	const struct resources *resources;	/* of this process; copied. NULL: unknown */
	bool outlives_stop;		/* Stop only detaches (WORKER_LOST): another coordinator
					 * will come. false: Stop ends the worker */
	/* The coordinator is gone, or refuses this worker. The owner may attach another channel,
	 * inside this callback or later. */
	void (*on_detached)(void *arg, enum worker_detachment why, const struct error *err);
	/* Called once at the end; nothing is called after it. err is SC_OK if the coordinator
	 * ordered a stop in good order. Otherwise err is the failure of this worker or, if
	 * worker_is_stopped, of another process. */
	void (*on_end)(void *arg, const struct error *err);
	void *arg;
	/* For tests: passed to stage_on_logits. May be NULL. */
	void (*on_logits)(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			  uint32_t n_vocab);
	void *logits_arg;
};

/* Makes a worker without a channel. SC_E_CONFIG: the processor does not have config->isa. */
must_check enum sc_status worker_create(const struct worker_config *config,
					struct worker **worker_out, struct error *err);

/* Takes a channel to a coordinator and sends Hello. An attached worker drops its old channel. Does
 * nothing but close the channel after the end. */
void worker_attach(struct worker *worker, struct channel *channel);
bool worker_is_attached(const struct worker *worker);

/* Frees the weights, of a worker that is detached. Its owner calls it when no coordinator has come
 * back for too long. */
void worker_drop_weights(struct worker *worker);

/* Ends the worker for a reason outside of the cluster: tells the coordinator err, then calls
 * on_end. Does nothing after the end. */
void worker_abort(struct worker *worker, const struct error *err);
/* The same in good order: says Bye, and on_end gets SC_OK. reason is a text for people. */
void worker_leave(struct worker *worker, const char *reason);

/* Returns true if the coordinator said Stop; on_end receives the reason. */
bool worker_is_stopped(const struct worker *worker);

/* Joins the compute thread and drops the links. Blocks until the current step or tensor is done, at
 * most 20 s. SC_E_TIMEOUT: the compute thread hangs and still uses the model, so the process must
 * leave with _exit. Accepts NULL. */
enum sc_status worker_destroy(struct worker *worker);

#endif
