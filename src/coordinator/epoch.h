/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_EPOCH_H
#define STAGECOACH_COORDINATOR_EPOCH_H
/*
 * epoch - one generation of a plan: the plan, the limits of its steps, its scheduler, the frames of
 * its steps, and its first step (the probe). It is made once the workers of the plan are known, and
 * dropped as a whole when one of them is lost.
 *
 * Nothing of an epoch survives it. Before it is destroyed, its owner takes the jobs' sequences out
 * of its scheduler: scheduler_suspend keeps what they need to go on in the next epoch.
 * Ownership: the coordinator owns the epoch, and the epoch owns all its parts.
 * Thread: the loop's. Nothing blocks.
 */
#include "coordinator/plan.h"
#include "coordinator/scheduler.h"
#include "transport/ring.h"

/* States only move forward, one by one. */
enum epoch_state {
	EPOCH_LOADING,	/* its stages load */
	EPOCH_PROBING,	/* one token runs through all stages */
	EPOCH_RUNNING,	/* the steps of jobs run */
};

struct epoch {
	uint32_t number;		/* from 1; frames of another number are dropped */
	enum epoch_state state;
	struct plan *plan;
	struct step_limits limits;	/* of every step */
	uint32_t window;		/* the most steps in flight */
	struct ring *ring;		/* data links; set by the coordinator, owned */
	struct scheduler *scheduler;
	struct frame_pool *step_pool;	/* window + 1 frames */
	struct frame *unsent;		/* a step that found no credit; NULL: none */
	struct sequence probe;		/* a sequence of one token */
	struct share_client probe_client;
	struct share_job probe_job;
	uint64_t active_ns;		/* time with a step in flight, up to active_since */
	uint64_t active_since_ns;	/* 0: no step in flight */
};

struct epoch_config {
	uint32_t number;
	struct step_limits limits;
	uint32_t window;
	uint32_t prompt_chunk;		/* these three as in scheduler_config */
	uint64_t max_gap_ns;
	uint32_t n_spare;
	void (*on_started)(void *arg, struct sequence *sequence);	/* likewise; also the probe */
	void *arg;
	uint32_t probe_token;
};

/* Bytes of the frames of an epoch with these limits. */
uint64_t epoch_bytes(const struct step_limits *limits, uint32_t window);

/* Makes an epoch that loads. Takes plan on SC_OK. SC_E_INVALID: the limits contradict each other;
 * SC_E_NOMEM. */
must_check enum sc_status epoch_create(const struct epoch_config *config, struct plan *plan,
				       struct epoch **epoch_out, struct error *err);
/* No sequence may be in the scheduler any more, except the probe. Frames that links still hold stay
 * valid. Accepts NULL. */
void epoch_destroy(struct epoch *epoch);

/* All stages have loaded: the next step is the probe's. */
void epoch_start_probe(struct epoch *epoch);
/* The probe has been answered: sequences may be added to the scheduler. */
void epoch_run(struct epoch *epoch);

/* Call after steps were made or answered: keeps count of the time with a step in flight. */
void epoch_note_activity(struct epoch *epoch, uint64_t now_ns);
/* The time with a step in flight so far. */
uint64_t epoch_active_ns(const struct epoch *epoch, uint64_t now_ns);

#endif
