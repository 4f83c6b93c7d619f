/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_ENGINE_ENGINE_H
#define STAGECOACH_ENGINE_ENGINE_H
/*
 * engine - a model that answers. This header is the boundary between those who use a model (the
 * gateway, the verbs, tests) and those who compute (coordinator, stages, links):
 *
 *	load	opened_model_open, engine_create
 *	submit	engine_submit
 *	watch	job_watch and what else job.h tells of a job; engine_find, engine_list
 *	status	engine_status, engine_stage_status, engine_worker_status
 *	stop	engine_drain or engine_abort; engine_destroy
 *
 * Without a cluster the engine makes its stages itself, in this process. The stages of a cluster
 * are in other processes; whoever hears of one hands in its channel.
 * The types of jobs, phases and counters are the coordinator's. Its functions are not called from
 * above, except those of job.h and prompt.h.
 * Thread: the loop's, callbacks included. Stages compute on threads of their own. Nothing blocks
 * but engine_destroy.
 */
#include "base/cpu.h"
#include "base/error.h"
#include "coordinator/coordinator.h"
#include "coordinator/job.h"
#include "coordinator/metrics.h"
#include "coordinator/prompt.h"
#include "coordinator/worker_status.h"

struct config;
struct engine;

/* --- load --- */

/* A model file with its tokenizer. */
struct opened_model {
	struct model *model;
	struct tokenizer *tokenizer;
	size_t n_prompt_tokens;		/* of the only text that will be continued; 0: there is no
					 * such text, or it was not read yet */
};
/* Which model, and how it is read. */
struct model_choice {
	const char *name;		/* a GGUF file, a folder or a cached name, see hf/source.h */
	const char *ignored_keys;	/* metadata that counts as absent, see gguf_ignore_keys */
	const char *weight_type;	/* of quant/mix.h: matrices are rounded to it while they
					 * are read; NULL or "": they keep their types */
};
struct model_choice model_choice_of(const struct config *config);
/* Reads the head of the model; weights are read by the stages. As source_open and model_open_gguf,
 * and SC_E_INVALID: an unknown weight type. */
must_check enum sc_status opened_model_open(struct opened_model *opened,
					    const struct model_choice *choice, struct error *err);
/* Accepts one that was never opened, if it is all zeros. */
void opened_model_close(struct opened_model *opened);

/* Stages in other processes, which come by themselves: engine_accept. */
struct engine_cluster {
	const struct coordinator_config *coordinator;	/* wire_coordinator_config made it */
	struct fabric_source fabrics;			/* of the coordinator's data links */
	bool has_fixed_workers;				/* as in coordinator_config */
	const struct resources *resources;		/* of this process */
	uint64_t own_bytes;				/* memory that it comes to take */
};

/* What tests may change about, and see of, stages in this process. */
struct engine_hooks {
	const enum cpu_isa *isas;	/* [n_stages] as if each had a processor of its own;
					 * NULL: as the settings say */
	void (*on_logits)(void *arg, uint32_t sequence, uint32_t position, const float *logits,
			  uint32_t n_vocab);	/* on the last stage's thread; see stage_on_logits */
	void *arg;
};

struct engine_config {
	struct loop *loop;			/* borrowed until destroy */
	const struct config *settings;
	const struct opened_model *model;	/* borrowed until destroy */
	const struct engine_cluster *cluster;	/* NULL: settings->stages in this process */
	size_t client_bytes;			/* memory that this process keeps for clients */
	const struct engine_hooks *hooks;	/* NULL: none */
	/* The phase changed. err is set for FAILED, else NULL. Must not destroy the engine. */
	void (*on_phase)(void *arg, enum coordinator_phase phase, const struct error *err);
	/* Bytes loaded and total bytes of all stages, while LOADING. May be NULL. */
	void (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
	void *arg;
};

/* Begins to load; on_phase tells the rest, from later turns of the loop. SC_E_CONFIG: settings that
 * contradict the model or each other. SC_E_UNSUPPORTED: a backend that is not in this build. */
must_check enum sc_status engine_create(const struct engine_config *config,
					struct engine **engine_out, struct error *err);

/* Takes the channel of a worker that has come, at any time. With a cluster only. */
void engine_accept(struct engine *engine, struct channel *channel);

/* What was opened. Borrowed. */
const struct model *engine_model(const struct engine *engine);
const struct tokenizer *engine_tokenizer(const struct engine *engine);

/* --- submit --- */

/* As job_submit, job_check_room, job_find and job_list in coordinator/job.h. */
must_check enum sc_status engine_submit(struct engine *engine, const struct job_request *request,
					struct job **job_out, struct error *err);
must_check enum sc_status engine_check_room(struct engine *engine, uint64_t client,
					    struct error *err);

/* --- watch --- */

must_check enum sc_status engine_find(struct engine *engine, const char *id, struct job **job_out,
				      struct error *err);
unsigned engine_list(struct engine *engine, unsigned states, struct job **jobs_out, unsigned max);

/* --- status --- */

enum coordinator_phase engine_phase(const struct engine *engine);
/* Positions of one sequence. May become fewer until LOADING, when memory is known. */
uint32_t engine_max_context(const struct engine *engine);
enum tensor_type engine_kv_type(const struct engine *engine);
/* Which stage holds which layers. NULL before LOADING. */
const struct plan *engine_plan(const struct engine *engine);
void engine_status(const struct engine *engine, struct coordinator_status *out);
/* stage is below the plan's n_stages. Strings are borrowed until the next turn of the loop. */
void engine_stage_status(const struct engine *engine, unsigned stage, struct stage_status *out);
/* Workers that the coordinator knows, those that are gone included, and what there is to say of one
 * of them; strings as above. */
unsigned engine_n_workers(const struct engine *engine);
void engine_worker_status(const struct engine *engine, unsigned i, struct worker_status *out);
/* As coordinator_await_counters: wait->on_current comes when counters of stages are up to date;
 * counters_forget ends the wait. */
void engine_await_counters(struct engine *engine, struct counters_wait *wait);
/* Counters and histograms of all jobs so far. */
const struct metrics *engine_metrics(const struct engine *engine);
/* Values of limits, and counters of what was refused by them. The gateway counts here, too. */
struct limit_counts *engine_limits(struct engine *engine);

/* --- change and stop --- */

/* The limits that may change at run time. */
void engine_set_limits(struct engine *engine, uint32_t max_queue, uint32_t keep_jobs);

/* Refuses new jobs, lets the others run for at most timeout_ms (0: stops them at once), then stops
 * the stages and tells STOPPED. */
void engine_drain(struct engine *engine, uint32_t timeout_ms);
/* Fails all jobs with err, stops the stages and tells FAILED. Does nothing after the end. */
void engine_abort(struct engine *engine, const struct error *err);
/* Jobs that still run fail. Waits for stages of this process, until they end their step or have
 * loaded. Accepts NULL. */
void engine_destroy(struct engine *engine);

#endif
