/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CONFIG_LIMITS_H
#define STAGECOACH_CONFIG_LIMITS_H
/*
 * limits - one table of everything that a client can be refused for, and the counters of what was.
 * The table is the source of the LIMITS section of stagecoachd(8) and of the limits in `status`.
 * To add a limit: a row here and in limits.c, limit_refuse() where it bites, limit_set() where its
 * value is known, then tools/update_docs.sh.
 * Thread: the table: any; counters: the thread that owns them (the loop's).
 */
#include <stdint.h>

enum limit {
	/* of connections */
	LIMIT_CONNECTIONS,
	LIMIT_PEER_CONNECTIONS,
	LIMIT_RESERVE,
	LIMIT_IDLE,
	LIMIT_PREFACE,
	LIMIT_HEADER_LIST,
	LIMIT_FRAMES,
	LIMIT_QUEUED_FRAMES,
	LIMIT_TLS,
	/* of calls */
	LIMIT_KEY,
	LIMIT_KEY_RATE,
	LIMIT_KEY_CALLS,
	LIMIT_ORIGIN,
	LIMIT_STREAMS,
	LIMIT_REQUEST_TIME,
	LIMIT_STALL,
	LIMIT_MESSAGE,
	LIMIT_REQUEST_BYTES,
	LIMIT_REQUEST_MEMORY,
	LIMIT_LONG_REQUESTS,
	LIMIT_BUDGET,
	LIMIT_REPLY,
	LIMIT_LIST,
	/* of jobs */
	LIMIT_QUEUE,
	LIMIT_JOB_MEMORY,
	LIMIT_CONTEXT,
	LIMIT_SEQUENCES,
	LIMIT_STOPS,
	LIMIT_STOP_BYTES,
	LIMIT_STOP_TOKENS,
	LIMIT_BIASES,
	LIMIT_TOP_LOGPROBS,
	LIMIT_BREAKERS,
	LIMIT_KEPT_JOBS,
	N_LIMITS,
};

struct limit_info {
	const char *name;	/* "connections": in `status` and in the manual */
	const char *setting;	/* the option that changes it; NULL: it is a constant */
	const char *value;	/* of a constant, as the manual writes it; NULL: see setting */
	const char *help;	/* what is limited */
	const char *seen;	/* what a client sees that goes beyond */
};

extern const struct limit_info limit_table[N_LIMITS];

/* What is refused, and what each limit is in this process (0: not set). */
struct limit_counts {
	uint64_t n[N_LIMITS];
	uint64_t value[N_LIMITS];
};

/* Count a refusal. counts may be NULL: nobody counts. */
static inline void limit_refuse(struct limit_counts *counts, enum limit limit)
{
	if (counts)
		counts->n[limit]++;
}

static inline void limit_set(struct limit_counts *counts, enum limit limit, uint64_t value)
{
	if (counts)
		counts->value[limit] = value;
}

#endif
