/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_COORDINATOR_PRIVATE_H
#define STAGECOACH_COORDINATOR_COORDINATOR_PRIVATE_H
/*
 * The coordinator's insides, shared by coordinator.c (phases and steps), startup.c (limits, plan
 * and the way to READY), coordinator_status.c, submit.c (jobs) and fault.c.
 */
#include "coordinator/coordinator.h"
#include "coordinator/counters.h"
#include "coordinator/jobs.h"
#include "coordinator/members.h"
#include "coordinator/scheduler.h"

struct coordinator {
	struct coordinator_config config;
	enum coordinator_phase phase;
	struct error error;		/* why FAILED */
	uint64_t started_ns;
	uint64_t loading_ns;		/* when loading began */
	uint64_t load_ms;
	struct members *members;
	struct counters counters;
	struct plan *plan;		/* from LOADING on */
	struct scheduler *scheduler;	/* from LOADING on */
	struct step_limits limits;
	uint32_t epoch;
	struct frame_pool *step_pool;
	struct frame *unsent;		/* a step that found no credit */
	struct jobs jobs;
	struct limit_counts refused;
	struct sequence probe;		/* one token through the whole route, before READY */
	struct share_client probe_client;
	struct share_job probe_job;
	struct timer *deadline_timer;	/* of jobs, and of the drain */
	struct wake *settle_soon;	/* jobs changed outside the step stream */
	uint64_t drain_until_ns;	/* when patience with jobs, then workers, ends; or 0 */
	bool is_stopping;		/* drained: workers were told to stop */

	bool has_warned_of_fault;	/* later ones are logged for debugging only */
	uint64_t prompt_tokens;
	uint64_t generated_tokens;
	uint64_t active_ns;		/* time with a step in flight, up to active_since */
	uint64_t active_since_ns;	/* 0: no step in flight */
};

/* Tells the owner. Phases only go forward. */
void coordinator_set_phase(struct coordinator *c, enum coordinator_phase phase);

/* Fill in what the settings leave open, and the widest limits that they allow. */
void coordinator_set_defaults(struct coordinator *c);

/* Of members, while they come up: all have said Hello, weights were loaded, all are ready. */
void coordinator_on_known(void *arg);
void coordinator_on_progress(void *arg);
void coordinator_on_ready(void *arg);

/* Of all stages together. */
void coordinator_load_progress(const struct coordinator *c, uint64_t *done_out,
			       uint64_t *total_out);

/* Make and send steps while the window and the sequences allow. */
void coordinator_pump(struct coordinator *c);

/* Re-arm the timer for the earliest deadline. */
void coordinator_arm_deadline(struct coordinator *c);

/* End a job that has not ended, with its sequences. err NULL for DONE. */
void coordinator_end_job(struct coordinator *c, struct job *job, enum job_state state,
			 const struct error *err);

/* A stream of the job drew a token. False: the stream is over. */
bool coordinator_take_token(struct coordinator *c, struct sequence *sequence, uint32_t token,
			    float logprob);

/* A record with a fault: the stream's job fails. The caller ends the probe's sequence. */
void coordinator_take_fault(struct coordinator *c, struct sequence *sequence,
			    const struct token_record *record);

/* Once all stages are ready: say which tensors hold NaN or infinity. */
void coordinator_warn_of_weights(const struct coordinator *c);

#endif
