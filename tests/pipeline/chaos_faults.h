/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_CHAOS_FAULTS_H
#define STAGECOACH_TESTS_PIPELINE_CHAOS_FAULTS_H
/*
 * chaos_faults - what is to go wrong in a run, drawn from its seed.
 *
 * The faults of a scenario form a chain: each waits for its trigger from when the one before has
 * fired or was given up. Triggers are logical (counts of frames, messages, tokens), because real
 * time would not repeat.
 * Two measures of time: a delivery of a frame or message is one tick, and a round in which nothing
 * can be delivered and the clock moves by one heartbeat is CHAOS_ROUND_TICKS.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHAOS_MAX_FAULTS = 8, CHAOS_MAX_JOBS = 6, CHAOS_ROUND_TICKS = 20 };
#define CHAOS_NEVER UINT32_MAX

enum chaos_action {
	CHAOS_CUT_LINK,		/* a data link; mode: who learns of it, perhaps nobody */
	CHAOS_HOLD_LINK,	/* its frames come late */
	CHAOS_CUT_CHANNEL,
	CHAOS_HOLD_CHANNEL,	/* mode: 1 to the coordinator, 2 from it, 3 both */
	CHAOS_FREEZE,		/* a worker: all its links and channels */
	CHAOS_KILL,		/* a worker; it comes back in another life, or never */
	CHAOS_KILL_ENDS,	/* the first and the last stage */
	CHAOS_KILL_ALL,
	CHAOS_LEAVE,		/* a worker says Bye and goes */
	CHAOS_REDIAL,		/* a worker dials again although it has a channel */
	CHAOS_TWIN,		/* a second process with the id of a worker */
	CHAOS_SUBMIT,		/* one more job */
	CHAOS_CANCEL,		/* a job */
	CHAOS_RESTART,		/* the coordinator: its jobs fail, and come again */
	CHAOS_DRAIN,		/* the coordinator ends once its jobs are done. Always the last */
	CHAOS_KILL_FOR_GOOD,	/* all workers, and none comes back. Always the last */
	CHAOS_N_ACTIONS,
};

enum chaos_trigger {
	CHAOS_AT_DELIVERY,	/* before the n-th delivery */
	CHAOS_AT_FRAME,		/* before the n-th frame into peer `where` */
	CHAOS_AT_MESSAGE,	/* before the n-th message from or to worker `where` */
	CHAOS_AT_TOKEN,		/* after the n-th token of all jobs */
};

struct chaos_fault {
	enum chaos_trigger trigger;
	unsigned n;
	unsigned where;
	bool is_up;		/* messages to the coordinator */
	enum chaos_action action;
	unsigned target;	/* peer, stage, worker or job, modulo how many there are */
	bool is_stage;		/* the worker that has this stage then */
	unsigned mode;
	uint32_t ticks;		/* until it is undone; CHAOS_NEVER */
};

struct chaos_scenario {
	uint64_t seed;
	unsigned n_stages, n_workers;
	bool is_strict;		/* deliver only while no thread computes: repeats exactly.
				 * Otherwise threads compute meanwhile, as in life */
	bool warms_spares;
	uint32_t kv_positions;	/* few: sequences are preempted as well */
	unsigned n_jobs;
	unsigned kinds[CHAOS_MAX_JOBS];
	unsigned n_faults;
	struct chaos_fault faults[CHAOS_MAX_FAULTS];
};

/* A generator of the run; not the one of the scenario. */
uint32_t chaos_draw(uint64_t *state, uint32_t below);

void chaos_scenario_make(uint64_t seed, struct chaos_scenario *scenario);
const char *chaos_action_name(enum chaos_action action);
void chaos_fault_describe(const struct chaos_fault *fault, char text[160]);

#endif
