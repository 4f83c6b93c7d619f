/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics that only this server has, and those of its process. */
#include "gateway/metrics_text.h"

#include "base/clock.h"
#include "base/console.h"
#include "base/process_usage.h"
#include "config/limits.h"
#include "gateway/traffic.h"

#include <stdio.h>

#define MS_TO_SECONDS 1e-3

static void counter_seconds(struct exposition *e, const char *name, const char *help,
			    double seconds)
{
	exposition_begin(e, "counter", name, help);
	exposition_add(e, "", seconds);
}

/* --- stages --- */

/* One family of all stages: what `value` gives of each. */
static void write_stages(const struct metrics_source *source, struct exposition *e,
			 const char *type, const char *name, const char *help,
			 double (*value)(const struct stage_status *stage))
{
	const struct plan *plan = engine_plan(source->engine);

	exposition_begin(e, type, name, help);
	for (unsigned i = 0; plan && i < plan->n_stages; i++) {
		struct stage_status stage;
		char labels[32];

		engine_stage_status(source->engine, i, &stage);
		snprintf(labels, sizeof labels, "stage=\"%u\"", stage.rank);
		exposition_add(e, labels, value(&stage));
	}
}

static double busy(const struct stage_status *stage) { return stage->busy_seconds; }
static double waiting(const struct stage_status *stage) { return stage->waiting_seconds; }
static double bubble(const struct stage_status *stage) { return stage->bubble_seconds; }
static double sending(const struct stage_status *stage) { return stage->sending_seconds; }
static double receiving(const struct stage_status *stage) { return stage->receiving_seconds; }
static double steps(const struct stage_status *stage) { return (double)stage->steps; }
static double rows(const struct stage_status *stage) { return (double)stage->rows; }
static double received(const struct stage_status *stage) { return (double)stage->received_bytes; }
static double sent(const struct stage_status *stage) { return (double)stage->sent_bytes; }
static double saturated(const struct stage_status *stage) { return (double)stage->kv_saturated; }
static double weights(const struct stage_status *stage) { return (double)stage->weight_bytes; }
static double kv(const struct stage_status *stage) { return (double)stage->kv_bytes; }
static double heard(const struct stage_status *stage)
{
	return (double)stage->heard_ms_ago * MS_TO_SECONDS;
}

static void write_all_stages(const struct metrics_source *source, struct exposition *e)
{
	static const struct {
		const char *type, *name, *help;
		double (*value)(const struct stage_status *stage);
	} families[] = {
		{ "counter", "stagecoach_stage_busy_seconds_total",
		  "Time that a stage computed. Counters of stages begin again with an epoch.",
		  busy },
		{ "counter", "stagecoach_stage_waiting_seconds_total",
		  "Time that a stage had no step to compute.", waiting },
		{ "counter", "stagecoach_stage_bubble_seconds_total",
		  "The part of it while steps were in flight.", bubble },
		{ "counter", "stagecoach_stage_send_seconds_total",
		  "Time that an output was ready and the next stage had no room.", sending },
		{ "counter", "stagecoach_stage_receive_seconds_total",
		  "Time that steps had come and waited until others were computed, added up.",
		  receiving },
		{ "counter", "stagecoach_stage_received_bytes_total", "Bytes of steps.", received },
		{ "counter", "stagecoach_stage_sent_bytes_total", "Bytes of outputs.", sent },
		{ "counter", "stagecoach_stage_steps_total", "Computed steps.", steps },
		{ "counter", "stagecoach_stage_rows_total", "Rows of computed steps.", rows },
		{ "counter", "stagecoach_stage_kv_saturated_total",
		  "Keys and values beyond what kv-type holds.", saturated },
		{ "gauge", "stagecoach_stage_weight_bytes", "Memory of weights.", weights },
		{ "gauge", "stagecoach_stage_kv_bytes", "Memory of the KV cache.", kv },
		{ "gauge", "stagecoach_stage_heard_seconds",
		  "Time since the stage's last message.", heard },
	};

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		write_stages(source, e, families[i].type, families[i].name, families[i].help,
			     families[i].value);
}

