/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_JOBS_H
#define STAGECOACH_COORDINATOR_JOBS_H
/*
 * jobs - the inside of job.h: what a job is made of, and the table of all jobs.
 * Used by the coordinator alone. Thread: the loop's.
 */
#include "config/limits.h"
#include "coordinator/job.h"
#include "coordinator/output.h"
#include "coordinator/sequence.h"

struct job_stream {
	struct output_writer writer;
	struct sequence sequence;
};

/* Whose jobs share turns. Exists while one of its jobs is active or about to be. */
struct job_client {
	struct list node;		/* jobs.clients */
	uint64_t id;			/* as job_request.client */
	uint32_t n_jobs;
	uint64_t n_bytes;		/* what its active jobs may come to need */
	struct share_client share;
};

struct job {
	struct list node;		/* jobs.all, newest first, until nobody else holds it */
	struct list active_node;	/* jobs.active, newest first, until it ends */
	struct job *next_in_bucket;	/* while on jobs.all */
	struct list dirty_node;		/* jobs.dirty: watchers are to be told */
	struct jobs *jobs;		/* outlives it while on jobs.all; then NULL once it has
					 * ended */
	struct job_client *client;	/* NULL once it has ended */
	struct share_job share;
	char id[JOB_ID_MAX];
	enum job_state state;
	struct error error;
	struct job_times times;
	uint64_t deadline_ms;		/* after it was submitted; 0: none */
	uint64_t deadline_ns;		/* the same in the loop's time; 0: none */
	unsigned n_holds;		/* the table's own, callers' and watchers' */
	bool is_attached;
	bool ignore_end;
	uint64_t seed;
	char **stops;			/* [n_stops], owned; one block with their text */
	uint32_t n_stops;
	uint32_t n_prompt_tokens;
	float *scores;			/* [n_scores] of the prompt's last tokens; owned */
	uint32_t n_scores;
	uint32_t n_streams;
	uint32_t n_running;		/* streams that have not ended */
	uint64_t n_bytes;		/* as jobs counts it */
	struct list watchers;
	unsigned n_watchers;
	struct job_stream *streams;	/* [n_streams], owned */
};

enum { JOBS_N_BUCKETS = 4096 };

/* There may be a million ended jobs, so nothing that happens often walks over `all`. */
struct jobs {
	struct list all;
	struct list active;		/* the queued and running ones */
	struct job *buckets[JOBS_N_BUCKETS];	/* all, by their ids */
	struct list dirty;
	struct list clients;
	uint32_t n_clients;
	uint32_t n_ended;		/* in `all` */
	uint32_t keep_ended;
	uint32_t n_active;		/* queued or running */
	uint32_t n_queued;
	uint64_t max_bytes;		/* of memory for all jobs; 0: no limit */
	uint64_t n_active_bytes;	/* what they may come to need */
	uint64_t n_ended_bytes;		/* what they hold */
	uint64_t n_held_bytes;		/* of that, of jobs that somebody else holds too */
	uint64_t ended_by_state[JOB_N_STATES];
	struct limit_counts *refused;	/* borrowed; NULL: nobody counts */
	void (*on_dirty)(void *arg);	/* somebody is to be told: call jobs_tell soon */
	/* An attached job lost its last watcher. */
	void (*on_unwatched)(void *arg, struct job *job);
	void *arg;
};

void jobs_init(struct jobs *jobs, uint32_t keep_ended);
/* Every job must have ended and been released by others. */
void jobs_deinit(struct jobs *jobs);

/* A queued job without prompt: its streams' memory is taken, stops are copied; its deadline counts
 * from now_ns. The caller sets sequences and writers up and then adds it, or destroys it. */
must_check enum sc_status job_create(struct jobs *jobs, const struct job_request *request,
				     uint64_t now_ns, struct job **job_out);
void job_destroy(struct job *job);
/* n_bytes: of memory that it may come to need. */
void jobs_add(struct jobs *jobs, struct job *job, uint64_t n_bytes);

/* Whether the client may have one more active job, when max_active are allowed. A quarter more are
 * allowed for clients that have less than an equal part of max_active, so that no client can keep
 * the others out. */
bool jobs_has_place(const struct jobs *jobs, uint64_t client, uint32_t max_active);

/* The memory of one job of a client at most; 0: any. A quarter of the memory is kept for clients
 * that hold less than an equal part; client 0, this process itself, may have all. */
uint64_t jobs_max_bytes(const struct jobs *jobs, uint64_t client);

/* Forget the oldest ended jobs, as far as nobody holds them, until n_bytes more of the client are
 * within the limit. False: active or held jobs take too much; then none is forgotten for
 * nothing. */
bool jobs_make_room(struct jobs *jobs, uint64_t client, uint64_t n_bytes);

struct job *jobs_find(struct jobs *jobs, const char *id);

/* The one place where a job's state changes; asserts that the transition is legal. err says why
 * for CANCELLED and FAILED. */
void job_set_state(struct job *job, enum job_state state, const struct error *err);

/* Its watchers are told at the next jobs_tell. */
void job_touch(struct job *job);
/* Also forgets the oldest ended jobs, so that none goes away in the middle of something. */
void jobs_tell(struct jobs *jobs);

/* The earliest deadline of an active job, 0: none. */
uint64_t jobs_next_deadline(const struct jobs *jobs);

#endif
