/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_COORDINATOR_PRIVATE_H
#define STAGECOACH_COORDINATOR_COORDINATOR_PRIVATE_H
/*
 * Internals of the coordinator, shared by
 *	coordinator.c	phases, steps, deadlines
 *	startup.c	limits and sizes, and an epoch's way to its steps
 *	formation.c	which workers take the stages of an epoch
 *	recovery.c	losing an epoch, and finding another one
 *	resume.c	sequences between two epochs
 *	watch.c		stages that make no progress
 *	measure.c	metrics of sequences and jobs
 *	coordinator_status.c, submit.c (jobs), fault.c (numbers)
 */
#include "coordinator/coordinator.h"
#include "coordinator/counters.h"
#include "coordinator/epoch.h"
#include "coordinator/jobs.h"
#include "coordinator/link_faults.h"
#include "coordinator/members.h"
#include "coordinator/metrics.h"
#include "coordinator/plan_change.h"
#include "coordinator/watchdog.h"

/* What is counted over all epochs. */
struct coordinator_totals {
	uint64_t steps;
	uint64_t rows;
	uint64_t preemptions;
	uint64_t active_ns;		/* time with a step in flight */
};

struct coordinator {
	struct coordinator_config config;
	enum coordinator_phase phase;
	struct error error;		/* the reason, if FAILED */
	uint64_t started_ns;
	uint64_t loading_ns;		/* when loading started */
	uint64_t load_ms;
	struct members *members;
	struct tensor_hashes *hashes;
	struct counters counters;
	struct epoch *epoch;		/* NULL: before the first one, and between two */
	uint32_t n_epochs;		/* the number of the last epoch */
	struct step_limits limits;	/* what jobs are checked against: those of the epoch, or of
					 * the last one; before the first one the widest */
	struct coordinator_totals totals;	/* of the epochs that were dropped */
	struct jobs jobs;
	struct limit_counts refused;
	uint32_t n_recoveries;		/* epochs that were lost after they had run */
	const struct sequence *suspect;	/* it runs alone, see coordinator_resume; NULL: none */
	struct error last_loss;		/* status SC_OK: none */
	uint64_t lost_ns;		/* when that was */
	uint64_t first_lost_ns;		/* the first loss since an epoch last ran */
	struct plan_change change;	/* since the epoch that last ran */
	char lost_worker[64];		/* id of the worker whose stage was lost last */
	struct plan *last_plan;		/* of the epoch that was dropped last; NULL: none */
	unsigned n_attempts;		/* epochs that were begun since the last one that ran */
	uint64_t seek_until_ns;		/* time limit for finding workers; 0: enough are here */
	struct timer *seek_timer;	/* a pause before the next attempt */
	struct link_faults link_faults;
	struct watchdog watchdog;
	struct timer *load_timer;	/* looks whether stages load */
	uint64_t load_watched_ns;	/* since when loading is watched without interruption */
	uint64_t load_looked_ns;
	bool may_grow;			/* more workers are here than stages, and fewer than wanted */
	struct timer *deadline_timer;	/* of jobs, and of the drain */
	struct wake *settle_soon;	/* jobs changed outside the step stream */
	uint64_t drain_until_ns;	/* time limit of draining jobs, then
					 * of stopping workers; 0: none */
	bool is_stopping;		/* jobs are drained, and workers were told to stop */

	bool has_warned_of_fault;	/* later faults are logged at debug only */
	uint64_t prompt_tokens;
	uint64_t generated_tokens;
	struct token_list ends;		/* the model's end tokens */
	struct metrics metrics;
};

/* The table of legal transitions. */
bool coordinator_may_become(enum coordinator_phase from, enum coordinator_phase to);

/* Changes the phase and calls on_phase. Asserts that the transition is legal. */
void coordinator_set_phase(struct coordinator *c, enum coordinator_phase phase);

/* Of an epoch with so many stages: settings, or what is best if they were left open. */
uint32_t coordinator_window(const struct coordinator_config *config, unsigned n_stages);
uint32_t coordinator_chunk(const struct coordinator_config *config, unsigned n_stages);
uint32_t coordinator_spare_slots(const struct coordinator_config *config);
/* The widest limits of steps that the settings allow. */
struct step_limits coordinator_widest_limits(const struct coordinator_config *config);
/* What the coordinator receives from the last stage. */
struct link_config coordinator_link_of_tokens(const struct step_limits *limits, uint32_t window);

/* Callbacks of members on an epoch's way to its steps: enough workers are here; all stages have
 * opened their fabrics; weights were loaded; all are ready. */
void coordinator_on_known(void *arg);
void coordinator_on_opened(void *arg);
void coordinator_on_progress(void *arg);
void coordinator_on_ready(void *arg);

/* Callbacks of the epoch's ring. */
void coordinator_on_tokens(void *arg, struct frame *frame);
void coordinator_on_credit(void *arg);
void coordinator_on_link_down(void *arg, unsigned peer, enum sc_status status, const char *why);

