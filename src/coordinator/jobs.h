/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_JOBS_H
#define STAGECOACH_COORDINATOR_JOBS_H
/*
 * jobs - internals of job.h: the parts of a job, and the table of all jobs. Used by the coordinator
 * only. Thread: the loop's.
 */
#include "config/limits.h"
#include "coordinator/job.h"
#include "coordinator/job_sampling.h"
#include "coordinator/metrics.h"
#include "coordinator/output.h"
#include "coordinator/sequence.h"

struct job_stream {
	struct output_writer writer;
	struct sequence sequence;
	struct metrics_times times;
};

/* A client, whose jobs share turns. Exists while one of its jobs is active or about to be. */
struct job_client {
	struct list node;		/* jobs.clients */
	uint64_t id;			/* as job_request.client */
	uint32_t n_jobs;
	uint64_t n_bytes;		/* bytes that its active jobs may come to need */
	struct share_client share;
};

struct job {
	struct list node;		/* in jobs.all, newest first, until
					 * nobody else holds the job */
	struct list active_node;	/* in jobs.active, newest first, until the job ends */
	struct job *next_in_bucket;	/* while on jobs.all */
	struct list dirty_node;		/* in jobs.dirty while watchers must be called */
	struct jobs *jobs;		/* outlives the job while on jobs.all;
					 * NULL once the job has ended and left */
	struct job_client *client;	/* NULL once the job has ended */
	uint64_t client_id;		/* as job_request.client */
	struct share_job share;
	char id[JOB_ID_MAX];
	enum job_state state;
	struct error error;
	struct job_times times;
	uint64_t deadline_ms;		/* counted from submission; 0: none */
	uint64_t deadline_ns;		/* the same in loop time; 0: none */
	uint64_t submitted_ns;		/* in loop time */
	unsigned n_holds;		/* holds of the table, callers and watchers */
	uint32_t n_losses;		/* of stages, while it was active */
	uint32_t n_overcome;		/* as job_recovery has these three */
	uint32_t recovery_epoch;
	uint64_t waited_ns;
	uint64_t waiting_ns;		/* loop time since which it waits, if it is recovering: of
					 * the loss, or of the submission after it */
	bool is_recovering;		/* its sequences wait for the next epoch */
	bool is_attached;
	bool ignore_end;
	uint64_t seed;
	struct job_annex *annex;	/* owned, or NULL */
	const char *warning;		/* for the client, static; NULL: none */
	char **stops;			/* [n_stops], owned; one block with their text */
	uint32_t n_stops;
	uint32_t *stop_tokens;		/* [n_stop_tokens], owned */
	uint32_t n_stop_tokens;
	char *hidden_open, *hidden_close;	/* owned; NULL: none */
	uint32_t n_prompt_tokens;
	float *scores;			/* [n_scores] of the prompt's last tokens; owned */
	uint32_t n_scores;
	struct token_top *score_tops;	/* [n_scores][n_score_tops]; owned */
	uint32_t n_score_tops;
	struct job_sampling sampling;	/* until the job ends; its streams borrow from it */
	uint32_t n_streams;
	uint32_t n_running;		/* number of streams that have not ended */
	uint64_t n_bytes;		/* as jobs counts it */
	struct list watchers;
	unsigned n_watchers;
	struct job_stream *streams;	/* [n_streams], owned */
};

enum { JOBS_N_BUCKETS = 4096 };

/* There may be a million ended jobs, so frequent operations must not iterate over `all`. */
struct jobs {
	struct list all;
	struct list active;		/* queued and running jobs */
	struct job *buckets[JOBS_N_BUCKETS];	/* hash table of all jobs by id */
	struct list dirty;
	struct list clients;
	uint32_t n_clients;
	uint32_t n_ended;		/* in `all` */
	uint32_t keep_ended;
	uint32_t n_active;		/* queued or running */
	uint32_t n_queued;
	uint64_t max_bytes;		/* memory for all jobs; 0: no limit */
	uint64_t n_active_bytes;	/* bytes that active jobs may come to need */
	uint64_t n_ended_bytes;		/* bytes that ended jobs hold */
	uint64_t n_held_bytes;		/* part of n_ended_bytes in jobs
					 * that somebody else holds, too */
	uint64_t ended_by_state[JOB_N_STATES];
	bool is_recovering;		/* an epoch was lost, and none runs */
	char loss[ERROR_TEXT_MAX];	/* text of the last one */
	uint32_t lost_epoch;		/* its number */
	struct limit_counts *refused;	/* borrowed; NULL: nobody counts */
	void (*on_dirty)(void *arg);	/* watchers must be called: call jobs_tell soon */
	/* An attached job lost its last watcher. */
	void (*on_unwatched)(void *arg, struct job *job);
	void *arg;
};

void jobs_init(struct jobs *jobs, uint32_t keep_ended);
/* Every job must have ended, and all other holders must have released it. */
void jobs_deinit(struct jobs *jobs);

/* Makes a queued job without its prompt: allocates its streams and copies its stop strings. Its
 * deadline counts from now_ns. The caller sets up sequences and writers, then calls jobs_add or
 * job_destroy. */
must_check enum sc_status job_create(struct jobs *jobs, const struct job_request *request,
				     uint64_t now_ns, struct job **job_out);
void job_destroy(struct job *job);
/* Adds a job. n_bytes: memory that it may come to need. */
void jobs_add(struct jobs *jobs, struct job *job, uint64_t n_bytes);

/* Returns true if the client may have one more active job, where max_active are allowed. A quarter
 * more is allowed for clients with less than an equal part of max_active, so that no client can
 * keep the others out. */
bool jobs_has_place(const struct jobs *jobs, uint64_t client, uint32_t max_active);

/* The most memory for one job of a client; 0: no limit. A quarter of the memory is reserved for
 * clients that hold less than an equal part. Client 0, this process itself, may use all of it. */
uint64_t jobs_max_bytes(const struct jobs *jobs, uint64_t client);

/* Forgets the oldest ended jobs that nobody holds until n_bytes more of the client fit into the
 * limit. Returns false, and forgets none, if active and held jobs take too much. */
bool jobs_make_room(struct jobs *jobs, uint64_t client, uint64_t n_bytes);

struct job *jobs_find(struct jobs *jobs, const char *id);

/* The only function that changes a job's state. Asserts that the transition is legal. err gives the
 * reason for CANCELLED and FAILED. */
void job_set_state(struct job *job, enum job_state state, const struct error *err);

/* Epoch `epoch` was lost, because of err: tells the watchers of all active jobs. Jobs that are added
 * from now on wait, too. */
void jobs_note_loss(struct jobs *jobs, uint32_t epoch, const struct error *err, uint64_t now_ns);
/* All active jobs go on in epoch `epoch`: tells their watchers. */
void jobs_note_recovered(struct jobs *jobs, uint32_t epoch, uint64_t now_ns);

/* Marks the job: its watchers are called in the next jobs_tell. */
void job_touch(struct job *job);
/* Calls the watchers of marked jobs. Also forgets surplus ended jobs, because here no caller is
 * using one. */
void jobs_tell(struct jobs *jobs);

/* The earliest deadline of an active job; 0: none. */
uint64_t jobs_next_deadline(const struct jobs *jobs);

#endif
