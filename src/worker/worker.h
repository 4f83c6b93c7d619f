/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_WORKER_H
#define STAGECOACH_WORKER_WORKER_H
/*
 * worker - a stage with its links: receives steps from the previous stage, computes, and sends the
 * results on.
 * Threads: the loop's thread owns links and control messages; a compute thread owns the stage.
 * Frames pass between them through bounded queues. The loop's thread never waits for the compute
 * thread, except in worker_destroy.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "event/loop.h"
#include "model/model.h"
#include "transport/link.h"

struct worker;

struct worker_config {
	struct loop *loop;
	struct fabric *fabric;		/* this worker's end; borrowed until destroy */
	struct link_config link;	/* what it receives from the coordinator */
	const struct model *model;	/* borrowed */
	const struct backend_ops *backend;
	unsigned device;
	enum cpu_isa isa;		/* CPU backend: the best instruction set that it
					 * may use; CPU_AUTO: the processor's best */
	unsigned n_threads;		/* 0: one per processor */
	struct backend_place place;	/* where these threads are bound */
	unsigned spin_us;		/* both threads spin for so long after their work */
	uint64_t memory_bytes;		/* limit for weights, KV and work memory; 0: unknown */
	/* Called once at the end. err is SC_OK if the coordinator ordered a stop in good order.
	 * Otherwise err is the failure of this worker or, if worker_is_stopped, of another
	 * process. */
	void (*on_end)(void *arg, const struct error *err);
	void *arg;
	/* For tests: passed to stage_on_logits. May be NULL. */
	void (*on_logits)(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			  uint32_t n_vocab);
	void *logits_arg;
};

/* Creates a worker and sends Hello. peers[rank] are the addresses of all fabrics, borrowed until
 * destroy, because the neighbours are known only when the coordinator assigns a stage. */
struct worker_peer {
	const void *address;
	size_t n_bytes;
};
must_check enum sc_status worker_create(const struct worker_config *config,
					const struct worker_peer *peers, struct worker **worker_out,
					struct error *err);
/* Ends the worker for a reason outside of the cluster: tells the coordinator err, then calls
 * on_end. Does nothing after the end. */
void worker_abort(struct worker *worker, const struct error *err);

/* Returns true if the coordinator said Stop; on_end receives the reason. */
bool worker_is_stopped(const struct worker *worker);

/* Joins the compute thread and drops the links. Blocks until the current step or tensor is done, at
 * most 20 s. SC_E_TIMEOUT: the compute thread hangs and still uses the model, so the process must
 * leave with _exit. Accepts NULL. */
enum sc_status worker_destroy(struct worker *worker);

#endif
