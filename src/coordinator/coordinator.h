/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_COORDINATOR_H
#define STAGECOACH_COORDINATOR_COORDINATOR_H
/*
 * coordinator - owns the jobs, the plan and the stream of steps. It starts the workers, turns jobs
 * into steps, and turns tokens back into text.
 * Thread: the loop's thread only, callbacks included. Nothing blocks.
 */
#include "base/error.h"
#include "base/list.h"
#include "config/limits.h"
#include "coordinator/plan.h"
#include "event/loop.h"
#include "model/model.h"
#include "model/tokenizer.h"
#include "transport/channel.h"
#include "transport/link.h"

struct coordinator;

/* Forward until READY, then to and fro between READY and RECOVERING. DRAINING can follow any phase
 * before it, and FAILED any phase but STOPPED. */
enum coordinator_phase {
	COORDINATOR_CONNECTING,	/* waiting for the workers' Hello */
	COORDINATOR_LOADING,	/* stages load their weights */
	COORDINATOR_PROBING,	/* a first step runs through all stages */
	COORDINATOR_READY,
	COORDINATOR_RECOVERING,	/* a stage was lost: jobs wait until another epoch runs */
	COORDINATOR_DRAINING,	/* no new jobs; running jobs continue, also when a stage is lost */
	COORDINATOR_STOPPED,
	COORDINATOR_FAILED,	/* a stage was lost or could not start; the error says why */
	COORDINATOR_N_PHASES,
};