static enum sc_status stage_labels(const struct stage_status *stage, struct buf *labels)
{
	char number[16];
	enum sc_status status;

	buf_truncate(labels, 0);
	snprintf(number, sizeof number, "%u", stage->rank);
	status = label_add(labels, "stage", number);
	if (status == SC_OK)
		status = label_add(labels, "worker", stage->worker);
	if (status == SC_OK)
		status = label_add(labels, "host", stage->host);
	if (status == SC_OK)
		status = label_add(labels, "backend", stage->backend);
	if (status != SC_OK)
		return status;
	snprintf(number, sizeof number, "%u", stage->first_layer);
	status = label_add(labels, "first_layer", number);
	snprintf(number, sizeof number, "%u", stage->n_layers);
	return status == SC_OK ? label_add(labels, "layers", number) : status;
}

static void write_stage_info(const struct metrics_source *source, struct exposition *e)
{
	const struct plan *plan = engine_plan(source->engine);
	struct buf labels = BUF_INIT;

	exposition_begin(e, "gauge", "stagecoach_stage_info",
			 "Which worker computes which layers; always 1.");
	for (unsigned i = 0; plan && i < plan->n_stages && e->status == SC_OK; i++) {
		struct stage_status stage;

		engine_stage_status(source->engine, i, &stage);
		e->status = stage_labels(&stage, &labels);
		exposition_add_count(e, labels.data, 1);
	}
	buf_deinit(&labels);
}

/* --- the engine --- */

static void write_phase(const struct coordinator_status *status, struct exposition *e)
{
	char labels[64];

	exposition_begin(e, "gauge", "stagecoach_phase", "1 for the phase that the server is in.");
	for (int i = 0; i < COORDINATOR_N_PHASES; i++) {
		snprintf(labels, sizeof labels, "phase=\"%s\"",
			 coordinator_phase_name((enum coordinator_phase)i));
		exposition_add_count(e, labels, status->phase == (enum coordinator_phase)i);
	}
}

static void write_jobs(const struct coordinator_status *status, struct exposition *e)
{
	static const enum job_state states[] = { JOB_DONE, JOB_CANCELLED, JOB_FAILED };
	char labels[64];

	exposition_begin(e, "counter", "stagecoach_jobs_total", "Jobs that have ended, by state.");
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
		snprintf(labels, sizeof labels, "state=\"%s\"", job_state_name(states[i]));
		exposition_add_count(e, labels, status->jobs_by_state[states[i]]);
	}
	exposition_gauge(e, "stagecoach_jobs_queued", "Jobs of which no row was computed yet.",
			 status->jobs_queued);
	exposition_gauge(e, "stagecoach_jobs_running", "Jobs that have started.",
			 status->jobs_running);
}

static void write_steps(const struct coordinator_status *status, struct exposition *e)
{
	exposition_counter(e, "stagecoach_steps_total", "Steps made.", status->steps);
	exposition_counter(e, "stagecoach_step_rows_total", "Rows of answered steps.",
			   status->rows);
	exposition_gauge(e, "stagecoach_steps_in_flight", "Steps on their way now.",
			 status->steps_in_flight);
	exposition_gauge(e, "stagecoach_window", "The most steps in flight.", status->window);
	counter_seconds(e, "stagecoach_active_seconds_total",
			"Time with a step in flight. A stage's busy time divided by it is its "
			"occupancy.", clock_seconds(status->active_ns));
	exposition_gauge(e, "stagecoach_loop_turn_seconds_max",
			 "The longest turn of the event loop.",
			 clock_seconds(status->longest_turn_ns));
	exposition_gauge(e, "stagecoach_loop_turn_cpu_seconds_max",
			 "The most processor time of a turn of the event loop.",
			 clock_seconds(status->most_work_ns));
	exposition_counter(e, "stagecoach_log_lines_dropped_total",
			   "Lines of the log that its reader did not take.", console_n_dropped());
}

