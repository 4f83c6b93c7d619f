/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_STEP_SIM_H
#define STAGECOACH_TESTS_COORDINATOR_STEP_SIM_H
/*
 * step_sim - a scheduler whose steps go to a stage_checker, and wait there for their answer. There
 * is one, `sim`. Sequences are the test's.
 * Everything aborts the test when it fails.
 */
#include "coordinator/scheduler.h"

#include "tests/coordinator/stage_checker.h"

#define SIM_MAX_CLIENTS 40
#define SIM_MAX_WINDOW 9
#define SIM_MAX_ROWS 1024

struct sim_flight {
	struct tokens tokens;
	struct token_record records[SIM_MAX_ROWS];
	struct token_top tops[STEP_MAX_TOPS];
};

extern struct step_sim {
	struct scheduler_config config;
	struct scheduler *scheduler;
	struct stage_checker *stage;
	struct share_client clients[SIM_MAX_CLIENTS];
	struct sim_flight flights[SIM_MAX_WINDOW];	/* a ring of config.window */
	uint32_t first, n_flights;
	struct step step;			/* the last one made; its arrays are borrowed */
	uint64_t n_steps;			/* made */
	uint64_t now_ns;			/* moved by the test */
} sim;

void step_sim_start(const struct scheduler_config *config);
void step_sim_stop(void);

/* Another scheduler and another stage, as after a loss: steps in flight get no answer. Sequences
 * must have been suspended or removed. Clients stay. */
void step_sim_replace(const struct scheduler_config *config);

/* Makes a step, which the stage must accept, as sim.step. Returns what the stage will answer; NULL:
 * no step can be made now. */
struct sim_flight *step_sim_make(void);

/* Gives the answer to the oldest step in flight to the scheduler, which tells fn its tokens. */
void step_sim_answer(scheduler_token_fn *fn);

#endif
