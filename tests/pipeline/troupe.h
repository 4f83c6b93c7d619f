/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_TROUPE_H
#define STAGECOACH_TESTS_PIPELINE_TROUPE_H
/*
 * troupe - a cluster in this process whose workers come and are killed as the test says: an engine
 * that survives losses, real workers, channels and loopback links. Records the logits that any of
 * them draws from.
 * Everything aborts the test when it fails.
 */
#include "tests/pipeline/rig.h"
#include "tests/pipeline/wanted.h"

#include "transport/fabrics.h"
#include "worker/worker.h"

#include <pthread.h>

#define TROUPE_MAX_WORKERS 16

struct troupe_options {
	struct rig_options rig;		/* n_stages: those that are wanted */
	uint32_t deadline_ms;		/* 0: a minute */
	uint32_t start_ms;		/* likewise */
	bool warms_spares;
};

struct troupe {
	struct rig rig;
	struct config settings;
	struct loopback_hub *hub;
	struct loopback_port port;
	struct worker *workers[TROUPE_MAX_WORKERS];	/* NULL: killed, or never started */
	bool is_ended[TROUPE_MAX_WORKERS];		/* on_end came, or the channel is gone */
	pthread_mutex_t mutex;				/* of rig.logits */
	unsigned n_recovering;				/* times that the phase was told */
	void (*on_recovering)(void);			/* called then, a turn later; or NULL */
	struct wake *recovering;
};

/* Starts n_workers, and returns once the pipeline is ready, or has failed. */
void troupe_start(struct troupe *troupe, const struct troupe_options *options,
		  unsigned n_workers);
void troupe_stop(struct troupe *troupe);

/* Worker i comes, or comes back in another life. */
void troupe_add(struct troupe *troupe, unsigned i);
/* As if its process was killed. */
void troupe_kill(struct troupe *troupe, unsigned i);

/* The worker of a stage; TROUPE_MAX_WORKERS: there is no epoch. */
unsigned troupe_of_stage(const struct troupe *troupe, unsigned stage);
unsigned troupe_n_stages(const struct troupe *troupe);

/* After troupe_stop: every row of logits that was drawn from, in whatever epoch, was one of these
 * jobs'; and all of theirs were there. */
void troupe_check_logits(const struct troupe *troupe, const struct wanted *wanted, unsigned n);

#endif
