/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_WORKER_STATUS_H
#define STAGECOACH_COORDINATOR_WORKER_STATUS_H
/*
 * worker_status - what people are shown of the workers that a coordinator knows.
 * Thread: the loop's. Strings are borrowed until the next turn of the loop.
 */
#include "coordinator/coordinator.h"
#include "coordinator/members.h"

struct worker_status {
	const char *id;
	const char *host;
	const char *backend;		/* "cpu avx2, 2 threads" */
	uint32_t pid;
	enum member_state state;
	bool is_quarantined;
	unsigned stage;			/* or MEMBER_NO_STAGE */
	uint32_t first_layer;		/* of the stage */
	uint32_t n_layers;
	uint64_t state_ms;		/* time since it came, or since it has gone */
	uint64_t heard_ms_ago;
	unsigned n_losses;
	uint64_t quarantine_ms;		/* left */
	uint64_t memory_bytes;		/* that its stage may take; 0: unknown */
};

/* Workers that are gone included. */
unsigned coordinator_n_workers(const struct coordinator *coordinator);
/* i must be below the number of workers. */
void coordinator_worker_status(const struct coordinator *coordinator, unsigned i,
			       struct worker_status *out);

#endif
