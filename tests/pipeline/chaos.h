/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_CHAOS_H
#define STAGECOACH_TESTS_PIPELINE_CHAOS_H
/*
 * chaos - a coordinator, workers and spares in this process, in which things go wrong as a scenario
 * says (chaos_faults.h), over a network that delivers one thing at a time (chaos_net.h), on a clock
 * that moves when nothing can be delivered, and a little beside. Jobs run meanwhile, and their
 * results must be those of an undisturbed run (chaos_jobs.h).
 *
 * A run aborts the test when something is wrong: it prints its log and how to repeat it.
 * Files: chaos.c (runs), chaos_cluster.c (processes and jobs), chaos_fire.c (what faults do).
 * Thread: the loop's; the workers' threads compute beside it.
 */
#include "coordinator/coordinator.h"
#include "event/manual_clock.h"
#include "worker/worker.h"

#include "tests/pipeline/chaos_faults.h"
#include "tests/pipeline/chaos_jobs.h"
#include "tests/pipeline/chaos_net.h"

enum { CHAOS_MAX_NODES = 8, CHAOS_MAX_HOLDS = 8, CHAOS_MAX_RUN_JOBS = 64 };
#define CHAOS_HEARTBEAT_MS 50
#define CHAOS_DEADLINE_MS 400

struct chaos;

/* A worker process. */
struct node {
	struct chaos *chaos;
	struct net_port port;
	char id[8];
	struct worker *worker;		/* NULL: dead */
	unsigned n_lives;
	bool is_twin;			/* has the id of another node */
	bool is_over;			/* was told to stop */
	uint64_t dial_at;		/* ticks; 0: no need to dial */
	uint64_t back_at;		/* when a dead one comes back; 0: not dead, or never */
	uint64_t dies_at;		/* of a twin; 0: not yet known */
};

/* Wires that deliver nothing for a while. */
struct hold {
	uint64_t until;			/* ticks; 0: not in use */
	unsigned host;			/* all wires of this host; NET_UNKNOWN: not a host's */
	unsigned peer;			/* links into this peer; NET_UNKNOWN: not a link's */
	unsigned channel;		/* channels of this host; NET_UNKNOWN: not a channel's */
	unsigned directions;		/* of the channel: 1 up, 2 down */
};

struct chaos_job {
	struct chaos *chaos;
	unsigned kind;
	struct job *job;
	struct job_watcher watcher;
	uint32_t n_tokens[CHAOS_MAX_OUTPUTS];	/* seen */
	uint32_t n_losses;			/* seen */
	uint32_t n_in_a_row[CHAOS_MAX_OUTPUTS];	/* losses without a token of the output */
	bool is_cancelled;		/* by the scenario */
	bool may_be_lost;		/* the coordinator was restarted, or nobody is left */
};

/* What all runs saw. */
struct chaos_stats {
	unsigned n_runs;
	unsigned n_fired[CHAOS_N_ACTIONS][COORDINATOR_N_PHASES];
	unsigned n_missed[CHAOS_N_ACTIONS];
	uint64_t n_deliveries, n_rounds, n_epochs, n_recoveries, n_held;
	unsigned n_done, n_cancelled, n_suspects, n_lost;
};

struct chaos {
	struct chaos_scenario scenario;
	struct chaos_stats *stats;
	const struct chaos_kind *kinds;
	uint64_t random;		/* order of deliveries */
	struct manual_clock *clock;
	struct loop *loop;
	struct net *net;
	struct net_port port;		/* of the coordinator */
	struct coordinator *coordinator;
	enum coordinator_phase phase;
	struct error error;		/* of FAILED */
	struct node nodes[CHAOS_MAX_NODES];
	unsigned n_nodes;
	struct hold holds[CHAOS_MAX_HOLDS];
	struct chaos_job jobs[CHAOS_MAX_RUN_JOBS];
	unsigned n_jobs;
	bool are_submitted;
	bool is_draining;
	bool is_nobody_left;

	uint64_t ticks;
	uint64_t n_deliveries;
	uint64_t n_rounds;
	uint64_t n_tokens;		/* drawn, of all jobs */
	/* The fault that waits for its trigger. */
	unsigned next_fault;
	uint64_t armed_delivery, armed_round, armed_token;
	unsigned n_seen;		/* frames or messages that count */
	uint64_t quiet_since;		/* ticks when the last fault was over; 0: not yet */
};

/* The model and the results of undisturbed jobs. */
/* With windows some layers see few positions, so that sequences have rings of blocks. */
void chaos_prepare(bool has_windows);
void chaos_release(void);
/* The log goes to standard error as well. */
void chaos_be_loud(void);
/* One run. Adds to stats. */
void chaos_run(uint64_t seed, struct chaos_stats *stats);
/* The same with a scenario that no seed gives. */
void chaos_run_scenario(const struct chaos_scenario *scenario, struct chaos_stats *stats);

/* Prints the log of a run in which the process ends. */
void chaos_print_log_of_dead(void);

/* --- between the files --- */

void chaos_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void chaos_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* chaos_cluster.c */
void cluster_open(struct chaos *chaos);
void cluster_close(struct chaos *chaos);
void cluster_start_coordinator(struct chaos *chaos);
void node_start(struct node *node);
void node_kill(struct node *node);
void node_dial(struct node *node);
/* Dials and lives that are due. */
void cluster_keep(struct chaos *chaos);
/* Turns the loop until nothing happens any more; in a strict run, and no thread computes. */
void cluster_settle(struct chaos *chaos);
bool cluster_is_computing(const struct chaos *chaos);
/* Returns the new job, or NULL if the coordinator may refuse it now. */
struct chaos_job *cluster_submit(struct chaos *chaos, unsigned kind);
bool cluster_has_jobs(const struct chaos *chaos);	/* that have not ended */
void cluster_check_jobs(struct chaos *chaos);
void cluster_release_jobs(struct chaos *chaos);

/* chaos_fire.c */
/* Fires the fault if it waits for tokens or deliveries that have come. */
bool chaos_fire_due(struct chaos *chaos);
/* The first item of this wire is about to be delivered: fires the fault that waits for it. */
bool chaos_fire_before(struct chaos *chaos, const struct wire *wire);
/* Gives the fault up if its trigger has not come for long, or for another reason. */
void chaos_give_up_if_late(struct chaos *chaos);
void chaos_give_up(struct chaos *chaos, const char *why);
bool chaos_is_held(const struct chaos *chaos, const struct wire *wire);

#endif
