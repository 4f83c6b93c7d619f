/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_COORDINATOR_STAGE_DOUBLE_H
#define STAGECOACH_TESTS_COORDINATOR_STAGE_DOUBLE_H
/*
 * stage_double - a coordinator whose only stage is a hand-written peer that draws tokens out of
 * thin air: everything in one thread.
 * Everything aborts the test when it fails.
 */
#include "coordinator/coordinator.h"
#include "coordinator/job.h"

#include "tests/coordinator/peer.h"

struct stage_double {
	struct manual_clock *clock;	/* the loop's: nobody waits in real time */
	struct loop *loop;
	struct loopback_hub *hub;
	struct loopback_port port;	/* of the coordinator */
	struct coordinator *coordinator;
	struct peer peer;
	enum coordinator_phase phase;
	enum coordinator_phase drain_at;	/* drain when this phase is told; 0: never */
	unsigned n_phases;		/* told */
	struct error error;		/* of FAILED */
};

/* A small model, opened once for the program as the fixture of its group of tests; and what to
 * start from. */
int stage_double_open_model(void **state);
int stage_double_close_model(void **state);
struct coordinator_config stage_double_config(void);

/* Up to where the worker would say Hello. max_payload of the stage; 0: plenty. */
void stage_double_create(struct stage_double *d, const struct coordinator_config *config,
			 size_t max_payload);
/* The same; the stage grants so many credits. */
void stage_double_create_narrow(struct stage_double *d, const struct coordinator_config *config,
				unsigned credits);
/* Hello, Ready, and the first step. */
void stage_double_come_up(struct stage_double *d);
void stage_double_destroy(struct stage_double *d);

/* n_prompt tokens, greedy. */
struct job_request stage_double_request(uint32_t n_prompt, uint32_t max_tokens);
struct job *stage_double_submit(struct stage_double *d, const struct job_request *request);

/* Of the clock's time. */
void stage_double_run_for(struct stage_double *d, unsigned ms);

#endif
