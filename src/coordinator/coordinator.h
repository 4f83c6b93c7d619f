/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_COORDINATOR_H
#define STAGECOACH_COORDINATOR_COORDINATOR_H
/*
 * coordinator - owns the jobs, the plan and the step stream: brings workers up, turns jobs into
 * steps, and tokens back into text.
 * Thread: the loop's thread alone; callbacks come from it.
 */
#include "base/error.h"
#include "base/list.h"
#include "config/limits.h"
#include "coordinator/plan.h"
#include "event/loop.h"
#include "model/model.h"
#include "model/tokenizer.h"
#include "transport/link.h"

struct coordinator;

/* Moves down only; FAILED from any. */
enum coordinator_phase {
	COORDINATOR_CONNECTING,	/* waiting for the workers' Hello */
	COORDINATOR_LOADING,	/* stages read their weights */
	COORDINATOR_PROBING,	/* a first step runs through the whole route */
	COORDINATOR_READY,
	COORDINATOR_DRAINING,	/* no new jobs; running ones end */
	COORDINATOR_STOPPED,
	COORDINATOR_FAILED,	/* a stage is lost or could not start: see the error */
};

struct coordinator_config {
	struct loop *loop;
	struct fabric *fabric;			/* rank 0; borrowed until destroy */
	const struct model *model;		/* borrowed */
	const struct tokenizer *tokenizer;	/* borrowed */
	unsigned n_stages;			/* ranks 1 .. n_stages are the stages, in order */
	uint32_t window;			/* steps in flight; 0: n_stages + 1 */
	uint32_t max_rows;			/* of a step */
	uint32_t prompt_chunk;			/* prompt rows of a step at most; 0: 256, or 128
						 * when there are stages to keep busy */
	uint32_t max_gap_ms;			/* between two tokens of a sequence, beside
						 * prompts; 0: see scheduler.h */
	uint32_t max_sequences;			/* running at once */
	uint32_t max_queue;			/* jobs waiting */
	uint32_t max_context;			/* positions per sequence; 0: the model's */
	bool is_context_fixed;			/* or it may be shortened to what memory holds */
	uint32_t kv_positions;			/* in the pool; 0: chosen by memory, */
	uint32_t kv_contexts;			/* for so many contexts; 0: max_sequences */
	uint32_t block_length;
	enum tensor_type kv_type;		/* of stored keys and values */
	uint32_t heartbeat_ms;
	uint32_t deadline_ms;			/* a silent worker is dead */
	uint32_t start_ms;			/* workers must have said Hello by then */
	bool allows_mixed_backends;		/* kernel versions, C libraries */
	uint32_t keep_jobs;			/* ended jobs that are remembered */
	uint64_t max_job_bytes;			/* memory for jobs' tokens, texts; 0: any */
	/* err is set for FAILED, else NULL. Not the place to destroy the coordinator. */
	void (*on_phase)(void *arg, enum coordinator_phase phase, const struct error *err);
	/* done and total bytes of all stages while LOADING; may be NULL. */
	void (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* The largest frame that any process of such a cluster receives, in bytes of payload; what
 * fabrics must be opened with. loop, fabric and callbacks of config are not looked at. */
size_t coordinator_max_payload(const struct coordinator_config *config);

/* The prompt rows of a step at most that such a configuration comes to. */
uint32_t coordinator_prompt_chunk(const struct coordinator_config *config);

/* The credits that such fabrics grant: a window of steps, and control messages beside them. */
unsigned coordinator_credits(const struct coordinator_config *config);

/* Memory that such a coordinator comes to take at most, jobs included; link_bytes: what each of its
 * links receives into. */
uint64_t coordinator_bytes(const struct coordinator_config *config, size_t link_bytes);

/* What pool_plan is asked for such a coordinator, but for the memory and threads of its workers.
 * link_bytes as above. loop, fabric and callbacks of config are not looked at. */
struct pool_wish;
void coordinator_planning(const struct coordinator_config *config, size_t link_bytes,
			  struct plan_input *input_out, struct pool_wish *wish_out);

/* Workers may connect from now on; nothing is sent before coordinator_connect. */
must_check enum sc_status coordinator_create(const struct coordinator_config *config,
					     struct coordinator **coordinator_out,
					     struct error *err);
/* Fails jobs that still run, drops the links. Accepts NULL. */
void coordinator_destroy(struct coordinator *coordinator);

/* The address of rank's fabric, once for each of 1 .. n_stages. */
must_check enum sc_status coordinator_connect(struct coordinator *coordinator, unsigned rank,
					      const void *address, size_t n_bytes,
					      struct error *err);

/* Refuse new jobs, let the others end within timeout_ms (0: at once), stop the workers; then
 * on_phase(STOPPED). */
void coordinator_drain(struct coordinator *coordinator, uint32_t timeout_ms);

/* Fail all jobs with err, tell the workers to stop, on_phase(FAILED). For a cause outside the
 * cluster. Does nothing after STOPPED or FAILED. */
void coordinator_abort(struct coordinator *coordinator, const struct error *err);

/* The limits that may change while running. */
void coordinator_set_limits(struct coordinator *coordinator, uint32_t max_queue,
			    uint32_t keep_jobs);

enum coordinator_phase coordinator_phase(const struct coordinator *coordinator);
const char *coordinator_phase_name(enum coordinator_phase phase);
const struct model *coordinator_model(const struct coordinator *coordinator);
const struct tokenizer *coordinator_tokenizer(const struct coordinator *coordinator);
uint32_t coordinator_max_context(const struct coordinator *coordinator);
/* What clients were refused for: the gateway counts its own limits here, too. Borrowed. */
struct limit_counts *coordinator_limits(struct coordinator *coordinator);

enum tensor_type coordinator_kv_type(const struct coordinator *coordinator);

/* NULL before LOADING. */
const struct plan *coordinator_plan(const struct coordinator *coordinator);

struct stage_status {
	unsigned rank;
	uint32_t pid;
	const char *host;
	const char *backend;		/* "cpu avx2, 2 threads" */
	/* What the stage computes with, and the best that its worker could; "" for a backend
	 * without instruction sets, and before LOADING. */
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
	double sending_seconds;
	/* Share of the time between first and last step of its work in which the stage had nothing
	 * to compute although jobs were running: 0 is ideal. */
	double bubble_ratio;
	uint64_t heard_ms_ago;
	uint64_t kv_saturated;		/* keys and values that the type could not hold */
};

struct coordinator_status {
	enum coordinator_phase phase;
	uint64_t uptime_ms;
	uint64_t load_ms;
	uint64_t load_done_bytes;	/* of all stages, as on_progress tells them */
	uint64_t load_total_bytes;
	uint32_t n_stages;
	uint32_t window;
	uint32_t max_rows;
	uint32_t max_context;
	uint32_t steps_in_flight;
	uint64_t steps;
	uint64_t rows;			/* of the steps that were answered */
	uint32_t n_blocks;
	uint32_t n_blocks_free;
	uint32_t block_length;
	uint32_t jobs_queued;
	uint32_t jobs_running;
	uint64_t jobs_by_state[8];	/* ever ended in, by enum job_state */
	uint64_t prompt_tokens;
	uint64_t generated_tokens;
	uint64_t preemptions;
	uint64_t longest_turn_ns;	/* loop_longest_turn_ns of its loop */
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

/* stage < n_stages; strings are borrowed until the next turn of the loop. */
void coordinator_stage_status(const struct coordinator *coordinator, unsigned stage,
			      struct stage_status *out);

#endif