/* Makes an epoch of workers that are here, at least n_least of them, and assigns its stages. Drops
 * the epoch before once the new one is whole. SC_E_UNAVAILABLE: too few workers; SC_E_CAPACITY: the
 * model does not fit into them; SC_E_NOMEM; others if data links cannot be opened. */
must_check enum sc_status coordinator_begin_epoch(struct coordinator *c, unsigned n_least,
						  struct error *err);

/* Asks spares to load layers of likely losses beforehand. */
void coordinator_warm_spares(struct coordinator *c);

/* Drops the epoch. Jobs go on in the next one: their sequences wait until coordinator_resume. Does
 * nothing without an epoch. */
void coordinator_drop_epoch(struct coordinator *c);

/* The epoch is lost because of err: drops it, tells the jobs, and the phase becomes RECOVERING,
 * unless the coordinator drains. */
void coordinator_lose_epoch(struct coordinator *c, const struct error *err);

/* The epoch is lost because of err. If losses are survived, another epoch is begun, now or once there
 * are workers for it. Else the coordinator fails. */
void coordinator_replace_epoch(struct coordinator *c, const struct error *err);

/* Callbacks of members, see members_await. */
void coordinator_on_enough(void *arg);
void coordinator_on_short(void *arg, const struct error *err);

/* A pause is over. */
void coordinator_seek(void *arg);

/* The epoch has answered its probe. */
void coordinator_note_running(struct coordinator *c);
/* Begins an epoch with more stages, if workers for it have come and no job is active. */
void coordinator_grow_if_idle(struct coordinator *c);

/* What watches the progress of stages. */
must_check enum sc_status coordinator_init_watch(struct coordinator *c);
void coordinator_deinit_watch(struct coordinator *c);
void coordinator_watch_loading(struct coordinator *c);
void coordinator_stop_watching_loading(struct coordinator *c);
/* Call after steps were made. */
void coordinator_watch_steps(struct coordinator *c);

/* All sequences of jobs leave the epoch's scheduler. */
void coordinator_suspend_jobs(struct coordinator *c);
/* Fails jobs that have been in flight at too many losses in a row. */
void coordinator_end_culprits(struct coordinator *c);
/* The epoch runs: adds all sequences of unfinished jobs to its scheduler. But a sequence that was in
 * flight at the last two losses, and has drawn no token since, may be what ends stages. While there
 * are such sequences, one of them runs alone, and all others wait. */
void coordinator_resume(struct coordinator *c);
/* The sequence has drawn a token, or is over: it is under suspicion no more. If it ran alone, others
 * follow when the coordinator settles next. */
void coordinator_clear(struct coordinator *c, struct sequence *sequence);

/* Stages have told their counters. */
void coordinator_note_bubbles(struct coordinator *c);

/* Totals of all stages. */
void coordinator_load_progress(const struct coordinator *c, uint64_t *done_out,
			       uint64_t *total_out);

/* Makes and sends steps while the window and the sequences allow it. */
void coordinator_pump(struct coordinator *c);

/* Sets the timer for the earliest deadline. */
void coordinator_arm_deadline(struct coordinator *c);

/* Returns false if the sequence has filled the context of the epoch and is not over: the context is
 * shorter than the one that the job was accepted for. err says so. */
bool coordinator_has_room(const struct coordinator *c, const struct sequence *sequence,
			  struct error *err);

/* Lets a new job's sequences run, at once or once an epoch runs. */
void coordinator_add_job(struct coordinator *c, struct job *job);

/* Ends a job that has not ended, and its sequences. err is NULL for DONE. */
void coordinator_end_job(struct coordinator *c, struct job *job, enum job_state state,
			 const struct error *err);

/* Finds the model's end tokens. SC_E_NOMEM. */
must_check enum sc_status coordinator_find_ends(struct coordinator *c);

/* The step being made has the first rows of a sequence: a job that was queued runs. */
void coordinator_on_started(void *arg, struct sequence *sequence);

/* A stream of the job drew a token; tops[record->n_tops] are the likeliest ones in its place.
 * Returns false if the stream is over. */
bool coordinator_take_token(struct coordinator *c, struct sequence *sequence,
			    const struct token_record *record, const struct token_top *tops);

/* measure.c: what metrics observe of a sequence and of a job. */
void coordinator_measure_start(const struct coordinator *c, struct sequence *sequence);
void coordinator_measure_token(struct coordinator *c, struct sequence *sequence);
/* The output of stream i is over. */
void coordinator_measure_end(struct coordinator *c, struct job *job, uint32_t i);
void coordinator_measure_done(struct coordinator *c, const struct job *job);

/* A record with a fault: fails the stream's job. For the probe, the caller ends the sequence. */
void coordinator_take_fault(struct coordinator *c, struct sequence *sequence,
			    const struct token_record *record);

/* Called when all stages are ready: warns of tensors with NaN or infinity. */
void coordinator_warn_of_weights(const struct coordinator *c);

#endif
