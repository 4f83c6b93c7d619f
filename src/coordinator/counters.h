/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_COUNTERS_H
#define STAGECOACH_COORDINATOR_COUNTERS_H
/*
 * counters - brings what the coordinator knows of its stages' counters up to date.
 * Stages tell their counters with every heartbeat. Whoever shows them right after a job would show
 * old ones. So a status asks the stages first, if a step was answered since they last told: a stage
 * counts a step before it sends the step's output, so an answer to a question that is asked after a
 * step's end counts that step. At most one question is under way, however many wait.
 * Thread: the loop's; callbacks come from it.
 */
#include "coordinator/coordinator.h"
#include "coordinator/members.h"

/* A stage that has not answered by then hangs: its counters are shown as they are. */
#define COUNTERS_PATIENCE_MS 1000

struct counters {
	struct loop *loop;
	struct members *members;
	struct timer *patience;
	struct list waits;		/* the oldest first */
	uint64_t answered_step;		/* the last step whose result has come; 0: none */
	uint64_t asked_step;		/* what answered_step was at the last question */
	bool is_asked;			/* not all have answered that question */
};

must_check enum sc_status counters_init(struct counters *counters, struct loop *loop,
					struct members *members);
/* Accepts zeros. Forgets those who wait. */
void counters_deinit(struct counters *counters);

/* The next step counts from 1: whoever waits for counters of older steps gets what is known. */
void counters_restart(struct counters *counters);

/* The result of a step has come. */
void counters_note_step(struct counters *counters, uint64_t step);

/* wait->on_current comes once, perhaps before this returns. */
void counters_await(struct counters *counters, struct counters_wait *wait);

/* Stages told something, or some are gone: who waits may be served. */
void counters_check(struct counters *counters);

#endif