static uint64_t count_losses(const struct engine *engine)
{
	struct worker_status worker;
	uint64_t n = 0;

	for (unsigned i = 0; i < engine_n_workers(engine); i++) {
		engine_worker_status(engine, i, &worker);
		n += worker.n_losses;
	}
	return n;
}

static uint32_t count_here(const struct engine *engine)
{
	struct worker_status worker;
	uint32_t n = 0;

	for (unsigned i = 0; i < engine_n_workers(engine); i++) {
		engine_worker_status(engine, i, &worker);
		n += worker.state != MEMBER_GONE;
	}
	return n;
}

static void write_losses(const struct metrics_source *source,
			 const struct coordinator_status *status, struct exposition *e)
{
	exposition_gauge(e, "stagecoach_epoch", "Number of the plan in use.", status->epoch);
	exposition_counter(e, "stagecoach_recoveries_total",
			   "Epochs that were lost after they had run.", status->recoveries);
	exposition_counter(e, "stagecoach_worker_losses_total",
			   "Workers that died, hung or left, of those that are known.",
			   count_losses(source->engine));
	exposition_gauge(e, "stagecoach_workers", "Workers that are here.",
			 count_here(source->engine));
	exposition_gauge(e, "stagecoach_stages_wanted", "Stages that the settings want.",
			 status->n_stages);
}

static void write_limits(const struct metrics_source *source, struct exposition *e)
{
	const struct limit_counts *counts = engine_limits(source->engine);
	char labels[64];

	exposition_begin(e, "counter", "stagecoach_limit_refusals_total",
			 "How often each limit was met; stagecoachd(8), LIMITS.");
	for (unsigned i = 0; i < N_LIMITS; i++) {
		snprintf(labels, sizeof labels, "limit=\"%s\"", limit_table[i].name);
		exposition_add_count(e, labels, counts->n[i]);
	}
}

static void write_build(const struct metrics_source *source, struct exposition *e)
{
	struct buf labels = BUF_INIT;
	enum sc_status status = label_add(&labels, "version", PACKAGE_VERSION);

	if (status == SC_OK)
		status = label_add(&labels, "model_name", source->model_name);
	if (status == SC_OK)
		status = label_add(&labels, "architecture",
				   engine_model(source->engine)->arch->name);
	if (e->status == SC_OK)
		e->status = status;
	exposition_begin(e, "gauge", "stagecoach_build_info",
			 "The version and the model; always 1.");
	exposition_add_count(e, labels.data, 1);
	buf_deinit(&labels);
}

/* --- the process --- */

static void write_process(struct exposition *e)
{
	struct process_usage usage;

	process_usage_read(&usage);
	counter_seconds(e, "process_cpu_seconds_total",
			"CPU time of this process, the coordinator's; with one process that of "
			"all stages, too.", usage.cpu_seconds);
	exposition_gauge(e, "process_resident_memory_bytes", "Memory in RAM.",
			 (double)usage.resident_bytes);
	exposition_gauge(e, "process_virtual_memory_bytes", "Address space.",
			 (double)usage.virtual_bytes);
	exposition_gauge(e, "process_open_fds", "Open files and sockets.", usage.n_descriptors);
	exposition_gauge(e, "process_max_fds", "The most of them.",
			 (double)usage.max_descriptors);
	exposition_gauge(e, "process_threads", "Threads.", usage.n_threads);
	exposition_gauge(e, "process_start_time_seconds",
			 "When the process started, since 1970-01-01 UTC.", usage.start_seconds);
}

void metrics_write_own(const struct metrics_source *source,
		       const struct coordinator_status *status, struct exposition *e)
{
	write_build(source, e);
	write_phase(status, e);
	write_jobs(status, e);
	write_steps(status, e);
	write_all_stages(source, e);
	write_stage_info(source, e);
	write_losses(source, status, e);
	write_limits(source, e);
	exposition_gauge(e, "stagecoach_connections", "Open client connections.",
			 source->n_connections);
	exposition_gauge(e, "stagecoach_connections_limit", "The most of them.",
			 source->max_connections);
	if (source->traffic)
		traffic_write(source->traffic, e);
	write_process(e);
}
