/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_WORKER_WORKER_H
#define STAGECOACH_WORKER_WORKER_H
/*
 * worker - a stage behind links: takes steps from the stage before it, computes, sends on.
 * Two threads: the loop's owns links and control messages, a compute thread owns the stage; frames
 * go between them through bounded queues. The loop's thread never waits for the compute thread.
 */
#include "backend/backend.h"
#include "base/error.h"
#include "event/loop.h"
#include "model/model.h"
#include "transport/link.h"

struct worker;

struct worker_config {
	struct loop *loop;
	struct fabric *fabric;		/* this worker's rank; borrowed until destroy */
	const struct model *model;	/* borrowed */
	const struct backend_ops *backend;
	unsigned device;
	enum cpu_isa isa;		/* of the CPU backend: the best that it may use; CPU_AUTO:
					 * the processor's best */
	unsigned n_threads;		/* 0: one per processor */
	struct backend_place place;	/* of those threads */
	unsigned spin_us;		/* both threads stay awake for so long after their work */
	uint64_t memory_bytes;		/* that weights, KV and work may take;
					 * 0: unknown */
	/* The end: SC_OK when the coordinator said Stop in good order, else what went wrong here
	 * or, with worker_is_stopped, elsewhere. Called once. */
	void (*on_end)(void *arg, const struct error *err);
	void *arg;
	/* For tests: passed to stage_on_logits. NULL: none. */
	void (*on_logits)(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			  uint32_t n_vocab);
	void *logits_arg;
};

/* peers[rank]: the addresses of all fabrics, borrowed until destroy; the neighbours are known only
 * when the coordinator assigns a stage. Sends Hello. */
struct worker_peer {
	const void *address;
	size_t n_bytes;
};
must_check enum sc_status worker_create(const struct worker_config *config,
					const struct worker_peer *peers, struct worker **worker_out,
					struct error *err);
/* For a cause outside the cluster: tell the coordinator err, then on_end. Nothing after the end. */
void worker_abort(struct worker *worker, const struct error *err);

/* The coordinator said Stop; on_end has its reason. */
bool worker_is_stopped(const struct worker *worker);

/* Joins the compute thread (for one step at most, or until it has loaded), drops links. Accepts
 * NULL. */
void worker_destroy(struct worker *worker);

#endif