struct coordinator_config {
	struct loop *loop;
	struct fabric_source fabrics;		/* of the data links of each epoch */
	unsigned spin_us;			/* as fabric_config */
	const struct model *model;		/* borrowed */
	const struct tokenizer *tokenizer;	/* borrowed */
	unsigned n_stages;			/* also the number of workers that are awaited */
	bool has_fixed_workers;			/* a launcher started all workers: none will come
						 * in place of one that is refused or leaves */
	bool survives_losses;			/* a lost worker is replaced, and jobs go on; false:
						 * the first loss is the end */
	bool warms_spares;			/* spares load layers of likely losses */
	const struct resources *resources;	/* of this process, to divide its machine; copied.
						 * NULL: unknown */
	uint64_t own_bytes;			/* memory that this process comes to take */
	uint32_t window;			/* steps in flight; 0: n_stages + 1 */
	uint32_t max_rows;			/* the most rows of a step */
	uint32_t prompt_chunk;			/* the most prompt rows of a step; 0: 256
						 * with one stage, 128 with several */
	uint32_t max_gap_ms;			/* longest time between two tokens
						 * of a sequence while prompts run;
						 * 0: automatic, see scheduler.h */
	uint32_t max_sequences;			/* the most sequences that run at once */
	uint32_t max_queue;			/* the most jobs that are queued or running */
	uint32_t max_context;			/* positions per sequence; 0: the model's */
	bool is_context_fixed;			/* false: may be shortened to what memory holds */
	uint32_t kv_positions;			/* positions in the pool; 0: chosen by memory, */
	uint32_t kv_contexts;			/* for this many contexts; 0: max_sequences */
	uint32_t block_length;
	enum tensor_type kv_type;		/* type of stored keys and values */
	uint32_t heartbeat_ms;
	uint32_t deadline_ms;			/* a worker that is silent for
						 * longer counts as dead */
	uint32_t start_ms;			/* time limit for all workers to say Hello,
						 * and after a loss for one to come */
	bool allows_mixed_backends;		/* also mixed kernel versions and C libraries */
	uint32_t keep_jobs;			/* number of ended jobs to remember */
	uint64_t max_job_bytes;			/* memory for the tokens and
						 * texts of jobs; 0: no limit */
	/* The phase changed. err is set for FAILED, else NULL. The callback must not destroy the
	 * coordinator. */
	void (*on_phase)(void *arg, enum coordinator_phase phase, const struct error *err);
	/* Bytes loaded and total bytes of all stages, while LOADING. May be NULL. */
	void (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* The most prompt rows of a step under this configuration. */
uint32_t coordinator_prompt_chunk(const struct coordinator_config *config);

/* The most memory in bytes that this coordinator will take, jobs included. has_links: its links
 * receive into memory of their own. */
uint64_t coordinator_bytes(const struct coordinator_config *config, bool has_links);

/* What pool_plan is asked for such a coordinator, but for the memory and threads of its workers.
 * has_links as above. loop, fabrics and callbacks of config are not looked at. */
struct pool_wish;
struct stage_limits coordinator_stage_limits(const struct coordinator_config *config);
void coordinator_planning(const struct coordinator_config *config, bool has_links,
			  struct plan_input *input_out, struct pool_wish *wish_out);

/* Creates a coordinator, which waits for its workers: see coordinator_accept. */
must_check enum sc_status coordinator_create(const struct coordinator_config *config,
					     struct coordinator **coordinator_out,
					     struct error *err);
/* Fails jobs that are still running and drops the links. Accepts NULL. */
void coordinator_destroy(struct coordinator *coordinator);

/* Takes the channel of a worker, at any time. */
void coordinator_accept(struct coordinator *coordinator, struct channel *channel);

/* Refuses new jobs, lets the others run for at most timeout_ms (0: stops them at once), then stops
 * the workers and calls on_phase(STOPPED). */
void coordinator_drain(struct coordinator *coordinator, uint32_t timeout_ms);

/* Fails all jobs with err, tells the workers to stop and calls on_phase(FAILED). For a cause
 * outside of the cluster. Does nothing after STOPPED or FAILED. */
void coordinator_abort(struct coordinator *coordinator, const struct error *err);

/* Changes the limits that may change at run time. */
void coordinator_set_limits(struct coordinator *coordinator, uint32_t max_queue,
			    uint32_t keep_jobs);

enum coordinator_phase coordinator_phase(const struct coordinator *coordinator);
const char *coordinator_phase_name(enum coordinator_phase phase);
const struct tokenizer *coordinator_tokenizer(const struct coordinator *coordinator);
/* The most positions of a sequence. Between two epochs that of the last one, before the first one
 * the most that the settings allow. */
uint32_t coordinator_max_context(const struct coordinator *coordinator);
/* Counters and histograms of all jobs so far. Borrowed. */
struct metrics;
const struct metrics *coordinator_metrics(const struct coordinator *coordinator);
/* Counters of refusals. The gateway counts refusals by its own limits here, too. Borrowed. */
struct limit_counts *coordinator_limits(struct coordinator *coordinator);

enum tensor_type coordinator_kv_type(const struct coordinator *coordinator);

/* NULL before LOADING, and between two epochs. */
const struct plan *coordinator_plan(const struct coordinator *coordinator);

struct stage_status {
	unsigned rank;			/* number of the stage, from 1 */
	const char *worker;		/* its worker's id; "" if there is none */
	uint32_t pid;
	const char *host;
	const char *backend;		/* "cpu avx2, 2 threads" */
	/* The instruction set in use, and the best one that the worker supports. "" before LOADING,
	 * and for a backend without instruction sets. */
	const char *instruction_set;
	const char *best_instruction_set;
	uint32_t first_layer;
	uint32_t n_layers;
	uint64_t weight_bytes;
	uint64_t kv_bytes;
	uint64_t steps;
	uint64_t rows;
	double busy_seconds;
	double waiting_seconds;
	double sending_seconds;		/* output ready, but no credit or no frame for it */
	double receiving_seconds;	/* steps had come and waited for others, added up */
	double bubble_seconds;		/* jobs were running, and it did not compute */
	uint64_t received_bytes;
	uint64_t sent_bytes;
	/* Share of busy time (jobs were running) during which this stage was idle. 0 is ideal. */
	double bubble_ratio;
	uint64_t heard_ms_ago;
	uint64_t kv_saturated;		/* number of keys and values that
					 * exceeded the type's range */
};

/* The KV blocks of a group of layers. */
struct group_status {
	uint32_t n_layers;		/* 0: the blocks hold the ids of tokens alone */
	uint32_t window;		/* positions that a row of these layers sees; 0: all */
	uint32_t n_blocks;
	uint32_t n_blocks_free;
};

struct coordinator_status {
	enum coordinator_phase phase;
	uint64_t uptime_ms;
	uint64_t load_ms;
	uint64_t load_done_bytes;	/* of all stages, as in on_progress */
	uint64_t load_total_bytes;
	uint32_t n_stages;
	uint32_t epoch;			/* number of the epoch; between two of them, and before the
					 * first, that of the last one or 0 */
	uint32_t recoveries;		/* epochs that were lost after they had run */
	uint64_t lost_ms_ago;		/* since the last loss of an epoch; valid if there was one */
	const char *last_loss;		/* what was lost then, borrowed until the next turn of the
					 * loop; NULL: nothing so far */
	uint32_t window;		/* these four as of the epoch, see coordinator_max_context */
	uint32_t max_rows;
	uint32_t max_context;
	uint32_t steps_in_flight;
	uint64_t steps;
	uint64_t rows;			/* rows of all answered steps */
	/* KV blocks for the positions of all sequences; 0 without an epoch. */
	uint32_t n_blocks;
	uint32_t n_blocks_free;
	uint32_t n_groups;		/* 0 without an epoch */
	struct group_status groups[KV_MAX_POOLS];
	uint32_t block_length;
	const char *kv_type;		/* "F16" */
	uint32_t jobs_queued;
	uint32_t jobs_running;
	uint64_t jobs_by_state[8];	/* number of jobs that ended in each enum job_state */
	uint64_t prompt_tokens;
	uint64_t generated_tokens;
	uint64_t preemptions;
	uint32_t sequences_running;	/* that hold a slot */
	uint32_t sequences_waiting;	/* all others that have not ended */
	uint64_t active_ns;		/* time with a step in flight */
	uint64_t longest_turn_ns;	/* loop_longest_turn_ns of the coordinator's loop */
	uint64_t most_work_ns;		/* loop_most_work_ns of it */
};
void coordinator_status(const struct coordinator *coordinator, struct coordinator_status *out);

/* Whoever shows counters of stages waits for them first. Zeros but for on_current and arg. */
struct counters_wait {
	void (*on_current)(void *arg);
	void *arg;
	struct list node;	/* the rest is the coordinator's */
	uint64_t step;
	uint64_t end_ns;
};
/* on_current comes once the counters of all stages count every step whose result has come so far:
 * perhaps before this returns; after a second in any case, although a stage hangs. */
void coordinator_await_counters(struct coordinator *coordinator, struct counters_wait *wait);
/* on_current does not come any more. No effect when it has come. */
void counters_forget(struct counters_wait *wait);

/* stage must be below n_stages. Strings are borrowed until the next turn of the loop. */
void coordinator_stage_status(const struct coordinator *coordinator, unsigned stage,
			      struct stage_status *out);

#endif
