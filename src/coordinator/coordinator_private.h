/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_COORDINATOR_PRIVATE_H
#define STAGECOACH_COORDINATOR_COORDINATOR_PRIVATE_H
/*
 * Internals of the coordinator, shared by coordinator.c (phases and steps), startup.c (limits,
 * plan, and the way to READY), coordinator_status.c, submit.c (jobs) and fault.c.
 */
#include "coordinator/coordinator.h"
#include "coordinator/counters.h"
#include "coordinator/jobs.h"
#include "coordinator/members.h"
#include "coordinator/scheduler.h"

struct coordinator {
	struct coordinator_config config;
	enum coordinator_phase phase;
	struct error error;		/* the reason, if FAILED */
	uint64_t started_ns;
	uint64_t loading_ns;		/* when loading started */
	uint64_t load_ms;
	struct members *members;
	struct counters counters;
	struct plan *plan;		/* set from LOADING on */
	struct scheduler *scheduler;	/* set from LOADING on */
	struct step_limits limits;
	uint32_t epoch;
	struct frame_pool *step_pool;
	struct frame *unsent;		/* a step that found no credit */
	struct jobs jobs;
	struct limit_counts refused;
	struct sequence probe;		/* a sequence of one token that runs
					 * through all stages before READY */
	struct share_client probe_client;
	struct share_job probe_job;
	struct timer *deadline_timer;	/* of jobs, and of the drain */
	struct wake *settle_soon;	/* jobs changed outside the step stream */
	uint64_t drain_until_ns;	/* time limit of draining jobs, then
					 * of stopping workers; 0: none */
	bool is_stopping;		/* jobs are drained, and workers were told to stop */

	bool has_warned_of_fault;	/* later faults are logged at debug only */
	uint64_t prompt_tokens;
	uint64_t generated_tokens;
	uint64_t active_ns;		/* time with a step in flight, up to active_since */
	uint64_t active_since_ns;	/* 0: no step in flight */
};

/* Changes the phase and calls on_phase. Phases only move forward. */
void coordinator_set_phase(struct coordinator *c, enum coordinator_phase phase);

/* Fills in settings that were left open, and the widest limits that they allow. */
void coordinator_set_defaults(struct coordinator *c);

/* Callbacks of members during the start: all have said Hello; weights were loaded; all are
 * ready. */
void coordinator_on_known(void *arg);
void coordinator_on_progress(void *arg);
void coordinator_on_ready(void *arg);

/* Totals of all stages. */
void coordinator_load_progress(const struct coordinator *c, uint64_t *done_out,
			       uint64_t *total_out);

/* Makes and sends steps while the window and the sequences allow it. */
void coordinator_pump(struct coordinator *c);

/* Sets the timer for the earliest deadline. */
void coordinator_arm_deadline(struct coordinator *c);

/* Ends a job that has not ended, and its sequences. err is NULL for DONE. */
void coordinator_end_job(struct coordinator *c, struct job *job, enum job_state state,
			 const struct error *err);

/* A stream of the job drew a token. Returns false if the stream is over. */
bool coordinator_take_token(struct coordinator *c, struct sequence *sequence, uint32_t token,
			    float logprob);

/* A record with a fault: fails the stream's job. For the probe, the caller ends the sequence. */
void coordinator_take_fault(struct coordinator *c, struct sequence *sequence,
			    const struct token_record *record);

/* Called when all stages are ready: warns of tensors with NaN or infinity. */
void coordinator_warn_of_weights(const struct coordinator *c);

#endif
